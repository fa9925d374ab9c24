#include "wrackline/log/kafka/kafka_client.h"

#include <deque>
#include <set>
#include <utility>

#include "wrackline/core/logging.h"
#include "wrackline/log/kafka/errors.h"
#include "wrackline/log/kafka/member.h"
#include "wrackline/log/kafka/producer.h"
#include "wrackline/log/kafka/reader.h"

namespace wrackline::kafka {
namespace {

constexpr int64_t kServeEveryUs = 100'000;     // even if nothing says that there is something
constexpr int64_t kAskAgainUs = 50'000;        // offsets that are unstable
constexpr int64_t kUnstableForUs = 2'000'000;  // then it is said

// Commits offsets outside of a transaction (at least once), through the member that owns the partitions.
class PlainOffsets {
 public:
  void start(Member& member, const Offsets& offsets, Wakeup& wakeup, int64_t deadline_us) {
    deadline_us_ = deadline_us;
    const PartitionList list(rd_kafka_topic_partition_list_new(static_cast<int>(offsets.size())));
    for (const auto& [partition, committed] : offsets) {
      rd_kafka_topic_partition_t* entry =
          rd_kafka_topic_partition_list_add(list.get(), partition.topic.c_str(), partition.partition);
      entry->offset = committed.offset;
      entry->metadata = rd_kafka_mem_malloc(member.handle(), committed.metadata.size() + 1);
      std::copy(committed.metadata.begin(), committed.metadata.end(), static_cast<char*>(entry->metadata));
      entry->metadata_size = committed.metadata.size();
    }
    queue_.reset(rd_kafka_queue_new(member.handle()));
    wakeup.watch(queue_.get());
    rd_kafka_commit_queue(member.handle(), list.get(), queue_.get(), nullptr, nullptr);
  }
  // The outcome, once.
  std::optional<Status> poll(int64_t now_us) {
    if (queue_ == nullptr) return {};
    const RdEvent event(rd_kafka_queue_poll(queue_.get(), 0));
    if (event == nullptr && now_us < deadline_us_) return {};
    if (event == nullptr) {
      queue_.reset();
      return Status::abort("committing offsets: no answer within transaction_timeout");
    }
    Status status = status_of(rd_kafka_event_error(event.get()), "committing offsets");
    const rd_kafka_topic_partition_list_t* list = rd_kafka_event_topic_partition_list(event.get());
    for (int i = 0; status.ok() && list != nullptr && i < list->cnt; ++i)
      status = status_of(list->elems[i].err, "committing offsets");
    queue_.reset();
    // The records are there; whether the offsets are is for a recovery to find out.
    return status.ok() || status.code() == Code::kFenced ? status : Status::abort(status.message());
  }

 private:
  Queue queue_;
  int64_t deadline_us_ = 0;
};

class KafkaClient final : public LogClient {
 public:
  KafkaClient(std::shared_ptr<Admin> admin, ClientOptions options, std::shared_ptr<const Clock> clock, bool writable)
      : admin_(std::move(admin)),
        options_(std::move(options)),
        clock_(std::move(clock)),
        wakeup_(std::make_shared<Wakeup>()),
        writable_(writable) {}

  Status subscribe(const std::string& group, const std::vector<std::string>& topics) override {
    if (member_ != nullptr) return Status::invalid("this client has subscribed already");
    for (const std::string& topic : topics) WL_RETURN_IF_ERROR(admin_->topic(topic).status());
    WL_ASSIGN_OR_RETURN(member_, Member::join(admin_->config(), group, options_.instance, topics, wakeup_));
    return {};
  }
  void answer_revoke() override {
    if (member_ != nullptr) member_->answer_revoke();
  }

