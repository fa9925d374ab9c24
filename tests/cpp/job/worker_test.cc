#include "wrackline/job/worker.h"

#include <optional>

#include "job/fixture.h"
#include <gtest/gtest.h>

#include "wrackline/core/logging.h"
#include "wrackline/job/memory_stores.h"

namespace wrackline {
namespace {

struct Appends {
  int64_t largest = 0;                    // bytes of one
  std::optional<TopicPartition> refused;  // takes nothing at the next one: its queue is full
};

// Passes everything on and notes the appends of its clients.
class MeasuringClient final : public LogClient {
 public:
  MeasuringClient(std::unique_ptr<LogClient> inner, Appends* appends) : inner_(std::move(inner)), appends_(appends) {}
  Status subscribe(const std::string& group, const std::vector<std::string>& topics) override {
    return inner_->subscribe(group, topics);
  }
  void answer_revoke() override { inner_->answer_revoke(); }
  void read_from(const TopicPartition& p, int64_t offset, Isolation isolation) override {
    inner_->read_from(p, offset, isolation);
  }
  void stop_reading(const TopicPartition& p) override { inner_->stop_reading(p); }
  void pause(const TopicPartition& p) override { inner_->pause(p); }
  void resume(const TopicPartition& p) override { inner_->resume(p); }
  void start_committed(const std::string& g, const std::vector<TopicPartition>& p) override {
    inner_->start_committed(g, p);
  }
  void start_init(const std::string& id) override { inner_->start_init(id); }
  Status begin() override { return inner_->begin(); }
  Status append(const TopicPartition& p, const Records& records) override {
    if (appends_->refused == p) {
      appends_->refused.reset();
      return {Code::kRetriable, "full"};
    }
    appends_->largest = std::max(appends_->largest, static_cast<int64_t>(records.byte_size()));
    return inner_->append(p, records);
  }
  void start_send_offsets(const std::string& g, const Offsets& o) override { inner_->start_send_offsets(g, o); }
  void start_commit() override { inner_->start_commit(); }
  void start_abort() override { inner_->start_abort(); }
  void start_fence(const std::string& id) override { inner_->start_fence(id); }
  void trim(const TopicPartition& p, int64_t o) override { inner_->trim(p, o); }
  Event poll(int64_t max_records) override { return inner_->poll(max_records); }
  void wait(Millis timeout) override { inner_->wait(timeout); }

 private:
  std::unique_ptr<LogClient> inner_;
  Appends* appends_;
};

class MeasuringLog final : public Log {
 public:
  MeasuringLog(std::shared_ptr<Log> inner, Appends* appends) : inner_(std::move(inner)), appends_(appends) {}
  std::string id() const override { return inner_->id(); }
  std::string uri() const override { return inner_->uri(); }
  Status create_topic(const std::string& n, int32_t p, TopicUse u) override { return inner_->create_topic(n, p, u); }
  int64_t max_record_bytes() const override { return inner_->max_record_bytes(); }
  Result<std::vector<TopicInfo>> topics() override { return inner_->topics(); }
  Result<TopicInfo> topic(const std::string& n) override { return inner_->topic(n); }
  Result<int64_t> append(const TopicPartition& p, const Records& r) override { return inner_->append(p, r); }
  Result<event::Polled> read(const TopicPartition& p, int64_t o, int64_t b, Isolation i) override {
    return inner_->read(p, o, b, i);
  }
  Result<int64_t> start_offset(const TopicPartition& p) override { return inner_->start_offset(p); }
  Result<int64_t> end_offset(const TopicPartition& p, Isolation i) override { return inner_->end_offset(p, i); }
  Status trim(const TopicPartition& p, int64_t o) override { return inner_->trim(p, o); }
  Result<Offsets> committed(const std::string& g) override { return inner_->committed(g); }
  Result<std::unique_ptr<LogClient>> client(const ClientOptions& o) override {
    WL_ASSIGN_OR_RETURN(std::unique_ptr<LogClient> inner, inner_->client(o));
    return std::unique_ptr<LogClient>(std::make_unique<MeasuringClient>(std::move(inner), appends_));
  }

