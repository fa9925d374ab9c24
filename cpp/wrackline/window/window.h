// window: keyed windows with aggregates (semantics.md 3, 4, 5, 7).
//
// Input rows on Port::kMain's side; result rows (window_output_schema) leave on Port::kMain, late rows
// (window_late_schema) on Port::kLate. Three steps, by what a window is made of:
//
//    slices/   fixed lengths, calendars, counts, the global window: a record updates one slice
//    session/  intervals of a key that grow and merge
//    rolling/  one result for each record
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "wrackline/core/step.h"
#include "wrackline/time/calendar.h"

namespace wrackline {

class CustomAggregate;  // aggregate/custom.h

// One output column. `function`: see aggregate/functions.
struct AggregateSpec {
  std::string name;
  std::string function;
  std::string column;                     // empty: count() of rows
  bool wide = false;                      // sum of integers as decimal, never an overflow
  std::string by;                         // arg_min, arg_max: the column that chooses the record
  double q = 0.5;                         // quantile, approx_quantile
  std::string interpolation = "nearest";  // of quantiles, as Polars names them
  int64_t k = 0;                          // top_k, approx_most_common: so many values
  // A user's own instead of `function`, of these columns, of the rows where the column `by` is true (empty: of all).
  std::shared_ptr<const CustomAggregate> custom;
  std::vector<std::string> columns;
};

// The options that are not the usual ones: ", wide", ", q=0.9 linear". Part of fingerprints.
std::string describe_options(const AggregateSpec& spec);

// Which panes come out: the whole value again with each, what is new since the one before, or one at the freeing.
enum class EmitMode : uint8_t { kAccumulate, kDelta, kFinalOnly };

// Tumbling and hopping: [start, start + size), a start every `slide`, shifted by `offset`.
struct FixedWindow {
  Millis size = 0;
  Millis slide = 0;  // == size: tumbling
  Millis offset = 0;
};

// Records of a key that are at most `gap` apart.
struct SessionWindow {
  Millis gap = 0;
};

// What a zone's clock shows. The zone is `zone`, or each row's own in the column `zone_column`.
struct CalendarWindow {
  CalendarUnit unit = CalendarUnit::kDay;
  std::string zone = "UTC";
  std::string zone_column;
  Millis starts_at = 0;  // local time of day; not for hours
  int week_starts = 0;   // 0: Monday
};

// For each record the records of its key in (t - size, t].
struct RollingWindow {
  Millis size = 0;
};

// Each `rows` records of a key, by partition order.
struct CountWindow {
  int64_t rows = 0;
};

// All records of a key; it has no bounds.
struct GlobalWindow {};

using WindowKind = std::variant<FixedWindow, SessionWindow, CalendarWindow, RollingWindow, CountWindow, GlobalWindow>;

struct WindowSpec {
  WindowKind kind;
  std::vector<std::string> key_columns;  // empty: the whole stream is one key
  bool per_partition = false;            // records of one key in two partitions are in two windows
  bool null_key_group = false;
  Millis allowed_lateness = 0;
  EmitMode emit = EmitMode::kAccumulate;
  std::optional<Millis> early;        // early panes at multiples of it, in event time
  std::optional<int64_t> early_rows;  // early panes after so many records
  bool emit_late_each = false;        // a late pane for each late record, not one a commit
  bool late_windows_rows = false;     // a late row also for each missed window of a record that counts in another
  std::vector<AggregateSpec> aggregates;
  // So many of the input's last columns are there for the aggregates alone: late rows do not have them.
  int hidden = 0;

  static WindowSpec of(WindowKind kind) { return {.kind = std::move(kind)}; }
  static WindowSpec tumbling(Millis size, Millis offset = 0) { return of(FixedWindow{size, size, offset}); }
  static WindowSpec hopping(Millis size, Millis slide, Millis offset = 0) {
    return of(FixedWindow{size, slide, offset});
  }
  template <typename Kind>
  const Kind* as() const {
    return std::get_if<Kind>(&kind);
  }
  // A window of a key may come out more than once, so that a step below would count its records twice.
  bool emits_more_than_once() const;
};

inline constexpr int64_t kMaxSlicesPerWindow = 100'000;

// The columns of result rows: key columns, window_start, window_end (timestamp; null for the global window),
// revision (int64), pane (string), aggregates; a count window's number before them. Of a rolling window: the input's
// columns, then the aggregates. Fails as make_window_step does.
Result<SchemaPtr> window_output_schema(const WindowSpec& spec, const SchemaPtr& input);

// The columns of late rows: late_schema() of the input without what is hidden.
SchemaPtr window_late_schema(const WindowSpec& spec, const Schema& input);

// The columns that say which window of a key a result row is of; empty: rows do not replace one another.
std::vector<std::string> window_columns(const WindowSpec& spec);

// The input's columns that the step looks at.
std::vector<std::string> window_reads(const WindowSpec& spec);

// What makes two windows of one step different, readable: `size=300000 slide=...`. Part of fingerprints.
std::string describe_window(const WindowKind& kind);

// Fails, naming the column and the nearest spelling, on every mistake of semantics.md 5 that a spec can hold.
Result<std::unique_ptr<Step>> make_window_step(std::string name, const WindowSpec& spec, const SchemaPtr& input);

}  // namespace wrackline
