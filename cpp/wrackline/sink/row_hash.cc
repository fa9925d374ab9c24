#include "wrackline/sink/row_hash.h"

#include <bit>
#include <cmath>

#include "wrackline/core/hash.h"

namespace wrackline {
namespace {

constexpr uint64_t kNull = 0x9e3779b97f4a7c15ULL;

uint64_t hash_value(const Column& column, int64_t row) {
  if (column.is_null(row)) return kNull;
  switch (column.type()) {
    case Type::kBool: return column.bool_at(row) ? 2 : 1;
    case Type::kInt64:
    case Type::kTimestamp: return static_cast<uint64_t>(column.int64s()[row]);
    case Type::kFloat64: {
      const double value = column.float64s()[row];
      return std::isnan(value) ? 3 : std::bit_cast<uint64_t>(value);
    }
    case Type::kString:
    case Type::kBytes: return hash64(column.string_at(row));
    case Type::kDecimal: {
      const auto value = static_cast<unsigned __int128>(column.decimal_at(row));
      return mix64(static_cast<uint64_t>(value)) ^ static_cast<uint64_t>(value >> 64);
    }
    case Type::kList: {
      uint64_t hash = 0;
      for (int32_t i = column.offsets()[row]; i < column.offsets()[row + 1]; ++i) {
        hash = mix64(hash + hash_value(column.items(), i) + 1);
      }
      return hash;
    }
  }
  return 0;
}

}  // namespace

uint64_t hash_rows(const Batch& batch, std::string_view salt) {
  const uint64_t start = hash64(salt);
  Buffer<uint64_t> hashes(static_cast<size_t>(batch.length));
  for (uint64_t& hash : hashes) hash = start;
  for (const ColumnPtr& column : batch.columns) {
    for (int64_t row = 0; row < batch.length; ++row) {
      uint64_t& hash = hashes[static_cast<size_t>(row)];
      hash = mix64(hash * 31 + hash_value(*column, row));
    }
  }
  uint64_t sum = 0;
  for (const uint64_t hash : hashes) sum += hash;
  return sum;
}

}  // namespace wrackline
