// Scalar: one value of a column, or null, as settings and tests spell it.
#pragma once

#include <cstdint>
#include <string>
#include <variant>

#include "wrackline/core/types.h"

namespace wrackline {

struct Timestamp {
  Millis millis = 0;
  friend bool operator==(const Timestamp&, const Timestamp&) = default;
};

using Scalar = std::variant<std::monostate, bool, int64_t, double, std::string, Timestamp>;

}  // namespace wrackline
