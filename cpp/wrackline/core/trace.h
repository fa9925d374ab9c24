// Trace: what happened to one record, for explain_late, plots, test diffs and the audit. Off unless a
// TraceSink is given to the task.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "wrackline/core/types.h"

namespace wrackline {

enum class Fate : uint8_t { kAccepted, kFiltered, kDuplicate, kLate, kDeadLettered, kSkipped };

std::string_view fate_name(Fate fate);

struct TraceRecord {
  Millis event_time = kMinusInfinity;
  Millis arrival = kMinusInfinity;  // log timestamp
  int32_t partition = 0;
  int64_t offset = 0;
  Millis watermark = kMinusInfinity;  // before this record
  int64_t set_by_offset = -1;         // the record that moved the watermark there; -1: none
  Fate fate = Fate::kAccepted;
  std::string step;  // that decided the fate
};

// What the source says of a record comes first; later stations may decide another fate for it, each once.
class TraceSink {
 public:
  virtual ~TraceSink() = default;
  virtual void trace(TraceRecord record) = 0;
  virtual void fate(int32_t partition, int64_t offset, Fate fate, std::string_view step) = 0;
};

}  // namespace wrackline
