// What each error of each call of a transaction leads to. The broker here is librdkafka's mock: it answers errors that
// it is told to, and proves nothing about exactly-once.
#include <cstdlib>
#include <map>

#include "kafka/broker.h"
#include "log/conformance.h"
#include <gtest/gtest.h>
#include <librdkafka/rdkafka.h>
#include <librdkafka/rdkafka_mock.h>  // behind rdkafka.h

namespace wrackline {
namespace {

enum Rpc : int16_t { kProduce = 0, kAddPartitions = 24, kAddOffsets = 25, kEndTxn = 26, kTxnOffsets = 28 };

// As in exactly-once.md: what the job has to do.
constexpr const char* kGoesOn = "goes on";  // repeated inside the call
constexpr const char* kRecovers = "recovers";
constexpr const char* kFenced = "fenced";
constexpr const char* kStops = "stops";

struct Row {
  rd_kafka_resp_err_t error;
  std::map<Rpc, const char*> outcome;
};

std::map<Rpc, const char*> all(const char* outcome, std::map<Rpc, const char*> but = {}) {
  for (const Rpc rpc : {kProduce, kAddPartitions, kAddOffsets, kEndTxn, kTxnOffsets}) but.emplace(rpc, outcome);
  return but;
}

const std::vector<Row>& table() {
  static const std::vector<Row> rows = {
      {RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS, all(kGoesOn, {{kProduce, kRecovers}})},
      {RD_KAFKA_RESP_ERR_NOT_COORDINATOR, all(kGoesOn)},
      {RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE, all(kGoesOn)},
      {RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS, all(kGoesOn)},
      {RD_KAFKA_RESP_ERR__TRANSPORT, all(kGoesOn)},  // the connection is closed
      {RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT, all(kGoesOn, {{kAddPartitions, kRecovers}, {kEndTxn, kRecovers}})},
      {RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS, all(kRecovers, {{kProduce, kGoesOn}})},
      {RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH, all(kFenced)},
      {RD_KAFKA_RESP_ERR_PRODUCER_FENCED, all(kFenced)},
      {RD_KAFKA_RESP_ERR_INVALID_TXN_STATE, all(kRecovers)},
      {RD_KAFKA_RESP_ERR_UNKNOWN_PRODUCER_ID, all(kRecovers)},
      {RD_KAFKA_RESP_ERR_INVALID_PRODUCER_ID_MAPPING, all(kRecovers)},
      {RD_KAFKA_RESP_ERR_ILLEGAL_GENERATION, {{kTxnOffsets, kRecovers}}},
      {RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID, {{kTxnOffsets, kRecovers}}},
      {RD_KAFKA_RESP_ERR_FENCED_INSTANCE_ID, {{kTxnOffsets, kFenced}}},
      {RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS, {{kTxnOffsets, kRecovers}}},
      {RD_KAFKA_RESP_ERR_OUT_OF_ORDER_SEQUENCE_NUMBER, {{kProduce, kRecovers}}},
      {static_cast<rd_kafka_resp_err_t>(120), all(kRecovers)},  // TRANSACTION_ABORTABLE
      {RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED, {{kProduce, kStops}, {kAddPartitions, kStops}}},
      {RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED, {{kAddOffsets, kStops}, {kTxnOffsets, kStops}}},
      {RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED, {{kAddPartitions, kStops}, {kEndTxn, kStops}}},
  };
  return rows;
}

class Mock {
 public:
  Mock() {
    char why[256];
    rd_kafka_conf_t* conf = rd_kafka_conf_new();
    rd_kafka_conf_set_log_cb(conf, nullptr);
    handle_ = rd_kafka_new(RD_KAFKA_PRODUCER, conf, why, sizeof why);
    cluster_ = rd_kafka_mock_cluster_new(handle_, 1);
    rd_kafka_mock_topic_create(cluster_, "t", 1, 1);
  }
  ~Mock() {
    rd_kafka_mock_cluster_destroy(cluster_);
    rd_kafka_destroy(handle_);
  }
  std::string address() const { return rd_kafka_mock_cluster_bootstraps(cluster_); }
  void fail_next(Rpc rpc, rd_kafka_resp_err_t error) {
    rd_kafka_mock_push_request_errors_array(cluster_, rpc, 1, &error);
  }
  void heal() { rd_kafka_mock_clear_request_errors(cluster_, -1); }
  void answer_after(int ms) { rd_kafka_mock_broker_set_rtt(cluster_, 1, ms); }

