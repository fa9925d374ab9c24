// Several workers in one run: threads, each a member of the group.
#include <algorithm>
#include <filesystem>
#include <map>
#include <mutex>
#include <set>
#include <stdexcept>

#include "job/fixture.h"
#include "log/temporary_directory.h"
#include <gtest/gtest.h>

#include "wrackline/job/memory_stores.h"

namespace wrackline {
namespace {

// The memory log with groups of several members: a partition that is to move is revoked first, and assigned when that
// is answered. Thread-safe.
class Members {
 public:
  int join(int32_t partitions) {
    const std::lock_guard lock(mutex_);
    partitions_ = partitions;
    members_[++last_];
    return last_;
  }
  void leave(int member) {
    const std::lock_guard lock(mutex_);
    members_.erase(member);
  }
  void answer(int member) {
    const std::lock_guard lock(mutex_);
    for (const int32_t p : members_[member].asked) members_[member].owned.erase(p);
    members_[member].asked.clear();
  }
  Event poll(int member, const std::string& topic) {
    const std::lock_guard lock(mutex_);
    Member& own = members_[member];
    const auto place = static_cast<int32_t>(std::distance(members_.begin(), members_.find(member)));
    std::vector<TopicPartition> more, less;
    for (int32_t p = 0; p < partitions_ && own.asked.empty(); ++p) {
      const bool mine = p % static_cast<int32_t>(members_.size()) == place;
      const bool free = std::none_of(members_.begin(), members_.end(),
                                     [&](const auto& entry) { return entry.second.owned.contains(p); });
      if (mine && free) more.push_back({topic, p});
      if (!mine && own.owned.contains(p)) less.push_back({topic, p});
    }
    if (!less.empty()) {
      for (const TopicPartition& partition : less) own.asked.insert(partition.partition);
      return event::Revoked{less};
    }
    if (more.empty() && own.told) return {};
    own.told = true;
    for (const TopicPartition& partition : more) own.owned.insert(partition.partition);
    return event::Assigned{more};
  }

 private:
  struct Member {
    std::set<int32_t> owned;
    std::set<int32_t> asked;
    bool told = false;
  };
  std::mutex mutex_;
  std::map<int, Member> members_;
  int last_ = 0;
  int32_t partitions_ = 0;
};

class MemberClient final : public LogClient {
 public:
  MemberClient(std::unique_ptr<LogClient> inner, std::shared_ptr<Log> log, std::shared_ptr<Members> members)
      : inner_(std::move(inner)), log_(std::move(log)), members_(std::move(members)) {}
  ~MemberClient() override {
    if (member_ > 0) members_->leave(member_);
  }
  Status subscribe(const std::string&, const std::vector<std::string>& topics) override {
    topic_ = topics.front();
    WL_ASSIGN_OR_RETURN(const TopicInfo info, log_->topic(topic_));
    member_ = members_->join(info.partitions);
    return {};
  }
  void answer_revoke() override { members_->answer(member_); }
  void read_from(const TopicPartition& p, int64_t o, Isolation i) override { inner_->read_from(p, o, i); }
  void stop_reading(const TopicPartition& p) override { inner_->stop_reading(p); }
  void pause(const TopicPartition& p) override { inner_->pause(p); }
  void resume(const TopicPartition& p) override { inner_->resume(p); }
  void start_committed(const std::string& g, const std::vector<TopicPartition>& p) override {
    inner_->start_committed(g, p);
  }
  void start_init(const std::string& id) override { inner_->start_init(id); }
  Status begin() override { return inner_->begin(); }
  Status append(const TopicPartition& p, const Records& records) override { return inner_->append(p, records); }
  void start_send_offsets(const std::string& g, const Offsets& o) override { inner_->start_send_offsets(g, o); }
  void start_commit() override { inner_->start_commit(); }
  void start_abort() override { inner_->start_abort(); }
  void start_fence(const std::string& id) override { inner_->start_fence(id); }
  void trim(const TopicPartition& p, int64_t o) override { inner_->trim(p, o); }
  Event poll(int64_t max_records) override {
    if (member_ > 0) {
      if (Event event = members_->poll(member_, topic_); event.index() != 0) return event;
    }
    return inner_->poll(max_records);
  }
  void wait(Millis timeout) override { inner_->wait(std::min<Millis>(timeout, 5)); }

