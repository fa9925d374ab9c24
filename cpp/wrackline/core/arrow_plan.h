// How the columns of an Arrow schema arrive: made once a stream, then each array is copied by it. Only for
// arrow_import.cc.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "wrackline/core/arrow.h"

namespace wrackline::arrow {

enum class Layout : uint8_t {
  kNull,
  kBits,
  kInt8,
  kUint8,
  kInt16,
  kUint16,
  kInt32,
  kUint32,
  kInt64,
  kUint64,
  kFloat32,
  kFloat64,
  kText32,
  kText64,
  kTextView,
  kFixedText,
  kDecimal128,
  kSeconds,
  kMillis,
  kMicros,
  kNanos,
  kDays,
  kList32,
  kList64,
};

// How one field arrives.
struct Plan {
  std::string name;
  std::string format;
  Layout layout = Layout::kNull;
  Type type = Type::kString;
  bool nullable = false;
  int64_t width = 0;             // of kFixedText
  std::vector<Plan> item;        // of a list: one
  std::vector<Plan> dictionary;  // the values, if this is an index: one; `type` is theirs
  Type item_type() const { return item.empty() ? Type::kInt64 : item[0].type; }
};

struct TablePlan {
  std::vector<Plan> columns;
};

// kInvalidArgument naming the column and the format, if we do not take it.
Result<TablePlan> make_table_plan(const ArrowSchema& schema);

// kInvalidArgument about an array that does not fit its plan.
Status wrong(const Plan& plan, std::string_view what);

}  // namespace wrackline::arrow
