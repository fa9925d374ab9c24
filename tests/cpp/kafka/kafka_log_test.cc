// The contract of a log on a real broker, and what is Kafka's own: settings, membership, queues, offsets in doubt.
#include <algorithm>

#include "kafka/broker.h"
#include "log/conformance.h"

namespace wrackline {
namespace {

class OnKafka final : public LogUnderTest {
 public:
  std::shared_ptr<Log> log() override { return open_kafka(); }
};

INSTANTIATE_TEST_SUITE_P(Kafka, LogConformance,
                         ::testing::Values(LogKind{"kafka", [] { return std::make_unique<OnKafka>(); }}), kind_name);

class KafkaLog : public ::testing::Test {
 protected:
  void SetUp() override {
    const std::string test = ::testing::UnitTest::GetInstance()->current_test_info()->name();
    topic_ = "k-" + test + "-" + std::to_string(getpid());
    group_ = "group-" + topic_;
    log_ = open_kafka();
    ASSERT_TRUE(log_ != nullptr);
    ASSERT_TRUE(log_->create_topic(topic_, 4).ok());
  }

  // The next event of `client` that `wanted` takes, for some seconds; the others poll meanwhile, as members must.
  template <typename T>
  static std::optional<T> wait_for(LogClient& client, const std::vector<LogClient*>& others = {}) {
    const SystemClock clock;
    const int64_t deadline = clock.steady_us() + 20'000'000;
    while (clock.steady_us() < deadline) {
      Event event = client.poll(1000);
      if (T* wanted = std::get_if<T>(&event)) return std::move(*wanted);
      if (auto* failed = std::get_if<event::Failed>(&event)) {
        ADD_FAILURE() << failed->status.to_string();
        return {};
      }
      for (LogClient* other : others) {
        const Event theirs = other->poll(1000);
        if (std::holds_alternative<event::Revoked>(theirs)) other->answer_revoke();
      }
      client.wait(10);
    }
    ADD_FAILURE() << "it did not come";
    return {};
  }