 private:
  std::unique_ptr<LogClient> inner_;
  std::shared_ptr<Log> log_;
  std::shared_ptr<Members> members_;
  std::string topic_;
  int member_ = 0;
};

class MembersLog final : public Log {
 public:
  explicit MembersLog(std::shared_ptr<Log> inner) : inner_(std::move(inner)) {}
  std::string id() const override { return inner_->id(); }
  std::string uri() const override { return "members:"; }
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
    {
      const std::lock_guard lock(mutex_);
      instances.push_back(o.instance);
    }
    WL_ASSIGN_OR_RETURN(std::unique_ptr<LogClient> inner, inner_->client(o));
    return std::unique_ptr<LogClient>(std::make_unique<MemberClient>(std::move(inner), inner_, members_));
  }
  std::vector<std::string> instances;

 private:
  std::shared_ptr<Log> inner_;
  std::shared_ptr<Members> members_ = std::make_shared<Members>();
  std::mutex mutex_;
};

struct WorkersTest : testing::Test {
  void SetUp() override {
    memory = *open_log("memory:", clock);
    log = std::make_shared<MembersLog>(memory);
    ASSERT_TRUE(memory->create_topic("readings", 4).ok());
    auto made = std::make_shared<Plan>("meters");
    SourceSpec source = reading_source();
    source.partitioned_by = {"meter"};
    const StreamRef read = *made->read(source);
    ASSERT_TRUE(made->write({.streams = {*made->window(read, counting(10), true, "")}, .topic = "results"}).ok());
    ASSERT_TRUE(made->finish().ok());
    plan = made;
    for (int32_t p = 0; p < 4; ++p) {
      std::vector<std::string> values;
      for (int i = 0; i < 1000; ++i) {
        values.push_back(reading("r" + std::to_string(i), "m" + std::to_string(p), 1, i));
      }
      append_all(*memory, "readings", values, p);
    }
  }
  Result<std::unique_ptr<wrackline::Run>> open(JobOptions options) {
    options.state_dir = directory.path();
    options.commit_interval = 5;
    options.max_poll_records = 50;
    return wrackline::Run::open(plan, options,
                                {.log = log, .clock = clock, .open_store = [this](const std::string& partition) {
                                   return Result<std::unique_ptr<Store>>(memory_store_of(memory, partition));
                                 }});
  }
  std::map<int32_t, int64_t> counts() {
    std::map<int32_t, int64_t> in;
    const auto ledgers = read_ledger(*memory, "meters");
    EXPECT_TRUE(ledgers.ok());
    for (const auto& [partition, ledger] : ledgers.value()) in[partition] = ledger[0].counts.in;
    return in;
  }
  static std::map<int32_t, int64_t> all() { return {{0, 1000}, {1, 1000}, {2, 1000}, {3, 1000}}; }

