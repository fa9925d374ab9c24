#include "wrackline/job/dead_letter_limit.h"

#include <gtest/gtest.h>

namespace wrackline {
namespace {

constexpr int64_t kMinute = DeadLetterLimit::kMinuteUs;

DeadLetterLimit limit_of(double share, int64_t count) {
  JobOptions options;
  options.max_dead_share = share;
  options.max_dead_count = count;
  return DeadLetterLimit(options);
}

TEST(DeadLetterLimit, WithoutOneNothingIsTooMuch) {
  DeadLetterLimit limit = limit_of(0, 0);
  limit.start(0, 0, 0);
  EXPECT_TRUE(limit.check(1'000'000, 1'000'000, 1, "").ok());
}

TEST(DeadLetterLimit, CountsTheMinuteAlone) {
  DeadLetterLimit limit = limit_of(0, 10);
  limit.start(1'000, 500, kMinute);  // of a replay
  EXPECT_TRUE(limit.check(1'100, 510, kMinute + 1, "").ok());
  EXPECT_TRUE(limit.check(1'200, 510, 2 * kMinute, "").ok());  // the next minute begins
  EXPECT_TRUE(limit.check(1'300, 520, 2 * kMinute + 5, "").ok());
  const Status too_many = limit.check(1'300, 521, 2 * kMinute + 6, "step 'read', decode: not JSON");
  EXPECT_EQ(Code::kFatal, too_many.code());
  EXPECT_NE(std::string::npos, too_many.message().find("11 of 100 records")) << too_many.message();
  EXPECT_NE(std::string::npos, too_many.message().find("decode: not JSON"));
}

TEST(DeadLetterLimit, AShareNeedsEnoughRecords) {
  DeadLetterLimit limit = limit_of(0.05, 0);
  limit.start(0, 0, 0);
  EXPECT_TRUE(limit.check(99, 99, 1, "").ok());
  EXPECT_FALSE(limit.check(100, 99, 2, "").ok());
  limit.start(0, 0, 0);
  EXPECT_TRUE(limit.check(200, 10, 3, "").ok());
  EXPECT_FALSE(limit.check(200, 11, 4, "").ok());
}

}  // namespace
}  // namespace wrackline
