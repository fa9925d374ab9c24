#include "simulation/faulty_log.h"

#include <algorithm>
#include <deque>
#include <optional>
#include <string>
#include <utility>

namespace wrackline::simulation {
namespace {

class FaultyClient final : public LogClient {
 public:
  FaultyClient(std::shared_ptr<Broker> broker, std::shared_ptr<Process> process, std::unique_ptr<LogClient> inner,
               const ClientOptions& options)
      : broker_(std::move(broker)),
        process_(std::move(process)),
        inner_(std::move(inner)),
        instance_(options.instance),
        transactional_(options.guarantee == Guarantee::kExactlyOnce) {}

  ~FaultyClient() override {
    // What was on its way may still arrive.
    if (commit_in_ > 0 && random().chance(0.5)) {
      trace().note("late commit");
      commit();
    }
    // A process that lives on may close its client in order, which aborts, or just let go of it.
    const bool gone = process_->crashed || random().chance(0.5);
    if (member_ > 0) broker_->group->leave(member_, gone);
    if (gone)
      broker_->graveyard.push_back(std::move(inner_));
    else
      transaction_ended();
  }

  Status subscribe(const std::string& group, const std::vector<std::string>& topics) override {
    WL_RETURN_IF_ERROR(process_->call("subscribe"));
    (void)group;
    std::vector<TopicPartition> partitions;
    for (const std::string& name : topics) {
      WL_ASSIGN_OR_RETURN(const TopicInfo topic, broker_->log->topic(name));
      for (int32_t number = 0; number < topic.partitions; ++number) partitions.push_back({name, number});
    }
    member_ = broker_->group->join(instance_, partitions);
    return {};
  }
  void answer_revoke() override {
    if (process_->crashed || broker_->answers_early) return;
    trace().note("answer_revoke");
    const auto open = broker_->open.find(transactional_id_);
    if (open != broker_->open.end() && open->second.client == this && !open->second.offsets.empty())
      violation("a revoke was answered before the commit had ended");
    if (member_ == 0 || !broker_->group->answer(member_)) violation("a revoke was answered that nobody had asked");
  }

  void read_from(const TopicPartition& partition, int64_t offset, Isolation isolation) override {
    if (process_->crashed) return;
    trace().note("read_from", partition.topic, partition.partition, offset);
    forget(partition);
    inner_->read_from(partition, offset, isolation);
  }
  void stop_reading(const TopicPartition& partition) override {
    if (process_->crashed) return;
    forget(partition);
    inner_->stop_reading(partition);
  }
  void pause(const TopicPartition& partition) override {
    if (process_->crashed) return;
    if (random().chance(0.05)) {  // something was on its way
      if (Event event = inner_->poll(random().between(1, 20)); event.index() != 0) events_.push_back(std::move(event));
    }
    inner_->pause(partition);
  }
  void resume(const TopicPartition& partition) override {
    if (!process_->crashed) inner_->resume(partition);
  }

  void start_committed(const std::string& group, const std::vector<TopicPartition>& partitions) override {
    if (Status status = process_->call("start_committed"); !status.ok()) return fail(std::move(status));
    if (asked_committed_) violation("start_committed while one is in flight");
    asked_committed_ = {group, partitions};
    told_unstable_ = false;
  }

  void start_init(const std::string& transactional_id) override {
    if (Status status = process_->call("start_init"); !status.ok()) return fail(std::move(status));
    transactional_id_ = transactional_id;
    broker_->open.erase(transactional_id);
    inner_->start_init(transactional_id);
    answer_may_be_lost("init");
  }
  Status begin() override {
    WL_RETURN_IF_ERROR(process_->call("begin"));
    WL_RETURN_IF_ERROR(inner_->begin());
    if (transactional_) broker_->open[transactional_id_] = {this, broker_->clock->steady_us(), {}};
    return {};
  }
  Status append(const TopicPartition& partition, const Records& records) override {
    if (process_->crashed) return process_->crash("append");
    if (full_ > 0) {
      --full_;
      return Status::retriable("simulated: the queue is full");
    }
    if (process_->faults->strike("queue full", 2.0)) {
      full_ = random().between(1, 6);
      return Status::retriable("simulated: the queue is full");
    }
    WL_RETURN_IF_ERROR(process_->call("append"));
    trace().note("append", partition.topic, partition.partition, records.size());
    WL_RETURN_IF_ERROR(inner_->append(partition, records));
    if (process_->faults->strike("crash after append", 0.5)) return process_->crash("append");
    return {};
  }
  void start_send_offsets(const std::string& group, const Offsets& offsets) override {
    if (Status status = process_->call("start_send_offsets"); !status.ok()) return fail(std::move(status));
    for (const auto& [partition, offset] : offsets) {
      trace().note("offset", partition.topic, partition.partition, offset.offset);
      if (broker_->group->owns(member_, partition) || broker_->answers_early) continue;
      if (broker_->group->gave_up(member_, partition)) violation("offsets of a partition that was given up");
      return fail(lost("the group has moved on"));
    }
    if (const auto open = broker_->open.find(transactional_id_); open != broker_->open.end()) {
      for (const auto& [partition, offset] : offsets) {
        if (open->second.client == this) open->second.offsets.insert(partition);
      }
    }
    for (const auto& [partition, offset] : offsets) {
      sent_[partition] = offset;
      if (!transactional_) broker_->expired.erase(partition);
    }
    inner_->start_send_offsets(group, offsets);
  }
  void start_commit() override {
    if (process_->crashed) return;
    trace().note("start_commit");
    if (process_->faults->strike("commit refused", 0.7)) return fail(lost("commit refused"));
    if (process_->faults->strike("crash before commit", 0.7)) return fail(process_->crash("start_commit"));
    // It reaches the log at one of the next polls, or only when the process is no more.
    commit_in_ = process_->faults->slow() ? random().between(1, 5) : 1;
  }
  void start_abort() override {
    if (Status status = process_->call("start_abort"); !status.ok()) return fail(std::move(status));
    inner_->start_abort();
    transaction_ended();
  }
  void start_fence(const std::string& transactional_id) override {
    if (Status status = process_->call("start_fence"); !status.ok()) return fail(std::move(status));
    broker_->open.erase(transactional_id);
    ++broker_->fenced[transactional_id];
    trace().note("start_fence", transactional_id);
    inner_->start_fence(transactional_id);
  }
  void trim(const TopicPartition& partition, int64_t offset) override {
    if (!process_->call("trim").ok()) return;
    broker_->before_trim(partition);
    inner_->trim(partition, offset);
  }