 private:
  rd_kafka_t* handle_;
  rd_kafka_mock_cluster_t* cluster_;
};

template <typename Wanted>
Status wait_for(LogClient& client) {
  const SystemClock clock;
  const int64_t deadline = clock.steady_us() + 15'000'000;
  while (clock.steady_us() < deadline) {
    Event event = client.poll(1);
    if (std::holds_alternative<Wanted>(event)) return {};
    if (auto* failed = std::get_if<event::Failed>(&event)) return failed->status;
    client.wait(50);
  }
  return Status::fatal("no answer");
}

// Ok, or the first failure of one whole transaction.
Status transaction(LogClient& client, const std::string& id) {
  client.start_init(id);
  WL_RETURN_IF_ERROR(wait_for<event::Initialised>(client));
  WL_RETURN_IF_ERROR(client.begin());
  WL_RETURN_IF_ERROR(client.append({"t", 0}, values({"x"})));
  client.start_send_offsets("g", {{{"t", 0}, {1, "m"}}});
  WL_RETURN_IF_ERROR(wait_for<event::OffsetsSent>(client));
  client.start_commit();
  return wait_for<event::TransactionEnded>(client);
}

const char* outcome_of(const Status& status) {
  switch (status.code()) {
    case Code::kOk: return kGoesOn;
    case Code::kAbort: return kRecovers;
    case Code::kFenced: return kFenced;
    case Code::kUnavailable:
    case Code::kInvalidArgument:
    case Code::kNotFound: return kStops;
    default: return "?";
  }
}

class KafkaErrors : public ::testing::TestWithParam<Rpc> {};

TEST_P(KafkaErrors, LeadToWhatTheTableSays) {
  Mock mock;
  const auto log = open_log("kafka://" + mock.address(), std::make_shared<SystemClock>()).value();
  int number = 0;
  for (const Row& row : table()) {
    const auto expected = row.outcome.find(GetParam());
    if (expected == row.outcome.end()) continue;
    mock.fail_next(GetParam(), row.error);
    auto client = std::move(log->client({.transaction_timeout = 5'000})).value();
    const Status status = transaction(*client, "id-" + std::to_string(++number));
    EXPECT_STREQ(expected->second, outcome_of(status)) << rd_kafka_err2name(row.error) << ": " << status.to_string();
    mock.heal();
    // Whatever it was, a new client with the same id goes on.
    client = std::move(log->client({.transaction_timeout = 5'000})).value();
    const Status again = transaction(*client, "id-" + std::to_string(number));
    EXPECT_TRUE(again.ok()) << "after " << rd_kafka_err2name(row.error) << ": " << again.to_string();
  }
}

INSTANTIATE_TEST_SUITE_P(OfEachCall, KafkaErrors,
                         ::testing::Values(kProduce, kAddPartitions, kAddOffsets, kEndTxn, kTxnOffsets),
                         [](const auto& info) {
                           switch (info.param) {
                             case kProduce: return "Produce";
                             case kAddPartitions: return "AddPartitionsToTxn";
                             case kAddOffsets: return "AddOffsetsToTxn";
                             case kEndTxn: return "EndTxn";
                             default: return "TxnOffsetCommit";
                           }
                         });

TEST(KafkaProducer, WaitsForItsFirstRecordWithoutHoldingItsOwner) {
  Mock mock;
  const auto log = open_log("kafka://" + mock.address(), std::make_shared<SystemClock>()).value();
  auto client = std::move(log->client({.transaction_timeout = 20'000})).value();
  client->start_init("patient");
  ASSERT_TRUE(wait_for<event::Initialised>(*client).ok());
  ASSERT_TRUE(client->begin().ok());
  mock.answer_after(500);
  int owner_was_free = 0;
  Status status;
  while ((status = client->append({"t", 0}, values({"a", "b", "c"}))).code() == Code::kRetriable) {
    ++owner_was_free;
    client->wait(5);
  }
  EXPECT_TRUE(status.ok()) << status.to_string();
  EXPECT_GT(owner_was_free, 2);
  mock.answer_after(0);
  client->start_commit();
  EXPECT_TRUE(wait_for<event::TransactionEnded>(*client).ok());
}

// A client that nobody closed goes on while the process ends, and must not crash it: at random, in a thread of the
// library's, once OpenSSL has cleaned up after itself. Here the client is made behind that, so that it is no chance.
TEST(KafkaClientDeathTest, MayOutliveMain) {
  const auto end_with_a_client = [] {
    std::atexit([] {  // runs behind what the first client registers
      const auto log =
          open_log("kafka://127.0.0.1:1", std::make_shared<SystemClock>(), {{"connect.timeout.ms", "300"}});
      std::_Exit(log.status().code() == Code::kUnavailable ? 0 : 1);
    });
    static_cast<void>(
        open_log("kafka://127.0.0.1:1", std::make_shared<SystemClock>(), {{"connect.timeout.ms", "300"}}));
    std::exit(2);
  };
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_EXIT(end_with_a_client(), ::testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace wrackline
