#include "wrackline/log/kafka/producer.h"

#include <algorithm>
#include <chrono>
#include <utility>
#include <vector>

#include "wrackline/core/logging.h"
#include "wrackline/log/kafka/errors.h"

namespace wrackline::kafka {
namespace {

constexpr int16_t kEndTxn = 26;  // api keys
constexpr int16_t kTxnOffsetCommit = 28;
constexpr int kBatch = 2'000;     // records of one produce call
constexpr Millis kGrace = 5'000;  // what a call may take beyond its own timeout: some ignore it
constexpr std::chrono::seconds kClosing(3);
constexpr Millis kProving = 2'000;  // mostly two or three
constexpr int kProvingStep = 5;     // ms in which the owner waits for that
// A broker refuses an init while it still writes the markers of the last transaction, a few milliseconds mostly; the
// library asks again half a second later.
constexpr std::chrono::milliseconds kMarkers(30);
constexpr int kConnecting = 1'000;  // ms

const char* name_of(Producer::Call call) {
  switch (call) {
    case Producer::Call::kInit: return "initialising the producer";
    case Producer::Call::kSendOffsets: return "sending offsets to the transaction";
    case Producer::Call::kCommit: return "commit";
    case Producer::Call::kAbort: return "abort";
    case Producer::Call::kNone: break;
  }
  return "";
}

// How often requests of the transaction under way were sent that may do harm when they come late.
struct Sent {
  std::atomic<int> ends = 0;
  std::atomic<int> offsets = 0;
};

rd_kafka_resp_err_t on_request(rd_kafka_t*, int, const char*, int32_t, int16_t api_key, int16_t, int32_t, size_t,
                               void* sent) {
  if (api_key == kEndTxn) ++static_cast<Sent*>(sent)->ends;
  if (api_key == kTxnOffsetCommit) ++static_cast<Sent*>(sent)->offsets;
  return RD_KAFKA_RESP_ERR_NO_ERROR;
}
rd_kafka_resp_err_t on_new(rd_kafka_t* handle, const rd_kafka_conf_t*, void* sent, char*, size_t) {
  return rd_kafka_interceptor_add_on_request_sent(handle, "wrackline", on_request, sent);
}

}  // namespace

// Lives until both the producer and its thread are gone.
struct Producer::Shared {
  std::shared_ptr<const Config> config;
  std::string transactional_id;
  Millis transaction_timeout = 0;
  std::shared_ptr<Wakeup> wakeup;
  std::shared_ptr<const Clock> clock;
  Connection connection;
  Sent sent;
  std::chrono::steady_clock::time_point ended_at{};

  std::mutex mutex;
  std::condition_variable changed;
  Handle handle;            // made on the thread, by init; used by the owner while no call runs
  int64_t handles = 0;      // that were made
  std::mutex events_mutex;  // the owner drains failures meanwhile: a flush waits for that
  Queue events;             // of the handle
  bool closed = false;
  Call call = Call::kNone;
  Offsets offsets;
  GroupMetadata group;
  std::optional<Answer> answer;
  bool gone = false;

  bool transactional() const { return !transactional_id.empty(); }

  static void loop(const std::shared_ptr<Shared>& self) {
    for (;;) {
      Call next = Call::kNone;
      {
        std::unique_lock lock(self->mutex);
        self->changed.wait(lock, [&] { return self->gone || self->call != Call::kNone; });
        if (self->gone) break;
        next = self->call;
      }
      Status status = self->run(next);
      {
        const std::lock_guard lock(self->mutex);
        self->call = Call::kNone;
        self->answer = Answer{next, std::move(status)};
      }
      self->wakeup->set();
    }
    self->close();
    {
      const std::lock_guard lock(self->mutex);
      self->closed = true;
    }
    self->changed.notify_all();
  }

  void close() {
    {
      const std::lock_guard lock(events_mutex);
      events.reset();
    }
    handle.reset();
  }

  Status run(Call next) {
    switch (next) {
      case Call::kInit: return init();
      case Call::kSendOffsets: return transactional() ? send_offsets() : Status();
      case Call::kCommit: return end(true);
      case Call::kAbort: return end(false);
      case Call::kNone: break;
    }
    return {};
  }

