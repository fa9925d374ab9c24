// Durations as users write them: "250ms", "90s", "5m", "1h30m", "7d".
#pragma once

#include <string>
#include <string_view>

#include "wrackline/core/status.h"
#include "wrackline/core/types.h"

namespace wrackline {

// Whole numbers with the units d h m s ms, largest first, each at most once; a '-' before the whole
// makes it negative (an offset may be). Lengths beyond kMaxDuration are refused, and so are the
// calendar words w, mo, q and y: their length depends on where they lie.
Result<Millis> parse_duration(std::string_view text);

// The text that parse_duration reads back: "6h", "1h30m", "0s". REQUIRES: |duration| <= kMaxDuration.
std::string format_duration(Millis duration);

}  // namespace wrackline
