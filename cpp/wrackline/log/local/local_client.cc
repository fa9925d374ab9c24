#include <algorithm>
#include <deque>

#include "wrackline/core/logging.h"
#include "wrackline/log/local/local_log.h"

namespace wrackline::local {
namespace {

constexpr int64_t kMaxPolledBytes = 8 << 20;

// Everything is done within the call; only its answer waits for poll().
class LocalClient final : public LogClient {
 public:
  LocalClient(std::shared_ptr<Engine> engine, Guarantee guarantee, bool writable)
      : engine_(std::move(engine)), transactional_(guarantee == Guarantee::kExactlyOnce), writable_(writable) {}
  ~LocalClient() override {
    engine_->leave(this);
    if (transactional_ && producing_ == Producing::kInTransaction) engine_->abandon(producer_);
  }

  Status subscribe(const std::string& group, const std::vector<std::string>& topics) override {
    if (subscribed_) return Status::invalid("this client has subscribed already");
    event::Assigned assigned;
    for (const std::string& name : topics) {
      WL_ASSIGN_OR_RETURN(const TopicInfo topic, engine_->topic(name));
      for (int32_t number = 0; number < topic.partitions; ++number) assigned.partitions.push_back({name, number});
    }
    WL_RETURN_IF_ERROR(engine_->join(group, this));
    subscribed_ = true;
    events_.push_back(std::move(assigned));
    return {};
  }
  void answer_revoke() override {}  // nobody else to give them to

  void read_from(const TopicPartition& partition, int64_t offset, Isolation isolation) override {
    stop_reading(partition);
    const auto start = [&]() -> Status {
      WL_ASSIGN_OR_RETURN(const PartitionRef ref, engine_->find(partition));
      WL_ASSIGN_OR_RETURN(const int64_t begin, engine_->start_offset(ref));
      WL_ASSIGN_OR_RETURN(const int64_t end, engine_->end_offset(ref, Isolation::kReadUncommitted));
      if (offset < begin || offset > end) {
        return Status::not_found("offset " + std::to_string(offset) + " is not in partition " +
                                 std::to_string(partition.partition) + " of topic '" + partition.topic +
                                 "', which goes from " + std::to_string(begin) + " to " + std::to_string(end));
      }
      readings_.push_back({.name = partition, .partition = ref, .isolation = isolation, .position = offset});
      return {};
    };
    if (Status status = start(); !status.ok()) events_.push_back(event::Failed{std::move(status)});
  }
  void stop_reading(const TopicPartition& partition) override {
    std::erase_if(readings_, [&](const Reading& reading) { return reading.name == partition; });
  }
  void pause(const TopicPartition& partition) override { set_paused(partition, true); }
  void resume(const TopicPartition& partition) override { set_paused(partition, false); }

  void start_committed(const std::string& group, const std::vector<TopicPartition>& partitions) override {
    Result<Offsets> stored = engine_->committed(group);
    if (!stored.ok()) {
      events_.push_back(event::Failed{stored.status()});
      return;
    }
    event::Committed answer;
    for (const TopicPartition& partition : partitions) {
      if (const auto found = stored->find(partition); found != stored->end()) answer.offsets.insert(*found);
    }
    events_.push_back(std::move(answer));
  }

  void start_init(const std::string& transactional_id) override {
    const auto init = [&]() -> Status {
      WL_RETURN_IF_ERROR(usable());
      if (producing_ == Producing::kEnding) return still_ending();
      if (transactional_ && producing_ == Producing::kInTransaction) engine_->abandon(producer_);
      producing_ = Producing::kNotYet;
      WL_ASSIGN_OR_RETURN(producer_, engine_->init(transactional_id));
      producing_ = Producing::kReady;
      return {};
    };
    answer(init(), event::Initialised{});
  }

  Status begin() override {
    WL_RETURN_IF_ERROR(usable());
    if (producing_ == Producing::kNotYet) return Status::invalid("begin() before start_init()");
    if (producing_ == Producing::kEnding) return still_ending();
    if (producing_ == Producing::kInTransaction) return Status::invalid("begin() in an open transaction");
    if (transactional_) WL_RETURN_IF_ERROR(noted(engine_->begin(producer_)));
    producing_ = Producing::kInTransaction;
    return {};
  }
  Status append(const TopicPartition& partition, const Records& records) override {
    WL_RETURN_IF_ERROR(in_transaction());
    if (transactional_) return noted(engine_->append(producer_, partition, records));
    return engine_->append(partition, records).status();
  }
  void start_send_offsets(const std::string& group, const Offsets& offsets) override {
    const auto send = [&]() -> Status {
      WL_RETURN_IF_ERROR(in_transaction());
      if (transactional_) return engine_->send_offsets(producer_, group, offsets);
      // At least once: a transaction of the offsets alone, behind the records.
      WL_RETURN_IF_ERROR(engine_->begin(producer_));
      const Status sent = engine_->send_offsets(producer_, group, offsets);
      const Status ended = engine_->end(producer_, sent.ok());
      return sent.ok() ? ended : sent;
    };
    answer(send(), event::OffsetsSent{});
  }
  void start_commit() override { end(true); }
  void start_abort() override { end(false); }
  void start_fence(const std::string& transactional_id) override {
    answer(engine_->init(transactional_id).status(), event::Fenced{});
  }
  void trim(const TopicPartition& partition, int64_t offset) override {
    Status status = usable();
    if (status.ok()) status = engine_->trim(partition, offset);
    if (!status.ok()) log_line(LogLevel::kWarning, "not trimmed: " + status.to_string());
  }

