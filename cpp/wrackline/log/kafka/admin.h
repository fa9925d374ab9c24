// Admin: what is asked of the brokers outside of a transaction: topics, offsets, trimming, plain appends. Each call
// waits for its answer, for connect_timeout at most, and repeats what may be repeated.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <vector>

#include "wrackline/core/clock.h"
#include "wrackline/log/kafka/config.h"
#include "wrackline/log/log.h"

namespace wrackline::kafka {

// Answer to Admin::start_committed().
struct CommittedAnswer {
  Status status;
  Offsets offsets;
  bool unstable = false;  // an open transaction has sent offsets of some
};

class Admin {
 public:
  // Connects. kUnavailable names the brokers and why they cannot be reached.
  static Result<std::shared_ptr<Admin>> open(std::shared_ptr<const Config> config, std::shared_ptr<const Clock> clock);

  const Config& config() const { return *config_; }
  std::shared_ptr<const Config> share_config() const { return config_; }
  const std::string& cluster_id() const { return cluster_id_; }

  Status create_topic(const std::string& name, int32_t partitions, TopicUse use);
  Result<std::vector<TopicInfo>> topics();
  Result<TopicInfo> topic(const std::string& name);
  // kNotFound: there is no such partition. Asks the brokers only for topics that are not known yet.
  Status check_exists(const TopicPartition& partition);

  Result<int64_t> append(const TopicPartition& partition, const Records& records);
  Result<int64_t> start_offset(const TopicPartition& partition);
  Result<int64_t> end_offset(const TopicPartition& partition, Isolation isolation);
  Status trim(const TopicPartition& partition, int64_t offset);
  void start_trim(const TopicPartition& partition, int64_t offset);  // nobody waits for the answer
  Result<Offsets> committed(const std::string& group);

  // Where the answer of start_committed() comes.
  Result<Queue> committed_queue(const std::string& group);
  // The answer comes to `queue`; parse_committed() reads it.
  Status start_committed(const std::string& group, const std::vector<TopicPartition>& partitions, bool stable,
                         rd_kafka_queue_t* queue);
  static CommittedAnswer parse_committed(rd_kafka_event_t* event);

 private:
  Admin(std::shared_ptr<const Config> config, std::shared_ptr<const Clock> clock)
      : config_(std::move(config)), clock_(std::move(clock)) {}
  using Options = Owned<rd_kafka_AdminOptions_t, rd_kafka_AdminOptions_destroy>;
  Options options(rd_kafka_admin_op_t operation) const;
  // Starts an operation whose answer comes to the queue, waits for it, and repeats both as long as that may help.
  Status ask(std::string_view what, const std::function<void(rd_kafka_queue_t*)>& start,
             const std::function<Status(rd_kafka_event_t*)>& read) const;
  Result<std::vector<TopicInfo>> describe(const std::vector<std::string>& names) const;
  Result<std::vector<std::string>> names() const;
  Status check_internal(const std::string& name) const;
  // Offsets are asked for by a consumer of the group: the library (2.15.1) looks for its own group when a coordinator
  // is not ready, and crashes if it has none.
  Result<rd_kafka_t*> group_handle(const std::string& group);
  Result<int64_t> offset_of(const TopicPartition& partition, int64_t spec, Isolation isolation);

  const std::shared_ptr<const Config> config_;
  const std::shared_ptr<const Clock> clock_;
  mutable Connection connection_;
  Handle handle_;
  std::string cluster_id_;
  std::mutex known_mutex_;
  std::map<std::string, TopicInfo> known_;
  std::mutex append_mutex_;
  std::set<TopicPartition> proven_;  // the first record to a partition goes alone (producer.h)
  std::mutex groups_mutex_;
  std::map<std::string, Handle> groups_;
};

}  // namespace wrackline::kafka
