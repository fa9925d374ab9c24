// Clock: the only source of time in the core. Logic never asks the system.
//
// now() is the wall clock (log timestamps, idleness); steady() never goes back (commit intervals,
// deadlines). A jump of the wall clock has no effect on the answer (semantics.md 11).
#pragma once

#include "wrackline/core/types.h"

namespace wrackline {

class Clock {
 public:
  virtual ~Clock() = default;
  virtual Millis now() const = 0;
  virtual int64_t steady_us() const = 0;  // microseconds since some fixed instant
};

class SystemClock final : public Clock {
 public:
  Millis now() const override;
  int64_t steady_us() const override;
};

// Stands still until it is told otherwise. Not thread-safe.
class ManualClock final : public Clock {
 public:
  explicit ManualClock(Millis start = 0) : now_(start) {}
  Millis now() const override { return now_; }
  int64_t steady_us() const override { return steady_us_; }
  void advance(Millis by) {
    now_ += by;
    steady_us_ += by * 1000;
  }
  void jump(Millis to) { now_ = to; }  // the wall clock alone, as an administrator would

 private:
  Millis now_;
  int64_t steady_us_ = 0;
};

}  // namespace wrackline
