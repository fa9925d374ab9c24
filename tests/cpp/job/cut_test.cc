// Firings that are longer than a transaction may live: cut by commits, killed at any of them, and yet each row once and
// in its order.
#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "job/fixture.h"
#include <gtest/gtest.h>

#include "wrackline/job/memory_stores.h"

namespace wrackline {
namespace {

constexpr int kKeys = 9'000;  // more than the window puts out in one piece

// readings -> dedup(id) -> window -> window of windows; results of both, late rows, dead letters.
std::shared_ptr<const Plan> chained_plan(bool goes_idle) {
  auto plan = std::make_shared<Plan>("meters");
  SourceSpec source = reading_source();
  if (goes_idle) {
    source.watermark.idle_after = 200;
    source.watermark.idle_advance = IdleAdvance::kClose;
  }
  const StreamRef read = *plan->read(std::move(source));
  const StreamRef fresh = *plan->dedup(read, {.columns = {"id"}, .within = 100}, "");
  const StreamRef window = *plan->window(fresh, counting(10), true, "");
  WindowSpec of_windows = WindowSpec::tumbling(20);
  of_windows.key_columns = {"meter"};
  of_windows.aggregates = {{"windows", "count", ""}, {"total", "sum", "total"}};
  const StreamRef chained = *plan->window(window, of_windows, true, "");
  EXPECT_TRUE(plan->write({.streams = {window}, .topic = "results"}).ok());
  EXPECT_TRUE(plan->write({.streams = {chained}, .topic = "chained"}).ok());
  EXPECT_TRUE(plan->write({.streams = plan->late_streams(), .topic = "late"}).ok());
  EXPECT_TRUE(
      plan->write({.streams = {{Plan::kDeadLetters, Port::kMain}}, .topic = "dead", .dead_letters = true}).ok());
  EXPECT_TRUE(plan->finish().ok());
  return plan;
}

enum class Trigger { kRecord, kEnd, kIdle };

struct CutTest : testing::TestWithParam<Trigger> {
  void SetUp() override {
    clock = std::make_shared<ManualClock>(1'000'000);
    log = *open_log("memory:", clock);
    ASSERT_TRUE(log->create_topic("readings", 1).ok());
    failpoints = Failpoints();
    cuts = 0;
    std::vector<std::string> input;
    for (int i = 0; i < kKeys; ++i) {
      const std::string key = std::to_string(i * 7 % kKeys);
      input.push_back(reading("a" + key, "m" + key, i, i % 10));
      if (i % 1000 == 999) input.push_back("{broken");
      if (i % 1500 == 1499) input.push_back(R"({"id":"n)" + key + R"(","value":1,"ts":9})");  // no key
    }
    if (GetParam() == Trigger::kRecord) {
      input.push_back(reading("x", "m0", 1, 40));
      for (int i = 0; i < 5; ++i) input.push_back(reading("late" + std::to_string(i), "m0", 1, i));
      input.push_back("{broken, too");
      input.push_back(reading("y", "m0", 1, 90));
    }
    append_all(*log, "readings", input);
  }

