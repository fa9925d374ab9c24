// Storage in RocksDB. Write-ahead log on, not synced: what is acknowledged survives the process, not a power
// failure (then a whole beginning of the writes is left).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "wrackline/log/local/storage.h"

namespace wrackline::local {

// Makes a new log at `path`, which must not exist, complete when it returns.
Status create_rocksdb(const std::string& path);
// Changes nothing. The number of its last write; kCorruption if it is damaged as far as that can be seen
// without reading all of it, or not one of our logs, or of another format.
Result<uint64_t> inspect_rocksdb(const std::string& path);
// `acknowledged` is told the number of the last write before each one is answered.
Result<std::unique_ptr<Storage>> open_rocksdb(const std::string& path, std::function<void(uint64_t)> acknowledged);
// Reads beside the writing process. `acknowledged` says the number of the last write; whenever it has changed,
// catch_up() opens the files anew. (RocksDB's secondary instances would follow more cheaply, but in 10.4 they
// read blob files by dangling references.)
Result<std::unique_ptr<Storage>> open_rocksdb_beside(const std::string& path,
                                                     std::function<Result<uint64_t>()> acknowledged);

}  // namespace wrackline::local
