#include <functional>
#include <set>

#include "job/fixture.h"
#include "job/scripted_group.h"
#include <gtest/gtest.h>

#include "wrackline/core/logging.h"
#include "wrackline/job/memory_stores.h"

namespace wrackline {
namespace {

// Whose writes end when `through` says so.
struct SlowStore final : Store {
  explicit SlowStore(bool* through) : inner(make_memory_store()), through(through) {}
  void start_write(const std::string& name, std::vector<Block> blocks) override {
    inner->start_write(name, std::move(blocks));
  }
  std::optional<Status> poll_write() override { return *through ? inner->poll_write() : std::nullopt; }
  Status read(const std::string& name, const std::vector<std::string>& keys,
              const std::function<Status(std::string_view, std::string_view)>& f) override {
    return inner->read(name, keys, f);
  }
  Result<std::vector<std::string>> list() override { return inner->list(); }
  Status remove(const std::string& name) override { return inner->remove(name); }
  std::unique_ptr<Store> inner;
  bool* through;
};

struct RebalanceTest : testing::Test {
  static constexpr Millis kLong = kMaxDuration / 1000;

  void SetUp() override {
    memory = *open_log("memory:", clock);
    log = std::make_shared<ScriptedLog>(memory, script);
    ASSERT_TRUE(log->create_topic("readings", 2).ok());
    auto made = std::make_shared<Plan>("meters");
    SourceSpec source = reading_source();
    source.partitioned_by = {"meter"};
    const StreamRef read = *made->read(source);
    ASSERT_TRUE(made->write({.streams = {*made->window(read, counting(10), true, "")}, .topic = "results"}).ok());
    ASSERT_TRUE(made->finish().ok());
    plan = made;
  }
  // Its transactional id also names its place in the group.
  std::unique_ptr<Worker> worker(const std::string& id, std::shared_ptr<Log> of = nullptr, JobOptions options = {}) {
    WorkerEnv env{
        .log = of ? of : log, .clock = clock, .failpoints = &failpoints, .transactional_id = "meters-" + id + "-0-0"};
    env.open_store = [this](int32_t partition) -> Result<std::unique_ptr<Store>> {
      ++stores_opened;
      return memory_store_of(memory, state_dir + "/tasks/" + std::to_string(partition));
    };
    options.state_dir = state_dir;
    if (options.checkpoint_interval == JobOptions().checkpoint_interval) options.checkpoint_interval = kLong;
    return std::make_unique<Worker>(plan, options, env);
  }
  // Steps until `done`, or for so long that it never will be.
  testing::AssertionResult until(Worker& worker, const std::function<bool()>& done) {
    for (int step = 0; step < 5'000; ++step) {
      if (done()) return testing::AssertionSuccess();
      const Result<Progress> progress = worker.step();
      if (!progress.ok()) return testing::AssertionFailure() << progress.status().to_string();
      if (*progress == Progress::kIdle) clock->advance(1);
    }
    return testing::AssertionFailure() << "it never happened, phase " << worker.stats().phase;
  }
  void send(int32_t partition, int count) {
    std::vector<std::string> values;
    for (int i = 0; i < count; ++i, ++sent) {
      values.push_back(reading("r" + std::to_string(sent), "m" + std::to_string(partition), 1, sent));
    }
    append_all(*memory, "readings", values, partition);
  }
  CommitMetadata committed(int32_t partition) {
    return *CommitMetadata::decode(memory->committed("meters")->at({"readings", partition}).metadata);
  }
  // Records of both partitions whose results are not missing, as the last ledgers say.
  int64_t records_in() {
    int64_t in = 0;
    const auto ledgers = read_ledger(*memory, "meters");
    if (!ledgers.ok()) return 0;
    for (const auto& [partition, ledger] : *ledgers) {
      in += ledger[0].counts.in;
      for (const LedgerEntry& entry : ledger) EXPECT_TRUE(entry.counts.balances());
    }
    return in;
  }

