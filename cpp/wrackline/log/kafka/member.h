// Member: this process's place in a consumer group. It fetches nothing (Reader does), so a rebalance never meets a
// batch half read: all that comes of it is which partitions are ours, and the generation that proves it.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <vector>

#include "wrackline/log/kafka/config.h"
#include "wrackline/log/kafka/wakeup.h"
#include "wrackline/log/log.h"

namespace wrackline::kafka {

class Member {
 public:
  static Result<std::unique_ptr<Member>> join(const Config& config, const std::string& group,
                                              const std::string& instance, const std::vector<std::string>& topics,
                                              std::shared_ptr<Wakeup> wakeup);
  ~Member();
  Member(const Member&) = delete;
  Member& operator=(const Member&) = delete;

  const std::string& group() const { return group_; }
  // Assigned, Revoked, Lost, Failed or nothing. The group takes a member that is not polled for dead.
  Event poll();
  void answer_revoke();
  // Proves what is assigned as of the last poll().
  GroupMetadata metadata() const { return GroupMetadata(rd_kafka_consumer_group_metadata(handle_.get())); }
  // At least once: where to commit offsets without a transaction.
  rd_kafka_t* handle() { return handle_.get(); }

 private:
  Member(std::string group, bool leaves, bool incremental, std::shared_ptr<Wakeup> wakeup)
      : group_(std::move(group)), leaves_(leaves), incremental_(incremental), wakeup_(std::move(wakeup)) {}
  static void on_rebalance(rd_kafka_t*, rd_kafka_resp_err_t, rd_kafka_topic_partition_list_t*, void*);
  void rebalance(rd_kafka_resp_err_t error, const rd_kafka_topic_partition_list_t& partitions);
  void assign(const rd_kafka_topic_partition_list_t& partitions);
  void unassign(const rd_kafka_topic_partition_list_t& partitions);

  const std::string group_;
  const bool leaves_;  // when it ends: a static member stays, and comes back
  const bool incremental_;
  const std::shared_ptr<Wakeup> wakeup_;
  struct Callbacks : Connection {
    Member* member = nullptr;
  };
  Callbacks callbacks_;
  Handle handle_;
  Queue queue_;
  std::deque<Event> events_;
  PartitionList revoked_;  // to be answered
  bool closing_ = false;
};

}  // namespace wrackline::kafka