  Status init() {
    close();
    std::this_thread::sleep_until(ended_at + kMarkers);
    // A request that is lost is repeated while the transaction may still succeed.
    std::vector<ConfOption> own = {
        {"message.timeout.ms", std::to_string(transaction_timeout)},
        {"socket.timeout.ms", std::to_string(std::max<Millis>(500, transaction_timeout / 2))}};
    if (transactional()) {
      own.emplace_back("transactional.id", transactional_id);
      own.emplace_back("transaction.timeout.ms", std::to_string(transaction_timeout));
    }
    auto opened = config->open(Role::kProducer, own, &connection, [this](rd_kafka_conf_t* conf) {
      rd_kafka_conf_set_events(conf, RD_KAFKA_EVENT_DR);
      if (transactional()) rd_kafka_conf_interceptor_add_on_new(conf, "wrackline", on_new, &sent);
    });
    WL_RETURN_IF_ERROR(opened.status());
    handle = std::move(opened).value();
    ++handles;
    {
      const std::lock_guard lock(events_mutex);
      events.reset(rd_kafka_queue_get_main(handle.get()));
      wakeup->watch(events.get());
    }
    if (!transactional()) return {};
    // An init before there is a connection finds no coordinator, and the library looks again half a second later.
    await_connection(handle, kConnecting);
    return repeat(Call::kInit, [this](int timeout) { return rd_kafka_init_transactions(handle.get(), timeout); });
  }

  Status send_offsets() {
    const PartitionList list(rd_kafka_topic_partition_list_new(static_cast<int>(offsets.size())));
    for (const auto& [partition, committed] : offsets) {
      rd_kafka_topic_partition_t* entry =
          rd_kafka_topic_partition_list_add(list.get(), partition.topic.c_str(), partition.partition);
      entry->offset = committed.offset;
      if (committed.metadata.empty()) continue;
      entry->metadata = rd_kafka_mem_malloc(handle.get(), committed.metadata.size());
      std::copy(committed.metadata.begin(), committed.metadata.end(), static_cast<char*>(entry->metadata));
      entry->metadata_size = committed.metadata.size();
    }
    return repeat(Call::kSendOffsets, [&](int timeout) {
      return rd_kafka_send_offsets_to_transaction(handle.get(), list.get(), group.get(), timeout);
    });
  }

  Status end(bool commit) {
    if (!transactional()) {
      const rd_kafka_resp_err_t error = rd_kafka_flush(handle.get(), static_cast<int>(transaction_timeout));
      // Not retriable: what is not delivered by now is given up, and comes again after a recovery.
      return error == RD_KAFKA_RESP_ERR_NO_ERROR
                 ? Status()
                 : Status::abort("flush: " + std::to_string(rd_kafka_outq_len(handle.get())) +
                                 " records are not delivered within " + std::to_string(transaction_timeout) +
                                 " ms: " + why());
    }
    WL_RETURN_IF_ERROR(repeat(commit ? Call::kCommit : Call::kAbort, [&](int timeout) {
      return commit ? rd_kafka_commit_transaction(handle.get(), timeout)
                    : rd_kafka_abort_transaction(handle.get(), timeout);
    }));
    ended_at = std::chrono::steady_clock::now();
    if ((sent.ends > 1 || sent.offsets > 1) && config->recycles_late_ends()) {
      log_line(LogLevel::kWarning, "kafka: the end of a transaction of " + transactional_id +
                                       " had to be sent again; a new producer goes on");
      return init().with_context("after a commit that succeeded");
    }
    return {};
  }

