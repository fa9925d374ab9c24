// A typed hash of each row put out. Their sum mod 2^64 does not depend on order across keys, and a replay
// has to reach the committed one (docs/exactly_once.md): promise 2, checked at every recovery.
#pragma once

#include <cstdint>
#include <string_view>

#include "wrackline/core/batch.h"

namespace wrackline {

// The sum over all rows; `salt` tells outputs apart, so that a row that went to another output differs.
uint64_t hash_rows(const Batch& batch, std::string_view salt);

}  // namespace wrackline
