#include "wrackline/core/spelling.h"

#include <algorithm>
#include <cstddef>

namespace wrackline {
namespace {

constexpr size_t kMaxLength = 256;  // longer names are compared by their beginning

char lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

size_t distance(std::string_view a, std::string_view b) {
  a = a.substr(0, kMaxLength);
  b = b.substr(0, kMaxLength);
  std::vector<size_t> before(b.size() + 1), above(b.size() + 1), row(b.size() + 1);
  for (size_t j = 0; j <= b.size(); ++j) above[j] = j;
  for (size_t i = 1; i <= a.size(); ++i) {
    row[0] = i;
    for (size_t j = 1; j <= b.size(); ++j) {
      const bool same = lower(a[i - 1]) == lower(b[j - 1]);
      row[j] = std::min({above[j] + 1, row[j - 1] + 1, above[j - 1] + (same ? 0 : 1)});
      const bool swapped = i > 1 && j > 1 && lower(a[i - 1]) == lower(b[j - 2]) && lower(a[i - 2]) == lower(b[j - 1]);
      if (swapped) row[j] = std::min(row[j], before[j - 2] + 1);
    }
    std::swap(before, above);
    std::swap(above, row);
  }
  return above[b.size()];
}

}  // namespace

std::string nearest(std::string_view wanted, const std::vector<std::string>& known) {
  const std::string* best = nullptr;
  size_t least = 0;
  for (const std::string& name : known) {
    const size_t edits = distance(wanted, name);
    const size_t longer = std::max(wanted.size(), name.size());
    if (edits > std::max<size_t>(1, longer / 3) || edits >= longer) continue;
    if (best == nullptr || edits < least) {
      best = &name;
      least = edits;
    }
  }
  return best != nullptr ? *best : std::string();
}

}  // namespace wrackline