  Event poll(int64_t max_records) override {
    if (process_->crashed) return event::Failed{process_->crash("poll")};
    if (process_->faults->strike("crash in poll", 0.3)) return event::Failed{process_->crash("poll")};
    if (process_->faults->strike("connection", 0.3)) return event::Failed{lost("connection")};
    if (member_ > 0 && process_->faults->strike("session timeout", 0.2)) {
      ++process_->recoverable;
      broker_->group->lose(member_);
    }
    if (commit_in_ > 0 && --commit_in_ == 0) {
      commit();
      answer_may_be_lost("commit");
      if (process_->faults->strike("crash after commit", 0.7)) return event::Failed{process_->crash("commit")};
    }
    if (process_->faults->slow()) return {};
    if (!events_.empty()) {
      Event event = std::move(events_.front());
      events_.pop_front();
      return event;
    }
    if (member_ > 0) {
      Event event = broker_->group->poll(member_);
      if (broker_->answers_early && std::holds_alternative<event::Revoked>(event)) broker_->group->answer(member_);
      if (event.index() != 0) return event;
    }
    if (asked_committed_) {
      Event event = committed();
      if (event.index() != 0) return event;
    }
    const int64_t most = random().chance(0.3) ? random().between(1, std::max<int64_t>(max_records, 1)) : max_records;
    Event event = inner_->poll(most);
    if (const auto* polled = std::get_if<event::Polled>(&event)) {
      trace().note("polled", polled->partition.topic, polled->partition.partition, polled->next_offset);
    } else if (event.index() != 0) {
      trace().note("event", {}, static_cast<int64_t>(event.index()));
    }
    return event;
  }
  void wait(Millis /*timeout*/) override {}

 private:
  Random& random() { return process_->faults->random(); }
  EventTrace& trace() { return process_->faults->trace(); }
  Status lost(std::string_view what) {
    ++process_->recoverable;
    const std::string message = "simulated: " + std::string(what);
    return random().chance(0.5) ? Status::abort(message) : Status::retriable(message);
  }
  void violation(std::string what) { broker_->violations.push_back(std::move(what)); }
  void commit() {
    inner_->start_commit();
    const auto open = broker_->open.find(transactional_id_);
    if (open != broker_->open.end() && open->second.client == this) {
      for (const TopicPartition& partition : open->second.offsets) broker_->expired.erase(partition);
    }
    transaction_ended();
  }
  void transaction_ended() {
    const auto open = broker_->open.find(transactional_id_);
    if (open != broker_->open.end() && open->second.client == this) broker_->open.erase(open);
  }
  // The answer to start_committed(), unless somebody's transaction still has a say in it.
  Event committed() {
    const auto& [group, partitions] = *asked_committed_;
    const Offsets all = broker_->committed(group);
    Offsets offsets;
    bool unstable = false;
    for (const TopicPartition& partition : partitions) {
      unstable = unstable || broker_->unstable(partition, this);
      if (const auto found = all.find(partition); found != all.end()) offsets.insert(*found);
    }
    if (unstable) {
      if (told_unstable_ || random().chance(0.7)) return {};
      told_unstable_ = true;
      trace().note("unstable");
      return event::Unstable{std::move(offsets)};
    }
    asked_committed_.reset();
    if (broker_->wrap_committed) broker_->wrap_committed(sent_, offsets);
    return event::Committed{std::move(offsets)};
  }
  // What was on its way from an earlier reading.
  void forget(const TopicPartition& partition) {
    std::erase_if(events_, [&](const Event& event) {
      const auto* polled = std::get_if<event::Polled>(&event);
      const auto* end = std::get_if<event::AtEnd>(&event);
      return (polled && polled->partition == partition) || (end && end->partition == partition);
    });
  }
  void fail(Status status) { events_.emplace_back(event::Failed{std::move(status)}); }
  // The call has had its effect; nobody hears of it.
  void answer_may_be_lost(std::string_view what) {
    if (!process_->faults->strike("answer lost", 1.0)) return;
    static_cast<void>(inner_->poll(1));
    fail(lost(what));
  }

