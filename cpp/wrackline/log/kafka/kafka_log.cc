#include "wrackline/log/kafka/kafka_log.h"

#include <algorithm>
#include <mutex>
#include <utility>

#include "wrackline/log/kafka/admin.h"
#include "wrackline/log/kafka/kafka_client.h"
#include "wrackline/log/kafka/reader.h"

namespace wrackline::kafka {
namespace {

constexpr int64_t kReadRecords = 16'384;
constexpr Millis kLongestWait = 100;

// Log::read(): whole pieces of one partition. The reading is kept open, since the next call mostly goes on there.
class Pieces {
 public:
  Pieces(const Config& config, const Clock& clock, Isolation isolation)
      : config_(config), clock_(clock), isolation_(isolation), wakeup_(std::make_shared<Wakeup>()) {}

  Result<event::Polled> read(const TopicPartition& partition, int64_t offset, int64_t max_bytes) {
    const std::lock_guard lock(mutex_);
    if (reader_ == nullptr) {
      // It is there to get to the end, and does not wait there for more.
      WL_ASSIGN_OR_RETURN(reader_, Reader::open(config_, isolation_, wakeup_, {{"fetch.wait.max.ms", "1"}}));
    }
    if (!reader_->reads(partition) || position_ != offset || partition_ != partition) {
      if (reader_->reads(partition_)) reader_->stop(partition_);
      WL_RETURN_IF_ERROR(reader_->start(partition, offset));
      partition_ = partition;
    }
    event::Polled piece{partition, std::make_shared<Records>(), offset};
    const int64_t deadline = clock_.steady_us() + config_.connect_timeout() * 1000;
    while (static_cast<int64_t>(piece.records->byte_size()) < max_bytes) {
      wakeup_->clear();
      Event event = reader_->poll(partition, kReadRecords);
      if (auto* polled = std::get_if<event::Polled>(&event)) {
        append(*piece.records, *polled->records);
        piece.next_offset = polled->next_offset;
        continue;
      }
      if (auto* failed = std::get_if<event::Failed>(&event)) return failed->status;
      if (const auto* end = std::get_if<event::AtEnd>(&event)) {
        piece.next_offset = end->next_offset;
        reader_->stop(partition);  // its end was told: the next call wants to hear of it too
        break;
      }
      if (clock_.steady_us() > deadline) {
        if (!piece.records->empty()) break;
        return Status::retriable("reading topic '" + partition.topic + "': no answer");
      }
      wakeup_->wait(kLongestWait);
      reader_->serve(clock_.steady_us());
    }
    position_ = piece.next_offset;
    return piece;
  }

 private:
  static void append(Records& to, const Records& from) {
    const int64_t first = to.size();
    to.append(from.layout(), 0, from.size(), 0);
    for (int64_t i = 0; i < from.size(); ++i) {
      to.set_offset(first + i, from.offset(i));
      if (from.any_headers()) to.set_headers(first + i, from.headers(i));
    }
  }

  const Config& config_;
  const Clock& clock_;
  const Isolation isolation_;
  const std::shared_ptr<Wakeup> wakeup_;
  std::mutex mutex_;
  std::unique_ptr<Reader> reader_;
  TopicPartition partition_;
  int64_t position_ = -1;
};

class KafkaLog final : public Log {
 public:
  KafkaLog(std::shared_ptr<Admin> admin, std::shared_ptr<const Clock> clock, bool writable)
      : admin_(std::move(admin)),
        clock_(std::move(clock)),
        writable_(writable),
        committed_(admin_->config(), *clock_, Isolation::kReadCommitted),
        uncommitted_(admin_->config(), *clock_, Isolation::kReadUncommitted) {}

  std::string id() const override { return admin_->cluster_id(); }
  std::string uri() const override { return admin_->config().uri(); }

  Status create_topic(const std::string& name, int32_t partitions, TopicUse use) override {
    WL_RETURN_IF_ERROR(check_writable());
    return admin_->create_topic(name, partitions, use);
  }
  int64_t max_record_bytes() const override { return admin_->config().max_record_bytes(); }
  Result<std::vector<TopicInfo>> topics() override { return admin_->topics(); }
  Result<TopicInfo> topic(const std::string& name) override { return admin_->topic(name); }

  Result<int64_t> append(const TopicPartition& partition, const Records& records) override {
    WL_RETURN_IF_ERROR(check_writable());
    return admin_->append(partition, records);
  }
  Result<event::Polled> read(const TopicPartition& partition, int64_t offset, int64_t max_bytes,
                             Isolation isolation) override {
    WL_RETURN_IF_ERROR(admin_->check_exists(partition));
    return (isolation == Isolation::kReadCommitted ? committed_ : uncommitted_).read(partition, offset, max_bytes);
  }
  Result<int64_t> start_offset(const TopicPartition& partition) override { return admin_->start_offset(partition); }
  Result<int64_t> end_offset(const TopicPartition& partition, Isolation isolation) override {
    return admin_->end_offset(partition, isolation);
  }
  Status trim(const TopicPartition& partition, int64_t offset) override {
    WL_RETURN_IF_ERROR(check_writable());
    return admin_->trim(partition, offset);
  }
  Result<Offsets> committed(const std::string& group) override { return admin_->committed(group); }
  Result<std::unique_ptr<LogClient>> client(const ClientOptions& options) override {
    return make_client(admin_, options, clock_, writable_);
  }

 private:
  Status check_writable() const { return writable_ ? Status() : Status::unavailable("the log was opened for reading"); }

  const std::shared_ptr<Admin> admin_;
  const std::shared_ptr<const Clock> clock_;
  const bool writable_;
  Pieces committed_;
  Pieces uncommitted_;
};

}  // namespace

Status check(const std::string& uri, const LogSettings& settings) { return Config::make(uri, settings).status(); }

Result<std::shared_ptr<Log>> open_kafka_log(const std::string& uri, const LogSettings& settings, bool writable) {
  const auto clock = std::make_shared<SystemClock>();  // a real network needs real deadlines
  WL_ASSIGN_OR_RETURN(Config config, Config::make(uri, settings));
  WL_ASSIGN_OR_RETURN(std::shared_ptr<Admin> admin,
                      Admin::open(std::make_shared<const Config>(std::move(config)), clock));
  return std::shared_ptr<Log>(std::make_shared<KafkaLog>(std::move(admin), clock, writable));
}

}  // namespace wrackline::kafka
