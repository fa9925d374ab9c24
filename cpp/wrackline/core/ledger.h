// The ledger: what became of every record, per step (semantics.md 9).
#pragma once

#include <cstdint>
#include <string>
#include <vector>

namespace wrackline {

// Of one step and one task. The equation: in = out + filtered + duplicate + late + dead_lettered +
// skipped + held. Those below it are counted beside it.
struct StepCounts {
  int64_t in = 0;
  int64_t out = 0;
  int64_t filtered = 0;
  int64_t duplicate = 0;
  int64_t late = 0;
  int64_t dead_lettered = 0;
  int64_t skipped = 0;
  int64_t held = 0;

  int64_t windows_missed = 0;
  int64_t panes = 0;
  int64_t panes_dead = 0;
  int64_t rows_out = 0;

  bool balances() const { return in == out + filtered + duplicate + late + dead_lettered + skipped + held; }
  friend bool operator==(const StepCounts&, const StepCounts&) = default;

  // Calls f(name, member pointer) for each counter, in the order in which formats list them.
  template <typename F>
  static void for_each(F f) {
    f("in", &StepCounts::in);
    f("out", &StepCounts::out);
    f("filtered", &StepCounts::filtered);
    f("duplicate", &StepCounts::duplicate);
    f("late", &StepCounts::late);
    f("dead_lettered", &StepCounts::dead_lettered);
    f("skipped", &StepCounts::skipped);
    f("held", &StepCounts::held);
    f("windows_missed", &StepCounts::windows_missed);
    f("panes", &StepCounts::panes);
    f("panes_dead", &StepCounts::panes_dead);
    f("rows_out", &StepCounts::rows_out);
  }
};

struct LedgerEntry {
  std::string step;
  StepCounts counts;
  friend bool operator==(const LedgerEntry&, const LedgerEntry&) = default;
};

using Ledger = std::vector<LedgerEntry>;  // one task's, in the order of the plan

}  // namespace wrackline
