// The nearest valid spelling, for error messages that name what was probably meant.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace wrackline {

// The one of `known` that is closest to `wanted` (letters inserted, dropped, changed or swapped; upper and
// lower case are alike), the first of equals; "" if nothing is close. Takes time |wanted| * total length of known.
std::string nearest(std::string_view wanted, const std::vector<std::string>& known);

}  // namespace wrackline