 private:
  std::shared_ptr<Log> inner_;
  Appends* appends_;
};

struct WorkerTest : testing::Test {
  void SetUp() override {
    log = *open_log("memory:", clock);
    ASSERT_TRUE(log->create_topic("readings", 1).ok());
  }
  std::unique_ptr<Worker> worker(const std::shared_ptr<const Plan>& plan, JobOptions options = {},
                                 bool until_now = true) {
    WorkerEnv env{.log = log, .clock = clock, .failpoints = &failpoints, .transactional_id = plan->job() + "-test-0-0"};
    env.open_store = [this](int32_t partition) -> Result<std::unique_ptr<Store>> {
      return memory_store_of(log, "tasks/" + std::to_string(partition));
    };
    options.until_now = until_now;
    return std::make_unique<Worker>(plan, options, env);
  }
  Status run(const std::shared_ptr<const Plan>& plan, JobOptions options = {}) {
    return run_to_end(*worker(plan, options), *clock);
  }

  // Of topic "several", counted and written to "results".
  static std::shared_ptr<const Plan> windows_of_several() {
    SourceSpec source = reading_source();
    source.topic = "several";
    auto plan = std::make_shared<Plan>("several");
    const StreamRef window = *plan->window(*plan->read(source), counting(10), true, "");
    EXPECT_TRUE(plan->write({.streams = {window}, .topic = "results"}).ok());
    EXPECT_TRUE(plan->finish().ok());
    return plan;
  }

