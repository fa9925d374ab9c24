// What a session and a key of sessions keep beside the aggregates, in the same entry: behind their cells.
#pragma once

#include "wrackline/core/types.h"
#include "wrackline/window/cells.h"
#include "wrackline/window/key_table.h"

namespace wrackline {

struct Session {
  Millis start = 0;             // the first record
  Millis end = kMinusInfinity;  // the last record + gap; kMinusInfinity: a key without a session
  int64_t unemitted = 0;        // records that no pane has contained yet
  int64_t revision = 0;         // of its next row
  int64_t row_is_out = 0;       // 1: with these bounds
};
static_assert(sizeof(Session) == 40);

// Of the entry that the key finds: it holds its latest session.
struct SessionKey {
  Millis timer = kPlusInfinity;      // the one that counts
  uint32_t older = KeyTable::kNone;  // its other sessions
  uint32_t flags = 0;
};
static_assert(sizeof(SessionKey) == 16);

namespace session_flag {
inline constexpr uint32_t kChanged = 1;  // since the last freeze
inline constexpr uint32_t kFrozen = 2;   // the last freeze has it
inline constexpr uint32_t kFresh = 4;    // records came since the last early panes
}  // namespace session_flag

}  // namespace wrackline