  TemporaryDirectory directory;
  std::shared_ptr<const Clock> clock = std::make_shared<SystemClock>();
  std::shared_ptr<Log> memory;
  std::shared_ptr<MembersLog> log;
  std::shared_ptr<const Plan> plan;
};

TEST_F(WorkersTest, ShareTheTopicAndEndWhenAllOfItIsThrough) {
  auto run = open({.workers = 3, .until_now = true});
  ASSERT_TRUE(run.ok()) << run.status().to_string();
  const Status status = (*run)->loop(nullptr, 10);
  ASSERT_TRUE(status.ok()) << status.to_string();
  EXPECT_EQ(counts(), all());
  size_t results = 0;
  for (int32_t p = 0; p < 4; ++p) results += values_of(*memory, "results", p).size();
  EXPECT_EQ(results, 4 * 99);
  const WorkerStats stats = (*run)->stats();
  EXPECT_STREQ(stats.phase, "done");
  EXPECT_GE(stats.rows_taken, 4000);
  const std::set<std::string> instances(log->instances.begin(), log->instances.end());
  ASSERT_EQ(instances.size(), 3);
  EXPECT_TRUE(instances.begin()->ends_with("-0-0")) << *instances.begin();
  EXPECT_TRUE(instances.rbegin()->ends_with("-0-2")) << *instances.rbegin();
}

TEST_F(WorkersTest, MoreOfThemThanPartitionsIdle) {
  auto run = open({.workers = 6, .until_now = true});
  ASSERT_TRUE(run.ok());
  const Status status = (*run)->loop(nullptr, 10);
  EXPECT_TRUE(status.ok()) << status.to_string();
  EXPECT_EQ(counts(), all());
}

TEST_F(WorkersTest, DynamicMembersHaveNoName) {
  auto run = open({.workers = 2, .membership = Membership::kDynamic, .until_now = true});
  ASSERT_TRUE(run.ok());
  ASSERT_TRUE((*run)->loop(nullptr, 10).ok());
  for (const std::string& instance : log->instances) EXPECT_EQ(instance, "");
}

TEST_F(WorkersTest, StopInOrderWhenTheTickSaysSo) {
  auto run = open({.workers = 2});
  ASSERT_TRUE(run.ok());
  ASSERT_TRUE((*run)->loop([](const WorkerStats& stats) { return stats.rows_taken < 4000; }, 1).ok());
  EXPECT_EQ(counts(), all());
  EXPECT_STREQ((*run)->stats().phase, "done");
}

TEST_F(WorkersTest, FirstFailureEndsTheOthers) {
  auto run = open({.memory_limit = 1, .workers = 3});
  ASSERT_TRUE(run.ok());
  const Status status = (*run)->loop(nullptr, 10);
  EXPECT_EQ(status.code(), Code::kUnavailable) << status.to_string();
}

TEST_F(WorkersTest, TickThatThrowsEndsAllOfThemWhereTheyStand) {
  auto run = open({.workers = 3});
  ASSERT_TRUE(run.ok());
  EXPECT_THROW(
      static_cast<void>((*run)->loop([](const WorkerStats&) -> bool { throw std::runtime_error("interrupted"); }, 1)),
      std::runtime_error);
}

TEST_F(WorkersTest, FreshStartsOverOnceForAllOfThem) {
  ASSERT_TRUE((*open({.workers = 2, .until_now = true}))->loop(nullptr, 10).ok());
  ASSERT_TRUE((*open({.fresh = true, .workers = 3, .until_now = true}))->loop(nullptr, 10).ok());
  EXPECT_EQ(counts(), all());
  size_t results = 0;
  for (int32_t p = 0; p < 4; ++p) results += values_of(*memory, "results", p).size();
  EXPECT_EQ(results, 2 * 4 * 99);
}

TEST_F(WorkersTest, NonsenseIsRefused) {
  const auto refused = [&](const JobOptions& options, const std::string& word) {
    const Status status = open(options).status();
    EXPECT_EQ(status.code(), Code::kInvalidArgument);
    EXPECT_NE(status.message().find(word), std::string::npos) << status.message();
  };
  refused({.workers = 0}, "1 to");
  refused({.workers = 2, .max_rows = 5}, "rows=N");
  const Status embedded = wrackline::Run::open(plan, {.workers = 2}, {.log = memory, .clock = clock}).status();
  EXPECT_NE(embedded.message().find("one member"), std::string::npos) << embedded.message();
}

}  // namespace
}  // namespace wrackline
