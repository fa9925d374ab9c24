// PlacedKeys: in which partition a sample of an input's keys lies. `partitioned_by` promises that each key lies in one;
// a key that comes in two would be two windows, each with half of its records.
//
// It sees what this process reads: not a key of which each of two processes reads one partition, nor one whose first
// records were read by an earlier run and are not replayed. It remembers nothing that the answer depends on.
#pragma once

#include <atomic>
#include <cstdint>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "wrackline/core/batch.h"
#include "wrackline/core/hash.h"
#include "wrackline/core/key.h"
#include "wrackline/core/status.h"

namespace wrackline {

// Of all partitions; from any thread.
class PlacedKeys {
 public:
  static constexpr uint64_t kOneOf = 64;  // keys that are looked at, by their hash
  static constexpr size_t kMaxKeys =
      64 * 1024;  // beyond, half of the sample is forgotten and every second key is passed over

  // Whether a key of this hash is in the sample.
  bool looks_at(uint64_t hash) const { return (hash & mask_.load(std::memory_order_relaxed)) == 0; }
  // The other partition in which the key was seen, if there is one.
  std::optional<int32_t> place(uint64_t hash, Hash128 key, int32_t partition);
  size_t size() const;

 private:
  struct Placed {
    uint64_t hash = 0;
    int32_t partition = 0;
  };
  mutable std::mutex mutex_;
  std::map<Hash128, Placed> keys_;
  std::atomic<uint64_t> mask_ = kOneOf - 1;
};

// What one partition adds, and is checked against. Used by one thread; `all` must outlive it.
class PlacementCheck {
 public:
  // `with_nulls`: records without a key are a group of their own, which has to be in one partition, too.
  static Result<PlacementCheck> make(const Schema& schema, const std::vector<std::string>& columns, bool with_nulls,
                                     TopicPartition input, PlacedKeys* all);

  // Fails where a key lies in another partition, too: names both.
  Status check(const Batch& batch);

 private:
  PlacementCheck(KeyPacker packer, bool with_nulls, TopicPartition input, PlacedKeys* all)
      : packer_(std::move(packer)), with_nulls_(with_nulls), input_(std::move(input)), all_(all) {}
  bool is_null(std::string_view key) const;
  Status misplaced(std::string_view key, int32_t other) const;

  KeyPacker packer_;
  std::vector<std::string> names_;
  bool with_nulls_;
  TopicPartition input_;
  PlacedKeys* all_;
};

}  // namespace wrackline
