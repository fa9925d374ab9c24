// Store: where checkpoints (and later cold state) lie. Immutable, uniquely named files of blocks; what
// counts is what the log names, so a file that nobody names is garbage, never wrong.
//
//  - A file is complete and durable (synced, with its directory) when its write is answered, or not there at
//    all. It is never changed.
//  - Reading checks checksums: a truncated or bit-flipped file is Code::kCorruption, never other bytes.
//
// start and poll, as in log/log.h; belongs to one thread, background work is the implementation's own.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "wrackline/core/buffer.h"
#include "wrackline/core/status.h"

namespace wrackline {

struct Block {
  std::string key;
  Bytes bytes;
};

class Store {
 public:
  virtual ~Store() = default;

  // Writes `blocks` as file `name` (letters, digits, '-', '_', '.'). Keys must be unique; their order is free.
  // The answer comes from poll_write(): nullopt while it is being written. One write at a time. A name that is
  // there already is kAlreadyExists; kUnavailable (unwritable, full) leaves nothing, the next write may succeed.
  virtual void start_write(const std::string& name, std::vector<Block> blocks) = 0;
  virtual std::optional<Status> poll_write() = 0;

  // Calls `f` for the blocks of `name` whose keys are in `keys` (all, if empty), in the order of `keys` (of the
  // keys' bytes). A key that is not there is kCorruption, a file that is not there kNotFound. A failure of `f` ends
  // the reading and is returned. Only at recovery: may take as long as the disk does.
  virtual Status read(const std::string& name, const std::vector<std::string>& keys,
                      const std::function<Status(std::string_view key, std::string_view bytes)>& f) = 0;

  // Names of all complete files, sorted.
  virtual Result<std::vector<std::string>> list() = 0;
  // Ok if it is not there.
  virtual Status remove(const std::string& name) = 0;
};

// In memory; what was written lives as long as the store.
std::unique_ptr<Store> make_memory_store();

// One SST file per name in `directory`, which is made if it is missing. Writes run on a thread of its own, which
// is there from the first write on; destroying the store waits for the write in it. Other processes may read.
Result<std::unique_ptr<Store>> open_rocksdb_store(const std::string& directory);

}  // namespace wrackline