  // The same call until its deadline, while it says that it may be repeated.
  template <typename F>
  Status repeat(Call which, F attempt) {
    const int64_t deadline = clock->steady_us() + transaction_timeout * 1000;
    for (;;) {
      const int64_t left_ms = std::max<int64_t>(1, (deadline - clock->steady_us()) / 1000);
      const Error error(attempt(static_cast<int>(left_ms)));
      Status status = status_of(error.get(), name_of(which));
      if (status.code() != Code::kRetriable) return status;
      if (clock->steady_us() >= deadline) {
        return Status::abort(status.message() + ", for " + std::to_string(transaction_timeout) +
                             " ms (transaction_timeout): " + why());
      }
      const std::lock_guard lock(mutex);
      if (gone) return Status::abort("given up");
    }
  }
  std::string why() const {
    const std::string reason = connection.last_error();
    return reason.empty() ? "no answer" : reason;
  }
};

Producer::Producer(std::shared_ptr<const Config> config, std::string transactional_id, Millis transaction_timeout,
                   std::shared_ptr<Wakeup> wakeup, std::shared_ptr<const Clock> clock)
    : shared_(std::make_shared<Shared>()), clock_(std::move(clock)) {
  shared_->config = std::move(config);
  shared_->transactional_id = std::move(transactional_id);
  shared_->transaction_timeout = transaction_timeout;
  shared_->wakeup = std::move(wakeup);
  shared_->clock = clock_;
  std::thread([shared = shared_] { Shared::loop(shared); }).detach();
}

Producer::~Producer() {
  topics_.clear();
  {
    const std::lock_guard lock(shared_->mutex);
    shared_->gone = true;
  }
  shared_->changed.notify_all();
  std::unique_lock lock(shared_->mutex);
  shared_->changed.wait_for(lock, kClosing, [this] { return shared_->closed; });
}

bool Producer::may_init(const std::string& transactional_id) const {
  return running_ == Call::kNone && transactional_id == shared_->transactional_id;
}

void Producer::start(Call call) {
  running_ = call;
  if (call == Call::kInit || call == Call::kCommit || call == Call::kAbort) {
    topics_.clear();  // a handle that is replaced must not be in use
    queued_.clear();
  }
  deadline_us_ = clock_->steady_us() + (shared_->transaction_timeout * 2 + kGrace) * 1000;
  {
    const std::lock_guard lock(shared_->mutex);
    shared_->call = call;
  }
  shared_->changed.notify_all();
}

void Producer::start_init() { start(Call::kInit); }
void Producer::start_send_offsets(const Offsets& offsets, GroupMetadata group) {
  shared_->offsets = offsets;
  shared_->group = std::move(group);
  start(Call::kSendOffsets);
}
void Producer::start_commit() { start(Call::kCommit); }
void Producer::start_abort() { start(Call::kAbort); }

std::optional<Producer::Answer> Producer::take_answer() {
  if (running_ == Call::kNone) return {};
  {
    const std::lock_guard lock(shared_->mutex);
    if (shared_->answer) {
      running_ = Call::kNone;
      return std::exchange(shared_->answer, std::nullopt);
    }
  }
  if (clock_->steady_us() < deadline_us_) return {};
  const Call call = std::exchange(running_, Call::kNone);
  return Answer{call, Status::abort(std::string(name_of(call)) + ": no answer; this producer is given up")};
}

Status Producer::begin() {
  if (!shared_->transactional()) return {};
  shared_->sent.ends = 0;
  shared_->sent.offsets = 0;
  const Error error(rd_kafka_begin_transaction(shared_->handle.get()));
  return status_of(error.get(), "begin");
}

Status Producer::append(const TopicPartition& partition, const Records& records) {
  if (std::exchange(proven_by_, shared_->handles) != shared_->handles) proven_at_.clear();
  Topic& topic = topics_[partition.topic];
  if (topic == nullptr) topic.reset(rd_kafka_topic_new(shared_->handle.get(), partition.topic.c_str(), nullptr));
  const auto resumed = queued_.find(partition);
  int64_t next = resumed == queued_.end() ? 0 : resumed->second;
  rd_kafka_resp_err_t error = RD_KAFKA_RESP_ERR_NO_ERROR;
  const auto sent_alone = [&] { return clock_->steady_us() + kProving * 1000; };
  const auto bytes = [](std::string_view text) { return const_cast<char*>(text.data()); };  // copied, not changed

  while (error == RD_KAFKA_RESP_ERR_NO_ERROR && next < records.size()) {
    const bool first = !proven_at_.contains(partition);
    if (!first) {
      if (Status status = prove(partition); !status.ok()) {
        queued_[partition] = next;
        return status;
      }
    }
    if (records.any_headers()) {
      rd_kafka_headers_t* headers = rd_kafka_headers_new(4);
      for (const auto& [name, value] : records.headers(next)) {
        rd_kafka_header_add(headers, name.data(), static_cast<ssize_t>(name.size()), value.data(),
                            static_cast<ssize_t>(value.size()));
      }
      const std::string_view key = records.key(next), value = records.value(next);
      error = rd_kafka_producev(
          shared_->handle.get(), RD_KAFKA_V_RKT(topic.get()), RD_KAFKA_V_PARTITION(partition.partition),
          RD_KAFKA_V_MSGFLAGS(RD_KAFKA_MSG_F_COPY), RD_KAFKA_V_HEADERS(headers),
          RD_KAFKA_V_TIMESTAMP(std::max<Millis>(0, records.timestamp(next))),  // 0: now
          RD_KAFKA_V_KEY(records.has_key(next) ? (key.empty() ? "" : key.data()) : nullptr, key.size()),
          RD_KAFKA_V_VALUE(records.has_value(next) ? (value.empty() ? bytes("") : bytes(value)) : nullptr,
                           value.size()),
          RD_KAFKA_V_END);
      if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
        ++next;
        if (first) proven_at_[partition] = sent_alone();
      } else {
        rd_kafka_headers_destroy(headers);
      }
      continue;
    }
    const int64_t end = std::min(records.size(), next + (first ? 1 : kBatch));
    batch_.assign(static_cast<size_t>(end - next), rd_kafka_message_t{});
    for (int64_t i = next; i < end; ++i) {
      rd_kafka_message_t& message = batch_[static_cast<size_t>(i - next)];
      const std::string_view key = records.key(i), value = records.value(i);
      if (records.has_value(i)) {
        message.payload = bytes(value.empty() ? std::string_view("") : value);
        message.len = value.size();
      }
      if (records.has_key(i)) {
        message.key = bytes(key.empty() ? std::string_view("") : key);
        message.key_len = key.size();
      }
    }
    rd_kafka_produce_batch(topic.get(), partition.partition, RD_KAFKA_MSG_F_COPY, batch_.data(),
                           static_cast<int>(batch_.size()));
    for (const rd_kafka_message_t& message : batch_) {
      error = message.err;
      if (error != RD_KAFKA_RESP_ERR_NO_ERROR) break;
      ++next;
    }
    if (first && error == RD_KAFKA_RESP_ERR_NO_ERROR) proven_at_[partition] = sent_alone();
  }
  if (error == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
    queued_[partition] = next;
    return Status::retriable("the producer's queue is full");
  }
  queued_.erase(partition);
  return status_of(error, "topic '" + partition.topic + "', partition " + std::to_string(partition.partition));
}

