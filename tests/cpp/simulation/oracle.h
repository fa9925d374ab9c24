// The oracle: semantics.md, record by record, for the jobs that the simulation makes. It shares no code with the
// engine: no batches, slices, state or restarts; one list of accepted records per window (those of tests/cpp/window),
// and each pane computed from that list.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "simulation/job.h"
#include "simulation/json.h"

#include "wrackline/core/ledger.h"
#include "wrackline/job/formats.h"

namespace wrackline::simulation {

// One record of a partition, where the log has it.
struct Placed {
  int64_t offset = 0;
  const InputRecord* record = nullptr;
};

struct ExpectedPane {
  Millis start = 0;  // of a count or global window: of its records
  Millis end = 0;
  int64_t revision = 0;
  std::string pane;
  Cells aggregates;
  bool dead = false;     // an integer sum does not fit: a dead letter instead of a row
  int64_t fired_at = 0;  // number of the move of W that fired it
};

struct WindowName {
  std::string key;   // JSON text of the key columns
  Millis start = 0;  // count and global windows: 0
  Millis end = 0;
  int64_t number = 0;  // of a count window
  friend auto operator<=>(const WindowName&, const WindowName&) = default;
};

// Of a rolling window.
struct ExpectedRow {
  std::string own;  // its record's columns
  Cells aggregates;
  bool dead = false;
};

struct ExpectedDead {
  const InputRecord* record = nullptr;
  std::string reason;
  std::string step;
};

// What a job has to have made of one partition.
struct Expected {
  std::map<WindowName, std::vector<ExpectedPane>> windows;  // every pane, as under emit_late="each"
  std::map<std::string, std::vector<ExpectedRow>> rolled;   // by key, in order
  std::vector<std::string> passed;  // rows that reach the window, or leave without one, in order
  std::vector<std::string> late;    // row texts, any order
  std::vector<std::string> duplicates;
  std::map<int64_t, ExpectedDead> dead;  // by offset
  int64_t dead_panes = 0;
  Millis watermark = kMinusInfinity;
  bool probation = true;  // nothing was accepted
  std::map<std::string, StepCounts> ledger;
  // At each journal row, what the ledger and W had to be; rows_out and panes are those of uncoalesced panes.
  std::vector<std::map<std::string, StepCounts>> ledgers;
  std::vector<Millis> watermarks;
};

// A record's columns as a sink writes them.
Row row_of(const InputRecord& record);

// `journal`: the rows of this partition in order; their decisions and commit points are given inputs.
Expected expect(const JobSpec& job, const std::vector<Placed>& records, const std::vector<JournalRow>& journal);

}  // namespace wrackline::simulation
