// What a window's aggregates are made of: parts, each a shared piece of every entry's state, and outputs, each a way to
// read a result off a part.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "wrackline/core/batch.h"
#include "wrackline/window/aggregate/pool.h"

namespace wrackline {

enum class PartKind : uint8_t {
  kRows,
  kNonNull,  // int64
  kSumInteger,
  kSumFloat,  // 128-bit integer, DoubleDouble
  kMinInteger,
  kMaxInteger,
  kMinFloat,
  kMaxFloat,
  kMoments,  // Moments
  kFirst,
  kLast,  // event time, value
  kMinText,
  kMaxText,  // in a pool
  kFirstText,
  kLastText,  // event time; text in a pool
  kArgMin,
  kArgMax,  // ArgCell; texts in a pool
  // The rest is in a pool alone.
  kCollect,
  kDistinct,
  kTextSet,
  kValues,
  kTop,
  kTopText,
  kApproxDistinct,
  kApproxQuantile,
  kFrequent,
  kCustom,
};

// One shared piece of state: `kind` over `column`.
struct Part {
  PartKind kind;
  int column = -1;  // -1: of the row
  Type type = Type::kInt64;
  bool nullable = false;
  int by = -1;  // the column that arg_min and arg_max choose by; of a custom one: which rows it gets
  Type by_type = Type::kInt64;
  size_t k = 0;         // how many values are asked for
  uint32_t offset = 0;  // in the cells
  int pool = -1;        // -1: none
  PoolKind pool_kind = PoolKind::kTexts;
  std::shared_ptr<const CustomAggregate> custom;
  std::vector<int> columns;  // of a custom one
  SchemaPtr rows;            // what it gets of them

  bool is_text() const { return type == Type::kString || type == Type::kBytes; }
  bool same_state(const Part& other) const {
    return kind == other.kind && custom == nullptr && column == other.column && by == other.by && k == other.k;
  }
};

enum class Interpolation : uint8_t { kNearest, kLower, kHigher, kMidpoint, kLinear, kEquiprobable };

enum class Answer : uint8_t {
  kCount,
  kSum,
  kWideSum,
  kMean,
  kMin,
  kMax,
  kVar,
  kStd,
  kFirst,
  kLast,
  kDistinct,
  kCollect,
  kSet,
  kQuantile,
  kTop,
  kFrequent,
  kArg,
  kApproxDistinct,
  kApproxQuantile,
  kCustom,
};

struct Output {
  Answer answer = Answer::kCount;
  int part = -1;    // the value
  int filled = -1;  // the count of non-nulls; -1: never null for that reason
  double q = 0;
  Interpolation interpolation = Interpolation::kNearest;
};

// The cells of arg_min and arg_max.
struct ArgCell {
  enum Mark : int64_t { kNone, kNull, kValue };
  int64_t mark = kNone;  // of the value
  Millis time = 0;
  int64_t by = 0;  // ordered word; a text lies in the pool
  int64_t value = 0;
};

}  // namespace wrackline