  void read_from(const TopicPartition& partition, int64_t offset, Isolation isolation) override {
    stop_reading(partition);
    std::unique_ptr<Reader>& reader = isolation == Isolation::kReadCommitted ? committed_ : uncommitted_;
    const auto start = [&]() -> Status {
      WL_RETURN_IF_ERROR(admin_->check_exists(partition));
      if (reader == nullptr) {
        WL_ASSIGN_OR_RETURN(reader, Reader::open(admin_->config(), isolation, wakeup_));
      }
      return reader->start(partition, offset);
    };
    if (Status status = start(); !status.ok()) tell(event::Failed{std::move(status)});
  }
  void stop_reading(const TopicPartition& partition) override {
    for (Reader* reader : readers()) reader->stop(partition);
  }
  void pause(const TopicPartition& partition) override {
    for (Reader* reader : readers()) reader->set_paused(partition, true);
  }
  void resume(const TopicPartition& partition) override {
    for (Reader* reader : readers()) reader->set_paused(partition, false);
    wakeup_->set();
  }

  void start_committed(const std::string& group, const std::vector<TopicPartition>& partitions) override {
    asked_ = {.group = group, .partitions = partitions, .since_us = clock_->steady_us()};
    if (partitions.empty()) return tell(event::Committed{});
    ask_committed(true);
  }

  void start_init(const std::string& transactional_id) override {
    if (!fenced_.ok()) return tell(event::Failed{fenced_});
    if (!writable_) return tell(event::Failed{usable()});
    if (state_ == State::kEnding) return tell(event::Failed{still_ending()});
    state_ = State::kNotYet;
    const std::string id = transactional() ? transactional_id : std::string();
    if (producer_ == nullptr || !producer_->may_init(id)) {
      producer_.reset();  // its open transaction is aborted by the init of its successor
      producer_ = std::make_unique<Producer>(admin_->share_config(), id, options_.transaction_timeout, wakeup_, clock_);
    }
    producer_->start_init();
  }
  Status begin() override {
    WL_RETURN_IF_ERROR(usable());
    if (state_ == State::kNotYet) return Status::invalid("begin() before start_init()");
    if (state_ == State::kEnding) return still_ending();
    if (state_ == State::kInTransaction) return Status::invalid("begin() in an open transaction");
    WL_RETURN_IF_ERROR(noted(producer_->begin()));
    state_ = State::kInTransaction;
    return {};
  }
  Status append(const TopicPartition& partition, const Records& records) override {
    WL_RETURN_IF_ERROR(in_transaction());
    written_.insert(partition.topic);
    return noted(producer_->append(partition, records));
  }
  void start_send_offsets(const std::string& group, const Offsets& offsets) override {
    if (Status status = may_send(offsets); !status.ok()) return tell(event::Failed{std::move(status)});
    const bool member = member_ != nullptr && member_->group() == group;
    if (transactional()) {
      // Taken now, with the offsets: a generation of later would prove too much.
      producer_->start_send_offsets(
          offsets, member ? member_->metadata() : GroupMetadata(rd_kafka_consumer_group_metadata_new(group.c_str())));
    } else if (member) {
      plain_ = offsets;  // behind the records: start_commit() sends them
      tell(event::OffsetsSent{});
    } else {
      tell(event::Failed{Status::invalid("offsets of a group that this client has not joined")});
    }
  }
  void start_commit() override { end(true); }
  void start_abort() override { end(false); }

  void start_fence(const std::string& transactional_id) override {
    fencing_ = std::make_unique<Producer>(admin_->share_config(), transactional_id, options_.transaction_timeout,
                                          wakeup_, clock_);
    fencing_->start_init();
  }
  void trim(const TopicPartition& partition, int64_t offset) override { admin_->start_trim(partition, offset); }

  Event poll(int64_t max_records) override {
    wakeup_->clear();
    Event event = next(max_records);
    if (!std::holds_alternative<std::monostate>(event)) wakeup_->set();  // there may be more
    return event;
  }

  void wait(Millis timeout) override { wakeup_->wait(timeout); }

 private:
  enum class State { kNotYet, kReady, kInTransaction, kEnding };
  struct Asked {
    std::string group;
    std::vector<TopicPartition> partitions;
    int64_t since_us = 0;
    Queue stable;  // answers; null: none is awaited
    Queue unstable;
    int64_t again_us = 0;  // when to ask again; 0: not
    bool said = false;
  };

