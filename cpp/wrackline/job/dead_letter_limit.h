// DeadLetterLimit: max_dead_letters=. A run that would drain its input into the dead letters, as a bad deploy does,
// ends before it commits them.
#pragma once

#include <cstdint>
#include <string>

#include "wrackline/core/status.h"
#include "wrackline/job/options.h"

namespace wrackline {

class DeadLetterLimit {
 public:
  static constexpr int64_t kMinuteUs = 60'000'000;
  static constexpr int64_t kFewRecords = 100;  // of which a share says nothing

  explicit DeadLetterLimit(const JobOptions& options)
      : share_(options.max_dead_share), count_(options.max_dead_count) {}

  // A minute begins. `records`, `dead`: since the run began, those of replays too.
  void start(int64_t records, int64_t dead, int64_t now_us);
  // Asked before each commit. Fails, with `last`, when too many of this
  // minute's records are dead letters.
  Status check(int64_t records, int64_t dead, int64_t now_us, const std::string& last);

 private:
  double share_;
  int64_t count_;
  int64_t since_us_ = 0;
  int64_t records_ = 0;  // at since_us_
  int64_t dead_ = 0;
};

}  // namespace wrackline
