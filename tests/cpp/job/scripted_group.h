// A log whose consumer groups do what a test says: the memory log, with events put before its own.
#pragma once

#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "wrackline/log/log.h"

namespace wrackline {

// What a test says and hears. Of the newest client.
struct GroupScript {
  std::deque<Event> events;  // the next polls' answers
  bool assign_all = true;    // at subscribe()
  int answers = 0;           // to revokes
  int clients = 0;
  int inits = 0;
  std::vector<std::string> fences;
  std::vector<Offsets> sent;
  std::vector<ClientOptions> options;
  bool hold_committed = false;  // start_committed() is not answered yet
  bool no_offsets = false;      // the group has lost its offsets, until some are sent
  int looks = 0;                // start_committed()
};

class ScriptedClient final : public LogClient {
 public:
  ScriptedClient(std::unique_ptr<LogClient> inner, std::shared_ptr<Log> log, std::shared_ptr<GroupScript> script)
      : inner_(std::move(inner)), log_(std::move(log)), script_(std::move(script)) {}
  Status subscribe(const std::string&, const std::vector<std::string>& topics) override {
    if (!script_->assign_all) return {};
    event::Assigned assigned;
    for (const std::string& name : topics) {
      WL_ASSIGN_OR_RETURN(const TopicInfo info, log_->topic(name));
      for (int32_t p = 0; p < info.partitions; ++p) assigned.partitions.push_back({name, p});
    }
    script_->events.emplace_back(std::move(assigned));
    return {};
  }
  void answer_revoke() override { ++script_->answers; }
  void read_from(const TopicPartition& p, int64_t offset, Isolation isolation) override {
    inner_->read_from(p, offset, isolation);
  }
  void stop_reading(const TopicPartition& p) override { inner_->stop_reading(p); }
  void pause(const TopicPartition& p) override { inner_->pause(p); }
  void resume(const TopicPartition& p) override { inner_->resume(p); }
  void start_committed(const std::string& g, const std::vector<TopicPartition>& p) override {
    ++script_->looks;
    if (script_->no_offsets)
      script_->events.emplace_back(event::Committed{});
    else if (script_->hold_committed)
      held_ = {g, p};
    else
      inner_->start_committed(g, p);
  }
  void start_init(const std::string& id) override {
    ++script_->inits;
    inner_->start_init(id);
  }
  Status begin() override { return inner_->begin(); }
  Status append(const TopicPartition& p, const Records& records) override { return inner_->append(p, records); }
  void start_send_offsets(const std::string& g, const Offsets& o) override {
    script_->sent.push_back(o);
    script_->no_offsets = false;
    inner_->start_send_offsets(g, o);
  }
  void start_commit() override { inner_->start_commit(); }
  void start_abort() override { inner_->start_abort(); }
  void start_fence(const std::string& id) override {
    script_->fences.push_back(id);
    inner_->start_fence(id);
  }
  void trim(const TopicPartition& p, int64_t o) override { inner_->trim(p, o); }
  Event poll(int64_t max_records) override {
    if (!script_->events.empty()) {
      Event event = std::move(script_->events.front());
      script_->events.pop_front();
      return event;
    }
    if (!script_->hold_committed && !held_.second.empty()) {
      const auto held = std::exchange(held_, {});
      inner_->start_committed(held.first, held.second);
    }
    return inner_->poll(max_records);
  }
  void wait(Millis timeout) override { inner_->wait(timeout); }

 private:
  std::unique_ptr<LogClient> inner_;
  std::shared_ptr<Log> log_;
  std::shared_ptr<GroupScript> script_;
  std::pair<std::string, std::vector<TopicPartition>> held_;
};

class ScriptedLog final : public Log {
 public:
  ScriptedLog(std::shared_ptr<Log> inner, std::shared_ptr<GroupScript> script)
      : inner_(std::move(inner)), script_(std::move(script)) {}
  std::string id() const override { return inner_->id(); }
  std::string uri() const override { return inner_->uri(); }
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
  Result<Offsets> committed(const std::string& g) override {
    return script_->no_offsets ? Offsets() : inner_->committed(g);
  }
  Result<std::unique_ptr<LogClient>> client(const ClientOptions& o) override {
    ++script_->clients;
    script_->options.push_back(o);
    script_->events.clear();
    WL_ASSIGN_OR_RETURN(std::unique_ptr<LogClient> inner, inner_->client(o));
    return std::unique_ptr<LogClient>(std::make_unique<ScriptedClient>(std::move(inner), inner_, script_));
  }

 private:
  std::shared_ptr<Log> inner_;
  std::shared_ptr<GroupScript> script_;
};

}  // namespace wrackline