Status Producer::prove(const TopicPartition& partition) {
  int64_t& until_us = proven_at_[partition];
  if (until_us == 0) return {};
  // A flush does not wait for linger.ms, and counts failures that nobody has taken as under way.
  const bool through = rd_kafka_flush(shared_->handle.get(), kProvingStep) == RD_KAFKA_RESP_ERR_NO_ERROR;
  if (std::optional<Status> failure = take_failure()) return *std::move(failure);
  if (!through && clock_->steady_us() < until_us) return Status::retriable("the first record is on its way");
  until_us = 0;
  return {};
}

std::optional<Status> Producer::take_failure() {
  const std::lock_guard lock(shared_->events_mutex);
  if (shared_->events == nullptr) return {};
  std::optional<Status> failure;
  while (const RdEvent event{rd_kafka_queue_poll(shared_->events.get(), 0)}) {
    while (const rd_kafka_message_t* message = rd_kafka_event_message_next(event.get())) {
      rd_kafka_resp_err_t error = message->err;
      // Purged: by an abort, or by a failure that has been told.
      if (error == RD_KAFKA_RESP_ERR_NO_ERROR || error == RD_KAFKA_RESP_ERR__PURGE_QUEUE ||
          error == RD_KAFKA_RESP_ERR__PURGE_INFLIGHT || failure)
        continue;
      if (error == RD_KAFKA_RESP_ERR__FATAL) error = rd_kafka_fatal_error(shared_->handle.get(), nullptr, 0);
      const std::string topic = message->rkt == nullptr ? "?" : rd_kafka_topic_name(message->rkt);
      failure = status_of(error, "a record for topic '" + topic + "' was not delivered");
      // What was queued behind it is in doubt, so a retry is a new transaction.
      if (failure->code() == Code::kRetriable) failure = Status::abort(failure->message());
    }
  }
  return failure;
}

}  // namespace wrackline::kafka