  std::shared_ptr<ManualClock> clock = std::make_shared<ManualClock>(1'000'000);
  std::shared_ptr<Log> log;
  Failpoints failpoints;
};

TEST_F(WorkerTest, CountsDedupsAndTellsLateFromDead) {
  append_all(*log, "readings",
             {reading("a", "m", 1, 1), reading("b", "m", 2, 3), reading("a", "m", 1, 1), "{broken",
              reading("c", "m", 4, 12), reading("d", "m", 9, 5), reading("e", "m", 1, 25)});
  ASSERT_TRUE(run(reading_plan()).ok());
  EXPECT_EQ(values_of(*log, "results"),
            (std::vector<std::string>{
                R"({"meter":"m","window_start":0,"window_end":10,"revision":0,"pane":"on_time","n":2,"total":3.0})",
                R"({"meter":"m","window_start":10,"window_end":20,"revision":0,"pane":"on_time","n":1,"total":4.0})"}));
  ASSERT_EQ(values_of(*log, "late").size(), 1);
  EXPECT_NE(values_of(*log, "late")[0].find(R"("late_by_ms":3)"), std::string::npos) << values_of(*log, "late")[0];
  EXPECT_EQ(values_of(*log, "meters.dead"), std::vector<std::string>{"{broken"});
  const auto ledger = read_ledger(*log, "meters");
  ASSERT_TRUE(ledger.ok());
  for (const LedgerEntry& entry : ledger->at(0)) EXPECT_TRUE(entry.counts.balances()) << entry.step;
  EXPECT_EQ(ledger->at(0)[0].counts, (StepCounts{.in = 7, .out = 6, .dead_lettered = 1}));
  EXPECT_EQ(ledger->at(0)[1].counts, (StepCounts{.in = 6, .out = 5, .duplicate = 1}));
  EXPECT_EQ(ledger->at(0)[2].counts, (StepCounts{.in = 5, .out = 3, .late = 1, .held = 1, .panes = 2, .rows_out = 2}));
}

// rule: 2.22
TEST_F(WorkerTest, SecondRunGoesOnWhereTheFirstEnded) {
  append_all(*log, "readings", {reading("a", "m", 1, 1), reading("b", "m", 2, 3)});
  ASSERT_TRUE(run(reading_plan()).ok());
  EXPECT_TRUE(values_of(*log, "results").empty());  // the window is open
  append_all(*log, "readings", {reading("c", "m", 4, 5), reading("b", "m", 2, 3), reading("d", "m", 0, 10)});
  ASSERT_TRUE(run(reading_plan()).ok());
  EXPECT_EQ(values_of(*log, "results"),
            std::vector<std::string>{
                R"({"meter":"m","window_start":0,"window_end":10,"revision":0,"pane":"on_time","n":3,"total":7.0})"});
}

TEST_F(WorkerTest, KilledAtAnyHitOfAnyFailpointTheAnswerIsTheSame) {
  std::vector<std::string> input;
  for (int i = 0; i < 60; ++i) {
    const int id = i % 7 == 6 ? i - 1 : i;
    input.push_back(i % 11 == 10
                        ? "{broken"
                        : reading("r" + std::to_string(id), i % 3 == 0 ? "m" : "k", id, i * 3 - (i % 5 == 4 ? 40 : 0)));
  }
  append_all(*log, "readings", input);
  const JobOptions often{.commit_rows = 5, .checkpoint_interval = 1, .max_poll_records = 3};
  ASSERT_TRUE(run(reading_plan(10, 5), often).ok());
  const auto results = values_of(*log, "results");
  const auto late = values_of(*log, "late");
  const auto dead = values_of(*log, "meters.dead");
  const auto ledger = *read_ledger(*log, "meters");
  ASSERT_GT(results.size(), 10);
  ASSERT_GT(late.size(), 3);

  for (int nth = 1;; ++nth) {
    SetUp();
    append_all(*log, "readings", input);
    int hits = 0;
    bool crashed = false;
    failpoints.arm_all([&](Failpoint) {
      if (++hits != nth) return Status();
      crashed = true;
      return Status::crashed("test");
    });
    for (int starts = 0;; ++starts) {
      ASSERT_LT(starts, 3) << nth;
      clock->advance(7);
      const Status status = run(reading_plan(10, 5), often);
      if (status.ok()) break;
      ASSERT_EQ(status.code(), Code::kCrashed) << nth << ": " << status.to_string();
    }
    if (!crashed) {
      EXPECT_GT(nth, 100);
      break;
    }
    ASSERT_EQ(values_of(*log, "results"), results) << nth;
    ASSERT_EQ(values_of(*log, "late"), late) << nth;
    ASSERT_EQ(values_of(*log, "meters.dead"), dead) << nth;
    ASSERT_EQ(*read_ledger(*log, "meters"), ledger) << nth;
  }
}

TEST_F(WorkerTest, ChangedJobIsRefusedAfterACrashAndStartsAfterAnOrderlyEnd) {
  append_all(*log, "readings", {reading("a", "m", 1, 1), reading("b", "m", 2, 13), reading("c", "m", 2, 14)});
  failpoints.arm(Failpoint::kCommitted, 2, [](Failpoint) { return Status::crashed("test"); });
  ASSERT_EQ(run(reading_plan(), {.commit_rows = 1}).code(), Code::kCrashed);
  const Status refused = run(reading_plan(20));
  EXPECT_EQ(refused.code(), Code::kInvalidArgument);
  EXPECT_NE(refused.message().find("has changed"), std::string::npos) << refused.message();
  ASSERT_TRUE(run(reading_plan()).ok());
  const Status other_state = run(reading_plan(20));
  EXPECT_EQ(other_state.code(), Code::kInvalidArgument);
  EXPECT_NE(other_state.message().find("reset='window'"), std::string::npos) << other_state.message();
  EXPECT_TRUE(run(reading_plan(20), {.reset_steps = {"window"}}).ok());
}

// rule: 2.22
TEST_F(WorkerTest, ClosedTopicMayBeReadOn) {
  append_all(*log, "readings", {reading("a", "m", 1, 1), reading("b", "m", 2, 3)});
  ASSERT_TRUE(run(reading_plan(), {.until_now = true, .close = true}).ok());
  append_all(*log, "readings",
             {reading("a", "m", 1, 4), reading("c", "m", 4, 5), reading("d", "m", 8, 12), reading("e", "m", 1, 25)});
  ASSERT_TRUE(run(reading_plan()).ok());
  const auto ledger = *read_ledger(*log, "meters");
  EXPECT_EQ(ledger.at(0)[1].counts, (StepCounts{.in = 6, .out = 5, .duplicate = 1}));
  // [0, 10) was freed by the close, so "c" is late; [10, 20) is not.
  EXPECT_EQ(ledger.at(0)[2].counts, (StepCounts{.in = 5, .out = 3, .late = 1, .held = 1, .panes = 2, .rows_out = 2}));
}

// rule: 2.22
TEST_F(WorkerTest, CloseWaitsForTheEndThatRowsDidNotReach) {
  append_all(*log, "readings", {reading("a", "m", 1, 1), reading("b", "m", 2, 3), reading("c", "m", 4, 5)});
  ASSERT_TRUE(run(reading_plan(), {.close = true, .max_rows = 1}).ok());
  EXPECT_TRUE(values_of(*log, "results").empty());
  ASSERT_TRUE(run(reading_plan(), {.close = true}).ok());
  ASSERT_EQ(values_of(*log, "results").size(), 1);
  EXPECT_NE(values_of(*log, "results")[0].find(R"("n":3)"), std::string::npos);
}

TEST_F(WorkerTest, CrashRightAfterAResetGoesOnWithTheNewStep) {
  append_all(*log, "readings", {reading("a", "m", 1, 1), reading("b", "m", 2, 3)});
  ASSERT_TRUE(run(reading_plan()).ok());
  append_all(*log, "readings", {reading("c", "m", 4, 5), reading("d", "m", 4, 6), reading("e", "m", 4, 7)});
  failpoints.arm(Failpoint::kCommitted, 3, [](Failpoint) { return Status::crashed("test"); });
  JobOptions reset{.commit_rows = 1};
  reset.reset_steps = {"window"};
  ASSERT_EQ(run(reading_plan(20), reset).code(), Code::kCrashed);
  const Status again = run(reading_plan(20));
  ASSERT_TRUE(again.ok()) << again.to_string();
  append_all(*log, "readings", {reading("f", "m", 0, 20)});
  ASSERT_TRUE(run(reading_plan(20)).ok());
  ASSERT_EQ(values_of(*log, "results").size(), 1);
  EXPECT_NE(values_of(*log, "results")[0].find(R"("n":3)"), std::string::npos) << values_of(*log, "results")[0];
}

TEST_F(WorkerTest, LargeFiringIsAppendedPieceByPiece) {
  constexpr int kKeys = 60'000;
  std::vector<std::string> input;
  for (int i = 0; i < kKeys; ++i) input.push_back(reading("r" + std::to_string(i), "meter-" + std::to_string(i), 1, 5));
  input.push_back(reading("last", "m", 1, 10));
  append_all(*log, "readings", input);
  Appends appends;
  log = std::make_shared<MeasuringLog>(log, &appends);
  ASSERT_TRUE(run(reading_plan()).ok());
  EXPECT_EQ(values_of(*log, "results").size(), static_cast<size_t>(kKeys));
  EXPECT_LT(appends.largest, 2 << 20);  // of some 6 MB
}

// A log whose queue is full takes a part of the rows: what is left is little, and waits for others or for the commit.
TEST_F(WorkerTest, RecordsAreTakenAgainWhenTheLogTakesRowsAgain) {
  constexpr int kKeys = 3'000;  // some more than are held together
  ASSERT_TRUE(log->create_topic("several", 2).ok());
  Appends appends{.refused = TopicPartition{"results", 1}};
  log = std::make_shared<MeasuringLog>(log, &appends);
  const auto job = worker(windows_of_several(), {.commit_interval = 3'600'000}, false);
  int64_t taken = 0;
  const auto take = [&](const std::vector<std::string>& input, int32_t partition) {
    append_all(*log, "several", input, partition);
    taken += static_cast<int64_t>(input.size());
    for (int steps = 0; job->stats().rows_taken < taken; ++steps) {
      ASSERT_LT(steps, 100'000) << job->stats().rows_taken << " of " << taken;
      const auto progress = job->step();
      ASSERT_TRUE(progress.ok()) << progress.status().to_string();
      if (*progress == Progress::kIdle) clock->advance(1);
    }
  };
  take({reading("a", "m", 1, 1), reading("b", "m", 1, 10)}, 1);  // a row that is held
  std::vector<std::string> input;
  for (int i = 0; i < kKeys; ++i) input.push_back(reading("r", "meter-" + std::to_string(i), 1, 5));
  input.push_back(reading("last", "m", 1, 10));
  take(input, 0);
  take({reading("c", "m", 1, 11)}, 0);
  EXPECT_FALSE(appends.refused);
  take({reading("d", "m", 1, 11)}, 1);
}

// 100,000 keys fire in one partition; what comes into another one meanwhile is taken, and its rows come out, before the
// firing has ended.
TEST_F(WorkerTest, RecordsOfOtherTasksDoNotWaitForTheEndOfALongFiring) {
  constexpr int kKeys = 100'000;
  constexpr int kOthers = 50;
  ASSERT_TRUE(log->create_topic("several", 2).ok());
  std::vector<std::string> input;
  for (int i = 0; i < kKeys; ++i) input.push_back(reading("r", "meter-" + std::to_string(i), 1, 5));
  input.push_back(reading("last", "m", 1, 10));
  append_all(*log, "several", input);
  const auto job = worker(windows_of_several(), {.commit_interval = 3'600'000, .firing_pieces = 4}, false);
  const auto step = [&] {
    const auto progress = job->step();
    ASSERT_TRUE(progress.ok()) << progress.status().to_string();
    if (*progress == Progress::kIdle) clock->advance(1);
  };
  while (job->stats().rows_taken <= kKeys) step();
  for (int i = 0; i < kOthers; ++i) append_all(*log, "several", {reading("o", "other", 1, i * 10)}, 1);
  while (job->stats().rows_taken <= kKeys + kOthers) step();
  EXPECT_LT(job->stats().rows_out, kKeys / 2);
  while (job->stats().rows_out < kKeys + kOthers - 1) step();
  job->request_stop();
  ASSERT_TRUE(run_to_end(*job, *clock).ok());
  EXPECT_EQ(values_of(*log, "results").size() + values_of(*log, "results", 1).size(), size_t{kKeys + kOthers - 1});
}

// Nor do they come beside it when the run has taken what it is to take.
TEST_F(WorkerTest, RowsAreCountedBesideALongFiring) {
  constexpr int kKeys = 100'000;
  ASSERT_TRUE(log->create_topic("several", 2).ok());
  std::vector<std::string> input;
  for (int i = 0; i < kKeys; ++i) input.push_back(reading("r", "meter-" + std::to_string(i), 1, 5));
  input.push_back(reading("last", "m", 1, 10));
  append_all(*log, "several", input);
  const auto job =
      worker(windows_of_several(), {.commit_interval = 3'600'000, .firing_pieces = 4, .max_rows = kKeys + 3}, false);
  while (job->stats().rows_taken <= kKeys) {
    const auto progress = job->step();
    ASSERT_TRUE(progress.ok()) << progress.status().to_string();
    if (*progress == Progress::kIdle) clock->advance(1);
  }
  for (int i = 0; i < 50; ++i) append_all(*log, "several", {reading("o", "other", 1, i * 10)}, 1);
  ASSERT_TRUE(run_to_end(*job, *clock).ok());
  EXPECT_EQ(kKeys + 3, job->stats().rows_taken);
}

TEST_F(WorkerTest, PanesAreCommittedSoonIfThereIsNothingElseToDo) {
  append_all(*log, "readings", {reading("a", "m", 1, 1), reading("b", "m", 2, 25)});
  const auto job = worker(reading_plan(), {.commit_interval = 1'000}, false);
  const auto settle_after = [&](Millis ms) {
    clock->advance(ms);
    for (int idle = 0; idle < 10;) {
      const auto progress = job->step();
      ASSERT_TRUE(progress.ok()) << progress.status().to_string();
      idle = *progress == Progress::kIdle ? idle + 1 : 0;
    }
  };
  settle_after(0);
  settle_after(249);
  EXPECT_EQ(values_of(*log, "results").size(), 0);
  settle_after(1);
  EXPECT_EQ(values_of(*log, "results").size(), 1);

  append_all(*log, "readings", {reading("c", "m", 1, 1)});  // no pane: a late row
  settle_after(0);
  settle_after(999);
  EXPECT_EQ(values_of(*log, "late").size(), 0);
  settle_after(1);
  EXPECT_EQ(values_of(*log, "late").size(), 1);
}

// rule: 1.9 1.10
TEST_F(WorkerTest, FirstThousandRefusedStopsWithNothingCommitted) {
  std::vector<std::string> input(1200, reading("a", "m", 1, -5));
  append_all(*log, "readings", input);
  const Status status = run(reading_plan(), {.commit_rows = 100});
  EXPECT_FALSE(status.ok());
  EXPECT_NE(status.message().find("not_before"), std::string::npos) << status.message();
  EXPECT_TRUE(values_of(*log, "meters.dead").empty());
}

TEST_F(WorkerTest, UnknownTopicNamesTheNearest) {
  auto plan = std::make_shared<Plan>("meters");
  SourceSpec source = reading_source();
  source.topic = "reading";
  ASSERT_TRUE(plan->read(source).ok());
  ASSERT_TRUE(plan->finish().ok());
  const Status status = run(plan);
  EXPECT_EQ(status.code(), Code::kNotFound);
  EXPECT_NE(status.message().find("readings"), std::string::npos) << status.message();
}

// rule: 2.2 2.3
TEST_F(WorkerTest, TraceSaysWhatBecameOfEachRecordAndWhoMovedTheWatermark) {
  struct Traces final : TraceSink {
    void trace(TraceRecord record) override { records[record.offset] = std::move(record); }
    void fate(int32_t, int64_t offset, Fate fate, std::string_view step) override {
      records[offset].fate = fate;
      records[offset].step = step;
    }
    std::map<int64_t, TraceRecord> records;
  } traces;
  auto plan = std::make_shared<Plan>("meters");
  const StreamRef read = *plan->read(reading_source());
  const StreamRef positive = *plan->filter(read, {.column = "value", .compare = Compare::kGreater, .value = 0.0}, "");
  const StreamRef fresh = *plan->dedup(positive, {.columns = {"id"}, .within = 100}, "");
  ASSERT_TRUE(plan->window(fresh, counting(10), true, "").ok());
  ASSERT_TRUE(plan->finish().ok());
  append_all(*log, "readings",
             {reading("a", "m", 1, 1), reading("b", "m", -2, 15), "{broken", reading("a", "m", 1, 2),
              reading("c", "m", 4, 3), reading("d", "m", 4, -7), reading("e", "m", 4, 16)});
  struct Ignore final : RowTap {
    void rows(int, const Batch&) override {}
  } tap;
  WorkerEnv env{.log = log, .clock = clock, .failpoints = &failpoints, .tap = &tap, .trace = &traces};
  Worker worker(plan, {.until_now = true}, env);
  ASSERT_TRUE(run_to_end(worker, *clock).ok());
  ASSERT_EQ(traces.records.size(), 7);
  const std::vector<std::pair<Fate, std::string>> expected = {
      {Fate::kAccepted, "read"},   {Fate::kFiltered, "filter"}, {Fate::kDeadLettered, "read"},
      {Fate::kDuplicate, "dedup"}, {Fate::kLate, "window"},     {Fate::kDeadLettered, "read"},
      {Fate::kAccepted, "read"}};
  for (int64_t i = 0; i < 7; ++i) {
    EXPECT_EQ(traces.records[i].fate, expected[static_cast<size_t>(i)].first) << i;
    EXPECT_EQ(traces.records[i].step, expected[static_cast<size_t>(i)].second) << i;
  }
  EXPECT_EQ(traces.records[1].watermark, 1);
  EXPECT_EQ(traces.records[1].set_by_offset, 0);
  EXPECT_EQ(traces.records[4].watermark, 15);  // judged by the filtered record's time
  EXPECT_EQ(traces.records[4].set_by_offset, 1);
  EXPECT_EQ(traces.records[0].set_by_offset, -1);
}

// rule: 3.7
TEST_F(WorkerTest, LateRowsThatNobodyWritesAreSaidAtTheEnd) {
  std::vector<std::string> lines;
  set_log_hook([&](LogLevel, std::string_view line) { lines.emplace_back(line); });
  auto plan = std::make_shared<Plan>("meters");
  const StreamRef read = *plan->read(reading_source());
  ASSERT_TRUE(plan->window(read, counting(10), true, "per_meter").ok());
  ASSERT_TRUE(plan->finish().ok());
  append_all(*log, "readings", {reading("a", "m", 1, 25), reading("b", "m", 2, 3)});
  ASSERT_TRUE(run(plan).ok());
  set_log_hook(nullptr);
  ASSERT_EQ(lines.size(), 1);
  EXPECT_NE(lines[0].find("step 'per_meter': 1 late row was counted but not written"), std::string::npos) << lines[0];
}

// rule: 6.6
TEST_F(WorkerTest, MemoryLimitNamesTheStep) {
  std::vector<std::string> input;
  for (int i = 0; i < 5000; ++i) input.push_back(reading("id" + std::to_string(i), "m", 1, 5));
  append_all(*log, "readings", input);
  const Status status = run(reading_plan(), {.memory_limit = 10'000});
  EXPECT_EQ(status.code(), Code::kUnavailable);
  EXPECT_NE(status.message().find("'dedup'"), std::string::npos) << status.message();
}

TEST_F(WorkerTest, ReplayPassesCommitsThatHadNoRecordBetweenThem) {
  log = *open_log("memory:", clock);
  ASSERT_TRUE(log->create_topic("readings", 2).ok());
  auto plan = std::make_shared<Plan>("meters");
  SourceSpec source = reading_source();
  source.partitioned_by = {"meter"};
  const StreamRef read = *plan->read(source);
  ASSERT_TRUE(plan->write({.streams = {*plan->window(read, counting(10), true, "")}, .topic = "results"}).ok());
  ASSERT_TRUE(plan->finish().ok());
  WorkerEnv env{.log = log, .clock = clock, .failpoints = &failpoints, .transactional_id = "meters-test-0-0"};
  env.open_store = [this](int32_t partition) -> Result<std::unique_ptr<Store>> {
    return memory_store_of(log, "tasks/" + std::to_string(partition));
  };
  // Partition 1: a record and a checkpoint, then nothing but aborted transactions; partition 0 has a record for each
  // commit.
  append_all(*log, "readings", {reading("x", "k", 1, 1)}, 1);
  {
    Worker first(plan, JobOptions{.until_now = true}, env);
    ASSERT_TRUE(run_to_end(first, *clock).ok());
  }
  const auto abort_in_partition_1 = [&] {
    const std::unique_ptr<LogClient> client = log->client().value();
    client->start_init("another");
    while (!std::holds_alternative<event::Initialised>(client->poll(1))) {
    }
    ASSERT_TRUE(client->begin().ok());
    Records records;
    records.add(std::nullopt, reading("never", "k", 1, 1), 1'000'000);
    ASSERT_TRUE(client->append({"readings", 1}, records).ok());
    client->start_abort();
    while (!std::holds_alternative<event::TransactionEnded>(client->poll(1))) {
    }
  };
  auto worker = std::make_unique<Worker>(plan, JobOptions{.checkpoint_interval = kMaxDuration / 1000}, env);
  for (int commit = 0; commit < 4; ++commit) {
    append_all(*log, "readings", {reading("r" + std::to_string(commit), "m", 1, commit)}, 0);
    abort_in_partition_1();
    const int64_t before = worker->stats().commits;
    for (int step = 0; step < 2000 && worker->stats().commits == before; ++step) {
      ASSERT_TRUE(worker->step().ok());
      clock->advance(1);
    }
    ASSERT_GT(worker->stats().commits, before);
  }
  worker.reset();  // as kill -9 does: nothing is committed any more
  Worker again(plan, JobOptions{.until_now = true}, env);
  const Status status = run_to_end(again, *clock);
  EXPECT_TRUE(status.ok()) << status.to_string();
  EXPECT_EQ((*read_ledger(*log, "meters")).at(0)[0].counts.in, 4);
  EXPECT_EQ((*read_ledger(*log, "meters")).at(1)[0].counts.in, 1);
}

// A job over bounded rows, which writes to the log.
struct RowsTest : WorkerTest {
  static SchemaPtr schema() {
    static const auto schema = std::make_shared<const Schema>(
        std::vector<Field>{{"meter", Type::kString, false}, {"ts", Type::kInt64, false}});
    return schema;
  }
  static std::shared_ptr<RowsSource> rows(const std::vector<Millis>& times, const std::string& meter = "m") {
    auto source = std::make_shared<RowsSource>(schema());
    Column meters(Type::kString), column(Type::kInt64);
    for (const Millis time : times) {
      meters.append_string(meter);
      column.append_int64(time);
    }
    Batch batch;
    batch.schema = schema();
    batch.length = static_cast<int64_t>(times.size());
    batch.columns = {std::make_shared<const Column>(std::move(meters)),
                     std::make_shared<const Column>(std::move(column))};
    EXPECT_TRUE(source->append(std::move(batch)).ok());
    source->close();
    return source;
  }
  Status run_rows(const std::shared_ptr<RowsSource>& source, JobOptions options = {}) {
    auto plan = std::make_shared<Plan>("rows");
    SourceSpec spec;
    spec.schema = schema();
    spec.time.column = "ts";
    spec.time.topic = false;
    spec.watermark.out_of_orderness = 0;
    const StreamRef read = *plan->read(spec);
    WindowSpec window = WindowSpec::tumbling(10);
    window.key_columns = {"meter"};
    window.aggregates = {{"n", "count", ""}};
    EXPECT_TRUE(plan->write({.streams = {*plan->window(read, window, true, "")}, .topic = "results"}).ok());
    EXPECT_TRUE(plan->finish().ok());
    WorkerEnv env{
        .log = log, .clock = clock, .failpoints = &failpoints, .transactional_id = "rows-test-0-0", .rows = source};
    env.open_store = [this](int32_t) -> Result<std::unique_ptr<Store>> { return memory_store_of(log, "rows"); };
    Worker worker(plan, std::move(options), env);
    return run_to_end(worker, *clock);
  }
};

TEST_F(RowsTest, OtherRowsAreNoticedAfterAnOrderlyEnd) {
  ASSERT_TRUE(run_rows(rows({1, 2, 3, 4, 5, 6}), {.max_rows = 3}).ok());
  const Status other = run_rows(rows({1, 2, 9, 9, 9, 9}));
  EXPECT_EQ(other.code(), Code::kInvalidArgument);
  EXPECT_NE(other.message().find("not the rows"), std::string::npos) << other.message();
  EXPECT_FALSE(run_rows(rows({1, 2})).ok());  // fewer than were read
  ASSERT_TRUE(run_rows(rows({1, 2, 3, 4, 5, 6})).ok());
  ASSERT_EQ(values_of(*log, "results").size(), 1);
  EXPECT_NE(values_of(*log, "results")[0].find(R"("n":6)"), std::string::npos);
}

TEST_F(RowsTest, CrashAfterRowsWereAppendedToAnEndedInputGoesOn) {
  ASSERT_TRUE(run_rows(rows({1, 2})).ok());
  EXPECT_EQ(run_rows(rows({1, 2})).code(), Code::kInvalidArgument);  // it has ended
  const auto longer = rows({1, 2, 13, 14, 25});
  failpoints.arm(Failpoint::kCommitted, 2, [](Failpoint) { return Status::crashed("test"); });
  ASSERT_EQ(run_rows(longer, {.commit_rows = 1, .resume_append = true}).code(), Code::kCrashed);
  const Status again = run_rows(longer, {.resume_append = true});
  ASSERT_TRUE(again.ok()) << again.to_string();
  const auto ledger = *read_ledger(*log, "rows");
  EXPECT_EQ(ledger.at(0)[0].counts, (StepCounts{.in = 5, .out = 5}));
  EXPECT_EQ(ledger.at(0)[1].counts, (StepCounts{.in = 5, .out = 4, .held = 1, .panes = 2, .rows_out = 2}));
}

TEST_F(RowsTest, LostAnswerOfTheLastCommitIsNoFailure) {
  failpoints.arm(Failpoint::kAnswerLost, 1, [](Failpoint) { return Status::abort("the answer is lost"); });
  const Status status = run_rows(rows({1, 2, 13}));
  EXPECT_TRUE(status.ok()) << status.to_string();
  EXPECT_EQ(values_of(*log, "results").size(), 2);
}

}  // namespace
}  // namespace wrackline
