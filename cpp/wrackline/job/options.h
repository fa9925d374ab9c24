// What a run is told besides the plan. None of it shapes the answer (semantics.md 11), so none of it is in the
// job's hash.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "wrackline/core/types.h"
#include "wrackline/log/log.h"

namespace wrackline {

// kStatic: a worker that comes back at once gets its partitions back at once. kDynamic: it is a new member each time,
// for instances that come and go.
enum class Membership : uint8_t { kStatic, kDynamic };

struct JobOptions {
  Millis commit_interval = 100;          // > 0
  int64_t commit_rows = 0;               // a commit at the latest after so many records; 0: no such bound
  Millis checkpoint_interval = 10'000;   // > 0
  std::string state_dir = ".wrackline";  // holds <job>/slot-<n>, <job>/tasks/<group>-<partition>/
  int64_t memory_limit = 0;              // bytes of live state; 0: no limit
  int64_t max_poll_records = 4096;
  int64_t firing_pieces = 0;             // longer firings let other tasks take records; 0: longer than 2 ms
  bool fresh = false;                    // start over: forget offsets, state and journal of earlier runs
  bool replay_accept = false;            // run(replay="accept")
  bool resume_append = false;            // resume="append": a bounded input that had ended has grown
  double max_dead_share = 0;             // of a minute's records, as dead letters; 0: no bound. Beyond it the run ends,
  int64_t max_dead_count = 0;            // as with so many in a minute; 0: no bound. Nothing of that commit is kept
  std::vector<std::string> reset_steps;  // start these steps with empty state (semantics.md 10)
  Millis recovery_deadline = 60'000;     // give up when recoveries in a row make no progress for so long
  Guarantee guarantee = Guarantee::kExactlyOnce;
  int64_t workers = 1;  // threads, each a member of the group; > 1 needs a log whose groups have several
  Membership membership = Membership::kStatic;
  // The log's: it ends transactions that are open for longer. Whoever is fenced twice within it has a rival.
  Millis transaction_timeout = 10'000;

  // When to end: the first that is true. None: run until stopped.
  bool until_now = false;  // at the end that the input had at the start
  bool close = false;      // with until_now: W becomes +infinity there, windows are closed
  int64_t max_rows = 0;    // after so many records; 0: no such bound
};

}  // namespace wrackline
