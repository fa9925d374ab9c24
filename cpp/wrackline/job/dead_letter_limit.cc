#include "wrackline/job/dead_letter_limit.h"

namespace wrackline {

void DeadLetterLimit::start(int64_t records, int64_t dead, int64_t now_us) {
  records_ = records;
  dead_ = dead;
  since_us_ = now_us;
}

Status DeadLetterLimit::check(int64_t records, int64_t dead, int64_t now_us, const std::string& last) {
  if (share_ <= 0 && count_ <= 0) return {};
  const int64_t taken = records - records_;
  const int64_t lost = dead - dead_;
  const bool too_many = count_ > 0 && lost > count_;
  const bool too_large =
      share_ > 0 && taken >= kFewRecords && static_cast<double>(lost) > share_ * static_cast<double>(taken);
  if (!too_many && !too_large) {
    if (now_us - since_us_ >= kMinuteUs) start(records, dead, now_us);
    return {};
  }
  return Status::fatal(
      std::to_string(lost) + " of " + std::to_string(taken) +
      " records became dead letters within a minute, more than max_dead_letters allows; the last one: " + last +
      ". Those since the last commit are not written: the job reads their records again");
}

}  // namespace wrackline
