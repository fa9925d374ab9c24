// When something goes wrong, and what: one source for the log, the stores and the failpoints of a simulated
// process. The number of faults is bounded, so that every run comes to its end.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "simulation/random.h"
#include "simulation/trace.h"

#include "wrackline/core/status.h"

namespace wrackline::simulation {

class Faults {
 public:
  Faults(Random random, EventTrace* trace, int64_t budget, double rate)
      : random_(random), trace_(trace), budget_(budget), rate_(rate), laziness_(random_.pick({0.0, 0.1, 0.5})) {}

  // One fault is used up.
  bool strike(std::string_view what, double weight = 1.0) {
    if (budget_ <= 0 || !random_.chance(rate_ * weight)) return false;
    --budget_;
    trace_->note("fault", what);
    return true;
  }
  // Slowness is no fault: it may happen as often as it likes, but not for ever.
  bool slow() { return random_.chance(laziness_); }
  int64_t left() const { return budget_; }
  Random& random() { return random_; }
  EventTrace& trace() { return *trace_; }

 private:
  Random random_;
  EventTrace* trace_;
  int64_t budget_;
  double rate_;
  double laziness_;
};

// One life of the worker's process. Once it has crashed, nothing that it calls has any effect.
struct Process {
  Faults* faults = nullptr;
  bool crashed = false;
  bool stopped_by_fault = false;  // it was given an error that ends a run in order
  int64_t recoverable = 0;        // errors given that a worker mends itself

  Status crash(std::string_view where) {
    crashed = true;
    return Status::crashed(std::string(where));
  }
  // What every call does first.
  Status call(std::string_view what) {
    if (crashed) return Status::crashed(std::string(what));
    faults->trace().note(what);
    if (faults->strike("crash", 0.5)) return crash(what);
    if (faults->strike("fail")) {
      if (faults->random().chance(0.1)) {
        stopped_by_fault = true;
        return Status::unavailable("simulated: no space left: " + std::string(what));
      }
      ++recoverable;
      return faults->random().chance(0.5) ? Status::abort("simulated: " + std::string(what))
                                          : Status::retriable("simulated: " + std::string(what));
    }
    return {};
  }
};

}  // namespace wrackline::simulation
