// IdBucket: the ids that passed in one bucket of event time, each with when; at most one entry an id.
//
// Slot = {128-bit hash, time in the bucket}, packed. A shard is an array in which slots lie in the order
// of their hashes, each at or after its home (hash / 2^64 * size): a lookup ends at the first greater
// hash, so that arrays may be 92 % full and grow by a tenth. A bucket is one shard while it is small, then
// 64 by the other half of the hash, which grow one at a time: the peak is one shard above the rest.
//
// Not thread-safe.
#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "wrackline/core/buffer.h"
#include "wrackline/core/bytes.h"
#include "wrackline/core/hash.h"
#include "wrackline/core/status.h"

namespace wrackline {

class IdBucket {
 public:
  // Times in the bucket are below `within`; `wide` (8 bytes instead of 4) iff it is 2^32 or more.
  explicit IdBucket(bool wide) : wide_(wide) {}

  static constexpr int64_t kNone = -1;

  // The time in the bucket at which `id` passed, or kNone.
  int64_t find(Hash128 id) const;
  // REQUIRES: find(id) == kNone.
  void insert(Hash128 id, int64_t time);
  void prefetch(Hash128 id) const;

  int64_t count() const { return count_; }
  int64_t allocated_bytes() const;

  // What came since the last freeze as entries one after the other, or all of them. Forgets that they
  // are new. `whole` is set to true when the new ones were too many to be kept apart.
  bool changed() const { return count_ != frozen_count_; }
  Bytes freeze(bool& whole);
  Status restore(std::string_view entries);

 private:
  static constexpr int64_t kShardedAbove = 16 * 1024;
  static constexpr size_t kShards = 64;
  static constexpr int64_t kMinLog = 1 << 20;  // so many new entries are always kept apart

  struct Shard {
    Bytes slots;        // size + tail slots; the tail is for entries whose home is near the end
    uint64_t size = 0;  // homes
    uint64_t total = 0;
    uint64_t count = 0;
  };

  size_t width() const { return wide_ ? 24 : 20; }
  const Shard& shard_of(Hash128 id) const { return shards_.size() == 1 ? shards_[0] : shards_[id.high >> 58]; }
  Shard& shard_of(Hash128 id) { return shards_.size() == 1 ? shards_[0] : shards_[id.high >> 58]; }
  static uint64_t home(const Shard& shard, Hash128 id) {
    return static_cast<uint64_t>(static_cast<unsigned __int128>(id.low) * shard.size >> 64);
  }
  Hash128 id_at(const uint8_t* slot) const;
  uint64_t time_at(const uint8_t* slot) const;
  uint64_t free_mark() const { return wide_ ? ~uint64_t{0} : ~uint32_t{0}; }
  void write_slot(uint8_t* slot, Hash128 id, uint64_t time) const;
  bool place(Shard& shard, Hash128 id, uint64_t time) const;
  void allocate(Shard& shard, uint64_t size, uint64_t tail) const;
  void grow(Shard& shard) const;
  void insert_into(Shard& shard, Hash128 id, uint64_t time) const;
  void split();

  bool wide_;
  std::vector<Shard> shards_;
  int64_t count_ = 0;
  int64_t frozen_count_ = 0;
  Bytes log_;              // entries since the last freeze
  bool log_lost_ = false;  // it grew too long
};

}  // namespace wrackline
