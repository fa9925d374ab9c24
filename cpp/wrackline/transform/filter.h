// filter: passes the rows whose column compares true with a value. A null does not pass.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "wrackline/core/scalar.h"
#include "wrackline/core/step.h"

namespace wrackline {

enum class Compare : uint8_t { kEqual, kNotEqual, kLess, kLessEqual, kGreater, kGreaterEqual };

// "==" "!=" "<" "<=" ">" ">=".
Result<Compare> parse_compare(std::string_view text);

struct FilterSpec {
  std::string column;
  Compare compare = Compare::kEqual;
  Scalar value;
};

// Numbers compare by value across int64 and float64, exactly; bool, string and timestamp with their
// own type (a timestamp also with an integer: milliseconds). NaN is equal to itself and above every
// number, as in Polars. Fails when there is no such column or when the types do not compare.
Result<std::unique_ptr<Step>> make_filter_step(std::string name, const FilterSpec& spec, const SchemaPtr& input);

}  // namespace wrackline
