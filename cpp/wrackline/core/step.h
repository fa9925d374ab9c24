// Step: one station between source and sink (filter, dedup, window). A task pushes batches through
// its steps, always advancing the lowest step that has work, so that no queue between them grows.
//
// A step belongs to one task and so to one thread. It never asks the clock and never blocks: its
// output is a function of the batches it took (promise 2).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "wrackline/core/batch.h"
#include "wrackline/core/ledger.h"
#include "wrackline/core/status.h"

namespace wrackline {

enum class Port : uint8_t { kMain, kLate, kDuplicates };

// Why a record became a dead letter (semantics.md 9): the value of the header wl.reason.
namespace reason {
inline constexpr std::string_view kDecode = "decode";       // not JSON, truncated, too deep, not UTF-8
inline constexpr std::string_view kSchema = "schema";       // missing, wrong type, a field twice, out of range
inline constexpr std::string_view kTooLarge = "too_large";  // > max_record_bytes
inline constexpr std::string_view kTimestamp = "timestamp";
inline constexpr std::string_view kTimestampUnit = "timestamp_unit";
inline constexpr std::string_view kNullKey = "null_key";
inline constexpr std::string_view kTimezone = "timezone";  // null or unknown, in a calendar window's tz_column
inline constexpr std::string_view kOverflow = "overflow";
inline constexpr std::string_view kFunction = "function";  // an expression or a Python function failed
}  // namespace reason

// Where a step puts what it makes. Implemented by the task.
class Emitter {
 public:
  virtual ~Emitter() = default;
  // Rows (and moves) for the steps and sinks below this port. Rows of kLate and kDuplicates carry no
  // moves.
  virtual void emit(Port port, Batch batch) = 0;
  // Row `row` of `batch` becomes a dead letter; the task adds the original bytes. The step counts it.
  virtual void dead_letter(const Batch& batch, int64_t row, std::string_view reason, std::string message) = 0;
  // A pane that cannot be emitted (it has no original record); `message` names key and window.
  virtual void dead_pane(Millis event_time, std::string_view reason, std::string message) = 0;
};

// Takes a step's state apart for a checkpoint: which units are live, and blocks of what changed.
class FreezeSink {
 public:
  virtual ~FreezeSink() = default;
  // True: so many blocks of `unit` have piled up that the next one should hold all of it.
  virtual bool wants_whole(const std::string& /*unit*/) const { return false; }
  // Each unit that exists at this instant; one that is not named is gone.
  virtual void live(std::string unit) = 0;
  // A block of unit `unit`. `whole`: it holds all of the unit and replaces every block before it.
  virtual void block(std::string unit, bool whole, Bytes bytes) = 0;
};

// What a step holds at an instant, for people who look (job.explain()).
struct StepStatus {
  int64_t state_bytes = 0;  // as allocated
  int64_t entries = 0;      // keys of all windows, or ids
  int64_t open_windows = 0;
  Millis next_end = kPlusInfinity;  // of the window that fires next: when W reaches it
};

class Step {
 public:
  explicit Step(std::string name) : name_(std::move(name)) {}
  virtual ~Step() = default;
  Step(const Step&) = delete;
  Step& operator=(const Step&) = delete;

  const std::string& name() const { return name_; }
  const StepCounts& counts() const { return counts_; }

  // Takes a batch. REQUIRES: !busy().
  virtual void take(Batch batch) = 0;
  // Does a bounded piece of what take() or end_of_commit() left to do. REQUIRES: busy().
  virtual Status advance(Emitter& out) = 0;
  virtual bool busy() const = 0;

  // A commit is about to seal: pending late panes come out (semantics.md 4). May make the step busy.
  virtual void before_commit() {}

  // Bytes of live state, as allocated.
  virtual int64_t state_bytes() const { return 0; }
  virtual StepStatus status() const { return {.state_bytes = state_bytes()}; }
  // Bytes of each entry, beside keys and values that have no fixed width; 0: the step remembers nothing.
  virtual int64_t entry_bytes() const { return 0; }
  // What an entry has beside them that grows with its records: "prices: 16 bytes a value".
  virtual std::string grows_with() const { return {}; }

  // Checkpoints. freeze() hands out what changed since the last freeze (or, after changes_lost(), all
  // of it); it is called only while !busy(). restore() is called on a new step, for each live unit
  // once per block in the order they were frozen, then restored() once.
  virtual void freeze(FreezeSink&) {}
  virtual void changes_lost() {}  // the last freeze never became durable
  virtual Status restore(std::string_view /*unit*/, bool /*whole*/, std::string_view /*bytes*/) {
    return Status::corruption("step " + name_ + " has no state");
  }
  virtual Status restored(const StepCounts& counts) {
    counts_ = counts;
    return {};
  }
  // What shapes the state (semantics.md 10), readable: compared at start, shown when it differs.
  virtual std::string fingerprint() const { return {}; }

 protected:
  StepCounts counts_;

 private:
  std::string name_;
};

}  // namespace wrackline