  Event poll(int64_t max_records) override {
    if (!events_.empty()) {
      Event event = std::move(events_.front());
      events_.pop_front();
      if (std::holds_alternative<event::TransactionEnded>(event)) producing_ = Producing::kReady;
      return event;
    }
    for (size_t tried = 0; tried < readings_.size(); ++tried) {
      next_ = next_ + 1 < readings_.size() ? next_ + 1 : 0;
      if (Event event = read(next_, max_records); !std::holds_alternative<std::monostate>(event)) return event;
    }
    return {};
  }

  void wait(Millis timeout) override {
    if (!events_.empty()) return;
    std::vector<Waiter> waiters;
    for (const Reading& reading : readings_) {
      if (reading.paused) continue;
      if (reading.told_end != reading.position) return;
      waiters.push_back({reading.partition, reading.isolation, reading.position});
    }
    engine_->wait(timeout, waiters);
  }

 private:
  struct Reading {
    TopicPartition name;
    PartitionRef partition;
    Isolation isolation;
    int64_t position;
    int64_t told_end = -1;  // position of the last AtEnd
    bool paused = false;
    CutEntry cut;
  };
  // kNotYet -> kReady -> kInTransaction -> kEnding -> kReady; a failed end leads back to kNotYet.
  enum class Producing { kNotYet, kReady, kInTransaction, kEnding };

  Event read(size_t index, int64_t max_records) {
    Reading& reading = readings_[index];
    if (reading.paused) return {};
    const ReadLimits limits = {.records = max_records, .bytes = kMaxPolledBytes};
    Result<ReadResult> result =
        engine_->read(reading.partition, reading.position, limits, reading.isolation, &reading.cut);
    if (!result.ok()) {
      readings_.erase(readings_.begin() + static_cast<std::ptrdiff_t>(index));
      return event::Failed{result.status()};
    }
    event::Polled& polled = result->polled;
    reading.position = polled.next_offset;
    if (!polled.records->empty()) return std::move(polled);
    if (reading.position < result->visible_end || reading.told_end == reading.position) return {};
    reading.told_end = reading.position;
    return event::AtEnd{reading.name, reading.position};
  }

  void set_paused(const TopicPartition& partition, bool paused) {
    for (Reading& reading : readings_) {
      if (reading.name == partition) reading.paused = paused;
    }
  }

  static Status still_ending() { return Status::invalid("the end of the last transaction has not been polled"); }
  Status usable() const { return writable_ ? fenced_ : Status::unavailable("the log was opened for reading"); }
  Status in_transaction() const {
    WL_RETURN_IF_ERROR(usable());
    return producing_ == Producing::kInTransaction ? Status() : Status::invalid("no transaction is open");
  }
  // Once fenced, always fenced.
  Status noted(Status status) {
    if (status.code() == Code::kFenced) fenced_ = status;
    return status;
  }
  void answer(Status status, Event event) {
    if (!status.ok()) event = event::Failed{noted(std::move(status))};
    events_.push_back(std::move(event));
  }
  void end(bool commit) {
    Status status = in_transaction();
    if (status.ok()) {
      if (transactional_) status = engine_->end(producer_, commit);
      producing_ = status.ok() ? Producing::kEnding : Producing::kNotYet;
    }
    answer(std::move(status), event::TransactionEnded{commit});
  }

  const std::shared_ptr<Engine> engine_;  // shared with the log's other handles
  const bool transactional_;
  const bool writable_;
  bool subscribed_ = false;
  std::deque<Event> events_;  // answers; at most one per call that is not yet polled
  std::vector<Reading> readings_;
  size_t next_ = 0;
  Producing producing_ = Producing::kNotYet;
  ProducerHandle producer_;
  Status fenced_;
};

}  // namespace

std::unique_ptr<LogClient> make_client(std::shared_ptr<Engine> engine, const ClientOptions& options, bool writable) {
  return std::make_unique<LocalClient>(std::move(engine), options.guarantee, writable);
}

}  // namespace wrackline::local
