#include <thread>

#include "log/conformance.h"

namespace wrackline {
namespace {

std::shared_ptr<const Clock> a_clock() { return std::make_shared<ManualClock>(); }

class MemoryLogUnderTest final : public LogUnderTest {
 public:
  std::shared_ptr<Log> log() override { return log_; }

 private:
  std::shared_ptr<Log> log_ = open_log("memory:", a_clock()).value();
};

const LogKind kMemory = {"memory", [] { return std::make_unique<MemoryLogUnderTest>(); }};

TEST(MemoryLog, TimestampsMayLieInAnyYear) {
  auto log = open_log("memory:", a_clock()).value();
  ASSERT_TRUE(log->create_topic("t", 1).ok());
  Records records;
  for (const Millis t : {Millis{-5}, Millis{0}, kMinEventTime, kEndEventTime}) records.add(std::nullopt, "x", t);
  ASSERT_TRUE(log->append({"t", 0}, records).ok());
  const auto read = log->read({"t", 0}, 0, 1 << 20, Isolation::kReadCommitted).value();
  for (int64_t i = 0; i < 4; ++i) EXPECT_EQ(records.timestamp(i), read.records->timestamp(i));
}

TEST(MemoryLog, ANamedLogIsSharedWhileSomebodyHoldsIt) {
  EXPECT_EQ(Code::kNotFound, open_log_for_reading("memory:shared", a_clock()).status().code());
  auto one = open_log("memory:shared", a_clock()).value();
  auto two = open_log("memory:shared", a_clock()).value();
  ASSERT_TRUE(one->create_topic("t", 1).ok());
  EXPECT_TRUE(two->topic("t").ok());
  auto reader = open_log_for_reading("memory:shared", a_clock()).value();
  EXPECT_TRUE(reader->topic("t").ok());
  EXPECT_EQ(Code::kUnavailable, reader->create_topic("u", 1).code());
  EXPECT_EQ(Code::kUnavailable, reader->append({"t", 0}, values({"x"})).status().code());
  const std::string id = one->id();
  one.reset();
  two.reset();
  EXPECT_TRUE(reader->topic("t").ok());
  reader.reset();
  auto fresh = open_log("memory:shared", a_clock()).value();
  EXPECT_NE(id, fresh->id());
  EXPECT_EQ(Code::kNotFound, fresh->topic("t").status().code());
}

TEST(MemoryLog, WithoutANameEachIsItsOwn) {
  auto one = open_log("memory:", a_clock()).value();
  auto two = open_log("memory:", a_clock()).value();
  EXPECT_NE(one->id(), two->id());
  ASSERT_TRUE(one->create_topic("t", 1).ok());
  EXPECT_EQ(Code::kNotFound, two->topic("t").status().code());
}

TEST(MemoryLog, UnknownUrisAreRefused) {
  for (const char* uri : {"", "memory", "local:", "file:x", "kafka://"}) {
    EXPECT_EQ(Code::kInvalidArgument, open_log(uri, a_clock()).status().code()) << uri;
  }
}

TEST(MemoryLog, ASecondConsumerOfAGroupIsRefusedWhileTheFirstLives) {
  auto log = open_log("memory:", a_clock()).value();
  ASSERT_TRUE(log->create_topic("t", 1).ok());
  auto one = log->client().value();
  auto two = log->client().value();
  ASSERT_TRUE(one->subscribe("g", {"t"}).ok());
  EXPECT_EQ(Code::kUnavailable, two->subscribe("g", {"t"}).code());
  ASSERT_TRUE(two->subscribe("other", {"t"}).ok());
  one.reset();
  auto three = log->client().value();
  EXPECT_TRUE(three->subscribe("g", {"t"}).ok());
}

TEST(MemoryLog, AClientThatGoesAwayAbortsWhatItLeftOpen) {
  auto log = open_log("memory:", a_clock()).value();
  ASSERT_TRUE(log->create_topic("t", 1).ok());
  {
    auto client = log->client().value();
    client->start_init("id");
    (void)client->poll(1);
    ASSERT_TRUE(client->begin().ok());
    ASSERT_TRUE(client->append({"t", 0}, values({"x"})).ok());
    EXPECT_EQ(0, log->end_offset({"t", 0}, Isolation::kReadCommitted).value());
  }
  EXPECT_EQ(2, log->end_offset({"t", 0}, Isolation::kReadCommitted).value());
}

// Workers on threads of their own, one log: what each commits is there once, whole, in its order.
TEST(MemoryLog, SeveralThreadsShareALog) {
  constexpr int kThreads = 3;
  constexpr int kTransactions = 60;
  auto log = open_log("memory:", a_clock()).value();
  ASSERT_TRUE(log->create_topic("t", 2).ok());
  const auto work = [&](int worker) {
    auto client = log->client().value();
    client->start_init("id" + std::to_string(worker));
    (void)client->poll(1);
    for (int n = 0; n < kTransactions; ++n) {
      const std::string value = std::to_string(worker) + ":" + std::to_string(n);
      EXPECT_TRUE(client->begin().ok());
      EXPECT_TRUE(client->append({"t", 0}, values({value})).ok());
      EXPECT_TRUE(client->append({"t", 1}, values({value})).ok());
      n % 3 == 0 ? client->start_abort() : client->start_commit();
      EXPECT_TRUE(std::holds_alternative<event::TransactionEnded>(client->poll(1)));
    }
  };
  const auto reads = [&](int32_t partition) {
    auto client = log->client().value();
    client->read_from({"t", partition}, 0, Isolation::kReadCommitted);
    int next[kThreads] = {1, 1, 1};
    for (int seen = 0; seen < kThreads * kTransactions * 2 / 3;) {
      const Event event = client->poll(10);
      const auto* polled = std::get_if<event::Polled>(&event);
      if (polled == nullptr) {
        client->wait(1000);
        continue;
      }
      for (int64_t i = 0; i < polled->records->size(); ++i, ++seen) {
        const std::string value(polled->records->value(i));
        const int worker = value[0] - '0';
        EXPECT_EQ(std::to_string(worker) + ":" + std::to_string(next[worker]), value);
        next[worker] += next[worker] % 3 == 2 ? 2 : 1;
      }
    }
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) threads.emplace_back(work, i);
  for (int32_t p = 0; p < 2; ++p) threads.emplace_back(reads, p);
  for (std::thread& thread : threads) thread.join();
}

}  // namespace

INSTANTIATE_TEST_SUITE_P(Memory, LogConformance, ::testing::Values(kMemory), kind_name);
INSTANTIATE_TEST_SUITE_P(Memory, LogModel, ::testing::Values(kMemory), kind_name);

}  // namespace wrackline
