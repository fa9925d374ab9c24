// The watermark of one input (semantics.md 2), and when that input is idle.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "wrackline/core/batch.h"
#include "wrackline/core/bytes.h"
#include "wrackline/core/status.h"
#include "wrackline/core/types.h"

namespace wrackline {

enum class WatermarkKind : uint8_t {
  kBounded,       // largest event time - out_of_orderness ("monotonic" is a bound of 0)
  kAll,           // -infinity until the end; bounded inputs only
  kPunctuated,    // the value of `column` is W
  kPunctuatedIf,  // where the boolean `column` is true, W is the record's own time
  kFunction,      // `function` says it
};

enum class IdleAdvance : uint8_t { kHold, kClose };

// A user's watermark.
class WatermarkFunction {
 public:
  virtual ~WatermarkFunction() = default;
  // `batch` has rows, all of them accepted. As many values, int64 (in the unit of the event time) or timestamp; null
  // keeps W. Called by the threads of all tasks. A failure ends the run.
  virtual Result<ColumnPtr> apply(const std::shared_ptr<const Batch>& batch) const = 0;
};

struct WatermarkSpec {
  WatermarkKind kind = WatermarkKind::kBounded;
  std::optional<Millis> out_of_orderness;  // kBounded
  std::string column;                      // kPunctuated: int64 (in the unit of the event time) or timestamp
  std::optional<Millis> idle_after;        // none: never idle
  IdleAdvance idle_advance = IdleAdvance::kHold;
  Millis warn_late = 3'600'000;
  std::shared_ptr<const WatermarkFunction> function;  // kFunction
  std::string function_text;                          // of it, as the job's description has it
};

// The error of a spec that no schema is needed for: signs, sizes, what a topic may not have.
Status check_watermark(const WatermarkSpec& spec, bool topic);

// Of one input; a task with several takes the minimum over theirs.
struct InputWatermark {
  Millis watermark = kMinusInfinity;  // finite or -infinity, never falls
  // What `idle_advance="close"` counts from: the largest event time (punctuated: watermark) of the
  // records, and the clock when it was first seen.
  Millis reached = kMinusInfinity;
  Millis reached_at = 0;
  // Idleness. Not stored: a task that does not run is never idle.
  Millis idle_since = 0;  // clock of the last accepted record, decision or start
  bool idle = false;

  void start(Millis clock_now);
  // At least one record was accepted; the largest time of them (-infinity: none that counts).
  void saw(Millis reached_now, Millis clock_now);
  // See TimeStage::check_idle.
  std::optional<Millis> check_idle(const WatermarkSpec& spec, Millis clock_now, bool at_end_of_log);
  // The same where it is known to be idle, whatever idle_after says.
  std::optional<Millis> go_idle(const WatermarkSpec& spec, Millis clock_now);

  // kMinusInfinity: nothing.
  Millis closes_from(const WatermarkSpec& spec) const;

  void save(ByteWriter& out) const;
  void restore(ByteReader& in);
};

}  // namespace wrackline
