// TimeStage: gives every record its event time, refuses the ones that have none, and moves the
// watermark (semantics.md 1, and 2 for one input).
//
// One per task, used by its thread alone. It never asks the clock: it is told. What it makes is a
// function of the records, of their log timestamps and of the decisions it is given.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "wrackline/core/batch.h"
#include "wrackline/core/bytes.h"
#include "wrackline/core/status.h"
#include "wrackline/core/types.h"
#include "wrackline/time/timestamp.h"
#include "wrackline/time/watermark.h"

namespace wrackline {

inline constexpr std::string_view kLogTimestamp = "_timestamp";
inline constexpr Millis kDefaultNotAfter = 4'102'444'800'000;        // 2100-01-01
inline constexpr Millis kDefaultTopicNotBefore = 1'577'836'800'000;  // 2020-01-01
inline constexpr Millis kDefaultAutoNotBefore = 946'684'800'000;     // 2000-01-01
inline constexpr int64_t kFirstRecords = 1'000;                      // all refused: the input is stuck

struct TimeSpec {
  std::string column;                 // int64, float64, string or timestamp; kLogTimestamp: the record's log timestamp
  TimeUnit unit = TimeUnit::kMillis;  // of numbers
  bool topic = true;                  // false: a bounded input, whose records have no log timestamp
  std::optional<Millis> not_before;   // defaults as in semantics.md 1
  std::optional<Millis> not_after;
  Millis max_future = 60'000;
  std::string log_timestamp;  // column that holds it (int64 in ms, or timestamp); for bounded inputs
};

// What apply() is told besides the rows.
struct TimeInput {
  Millis clock_now = 0;
  // The decoder's, if the event-time column is a timestamp that came as JSON; empty: milliseconds.
  const TimeForms* forms = nullptr;
  // Records (ascending, as in Batch::record_of) that the decoder refused: they count among the first
  // records. Only looked at until one is accepted.
  std::span<const uint32_t> undecoded = {};
};

// Row of the batch before rows are dropped, a wl.reason, and what was found.
using RefuseFn = std::function<void(int64_t row, std::string_view reason, std::string message)>;

class TimeStage {
 public:
  // Errors name the setting and what would be right.
  static Result<TimeStage> make(TimeSpec time, WatermarkSpec watermark, const Schema& schema);

  // The task starts, or starts again after restore(): idleness counts from here.
  void start(Millis clock_now) { input_.start(clock_now); }

  // Fills event_times, watermark and moves of `batch`, and drops refused rows after a call of
  // `refuse` for each, in order. A timestamp column that is the event time holds the accepted
  // milliseconds afterwards. REQUIRES: batch has the schema of make(); records and record_of are set
  // where log timestamps are needed; not ended().
  void apply(Batch& batch, const TimeInput& input, const RefuseFn& refuse);

  // Not ok once all of the first kFirstRecords records were refused: names settings and values; the answer does not
  // depend on how batches are cut. Nor when the function that is the watermark has failed. Ask after each apply().
  Status stuck() const;
  // The same sentence for a bounded input that ended with nothing accepted; empty otherwise.
  std::string nothing_accepted() const;
  // Until then offsets and dead letters of the input are not committed.
  bool accepted_any() const { return accepted_any_; }

  // Idle (`at_end_of_log`: the input has been read to its end at this moment): the watermark to
  // decide, when that moves it. A decision: journal it, then apply_decision(). With "hold" the only
  // input of a task has nothing to decide.
  std::optional<Millis> check_idle(Millis clock_now, bool at_end_of_log) {
    return ended_ ? std::nullopt : input_.check_idle(watermark_spec_, clock_now, at_end_of_log);
  }
  // The same where it is known to be idle, whatever idle_after says.
  std::optional<Millis> go_idle(Millis clock_now) {
    return ended_ ? std::nullopt : input_.go_idle(watermark_spec_, clock_now);
  }
  // Moves W to a decision, made now or read from the journal. True: it moved.
  bool apply_decision(Millis watermark);
  bool idle() const { return input_.idle; }
  // What idle_advance="close" counts from: the largest event time - out-of-orderness, and when it was seen.
  std::pair<Millis, Millis> closes_from() const { return {input_.closes_from(watermark_spec_), input_.reached_at}; }

  // The input has ended: W is +infinity from here on. Never stored.
  void end() { ended_ = true; }
  void reopen() { ended_ = false; }  // it is read on
  bool ended() const { return ended_; }

  Millis watermark() const { return ended_ ? kPlusInfinity : input_.watermark; }
  Millis last_watermark() const { return input_.watermark; }         // without the end
  int64_t late_warnings() const { return late_warnings_; }           // records more than warn_late behind
  std::optional<TimeUnit> decided_unit() const { return decided_; }  // of unit="auto"

  void save(ByteWriter& out) const;
  Status restore(ByteReader& in);

 private:
  enum class Source : uint8_t { kRecord, kInt64, kFloat64, kString, kTimestamp };
  enum class Setting : uint8_t {
    kNone,
    kNull,
    kNotATime,
    kNotBefore,
    kNotAfter,
    kMaxFuture,
    kUnit,
    kUndecoded,
    kCount
  };
  static constexpr size_t kSettings = static_cast<size_t>(Setting::kCount);
  static constexpr size_t kSamples = 5;

  // What one row's value is.
  struct Judged {
    Millis time = 0;
    Setting refused_by = Setting::kNone;
  };

  TimeStage() = default;
  bool apply_fast(Batch& batch, const TimeInput& input);
  void apply_rows(Batch& batch, const TimeInput& input, const RefuseFn& refuse);
  void drop_rows(Batch& batch, const Buffer<int64_t>& kept);
  void add_moves(Batch& batch, Millis clock_now);
  // `marks`: what W is behind each row.
  void add_punctuated_moves(Batch& batch, const Column& marks, Millis clock_now);
  void add_function_moves(Batch& batch, Millis clock_now);
  void count_late(const Batch& batch);
  Judged judge(const Batch& batch, const TimeForms* forms, int64_t row);
  template <typename Number>
  Judged judge_number(Number value);
  Judged judge_millis(std::optional<Millis> t) const;
  std::optional<Millis> log_timestamp(const Batch& batch, int64_t row) const;
  std::optional<Millis> punctuation(const Batch& batch, const Column& marks, int64_t row) const;
  std::string shown(const Batch& batch, const TimeForms* forms, int64_t row) const;
  std::string explain(Setting setting, const std::string& value) const;
  std::string first_records() const;

  // Constant after make().
  TimeSpec spec_;
  WatermarkSpec watermark_spec_;
  Source source_ = Source::kInt64;
  int column_ = -1;
  int log_column_ = -1;
  int watermark_column_ = -1;
  Millis not_before_ = kMinEventTime;  // both within the years 0001 to 9999
  Millis not_after_ = kEndEventTime;
  bool max_future_on_ = false;

  // State.
  InputWatermark input_;
  bool ended_ = false;
  bool accepted_any_ = false;
  std::optional<TimeUnit> decided_;
  int64_t late_warnings_ = 0;
  int64_t refused_first_ = 0;  // before the first accepted record
  std::array<int64_t, kSettings> refused_by_{};
  std::vector<std::string> samples_;
  Status function_failed_;

  // The least and the largest event time of the batch that apply() works on.
  Millis least_ = 0;
  Millis most_ = 0;
  Buffer<uint32_t> moved_;  // rows that move W
};

}  // namespace wrackline