  Status run(JobOptions options) {
    options.until_now = GetParam() != Trigger::kIdle;
    options.close = GetParam() == Trigger::kEnd;
    options.commit_interval = 50;
    WorkerEnv env{.log = log, .clock = clock, .failpoints = &failpoints, .transactional_id = "meters-test-0-0"};
    env.open_store = [this](int32_t partition) -> Result<std::unique_ptr<Store>> {
      return memory_store_of(log, "tasks/" + std::to_string(partition));
    };
    Worker worker(plan, options, env);
    for (int step = 0; step < 100'000; ++step) {
      clock->advance(1);
      if (GetParam() == Trigger::kIdle && step == 3'000) worker.request_stop();
      const Result<Progress> progress = worker.step();
      if (progress.ok() && *progress != Progress::kDone) continue;
      cuts += worker.stats().cuts;
      return progress.status();
    }
    return Status::fatal("the worker never ended");
  }

  struct Seen {
    std::vector<std::string> results, chained, late, dead;
    friend bool operator==(const Seen&, const Seen&) = default;
  };
  Seen seen() {
    Seen all{values_of(*log, "results"), values_of(*log, "chained"), values_of(*log, "late"), values_of(*log, "dead")};
    std::sort(all.dead.begin(), all.dead.end());  // those of different steps have no order among them
    return all;
  }
  // What an uncut run makes.
  void expect_all() {
    ASSERT_TRUE(run({}).ok());
    ASSERT_EQ(cuts, 0);
    expected = seen();
    ledger = *read_ledger(*log, "meters");
    ASSERT_EQ(expected.results.size(), kKeys + (GetParam() == Trigger::kRecord ? 1 : 0));
    ASSERT_GE(expected.dead.size(), kKeys / 1000 + kKeys / 1500);
    ASSERT_EQ(expected.late.empty(), GetParam() != Trigger::kRecord);
  }
  // Rows that a reader has seen never change, and there are no others than in an uncut run.
  void expect_beginning() {
    const size_t results = values_of(*log, "results").size();
    midway = midway || (results > 0 && results < kKeys);
    const auto begins = [](const std::vector<std::string>& found, const std::vector<std::string>& whole) {
      return found.size() <= whole.size() && std::equal(found.begin(), found.end(), whole.begin());
    };
    EXPECT_TRUE(begins(values_of(*log, "results"), expected.results));
    EXPECT_TRUE(begins(values_of(*log, "chained"), expected.chained));
    EXPECT_TRUE(begins(values_of(*log, "late"), expected.late));
  }

  std::shared_ptr<const Plan> plan = chained_plan(GetParam() == Trigger::kIdle);
  std::shared_ptr<ManualClock> clock;
  std::shared_ptr<Log> log;
  Failpoints failpoints;
  int64_t cuts = 0;
  bool midway = false;  // some rows of the large firing were out when a process died, and some were not
  Seen expected;
  std::map<int32_t, Ledger> ledger;
};

// Everything that comes out in a firing is committed before it goes on.
const JobOptions kAlwaysCut{.checkpoint_interval = 3, .transaction_timeout = 0};

TEST_P(CutTest, EachProcessLivesForOneCommit) {
  expect_all();
  SetUp();
  // Of every process the first commit is its last, and each reads in other pieces.
  const int64_t polls[] = {4096, 1000, 20'000, 333};
  int starts = 0;
  Status status;
  do {
    ASSERT_LT(++starts, 200);
    failpoints.arm_all(
        [&](Failpoint point) { return point == Failpoint::kCommitted ? Status::crashed("test") : Status(); });
    JobOptions options = kAlwaysCut;
    options.max_poll_records = polls[starts % 4];
    if (starts > 60) failpoints = Failpoints();  // an orderly end takes several commits
    status = run(options);
    expect_beginning();
    ASSERT_TRUE(status.ok() || status.code() == Code::kCrashed) << status.to_string();
  } while (!status.ok());
  EXPECT_GT(starts, 5);
  EXPECT_TRUE(midway);
  EXPECT_EQ(seen(), expected);
  EXPECT_EQ(*read_ledger(*log, "meters"), ledger);
}

TEST_P(CutTest, KilledAtAnyPointOfACommitTheAnswerIsTheSame) {
  expect_all();
  for (int nth = 1;; ++nth) {
    SetUp();
    int hits = 0;
    failpoints.arm_all([&](Failpoint point) {
      const bool counts = point == Failpoint::kPaneOut || point == Failpoint::kSealed ||
                          point == Failpoint::kOffsetsSent || point == Failpoint::kAnswerLost;
      return counts && ++hits == nth ? Status::crashed("test") : Status();
    });
    JobOptions options = kAlwaysCut;
    const Status killed = run(options);
    if (killed.ok()) break;
    ASSERT_EQ(killed.code(), Code::kCrashed) << nth << ": " << killed.to_string();
    expect_beginning();
    options.max_poll_records = 100 * nth;
    const Status status = run(options);
    ASSERT_TRUE(status.ok()) << nth << ": " << status.to_string();
    EXPECT_EQ(seen(), expected) << nth;
    EXPECT_EQ(*read_ledger(*log, "meters"), ledger) << nth;
  }
  EXPECT_GT(cuts, 3);
  EXPECT_TRUE(midway);
}

// A cut does not bring out the late panes that are due in the tasks which do not fire. The next commit does, and has to
// say so, though there was no record between them: or a recovery brings them out once more.
TEST(CutOfAnotherTask, LatePanesComeOutOnce) {
  const auto clock = std::make_shared<ManualClock>(1'000'000);
  const std::shared_ptr<Log> log = *open_log("memory:", clock);
  ASSERT_TRUE(log->create_topic("readings", 2).ok());
  auto plan = std::make_shared<Plan>("meters");
  const StreamRef window = *plan->window(*plan->read(reading_source()), counting(10, 1'000), true, "");
  ASSERT_TRUE(plan->write({.streams = {window}, .topic = "results"}).ok());
  ASSERT_TRUE(plan->finish().ok());
  Failpoints failpoints;
  const auto start = [&](JobOptions options) {
    WorkerEnv env{.log = log, .clock = clock, .failpoints = &failpoints, .transactional_id = "meters-test-0-0"};
    env.open_store = [&](int32_t partition) { return memory_store_of(log, "tasks/" + std::to_string(partition)); };
    return std::make_unique<Worker>(plan, options, env);
  };
  auto job = start({.commit_interval = 3'600'000, .transaction_timeout = 0});
  const auto step_until = [&](auto done) {
    for (int i = 0; i < 100'000 && !done(job->stats()); ++i) {
      const auto progress = job->step();
      ASSERT_TRUE(progress.ok()) << progress.status().to_string();
      clock->advance(1);
    }
  };
  append_all(*log, "readings", {reading("a", "m", 1, 5), reading("b", "m", 1, 20), reading("c", "m", 1, 6)}, 1);
  step_until([](const WorkerStats& stats) { return stats.rows_taken == 3; });
  std::vector<std::string> others;
  for (int i = 0; i < kKeys; ++i) others.push_back(reading("r", "other" + std::to_string(i), 1, 5));
  others.push_back(reading("x", "other0", 1, 40));
  append_all(*log, "readings", others);
  const int64_t cuts = job->stats().cuts;
  step_until([](const WorkerStats& stats) { return stats.rows_out >= kKeys; });
  EXPECT_GT(job->stats().cuts, cuts);
  job->request_commit();
  const int64_t commits = job->stats().commits;
  step_until([&](const WorkerStats& stats) { return stats.commits > commits; });
  job = start({.until_now = true});  // nothing of the first is left but what is in the log
  ASSERT_TRUE(run_to_end(*job, *clock).ok());
  int late = 0;
  for (const int32_t partition : {0, 1}) {
    for (const std::string& row : values_of(*log, "results", partition)) late += row.find("\"late\"") != row.npos;
  }
  EXPECT_EQ(late, 1);
}

INSTANTIATE_TEST_SUITE_P(Triggers, CutTest, testing::Values(Trigger::kRecord, Trigger::kEnd, Trigger::kIdle),
                         [](const auto& info) {
                           return info.param == Trigger::kRecord ? "Record"
                                  : info.param == Trigger::kEnd  ? "End"
                                                                 : "Idle";
                         });

}  // namespace
}  // namespace wrackline
