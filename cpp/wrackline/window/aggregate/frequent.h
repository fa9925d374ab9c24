// FrequentValues: about the k most frequent values, with counters for a few hundred. Misra and Gries (1982) as it is
// merged by Agarwal et al., "Mergeable summaries" (PODS 2012), who show that it is Space-Saving by other words; cut
// down in bulk as by Anderson et al. (IMC 2017), so that a value costs O(1).
//
// A counter is never above the true count, and below it by at most N / (counters + 1) for N values, however they are
// cut into slices. So a value that is left out came at most that much more often than one that is there.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "wrackline/core/buffer.h"
#include "wrackline/core/bytes.h"
#include "wrackline/window/aggregate/sets.h"

namespace wrackline {

class FrequentValues {
 public:
  // What is kept to answer with the k most frequent ones.
  static size_t counters(size_t k) { return k < 32 ? 256 : 8 * k; }

  void insert(int64_t word, size_t k);
  void insert(std::string_view text, size_t k);
  struct Counted {
    int64_t count = 0;
    int64_t word = 0;
    std::string_view text;
  };
  // The k with the highest counters, highest first; equal ones by value.
  std::vector<Counted> most(size_t k) const;

  void clear();
  void merge(const FrequentValues& later, size_t k);
  int64_t allocated_bytes() const;
  void write(ByteWriter& out) const;
  bool read(ByteReader& in);

 private:
  // `text`: null for a number.
  void add(Hash128 value, const std::string_view* text, int64_t count, size_t k);
  void cut(size_t counters);
  DistinctSet values_;
  Buffer<int64_t> counts_;          // of each
  std::vector<std::string> texts_;  // of each, if they are texts
  int64_t text_bytes_ = 0;
};

}  // namespace wrackline
