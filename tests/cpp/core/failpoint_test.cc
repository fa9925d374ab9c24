#include "wrackline/core/failpoint.h"

#include <csignal>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace wrackline {
namespace {

TEST(Failpoint, EveryPointHasANameThatParsesBackToIt) {
  for (size_t i = 0; i < static_cast<size_t>(Failpoint::kCount); ++i) {
    const auto point = static_cast<Failpoint>(i);
    const Result<Failpoint> parsed = parse_failpoint(failpoint_name(point));
    ASSERT_TRUE(parsed.ok()) << parsed.status().to_string();
    EXPECT_EQ(point, *parsed) << failpoint_name(point);
  }
  EXPECT_EQ("record_taken", failpoint_name(Failpoint::kRecordTaken));
  EXPECT_EQ("end_txn_sent", failpoint_name(Failpoint::kEndTxnSent));
  EXPECT_EQ("during_replay", failpoint_name(Failpoint::kDuringReplay));
}

TEST(Failpoint, NothingHappensWhereNothingIsArmed) {
  Failpoints points;
  EXPECT_TRUE(points.hit(Failpoint::kSealed).ok());
  points.arm(Failpoint::kCommitted, 1, [](Failpoint) { return Status::fatal("never"); });
  EXPECT_TRUE(points.hit(Failpoint::kSealed).ok());
}

TEST(Failpoint, ActsAtTheNthHitAndOnlyOnce) {
  Failpoints points;
  points.arm(Failpoint::kSealed, 3, [](Failpoint) { return Status::fatal("third"); });
  std::vector<bool> ok;
  for (int i = 0; i < 6; ++i) ok.push_back(points.hit(Failpoint::kSealed).ok());
  EXPECT_EQ((std::vector<bool>{true, true, false, true, true, true}), ok);
}

TEST(Failpoint, AnActionMayArmThePointAgain) {
  Failpoints points;
  int calls = 0;
  const Failpoints::Action again = [&](Failpoint) {
    ++calls;
    points.arm(Failpoint::kSealed, 2, [&](Failpoint) {
      ++calls;
      return Status();
    });
    return Status();
  };
  points.arm(Failpoint::kSealed, 1, again);
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(points.hit(Failpoint::kSealed).ok());
  EXPECT_EQ(2, calls);
}

TEST(Failpoint, ArmAllSeesEveryHitOfEveryPoint) {
  Failpoints points;
  std::vector<Failpoint> seen;
  points.arm_all([&](Failpoint point) {
    seen.push_back(point);
    return seen.size() == 3 ? Status::crashed("third") : Status();
  });
  EXPECT_TRUE(points.hit(Failpoint::kClaim).ok());
  EXPECT_TRUE(points.hit(Failpoint::kPaneOut).ok());
  EXPECT_EQ(Code::kCrashed, points.hit(Failpoint::kPaneOut).code());
  EXPECT_TRUE(points.hit(Failpoint::kSealed).ok());
  EXPECT_EQ((std::vector{Failpoint::kClaim, Failpoint::kPaneOut, Failpoint::kPaneOut, Failpoint::kSealed}), seen);
}

TEST(Failpoint, TextFailsTheNamedHitWithAnAbort) {
  Failpoints points;
  ASSERT_TRUE(points.arm_from("sealed@2=fail,committed@1=fail").ok());
  EXPECT_TRUE(points.hit(Failpoint::kSealed).ok());
  EXPECT_EQ(Code::kAbort, points.hit(Failpoint::kSealed).code());
  EXPECT_EQ(Code::kAbort, points.hit(Failpoint::kCommitted).code());
  EXPECT_TRUE(points.hit(Failpoint::kCommitted).ok());
}

TEST(Failpoint, AnyCountsTheHitsOfAllPointsTogether) {
  Failpoints points;
  ASSERT_TRUE(points.arm_from("any@3=fail").ok());
  EXPECT_TRUE(points.hit(Failpoint::kSealed).ok());
  EXPECT_TRUE(points.hit(Failpoint::kRecordTaken).ok());
  const Status third = points.hit(Failpoint::kFrozen);
  EXPECT_EQ(Code::kAbort, third.code());
  EXPECT_NE(std::string::npos, third.message().find("frozen"));
}

TEST(Failpoint, EmptyTextArmsNothing) {
  Failpoints points;
  EXPECT_TRUE(points.arm_from("").ok());
  EXPECT_TRUE(points.hit(Failpoint::kSealed).ok());
}

TEST(Failpoint, BadTextIsRefusedAndArmsNothing) {
  for (const char* text : {"sealed", "sealed@", "sealed@0", "sealed@-1", "sealed@x", "sealed@1=boom", "nowhere@1", "@1",
                           "sealed@1=fail,nowhere@1", "sealed@1=fail,,committed@1", "sealed@99999999999999999999"}) {
    Failpoints points;
    EXPECT_EQ(Code::kInvalidArgument, points.arm_from(text).code()) << text;
    EXPECT_TRUE(points.hit(Failpoint::kSealed).ok()) << text;
  }
  Failpoints points;
  EXPECT_NE(std::string::npos, points.arm_from("seeled@1").message().find("journal_row_sent"));
}

TEST(FailpointDeathTest, TextKillsTheProcessAtTheNthHit) {
  EXPECT_EXIT(
      {
        Failpoints points;
        static_cast<void>(points.arm_from("sealed@2"));
        static_cast<void>(points.hit(Failpoint::kSealed));
        std::fprintf(stderr, "first hit passed\n");
        static_cast<void>(points.hit(Failpoint::kSealed));
        std::fprintf(stderr, "still there\n");
      },
      testing::KilledBySignal(SIGKILL), "^first hit passed\n$");
}

}  // namespace
}  // namespace wrackline
