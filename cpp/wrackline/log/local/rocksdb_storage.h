// Storage in RocksDB. Write-ahead log on, not synced: what is acknowledged survives the process, not a power
// failure (then a whole beginning of the writes is left).
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "wrackline/log/local/storage.h"

namespace wrackline::local {

// How far the files had come: RocksDB's number of the last write, and which manifest lists the files, with its size
// and hash then. A manifest that lost its end would be a log without its newest files, and nothing else would show it.
struct Position {
  uint64_t sequence = 0;
  uint64_t manifest = 0;  // 0: not known
  uint64_t manifest_bytes = 0;
  uint64_t manifest_hash = 0;
};

// kCorruption: the manifest in use is older than, or does not begin as, the one of `known`.
Status check_manifest(const std::string& path, const Position& known);

// Makes a new log at `path`, which must not exist, complete when it returns.
Status create_rocksdb(const std::string& path);
// Changes nothing. The number of its last write; kCorruption if it is damaged as far as that can be seen
// without reading all of it, or not one of our logs, or of another format.
Result<uint64_t> inspect_rocksdb(const std::string& path);
// `acknowledged` is told the position after each write, before that is answered.
Result<std::unique_ptr<Storage>> open_rocksdb(const std::string& path,
                                              std::function<void(const Position&)> acknowledged);
// Reads beside the writing process. `acknowledged` says the number of the last write; whenever it has changed,
// catch_up() opens the files anew. (RocksDB's secondary instances would follow more cheaply, but in 10.4 they
// read blob files by dangling references.)
Result<std::unique_ptr<Storage>> open_rocksdb_beside(const std::string& path,
                                                     std::function<Result<uint64_t>()> acknowledged);

}  // namespace wrackline::local
