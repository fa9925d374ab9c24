// What an error message says after a name that does not exist.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "wrackline/core/spelling.h"

namespace wrackline {

// "; did you mean 'speed'?" or, when nothing is close, "; there are: 'a', 'b'" (nothing for none).
inline std::string nearest_hint(std::string_view wanted, const std::vector<std::string>& known) {
  if (const std::string close = nearest(wanted, known); !close.empty()) return "; did you mean '" + close + "'?";
  std::string text;
  for (const std::string& name : known) text += (text.empty() ? "; there are: '" : ", '") + name + "'";
  return text;
}

}  // namespace wrackline
