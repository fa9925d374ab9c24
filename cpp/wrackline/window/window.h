// window: keyed tumbling and hopping windows with aggregates (semantics.md 3, 4, 5, 7).
//
// Input rows on Port::kMain's side; result rows (window_output_schema) leave on Port::kMain, late rows
// (late_schema of the input) on Port::kLate. A record updates one slice of gcd(size, slide); a firing
// combines the slices of its window in time order.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "wrackline/core/step.h"

namespace wrackline {

// One output column. `function`: count sum mean min max var std first last n_unique collect.
struct AggregateSpec {
  std::string name;
  std::string function;
  std::string column;  // empty: count() of rows
  bool wide = false;   // sum of integers as decimal, never an overflow
};

// Which panes come out. Only accumulate yet: the whole value again with each pane.
enum class EmitMode : uint8_t { kAccumulate };

struct WindowSpec {
  std::vector<std::string> key_columns;  // empty: the whole stream is one key
  bool null_key_group = false;
  Millis size = 0;
  Millis slide = 0;  // == size: tumbling
  Millis offset = 0;
  Millis allowed_lateness = 0;
  EmitMode emit = EmitMode::kAccumulate;
  bool emit_late_each = false;     // a late pane for each late record, not one a commit
  bool late_windows_rows = false;  // a late row also for each missed window of a record that counts in another
  std::vector<AggregateSpec> aggregates;
  // So many of the input's last columns are there for the aggregates alone: late rows do not have them.
  int hidden = 0;

  static WindowSpec tumbling(Millis size, Millis offset = 0) { return {.size = size, .slide = size, .offset = offset}; }
  static WindowSpec hopping(Millis size, Millis slide, Millis offset = 0) {
    return {.size = size, .slide = slide, .offset = offset};
  }
};

inline constexpr int64_t kMaxSlicesPerWindow = 100'000;

// The columns of result rows: key columns, window_start, window_end (timestamp), revision (int64), pane
// (string), aggregates. Fails as make_window_step does.
Result<SchemaPtr> window_output_schema(const WindowSpec& spec, const SchemaPtr& input);

// The columns of late rows: late_schema() of the input without what is hidden.
SchemaPtr window_late_schema(const WindowSpec& spec, const Schema& input);

// Fails, naming the column and the nearest spelling, on every mistake of semantics.md 5 that a spec can hold.
Result<std::unique_ptr<Step>> make_window_step(std::string name, const WindowSpec& spec, const SchemaPtr& input);

}  // namespace wrackline
