// HyperLogLog: about how many different values there were (Flajolet et al. 2007), with Ertl's estimator (2017), which
// is unbiased from the first value on. 2^12 registers: the standard error is 1.04 / sqrt(4096) = 1.63 %. Up to
// kExact different values it keeps their hashes, and counts exactly.
#pragma once

#include <cstdint>
#include <string_view>

#include "wrackline/core/buffer.h"
#include "wrackline/core/bytes.h"

namespace wrackline {

class HyperLogLog {
 public:
  static constexpr int kPrecision = 12;
  static constexpr size_t kRegisters = size_t{1} << kPrecision;
  static constexpr size_t kExact = 256;

  void insert(int64_t word);
  void insert(std::string_view text);
  int64_t estimate() const;

  void clear();
  void merge(const HyperLogLog& later);
  int64_t allocated_bytes() const;
  void write(ByteWriter& out) const;
  bool read(ByteReader& in);

 private:
  void insert_hash(uint64_t hash);
  void put(uint64_t hash);  // into a register
  static void unite(Buffer<uint64_t>& hashes);
  Buffer<uint64_t> hashes_;  // fewer than 2 kExact, some twice; empty once there are registers
  Bytes registers_;          // empty or kRegisters
};

}  // namespace wrackline