  bool transactional() const { return options_.guarantee == Guarantee::kExactlyOnce; }
  std::vector<Reader*> readers() const {
    std::vector<Reader*> all;
    if (committed_ != nullptr) all.push_back(committed_.get());
    if (uncommitted_ != nullptr) all.push_back(uncommitted_.get());
    return all;
  }
  void tell(Event event) {
    events_.push_back(std::move(event));
    wakeup_->set();
  }

  Event next(int64_t max_records) {
    if (!events_.empty()) {
      Event event = std::move(events_.front());
      events_.pop_front();
      return event;
    }
    if (Event event = answers(); !std::holds_alternative<std::monostate>(event)) return event;
    serve();
    if (member_ != nullptr) {
      if (Event event = member_->poll(); !std::holds_alternative<std::monostate>(event)) return event;
    }
    if (committed_ != nullptr) {
      if (Event event = committed_->poll(max_records); !std::holds_alternative<std::monostate>(event)) return event;
    }
    return uncommitted_ == nullptr ? Event() : uncommitted_->poll(max_records);
  }

  Event answers() {
    if (producer_ != nullptr) {
      if (std::optional<Producer::Answer> answer = producer_->take_answer()) return of(*answer);
      if (std::optional<Status> failure = producer_->take_failure()) return event::Failed{noted(std::move(*failure))};
    }
    if (const std::optional<Status> done = offsets_.poll(clock_->steady_us())) {
      state_ = State::kReady;
      return done->ok() ? Event(event::TransactionEnded{true}) : Event(event::Failed{noted(*done)});
    }
    if (fencing_ != nullptr) {
      if (const std::optional<Producer::Answer> answer = fencing_->take_answer()) {
        fencing_.reset();
        return answer->status.ok() ? Event(event::Fenced{}) : Event(event::Failed{answer->status});
      }
    }
    return committed_offsets();
  }

  Event of(Producer::Answer& answer) {
    if (!answer.status.ok()) {
      state_ = State::kNotYet;
      return event::Failed{naming_topic(noted(std::move(answer.status)))};
    }
    switch (answer.call) {
      case Producer::Call::kInit: state_ = State::kReady; return event::Initialised{};
      case Producer::Call::kSendOffsets: return event::OffsetsSent{};
      case Producer::Call::kAbort: state_ = State::kReady; return event::TransactionEnded{false};
      case Producer::Call::kCommit:
        if (!plain_.empty()) {
          offsets_.start(*member_, std::exchange(plain_, {}), *wakeup_,
                         clock_->steady_us() + options_.transaction_timeout * 1000);
          return {};
        }
        state_ = State::kReady;
        return event::TransactionEnded{true};
      case Producer::Call::kNone: break;
    }
    return {};
  }

  void ask_committed(bool stable) {
    Queue& queue = stable ? asked_.stable : asked_.unstable;
    asked_.again_us = 0;
    const auto ask = [&]() -> Status {
      WL_ASSIGN_OR_RETURN(queue, admin_->committed_queue(asked_.group));
      wakeup_->watch(queue.get());
      return admin_->start_committed(asked_.group, asked_.partitions, stable, queue.get());
    };
    if (Status status = ask(); !status.ok()) tell(event::Failed{std::move(status)});
  }

