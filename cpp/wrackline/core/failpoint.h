// Failpoints: the named instants of the commit protocol at which a test can kill, stall or fail it
// (docs/exactly_once.md). In production every hit is one load of a flag.
#pragma once

#include <array>
#include <cstdint>
#include <functional>
#include <string_view>

#include "wrackline/core/status.h"

namespace wrackline {

enum class Failpoint : uint8_t {
  kRecordTaken,
  kPaneOut,
  kSealed,
  kJournalRowSent,
  kOffsetsSent,
  kEndTxnSent,
  kAnswerLost,
  kCommitted,
  kFrozen,
  kBlockWritten,
  kManifestSynced,
  kNamingCommitSent,
  kOldBlocksDropped,
  kClaim,
  kDuringRestore,
  kDuringReplay,
  kCount,
};

std::string_view failpoint_name(Failpoint point);  // "record_taken", "end_txn_sent", ...
Result<Failpoint> parse_failpoint(std::string_view name);

// One per worker. Not thread-safe: belongs to the worker's thread.
class Failpoints {
 public:
  // What a hit does; it returns ok to go on.
  using Action = std::function<Status(Failpoint)>;

  // At the `nth` hit from now (1 is the next) of `point`, calls `action`, once.
  void arm(Failpoint point, int64_t nth, Action action);
  // Called at every hit of every point; the simulation's way to choose.
  void arm_all(Action action);
  // "NAME@N" (kill -9 at the N-th hit) or "NAME@N=fail"; several separated by commas; "any@N" counts
  // the hits of all points together. Source: WRACKLINE_FAILPOINT, for crash tests of real processes.
  Status arm_from(std::string_view text);

  Status hit(Failpoint point) { return armed_ ? slow_hit(point) : Status(); }

 private:
  Status slow_hit(Failpoint point);
  struct Armed {
    int64_t hits_left = 0;
    Action action;
  };
  bool armed_ = false;
  std::array<Armed, static_cast<size_t>(Failpoint::kCount)> points_;
  Armed any_;
  Action all_;
};

}  // namespace wrackline