  const std::shared_ptr<Broker> broker_;
  const std::shared_ptr<Process> process_;
  std::unique_ptr<LogClient> inner_;
  std::deque<Event> events_;  // of ours, before those of `inner_`
  const std::string instance_;
  const bool transactional_;
  std::string transactional_id_;
  int64_t member_ = 0;  // of the group; 0: has not joined
  std::optional<std::pair<std::string, std::vector<TopicPartition>>> asked_committed_;
  bool told_unstable_ = false;
  Offsets sent_;           // by this client, last
  int64_t commit_in_ = 0;  // polls until the commit reaches the log
  int64_t full_ = 0;       // appends that the queue still refuses
};

class FaultyLog final : public Log {
 public:
  FaultyLog(std::shared_ptr<Broker> broker, std::shared_ptr<Process> process)
      : broker_(std::move(broker)), process_(std::move(process)) {}

  std::string id() const override { return broker_->log->id(); }
  std::string uri() const override { return broker_->log->uri(); }
  Status create_topic(const std::string& name, int32_t partitions, TopicUse use) override {
    WL_RETURN_IF_ERROR(process_->call("create_topic"));
    return broker_->log->create_topic(name, partitions, use);
  }
  int64_t max_record_bytes() const override { return broker_->log->max_record_bytes(); }
  Result<std::vector<TopicInfo>> topics() override {
    WL_RETURN_IF_ERROR(process_->call("topics"));
    return broker_->log->topics();
  }
  Result<TopicInfo> topic(const std::string& name) override {
    WL_RETURN_IF_ERROR(process_->call("topic"));
    return broker_->log->topic(name);
  }
  Result<int64_t> append(const TopicPartition& partition, const Records& records) override {
    WL_RETURN_IF_ERROR(process_->call("log append"));
    return broker_->log->append(partition, records);
  }
  Result<event::Polled> read(const TopicPartition& partition, int64_t offset, int64_t max_bytes,
                             Isolation isolation) override {
    WL_RETURN_IF_ERROR(process_->call("log read"));
    return broker_->log->read(partition, offset, max_bytes, isolation);
  }
  Result<int64_t> start_offset(const TopicPartition& partition) override {
    WL_RETURN_IF_ERROR(process_->call("start_offset"));
    return broker_->log->start_offset(partition);
  }
  Result<int64_t> end_offset(const TopicPartition& partition, Isolation isolation) override {
    WL_RETURN_IF_ERROR(process_->call("end_offset"));
    return broker_->log->end_offset(partition, isolation);
  }
  Status trim(const TopicPartition& partition, int64_t offset) override {
    WL_RETURN_IF_ERROR(process_->call("trim"));
    broker_->before_trim(partition);
    return broker_->log->trim(partition, offset);
  }
  Result<Offsets> committed(const std::string& group) override {
    WL_RETURN_IF_ERROR(process_->call("committed"));
    return broker_->committed(group);
  }
  Result<std::unique_ptr<LogClient>> client(const ClientOptions& options) override {
    WL_RETURN_IF_ERROR(process_->call("client"));
    WL_ASSIGN_OR_RETURN(std::unique_ptr<LogClient> inner, broker_->log->client(options));
    if (broker_->wrap_client) inner = broker_->wrap_client(std::move(inner), *broker_->log);
    return std::unique_ptr<LogClient>(std::make_unique<FaultyClient>(broker_, process_, std::move(inner), options));
  }

 private:
  const std::shared_ptr<Broker> broker_;
  const std::shared_ptr<Process> process_;
};

}  // namespace

void Broker::expire(bool all) {
  for (auto transaction = open.begin(); transaction != open.end();) {
    if (!all && clock->steady_us() - transaction->second.since_us <= transaction_timeout * 1000) {
      ++transaction;
      continue;
    }
    const std::unique_ptr<LogClient> broker = log->client().value();
    broker->start_fence(transaction->first);
    ++fenced[transaction->first];
    transaction = open.erase(transaction);
  }
}

Offsets Broker::committed(const std::string& name) const {
  Result<Offsets> offsets = log->committed(name);
  WL_CHECK(offsets.ok());
  std::erase_if(*offsets, [&](const auto& entry) { return expired.contains(entry.first); });
  return std::move(offsets).value();
}

bool Broker::unstable(const TopicPartition& partition, const void* client) const {
  return std::any_of(open.begin(), open.end(), [&](const auto& entry) {
    return entry.second.client != client && entry.second.offsets.contains(partition);
  });
}

std::shared_ptr<Log> make_faulty_log(std::shared_ptr<Broker> broker, std::shared_ptr<Process> process) {
  return std::make_shared<FaultyLog>(std::move(broker), std::move(process));
}

}  // namespace wrackline::simulation
