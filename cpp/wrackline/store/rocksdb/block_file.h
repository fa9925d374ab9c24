// One file of blocks, as a sorted table of RocksDB (docs/formats.md, "Checkpoint files").
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "wrackline/core/status.h"
#include "wrackline/store/store.h"

namespace rocksdb {
class Iterator;
class SstFileReader;
}  // namespace rocksdb

namespace wrackline {

// Writes `blocks` (sorted by key) to `path`, which must not exist, and syncs it. On failure something may be
// left at `path`. Any thread.
Status write_block_file(const std::string& path, const std::vector<Block>& blocks);

// An open file. Belongs to one thread.
class BlockFile {
 public:
  // kCorruption: not a file of ours, or damaged. kUnavailable: the disk would not.
  static Result<std::unique_ptr<BlockFile>> open(const std::string& path);
  ~BlockFile();

  // As Store::read.
  Status read(const std::vector<std::string>& keys,
              const std::function<Status(std::string_view key, std::string_view bytes)>& f);

 private:
  struct Entry {
    std::string key;
    uint64_t size = 0;
    uint64_t hash = 0;
  };

  explicit BlockFile(std::string path);
  Status read_directory();
  Status read_block(uint32_t number, Bytes& bytes);
  Status give(size_t index, const std::function<Status(std::string_view key, std::string_view bytes)>& f);
  Status damaged(std::string_view what) const;

  std::string path_;
  std::unique_ptr<rocksdb::SstFileReader> reader_;
  std::unique_ptr<rocksdb::Iterator> iterator_;
  std::vector<Entry> directory_;  // sorted by key
  Bytes buffer_;
};

}  // namespace wrackline
