// What every Log has to do, as tests over a factory: conformance_test.cc and model_test.cc hold the tests, each
// kind of log instantiates them. Topic names are of one test alone, so that a broker may be shared.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "log/send_offsets.h"
#include <gtest/gtest.h>
#include <unistd.h>

#include "wrackline/log/log.h"

namespace wrackline {

// A log for one test; lives as long as the test.
class LogUnderTest {
 public:
  virtual ~LogUnderTest() = default;
  virtual std::shared_ptr<Log> log() = 0;
};

struct LogKind {
  std::string name;
  std::function<std::unique_ptr<LogUnderTest>()> make;
};

inline void PrintTo(const LogKind& kind, std::ostream* out) { *out << kind.name; }

// What a test looks at of a record.
struct Seen {
  int64_t offset;
  std::string value;
  friend bool operator==(const Seen&, const Seen&) = default;
};

inline void PrintTo(const Seen& seen, std::ostream* out) { *out << seen.offset << ":" << seen.value; }

inline std::vector<Seen> seen_of(const Records& records) {
  std::vector<Seen> seen;
  for (int64_t i = 0; i < records.size(); ++i) seen.push_back({records.offset(i), std::string(records.value(i))});
  return seen;
}

inline Records values(const std::vector<std::string>& all) {
  Records records;
  for (const std::string& value : all) records.add(std::nullopt, value, 1000);
  return records;
}

// append(), again while the log cannot take them yet.
inline Status append_all(LogClient& client, const TopicPartition& partition, const Records& records) {
  Status status = client.append(partition, records);
  for (int again = 0; again < 1'000 && status.code() == Code::kRetriable; ++again) {
    client.wait(5);
    status = client.append(partition, records);
  }
  return status;
}

// What `look` returns, once it is `expected` or some seconds have passed: a broker shows what was committed, written or
// aborted a moment later.
template <typename T, typename F>
auto soon(const T& expected, F look) -> decltype(look()) {
  const SystemClock clock;
  const int64_t deadline = clock.steady_us() + 5'000'000;
  for (;;) {
    auto seen = look();
    if (seen == expected || clock.steady_us() > deadline) return seen;
  }
}
#define EXPECT_SOON(expected, expression) EXPECT_EQ(expected, soon(expected, [&] { return expression; }))

class LogConformance : public ::testing::TestWithParam<LogKind> {
 protected:
  static constexpr Isolation kCommitted = Isolation::kReadCommitted;
  static constexpr Isolation kUncommitted = Isolation::kReadUncommitted;

  void SetUp() override {
    under_test_ = GetParam().make();
    log_ = under_test_->log();
    const std::string test = ::testing::UnitTest::GetInstance()->current_test_info()->name();
    topic_ = "t-" + test.substr(0, test.find('/')) + "-" + std::to_string(getpid());
    partition_ = {topic_, 0};
    ASSERT_TRUE(log_->create_topic(topic_, 2).ok());
  }
  void TearDown() override {
    log_.reset();
    under_test_.reset();
  }

  std::unique_ptr<LogClient> client() { return std::move(log_->client()).value(); }

  std::unique_ptr<LogClient> producer(const std::string& transactional_id) {
    auto made = client();
    made->start_init(transactional_id + "-" + topic_);
    expect<event::Initialised>(*made);
    return made;
  }

  // The next event, waited for; monostate if there is none for long.
  static Event next(LogClient& client, int64_t max_records = 1000) {
    for (int attempt = 0; attempt < 200; ++attempt) {
      Event event = client.poll(max_records);
      if (!std::holds_alternative<std::monostate>(event)) return event;
      client.wait(50);
    }
    return {};
  }
  template <typename T>
  static T expect(LogClient& client, int64_t max_records = 1000) {
    Event event = next(client, max_records);
    if (T* wanted = std::get_if<T>(&event)) return std::move(*wanted);
    if (auto* failed = std::get_if<event::Failed>(&event)) {
      ADD_FAILURE() << "failed: " << failed->status.to_string();
    } else {
      ADD_FAILURE() << "another event: number " << event.index();
    }
    return {};
  }
  static void commit(LogClient& client) {
    client.start_commit();
    EXPECT_TRUE(expect<event::TransactionEnded>(client).committed);
  }
  static void abort(LogClient& client) {
    client.start_abort();
    EXPECT_FALSE(expect<event::TransactionEnded>(client).committed);
  }
  static Code failure(LogClient& client) { return expect<event::Failed>(client).status.code(); }

  // Everything from `offset` on, by Log::read().
  std::vector<Seen> read_all(const TopicPartition& partition, Isolation isolation, int64_t offset = 0,
                             int64_t max_bytes = 1 << 20) {
    std::vector<Seen> all;
    for (int rounds = 0; rounds < 100'000; ++rounds) {
      const auto end = log_->end_offset(partition, isolation);
      EXPECT_TRUE(end.ok()) << end.status().to_string();
      if (!end.ok() || offset >= *end) return all;
      const auto polled = log_->read(partition, offset, max_bytes, isolation);
      EXPECT_TRUE(polled.ok()) << polled.status().to_string();
      if (!polled.ok()) return all;
      for (Seen& seen : seen_of(*polled->records)) all.push_back(std::move(seen));
      offset = polled->next_offset;
    }
    ADD_FAILURE() << "reading does not end";
    return all;
  }
  std::vector<std::string> read_values(const TopicPartition& partition, Isolation isolation) {
    std::vector<std::string> all;
    for (Seen& seen : read_all(partition, isolation)) all.push_back(std::move(seen.value));
    return all;
  }
  int64_t end(const TopicPartition& partition, Isolation isolation) {
    return log_->end_offset(partition, isolation).value();
  }

  std::unique_ptr<LogUnderTest> under_test_;
  std::shared_ptr<Log> log_;
  std::string topic_;
  TopicPartition partition_;
};

// The same against a model in memory, by random operations (model_test.cc). For logs that append at once, where
// the order of calls is the order of offsets.
class LogModel : public LogConformance {};

inline std::string kind_name(const ::testing::TestParamInfo<LogKind>& info) { return info.param.name; }

}  // namespace wrackline