  Event committed_offsets() {
    if (asked_.unstable != nullptr) {
      if (const RdEvent event{rd_kafka_queue_poll(asked_.unstable.get(), 0)}) {
        asked_.unstable.reset();
        return event::Unstable{Admin::parse_committed(event.get()).offsets};
      }
    }
    if (asked_.again_us != 0 && clock_->steady_us() >= asked_.again_us) ask_committed(true);
    if (asked_.stable == nullptr) return {};
    const RdEvent event(rd_kafka_queue_poll(asked_.stable.get(), 0));
    if (event == nullptr) return {};
    asked_.stable.reset();
    CommittedAnswer answer = Admin::parse_committed(event.get());
    const int64_t now = clock_->steady_us();
    const int64_t waited = now - asked_.since_us;
    const bool again = answer.status.code() == Code::kRetriable && waited < admin_->config().connect_timeout() * 1000;
    if (answer.unstable || again) {
      asked_.again_us = now + kAskAgainUs;
      if (answer.unstable && waited > kUnstableForUs && !std::exchange(asked_.said, true)) ask_committed_unstable();
      return {};
    }
    if (!answer.status.ok()) return event::Failed{std::move(answer.status)};
    return event::Committed{std::move(answer.offsets)};
  }
  void ask_committed_unstable() {
    const int64_t again = asked_.again_us;
    ask_committed(false);
    asked_.again_us = again;
  }

  // What the library has to say of its connections.
  void serve() {
    const int64_t now = clock_->steady_us();
    if (now < serve_at_us_) return;
    serve_at_us_ = now + kServeEveryUs;
    for (Reader* reader : readers()) reader->serve(now);
  }

  static Status still_ending() { return Status::invalid("the end of the last transaction has not been polled"); }
  Status usable() const { return writable_ ? fenced_ : Status::unavailable("the log was opened for reading"); }
  Status in_transaction() const {
    WL_RETURN_IF_ERROR(usable());
    return state_ == State::kInTransaction ? Status() : Status::invalid("no transaction is open");
  }
  Status may_send(const Offsets& offsets) const {
    WL_RETURN_IF_ERROR(in_transaction());
    for (const auto& [partition, committed] : offsets) {
      const std::string where =
          "the offset of partition " + std::to_string(partition.partition) + " of topic '" + partition.topic + "'";
      if (committed.offset < 0) return Status::invalid(where + " is negative");
      if (committed.metadata.size() > kMaxOffsetMetadata) {
        return Status::invalid(where + " has " + std::to_string(committed.metadata.size()) +
                               " bytes of metadata, more than " + std::to_string(kMaxOffsetMetadata));
      }
      if (committed.metadata.find('\0') != std::string::npos)
        return Status::invalid(where + " has a zero byte in its metadata");
    }
    return {};
  }
  // Once fenced, always fenced.
  Status noted(Status status) {
    if (status.code() == Code::kFenced) fenced_ = status;
    return status;
  }
  // A transaction that fails over one of its topics does not say over which.
  Status naming_topic(Status status) {
    if (status.code() != Code::kNotFound && status.code() != Code::kUnavailable) return status;
    for (const std::string& topic : written_) {
      if (const Status look = admin_->topic(topic).status(); look.code() == status.code())
        return status.with_context(look.message());
    }
    return status;
  }
  void end(bool commit) {
    if (Status status = in_transaction(); !status.ok()) return tell(event::Failed{std::move(status)});
    state_ = State::kEnding;
    if (!commit) plain_.clear();
    commit ? producer_->start_commit() : producer_->start_abort();
  }

  const std::shared_ptr<Admin> admin_;
  const ClientOptions options_;
  const std::shared_ptr<const Clock> clock_;
  const std::shared_ptr<Wakeup> wakeup_;  // outlives the handles below, and the producer's thread
  const bool writable_;
  std::deque<Event> events_;
  std::unique_ptr<Member> member_;
  std::unique_ptr<Reader> committed_;
  std::unique_ptr<Reader> uncommitted_;
  std::unique_ptr<Producer> producer_;
  std::unique_ptr<Producer> fencing_;
  std::set<std::string> written_;  // topics
  Offsets plain_;                  // at least once: to be committed behind the records
  PlainOffsets offsets_;
  Asked asked_;
  State state_ = State::kNotYet;
  Status fenced_;
  int64_t serve_at_us_ = 0;
};

}  // namespace

std::unique_ptr<LogClient> make_client(std::shared_ptr<Admin> admin, const ClientOptions& options,
                                       std::shared_ptr<const Clock> clock, bool writable) {
  return std::make_unique<KafkaClient>(std::move(admin), options, std::move(clock), writable);
}

}  // namespace wrackline::kafka