  std::shared_ptr<ManualClock> clock = std::make_shared<ManualClock>(1'000'000);
  std::shared_ptr<GroupScript> script = std::make_shared<GroupScript>();
  std::shared_ptr<Log> memory;
  std::shared_ptr<Log> log;
  std::shared_ptr<const Plan> plan;
  Failpoints failpoints;
  const TopicPartition p0{"readings", 0};
  const TopicPartition p1{"readings", 1};
  std::string state_dir = "here";
  int stores_opened = 0;
  int sent = 0;
};

TEST_F(RebalanceTest, RevokeIsAnsweredAfterACommitAndTheParkedTaskGoesOnWithoutReplay) {
  send(0, 10);
  send(1, 10);
  const auto w = worker("a");
  ASSERT_TRUE(until(*w, [&] { return w->stats().rows_taken == 20; }));
  EXPECT_EQ(records_in(), 0);  // the commit interval is not over
  script->events.emplace_back(event::Revoked{{p0, p1}});
  ASSERT_TRUE(until(*w, [&] { return script->answers == 1; }));
  EXPECT_EQ(records_in(), 20);
  const int64_t claims = committed(0).recovery_count;
  script->events.emplace_back(event::Assigned{{p0, p1}});
  send(0, 10);
  ASSERT_TRUE(until(*w, [&] { return records_in() == 30; }));
  EXPECT_EQ(w->stats().adopted, 2);
  EXPECT_EQ(w->stats().rows_replayed, 0);
  EXPECT_EQ(w->stats().recoveries, 0);
  EXPECT_EQ(script->clients, 1);
  EXPECT_EQ(script->inits, 1);
  EXPECT_EQ(committed(0).recovery_count, claims);
}

TEST_F(RebalanceTest, RevokedDuringACommitItIsFinishedFirst) {
  send(0, 10);
  const auto w = worker("a");
  int hits = 0;
  failpoints.arm(Failpoint::kEndTxnSent, 1, [&](Failpoint) {
    ++hits;
    script->events.emplace_back(event::Revoked{{p0, p1}});
    return Status();
  });
  ASSERT_TRUE(until(*w, [&] { return script->answers == 1; }));
  EXPECT_EQ(hits, 1);
  EXPECT_EQ(records_in(), 10);
  EXPECT_EQ(w->stats().recoveries, 0);
  script->events.emplace_back(event::Assigned{{p0}});
  send(0, 1);
  ASSERT_TRUE(until(*w, [&] { return records_in() == 11; }));
  EXPECT_EQ(w->stats().adopted, 1);
}

TEST_F(RebalanceTest, ParkedTaskThatSomebodyElseHasClaimedIsRecovered) {
  send(0, 10);
  send(1, 10);
  const auto w = worker("a");
  ASSERT_TRUE(until(*w, [&] { return w->stats().rows_taken == 20; }));
  script->events.emplace_back(event::Revoked{{p0, p1}});
  ASSERT_TRUE(until(*w, [&] { return script->answers == 1; }));

  const auto other_script = std::make_shared<GroupScript>();
  other_script->assign_all = false;
  const auto other = worker("b", std::make_shared<ScriptedLog>(memory, other_script));
  ASSERT_TRUE(until(*other, [&] { return other_script->inits == 1; }));
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(other->step().ok());
  other_script->events.emplace_back(event::Assigned{{p1}});
  send(1, 5);
  ASSERT_TRUE(until(*other, [&] { return records_in() == 25; }));
  EXPECT_EQ(other->stats().rows_replayed, 10);
  other_script->events.emplace_back(event::Revoked{{p1}});
  ASSERT_TRUE(until(*other, [&] { return other_script->answers == 1; }));

  script->events.emplace_back(event::Assigned{{p0, p1}});
  send(1, 1);
  ASSERT_TRUE(until(*w, [&] { return records_in() == 26; }));
  EXPECT_EQ(w->stats().adopted, 1);
  EXPECT_EQ(committed(1).transactional_id, "meters-a-0-0");
  EXPECT_EQ(committed(1).recovery_count, 3);
  EXPECT_EQ(committed(0).recovery_count, 1);
}

TEST_F(RebalanceTest, PartitionThatComesLaterIsRecoveredWhileTheOthersWait) {
  script->assign_all = false;
  send(0, 10);
  const auto w = worker("a");
  ASSERT_TRUE(until(*w, [&] { return script->inits == 1; }));
  ASSERT_TRUE(until(*w, [&, n = 0]() mutable { return ++n > 10; }));
  script->events.emplace_back(event::Assigned{{p0}});
  ASSERT_TRUE(until(*w, [&] { return w->stats().rows_taken == 10; }));
  send(1, 10);
  script->events.emplace_back(event::Assigned{{p1}});
  send(0, 3);
  ASSERT_TRUE(until(*w, [&] { return records_in() == 23; }));
  EXPECT_EQ(w->stats().recoveries, 0);
  EXPECT_EQ(committed(0).recovery_count, 1);  // the claim is of the new one alone
  script->events.emplace_back(event::Revoked{{p0}});
  ASSERT_TRUE(until(*w, [&] { return script->answers == 1; }));
  send(0, 1);
  send(1, 1);
  ASSERT_TRUE(until(*w, [&] { return records_in() == 24; }));  // the one that stayed goes on
  script->events.emplace_back(event::Assigned{});
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(w->step().ok());
  script->events.emplace_back(event::Assigned{{p0}});
  ASSERT_TRUE(until(*w, [&] { return records_in() == 25; }));
  EXPECT_EQ(w->stats().adopted, 0);  // the assignment of nothing has dropped it
  EXPECT_EQ(committed(0).recovery_count, 2);
}

TEST_F(RebalanceTest, RevokedInEveryPhaseOfARecoveryIsAnsweredAtOnce) {
  // Revoked after so many steps of a second start; then everything comes back.
  std::set<std::string> phases;
  for (int steps = 3;; ++steps) {
    SetUp();
    sent = 0;
    send(0, 30);
    send(1, 30);
    {
      const auto w = worker("a", nullptr, {.commit_rows = 7});
      ASSERT_TRUE(until(*w, [&] { return records_in() == 60; }));
    }
    const auto w = worker("a", nullptr, {.max_poll_records = 4});
    script->answers = 0;
    for (int i = 0; i < steps; ++i) ASSERT_TRUE(w->step().ok());
    phases.insert(w->stats().phase);
    if (std::string(w->stats().phase) == "running") break;
    const bool all = steps % 2 == 0;
    script->events.push_back(all ? event::Revoked{{p0, p1}} : event::Revoked{{p1}});
    for (int i = 0; script->answers == 0; ++i) {
      ASSERT_LT(i, 40) << steps;  // after what was polled before, not at the end of the recovery
      ASSERT_TRUE(w->step().ok());
    }
    script->events.push_back(all ? event::Assigned{{p0, p1}} : event::Assigned{{p1}});
    send(steps % 2, 1);
    ASSERT_TRUE(until(*w, [&] { return records_in() == 61; })) << steps;
    EXPECT_EQ(w->stats().recoveries, 0) << steps;
  }
  EXPECT_EQ(phases, (std::set<std::string>{"starting", "replaying", "running"}));
}

TEST_F(RebalanceTest, RevokedWhileARevokeIsBeingHandled) {
  send(0, 10);
  send(1, 10);
  const auto w = worker("a");
  ASSERT_TRUE(until(*w, [&] { return w->stats().rows_taken == 20; }));
  script->events.emplace_back(event::Revoked{{p0}});
  script->events.emplace_back(event::Revoked{{p1}});
  ASSERT_TRUE(until(*w, [&] { return script->answers > 0; }));
  EXPECT_EQ(records_in(), 20);
  script->events.emplace_back(event::Assigned{{p0}});
  script->events.emplace_back(event::Revoked{{p0}});  // before it is taken up
  script->events.emplace_back(event::Assigned{{p1, p0}});
  send(0, 1);
  send(1, 1);
  ASSERT_TRUE(until(*w, [&] { return records_in() == 22; }));
  EXPECT_EQ(w->stats().recoveries, 0);
}

TEST_F(RebalanceTest, LostPartitionsAreDropped) {
  send(0, 30);
  const auto w = worker("a");
  ASSERT_TRUE(until(*w, [&] { return w->stats().rows_taken == 30; }));
  script->events.emplace_back(event::Lost{{p0, p1}});
  // Results are held for an append.
  ASSERT_TRUE(until(*w, [&] { return records_in() == 30; }));
  EXPECT_EQ(w->stats().recoveries, 1);
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(w->step().ok());
  script->events.emplace_back(event::Lost{{p0, p1}});  // nothing is open
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(w->step().ok());
  EXPECT_EQ(w->stats().recoveries, 1);
  EXPECT_TRUE(w->ledger().empty());
  script->events.emplace_back(event::Assigned{{p0, p1}});
  send(1, 1);
  ASSERT_TRUE(until(*w, [&] { return records_in() == 31; }));
}

TEST_F(RebalanceTest, RunUntilNowDoesNotEndWithWhatItHasLost) {
  send(0, 3);  // no window closes: no transaction is open while the last checkpoint is written
  bool through = false;
  WorkerEnv env{.log = log, .clock = clock, .failpoints = &failpoints, .transactional_id = "meters-a-0-0"};
  env.open_store = [&](int32_t) -> Result<std::unique_ptr<Store>> {
    return std::unique_ptr<Store>(std::make_unique<SlowStore>(&through));
  };
  Worker w(plan, {.checkpoint_interval = kLong, .until_now = true}, env);
  ASSERT_TRUE(until(w, [&] { return w.stats().checkpoints > 0; }));
  script->events.emplace_back(event::Lost{{p0, p1}});
  for (int i = 0; i < 300; ++i) {
    const Result<Progress> progress = w.step();
    ASSERT_TRUE(progress.ok());
    ASSERT_NE(*progress, Progress::kDone);
    clock->advance(1);
  }
  EXPECT_EQ(w.stats().recoveries, 0);
  through = true;
  script->events.emplace_back(event::Assigned{{p0, p1}});
  EXPECT_TRUE(run_to_end(w, *clock).ok());
  EXPECT_EQ(records_in(), 3);
}

TEST_F(RebalanceTest, WorkerWithoutPartitionsIdlesAndEndsWhenAsked) {
  script->assign_all = false;
  const auto w = worker("a");
  ASSERT_TRUE(until(*w, [&] { return script->inits == 1; }));
  script->events.emplace_back(event::Assigned{});
  for (int i = 0; i < 300; ++i) {
    const Result<Progress> progress = w->step();
    ASSERT_TRUE(progress.ok());
    ASSERT_NE(*progress, Progress::kDone);
    clock->advance(1);
  }
  w->request_stop();
  EXPECT_TRUE(run_to_end(*w, *clock).ok());
  EXPECT_EQ(w->stats().commits, 0);
}

TEST_F(RebalanceTest, OwnerOfAnOpenTransactionIsFencedOnceAndThenWaitedFor) {
  std::vector<std::string> lines;
  set_log_hook([&](LogLevel, std::string_view line) { lines.emplace_back(line); });
  send(0, 10);
  {
    const auto w = worker("dead");
    ASSERT_TRUE(until(*w, [&] { return records_in() == 10; }));
  }
  script->hold_committed = true;
  const auto w = worker("a");
  ASSERT_TRUE(until(*w, [&] { return script->inits == 2; }));
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(w->step().ok());
  const Offsets known = *memory->committed("meters");
  script->events.emplace_back(event::Unstable{known});
  script->events.emplace_back(event::Unstable{known});
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(w->step().ok());
  EXPECT_EQ(script->fences, std::vector<std::string>{"meters-dead-0-0"});
  script->hold_committed = false;
  send(0, 1);
  ASSERT_TRUE(until(*w, [&] { return records_in() == 11; }));
  set_log_hook(nullptr);
  ASSERT_EQ(lines.size(), 1);
  EXPECT_NE(lines[0].find("meters-dead-0-0"), std::string::npos) << lines[0];
}

TEST_F(RebalanceTest, TransactionThatDoesNotEndIsNotWaitedForForEver) {
  send(0, 10);
  script->hold_committed = true;
  const auto w = worker("a");
  ASSERT_TRUE(until(*w, [&] { return script->inits == 1; }));
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(w->step().ok());
  script->events.emplace_back(event::Unstable{});
  for (int i = 0; i < 59; ++i) {
    ASSERT_TRUE(w->step().ok());
    clock->advance(1'000);
  }
  ASSERT_TRUE(w->step().ok());
  clock->advance(2'000);
  Result<Progress> progress = w->step();
  for (int look = 0; look < 200 && progress.ok(); ++look) progress = w->step();
  ASSERT_EQ(progress.status().code(), Code::kUnavailable);
  EXPECT_NE(progress.status().message().find("has not come for 60 s"), std::string::npos)
      << progress.status().message();
}

TEST_F(RebalanceTest, AProcessThatSleptLooksWhetherTheTransactionHasEnded) {
  send(0, 10);
  script->hold_committed = true;
  const auto w = worker("a");
  ASSERT_TRUE(until(*w, [&] { return script->inits == 1; }));
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(w->step().ok());
  script->events.emplace_back(event::Unstable{});
  for (int i = 0; i < 5; ++i) ASSERT_TRUE(w->step().ok());
  clock->advance(3'600'000);
  for (int i = 0; i < 50; ++i) ASSERT_TRUE(w->step().ok());  // the answer is on its way
  script->hold_committed = false;
  ASSERT_TRUE(until(*w, [&] { return records_in() == 10; }));
  EXPECT_EQ(w->stats().recoveries, 0);
}

TEST_F(RebalanceTest, FencedOnceItRecoversAndTwiceItStops) {
  send(0, 10);
  const auto w = worker("a");
  ASSERT_TRUE(until(*w, [&] { return records_in() == 10; }));
  const auto rival = [&] {
    const std::unique_ptr<LogClient> client = memory->client().value();
    client->start_init("meters-a-0-0");
    static_cast<void>(client->poll(1));
  };
  rival();  // as a log does to an owner that slept
  send(0, 10);
  ASSERT_TRUE(until(*w, [&] { return records_in() == 20; }));
  EXPECT_EQ(w->stats().recoveries, 1);
  clock->advance(11'000);
  rival();
  send(0, 10);
  ASSERT_TRUE(until(*w, [&] { return records_in() == 30; }));
  rival();
  send(0, 10);
  const Status status = run_to_end(*w, *clock);
  EXPECT_EQ(status.code(), Code::kFenced);
  EXPECT_NE(status.message().find("meters-a-0-0"), std::string::npos) << status.message();
}

TEST_F(RebalanceTest, JournalThatEndsBehindAnOpenTransactionIsWaitedFor) {
  send(0, 10);
  // A former owner's transaction, whose rows lie before those that are committed after it.
  ASSERT_TRUE(memory->create_topic("meters.journal-0", 2, TopicUse::kInternal).ok());
  const std::unique_ptr<LogClient> former = memory->client().value();
  former->start_init("former");
  static_cast<void>(former->poll(1));
  {
    const auto w = worker("a");
    ASSERT_TRUE(until(*w, [&] { return w->stats().rows_taken == 10; }));
    ASSERT_TRUE(former->begin().ok());
    Records rows;
    rows.add(std::nullopt, "never committed", 1'000'000);
    ASSERT_TRUE(former->append({"meters.journal-0", 0}, rows).ok());
    ASSERT_TRUE(until(*w, [&] { return w->stats().commits == 1; }));
  }
  const auto w = worker("a");
  for (int i = 0; i < 200; ++i) {
    ASSERT_TRUE(w->step().ok());
    clock->advance(1);
  }
  EXPECT_STREQ(w->stats().phase, "starting");
  former->start_abort();
  static_cast<void>(former->poll(1));
  send(0, 1);
  ASSERT_TRUE(until(*w, [&] { return records_in() == 11; }));

  // For ever, it is not.
  ASSERT_TRUE(former->begin().ok());
  Records rows;
  rows.add(std::nullopt, "never committed", 1'000'000);
  ASSERT_TRUE(former->append({"meters.journal-0", 0}, rows).ok());
  send(0, 1);
  ASSERT_TRUE(until(*w, [&] { return w->stats().rows_taken == 2; }));
  ASSERT_TRUE(until(*w, [&, n = w->stats().commits] { return w->stats().commits > n; }));
  const auto again = worker("a");
  const Status status = run_to_end(*again, *clock);
  EXPECT_EQ(status.code(), Code::kFatal);  // time is too short
  clock->advance(60'000);
  EXPECT_EQ(run_to_end(*again, *clock).code(), Code::kUnavailable);
}

TEST_F(RebalanceTest, EndOfAPartitionThatLagsIsNotTakenForTheEndOfItsRecords) {
  send(0, 10);
  {
    const auto w = worker("a", nullptr, {.commit_rows = 3});
    ASSERT_TRUE(until(*w, [&] { return records_in() == 10; }));
  }
  const auto w = worker("a");
  // Whatever it is that the replay waits for, the first end it is told lies before it.
  ASSERT_TRUE(until(*w, [&] { return std::string(w->stats().phase) == "replaying"; }));
  script->events.emplace_back(event::AtEnd{p0, 0});
  send(0, 1);
  ASSERT_TRUE(until(*w, [&] { return records_in() == 11; }));
  EXPECT_EQ(w->stats().rows_replayed, 10);
}

TEST_F(RebalanceTest, LogIsHeardWhileTheLastCheckpointIsWritten) {
  bool through = false;
  send(0, 10);
  WorkerEnv env{.log = log, .clock = clock, .failpoints = &failpoints, .transactional_id = "meters-a-0-0"};
  env.open_store = [&](int32_t) -> Result<std::unique_ptr<Store>> {
    return std::unique_ptr<Store>(std::make_unique<SlowStore>(&through));
  };
  Worker w(plan, {.checkpoint_interval = kLong, .until_now = true}, env);
  ASSERT_TRUE(until(w, [&] { return w.stats().checkpoints > 0; }));
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(w.step().ok());
  script->events.emplace_back(event::Failed{Status::abort("the broker is gone")});
  for (int i = 0; i < 10; ++i) ASSERT_TRUE(w.step().ok());
  EXPECT_EQ(w.stats().recoveries, 1);
  through = true;
  EXPECT_TRUE(run_to_end(w, *clock).ok());
  EXPECT_EQ(records_in(), 10);
}

std::shared_ptr<const Plan> filter_plan(double least) {
  auto plan = std::make_shared<Plan>("meters");
  const StreamRef read = *plan->read(reading_source());
  const StreamRef kept =
      *plan->filter(read, {.column = "value", .compare = Compare::kGreaterEqual, .value = least}, "");
  EXPECT_TRUE(plan->write({.streams = {kept}, .topic = "results"}).ok());
  EXPECT_TRUE(plan->finish().ok());
  return plan;
}

TEST_F(RebalanceTest, TaskWithoutStateGoesOnAnywhereFromItsLastRow) {
  plan = filter_plan(0);
  const JobOptions often{.commit_rows = 4, .checkpoint_interval = 1};
  send(0, 16);
  {
    const auto w = worker("a", nullptr, often);
    ASSERT_TRUE(until(*w, [&] { return records_in() == 16; }));
    clock->advance(10);
    send(0, 4);
    ASSERT_TRUE(until(*w, [&] { return records_in() == 20; }));
    for (int i = 0; i < 5; ++i) ASSERT_TRUE(w->step().ok());
  }
  EXPECT_EQ(stores_opened, 0);
  EXPECT_GT(*memory->start_offset({"meters.journal-0", 0}), 0);
  EXPECT_EQ(committed(0).checkpoint, "");
  ASSERT_TRUE(memory->trim(p0, 20).ok());  // what was read is gone
  state_dir = "another machine";
  send(0, 1);
  {
    const auto w = worker("b", nullptr, often);
    ASSERT_TRUE(until(*w, [&] { return records_in() == 21; }));
    EXPECT_EQ(w->stats().rows_replayed, 0);
  }
  EXPECT_EQ(values_of(*memory, "results", 0).size(), 21);
  EXPECT_EQ(stores_opened, 0);

  plan = filter_plan(5);  // a changed job just goes on, also after a crash
  send(0, 4);
  const auto w = worker("c", nullptr, often);
  ASSERT_TRUE(until(*w, [&] { return records_in() == 25; }));
  EXPECT_EQ((*read_ledger(*memory, "meters")).at(0)[1].counts.filtered, 4);
}

TEST_F(RebalanceTest, WhoHasTheStateOfNoPartitionDoesNotJoin) {
  send(0, 20);
  send(1, 20);
  ASSERT_TRUE(run_to_end(*worker("a", nullptr, {.until_now = true}), *clock).ok());
  EXPECT_NE(committed(0).checkpoint, "");
  script->inits = 0;
  state_dir = "elsewhere";
  const Status status = run_to_end(*worker("b"), *clock);
  EXPECT_EQ(status.code(), Code::kInvalidArgument);
  EXPECT_NE(status.message().find("meters-a-0-0"), std::string::npos) << status.message();
  EXPECT_NE(status.message().find("elsewhere"), std::string::npos) << status.message();
  EXPECT_EQ(script->inits, 0);
  EXPECT_TRUE(run_to_end(*worker("b", nullptr, {.fresh = true, .until_now = true}), *clock).ok());
}

TEST_F(RebalanceTest, ExpiredOffsetsAreLookedForAndThenTakenFromTheJournal) {
  std::vector<std::string> lines;
  send(0, 20);
  {
    const auto w = worker("a", nullptr, {.commit_rows = 7});
    ASSERT_TRUE(until(*w, [&] { return records_in() == 20; }));
  }
  const CommitMetadata before = committed(0);
  script->no_offsets = true;
  script->looks = 0;
  set_log_hook([&](LogLevel, std::string_view line) { lines.emplace_back(line); });
  const auto w = worker("a");
  send(0, 1);
  ASSERT_TRUE(until(*w, [&] { return records_in() == 21; }));
  set_log_hook(nullptr);
  EXPECT_GE(script->looks, 5);
  EXPECT_EQ(w->stats().rows_replayed, 20);
  EXPECT_EQ(committed(0).recovery_count, before.recovery_count + (1 << 20) + 1);
  EXPECT_EQ(committed(0).commit_seq, before.commit_seq + 1);
  ASSERT_EQ(lines.size(), 1);
  EXPECT_NE(lines[0].find("expired"), std::string::npos) << lines[0];
}

TEST_F(RebalanceTest, OffsetsThatComeBackAreNotTakenForExpired) {
  send(0, 20);
  {
    const auto w = worker("a");
    ASSERT_TRUE(until(*w, [&] { return records_in() == 20; }));
  }
  script->no_offsets = true;
  script->looks = 0;
  const auto w = worker("a");
  ASSERT_TRUE(until(*w, [&] { return script->looks == 2; }));
  script->no_offsets = false;
  send(0, 1);
  ASSERT_TRUE(until(*w, [&] { return records_in() == 21; }));
  EXPECT_LT(committed(0).recovery_count, 10);
}

TEST_F(RebalanceTest, FreshStartsOverThoughOffsetsHaveExpired) {
  send(0, 20);
  {
    const auto w = worker("a");
    ASSERT_TRUE(until(*w, [&] { return records_in() == 20; }));
  }
  const int64_t claims = committed(0).recovery_count;
  script->no_offsets = true;
  const auto w = worker("a", nullptr, {.fresh = true});
  send(0, 1);
  ASSERT_TRUE(until(*w, [&] { return w->stats().rows_taken == 21; }));
  ASSERT_TRUE(until(*w, [&] { return w->stats().commits > 0; }));
  EXPECT_EQ(records_in(), 21);
  EXPECT_EQ(committed(0).commit_seq, 1);
  EXPECT_GT(committed(0).recovery_count, claims);
}

TEST_F(RebalanceTest, IdleWorkerWaitsUntilTheCommitIsDue) {
  const auto w = worker("a");
  ASSERT_TRUE(until(*w, [&] { return std::string(w->stats().phase) == "running"; }));
  clock->advance(1'000);
  while (*w->step() == Progress::kWorked) {
  }
  EXPECT_EQ(w->may_wait(), 100);  // nothing to commit
  send(0, 3);
  while (*w->step() == Progress::kWorked) {
  }
  ASSERT_EQ(records_in(), 3);  // the interval was over
  send(0, 3);
  clock->advance(30);
  while (*w->step() == Progress::kWorked) {
  }
  EXPECT_EQ(records_in(), 3);
  EXPECT_EQ(w->may_wait(), 70);
}

}  // namespace
}  // namespace wrackline