  std::shared_ptr<Log> log_;
  std::string topic_;
  std::string group_;
};

TEST(KafkaSettings, AreCheckedWithoutABroker) {
  const auto message = [](const LogSettings& settings) {
    const Status status = check_log("kafka://nowhere:1", settings);
    EXPECT_EQ(Code::kInvalidArgument, status.code());
    return status.message();
  };
  EXPECT_NE(std::string::npos, message({{"sasl.usrname", "ann"}}).find("did you mean 'sasl.username'"));
  EXPECT_NE(std::string::npos, message({{"linger.ms", "soon"}}).find("linger.ms"));
  EXPECT_NE(std::string::npos, message({{"isolation.level", "read_uncommitted"}}).find("reads what is committed"));
  EXPECT_NE(std::string::npos, message({{"group.id", "mine"}}).find("the job's name"));
  const std::string secret = message({{"ssl.key.pem", std::string("hunter2\0x", 9)}, {"linger.ms", "soon"}});
  EXPECT_EQ(std::string::npos, secret.find("hunter2"));
  EXPECT_EQ(Code::kInvalidArgument, check_log("kafka://ann:pass@host:9092", {}).code());
  EXPECT_EQ(std::string::npos, check_log("kafka://ann:pass@host:9092", {}).message().find("pass@"));
  EXPECT_TRUE(check_log("kafka://a:1,b:2", {{"security.protocol", "SSL"}}).ok());
}

TEST(KafkaSettings, NoBrokerIsAnErrorInTimeThatNamesItAndTheCause) {
  const SystemClock clock;
  const int64_t start = clock.steady_us();
  const Status status =
      open_log("kafka://127.0.0.1:1", std::make_shared<SystemClock>(), {{"connect.timeout.ms", "700"}}).status();
  EXPECT_LT(clock.steady_us() - start, 5'000'000);
  EXPECT_EQ(Code::kUnavailable, status.code());
  EXPECT_NE(std::string::npos, status.message().find("127.0.0.1:1")) << status.message();
  EXPECT_NE(std::string::npos, status.message().find("refused")) << status.message();
  EXPECT_NE(std::string::npos, status.message().find("connect_timeout")) << status.message();
}

TEST_F(KafkaLog, AnInternalTopicMustNotLoseRecords) {
  ASSERT_TRUE(log_->create_topic(topic_ + ".journal", 2, TopicUse::kInternal).ok());
  EXPECT_TRUE(log_->create_topic(topic_ + ".journal", 2, TopicUse::kInternal).ok());
  const Status status = log_->create_topic(topic_, 4, TopicUse::kInternal);  // made with the broker's defaults
  EXPECT_EQ(Code::kInvalidArgument, status.code());
  EXPECT_NE(std::string::npos, status.message().find("retention")) << status.message();
}

TEST_F(KafkaLog, AFullQueueTakesEachRecordOnceAllTheSame) {
  auto log = open_kafka({{"queue.buffering.max.messages", "100"}, {"linger.ms", "50"}});
  auto writer = std::move(log->client()).value();
  writer->start_init("full-" + topic_);
  ASSERT_TRUE(wait_for<event::Initialised>(*writer));
  ASSERT_TRUE(writer->begin().ok());
  std::vector<std::string> wanted;
  for (int i = 0; i < 1'000; ++i) wanted.push_back(std::to_string(i));
  const Records records = values(wanted);
  int refused = 0;
  for (;;) {
    const Status status = writer->append({topic_, 0}, records);
    if (status.ok()) break;
    ASSERT_EQ(Code::kRetriable, status.code()) << status.to_string();
    ++refused;
    ASSERT_TRUE(std::holds_alternative<std::monostate>(writer->poll(1)));
    writer->wait(5);
  }
  EXPECT_GT(refused, 0);
  writer->start_commit();
  ASSERT_TRUE(wait_for<event::TransactionEnded>(*writer));
  auto reader = std::move(log_->client()).value();
  reader->read_from({topic_, 0}, 0, Isolation::kReadCommitted);
  std::vector<std::string> seen;
  while (seen.size() < wanted.size()) {
    const auto polled = wait_for<event::Polled>(*reader);
    ASSERT_TRUE(polled);
    for (const Seen& one : seen_of(*polled->records)) seen.push_back(one.value);
  }
  EXPECT_EQ(wanted, seen);
}

TEST_F(KafkaLog, AtLeastOnceRecordsAreVisibleAtOnceAndOffsetsAfterThem) {
  auto worker = std::move(log_->client({.guarantee = Guarantee::kAtLeastOnce})).value();
  worker->start_init("ignored");
  ASSERT_TRUE(wait_for<event::Initialised>(*worker));
  ASSERT_TRUE(worker->subscribe(group_, {topic_}).ok());
  ASSERT_TRUE(wait_for<event::Assigned>(*worker));
  ASSERT_TRUE(worker->begin().ok());
  ASSERT_TRUE(worker->append({topic_, 1}, values({"a"})).ok());
  EXPECT_EQ(1, soon(int64_t{1}, [&] { return log_->end_offset({topic_, 1}, Isolation::kReadCommitted).value(); }));
  EXPECT_TRUE(log_->committed(group_).value().empty());
  worker->start_send_offsets(group_, {{{topic_, 2}, {7, "seven"}}});
  ASSERT_TRUE(wait_for<event::OffsetsSent>(*worker));
  worker->start_commit();
  ASSERT_TRUE(wait_for<event::TransactionEnded>(*worker));
  const Offsets expected = {{{topic_, 2}, {7, "seven"}}};
  EXPECT_EQ(expected, log_->committed(group_).value());
  worker->start_committed(group_, {{topic_, 2}, {topic_, 3}});
  EXPECT_EQ(expected, wait_for<event::Committed>(*worker)->offsets);
}

TEST_F(KafkaLog, ASecondMemberTakesItsShareAndGivesItBack) {
  auto one = std::move(log_->client()).value();
  ASSERT_TRUE(one->subscribe(group_, {topic_}).ok());
  EXPECT_EQ(4u, wait_for<event::Assigned>(*one)->partitions.size());
  auto two = std::move(log_->client()).value();
  ASSERT_TRUE(two->subscribe(group_, {topic_}).ok());
  EXPECT_EQ(4u, wait_for<event::Revoked>(*one, {two.get()})->partitions.size());
  // Until the answer nobody else gets anything.
  for (int i = 0; i < 20; ++i) {
    EXPECT_TRUE(std::holds_alternative<std::monostate>(two->poll(1)));
    two->wait(5);
  }
  one->answer_revoke();
  EXPECT_EQ(2u, wait_for<event::Assigned>(*two, {one.get()})->partitions.size());
  two.reset();  // leaves
  const SystemClock clock;
  const int64_t deadline = clock.steady_us() + 20'000'000;
  size_t most = 0;
  while (most < 4 && clock.steady_us() < deadline) {
    const Event event = one->poll(1);
    if (std::holds_alternative<event::Revoked>(event)) one->answer_revoke();
    if (const auto* assigned = std::get_if<event::Assigned>(&event)) most = assigned->partitions.size();
    one->wait(10);
  }
  EXPECT_EQ(4u, most);
}

TEST_F(KafkaLog, AStaticMemberThatComesBackGetsItsPartitionsAtOnce) {
  for (int life = 0; life < 3; ++life) {
    const SystemClock clock;
    const int64_t start = clock.steady_us();
    auto member = std::move(log_->client({.instance = "slot-0-" + topic_})).value();
    ASSERT_TRUE(member->subscribe(group_, {topic_}).ok());
    EXPECT_EQ(4u, wait_for<event::Assigned>(*member)->partitions.size());
    EXPECT_LT(clock.steady_us() - start, 5'000'000) << "life " << life;  // the session lasts 10 s
  }
}

TEST_F(KafkaLog, IncrementalProtocolsAddAndTakeSinglePartitions) {
  for (const LogSettings& settings : {LogSettings{{"group.protocol", "consumer"}},
                                      LogSettings{{"partition.assignment.strategy", "cooperative-sticky"}}}) {
    SCOPED_TRACE(settings.begin()->first);
    const std::string group = group_ + "-" + settings.begin()->first;
    auto log = open_kafka(settings);
    auto one = std::move(log->client()).value();
    ASSERT_TRUE(one->subscribe(group, {topic_}).ok());
    EXPECT_EQ(4u, wait_for<event::Assigned>(*one)->partitions.size());
    auto two = std::move(log->client()).value();
    ASSERT_TRUE(two->subscribe(group, {topic_}).ok());
    const auto revoked = wait_for<event::Revoked>(*one, {two.get()});
    ASSERT_TRUE(revoked);
    EXPECT_EQ(2u, revoked->partitions.size());
    one->answer_revoke();
    std::vector<TopicPartition> second;
    while (second.size() < 2) {
      const auto assigned = wait_for<event::Assigned>(*two, {one.get()});
      ASSERT_TRUE(assigned);
      second.insert(second.end(), assigned->partitions.begin(), assigned->partitions.end());
    }
    std::sort(second.begin(), second.end());
    EXPECT_EQ(revoked->partitions, second);
  }
}

TEST_F(KafkaLog, OffsetsOfADeadOwnersTransactionAreInDoubtUntilItIsFenced) {
  auto dead = std::move(log_->client()).value();
  dead->start_init("dead-" + topic_);
  ASSERT_TRUE(wait_for<event::Initialised>(*dead));
  ASSERT_TRUE(dead->begin().ok());
  dead->start_send_offsets(group_, {{{topic_, 0}, {3, "old"}}});
  ASSERT_TRUE(wait_for<event::OffsetsSent>(*dead));
  dead->start_commit();
  ASSERT_TRUE(wait_for<event::TransactionEnded>(*dead));
  ASSERT_TRUE(dead->begin().ok());
  dead->start_send_offsets(group_, {{{topic_, 0}, {9, "open"}}});
  ASSERT_TRUE(wait_for<event::OffsetsSent>(*dead));

  const Offsets old = {{{topic_, 0}, {3, "old"}}};
  EXPECT_EQ(old, log_->committed(group_).value());
  auto next = std::move(log_->client()).value();
  next->start_committed(group_, {{topic_, 0}});
  const auto unstable = wait_for<event::Unstable>(*next);
  ASSERT_TRUE(unstable);
  EXPECT_EQ(old, unstable->offsets);
  next->start_fence("dead-" + topic_);
  const auto committed = wait_for<event::Committed>(*next);  // before or behind event::Fenced
  ASSERT_TRUE(committed);
  EXPECT_EQ(old, committed->offsets);
  dead->start_commit();
  const Event told = [&] {
    for (;;) {
      Event event = dead->poll(1);
      if (!std::holds_alternative<std::monostate>(event)) return event;
      dead->wait(50);
    }
  }();
  ASSERT_TRUE(std::holds_alternative<event::Failed>(told));
  EXPECT_EQ(Code::kFenced, std::get<event::Failed>(told).status.code());
}

TEST_F(KafkaLog, ATransactionThatOutlivesItsTimeoutIsFenced) {
  auto slow = std::move(log_->client({.transaction_timeout = 1'000})).value();
  slow->start_init("slow-" + topic_);
  ASSERT_TRUE(wait_for<event::Initialised>(*slow));
  ASSERT_TRUE(slow->begin().ok());
  ASSERT_TRUE(slow->append({topic_, 0}, values({"late"})).ok());
  ASSERT_EQ(1, soon(int64_t{1}, [&] { return log_->end_offset({topic_, 0}, Isolation::kReadUncommitted).value(); }));
  // The broker aborts it: its marker takes an offset.
  ASSERT_EQ(2, [&] {
    const SystemClock clock;
    const int64_t deadline = clock.steady_us() + 25'000'000;
    for (;;) {
      const int64_t end = log_->end_offset({topic_, 0}, Isolation::kReadCommitted).value();
      if (end == 2 || clock.steady_us() > deadline) return end;
    }
  }());
  slow->start_commit();
  const Event told = [&] {
    for (;;) {
      Event event = slow->poll(1);
      if (!std::holds_alternative<std::monostate>(event)) return event;
      slow->wait(50);
    }
  }();
  ASSERT_TRUE(std::holds_alternative<event::Failed>(told));
  EXPECT_EQ(Code::kFenced, std::get<event::Failed>(told).status.code());
}

}  // namespace
}  // namespace wrackline
