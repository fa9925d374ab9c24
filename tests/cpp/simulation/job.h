// What one seed makes: a job, and the records that it will read. The generator keeps what it meant by each
// record, so that the oracle never parses anything.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "simulation/random.h"

#include "wrackline/core/records.h"
#include "wrackline/core/types.h"
#include "wrackline/job/plan.h"

namespace wrackline::simulation {

inline constexpr Millis kStartOfTime = 1'700'000'000'000;

// One record as it was meant. Every field of the schema is here.
struct InputRecord {
  std::optional<std::string> record_key;
  std::optional<std::string> value;  // null: a tombstone
  Millis log_timestamp = 0;
  Headers headers;

  std::string refused;  // the reason, if reading it must fail; the rest is meaningless then
  std::optional<std::string> id;
  std::optional<std::string> k;
  std::optional<int64_t> n;
  std::optional<double> x;
  std::optional<int64_t> i;
  std::string s;
  Millis t = 0;
  bool t_null = false;  // only in rows, where it is the refusal
};

struct FilterJob {
  std::string column;  // "x", "i" or "s"
  Compare compare = Compare::kEqual;
  double number = 0;
  std::string text;
};

struct DedupJob {
  std::vector<std::string> columns;
  Millis within = 0;
  std::optional<Millis> allowed_lateness;
  bool null_group = false;
};

// The step that is called "window". Its spec, and what its rows look like.
struct WindowJob {
  WindowSpec spec;

  const std::vector<std::string>& keys() const { return spec.key_columns; }
  bool rolling() const { return spec.as<RollingWindow>() != nullptr; }
  // Late panes may be put together by commits (semantics.md 4).
  bool coalesces() const {
    return spec.allowed_lateness > 0 && !spec.emit_late_each && spec.emit == EmitMode::kAccumulate &&
           spec.as<SessionWindow>() == nullptr;
  }
};

struct JobSpec {
  std::string name = "job";
  std::string topic = "in";
  int32_t partitions = 1;
  bool timestamp_column = false;  // ts is a timestamp, not int64
  Millis out_of_orderness = 0;
  std::optional<Millis> idle_after;
  bool idle_close = false;
  bool close_at_end = false;
  bool at_least_once = false;
  bool bounded = false;           // typed rows instead of a topic; one partition
  bool all_out_of_order = false;  // bounded: out_of_orderness="all"
  bool resume_append = false;     // bounded: windows stay open at the end
  int32_t out_partitions = 1;     // of the results' topic
  bool write_rows = false;        // what reaches the window is written, too
  bool write_again = false;       // the results, behind one more step: it has work while they are out already
  bool long_strings = false;      // more than the worker holds back before it appends
  int64_t max_record_bytes = 600;
  Millis scale = 1;  // of all times: days need more of it
  std::optional<FilterJob> filter;
  std::optional<DedupJob> dedup;
  std::optional<WindowJob> window;
  bool write_late = true;
  bool write_duplicates = true;
  bool name_dead_letters = true;

  // The lateness that semantics.md 6 gives a dedup.
  Millis dedup_lateness() const;
  std::string dead_letter_topic() const { return name_dead_letters ? "dead" : name + ".dead"; }
  bool calendar() const { return window && window->spec.as<CalendarWindow>() != nullptr; }
  std::string describe() const;
  // The end of the input is one for the windows, too.
  bool ends() const { return bounded ? !resume_append : close_at_end; }
};

// Weights that one seed has for all of its records.
struct InputShape {
  int64_t records = 0;
  int64_t keys = 1;
  int64_t ids = 1;
  Millis step = 1;      // mean time between records
  Millis disorder = 0;  // typical delay of a record
  double late = 0;      // share of records that are delayed much more
  double damaged = 0;
  double tombstones = 0;
  double null_keys = 0;
  double duplicates = 0;
  double bad_start = 0;  // share of partitions that begin with records that are refused
  bool large_integers = false;
};

// Of a zone whose clocks never jump.
std::string zone_name(int hours_east);

JobSpec random_job(Random& random);
// One list per partition, in log order; `order` is the order in which producers send them, as partition numbers.
struct Input {
  std::vector<std::vector<InputRecord>> partitions;
  std::vector<int32_t> order;
};
Input random_input(Random& random, const JobSpec& job);

// The same job for the engine, and typed rows for its bounded input.
std::shared_ptr<const Plan> make_plan(const JobSpec& job);
SchemaPtr schema_of(const JobSpec& job);
Batch make_rows(const SchemaPtr& schema, const InputRecord& record);

}  // namespace wrackline::simulation
