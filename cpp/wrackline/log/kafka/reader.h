// Reader: fetches partitions from offsets that it is told, each into a queue of its own, so that a partition that is
// paused is one that is not asked, and a rebalance touches nothing here. Position and order are ours: a record below
// the position is dropped, whatever the library delivers.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "wrackline/log/kafka/config.h"
#include "wrackline/log/kafka/wakeup.h"
#include "wrackline/log/log.h"

namespace wrackline::kafka {

class Reader {
 public:
  static Result<std::unique_ptr<Reader>> open(const Config& config, Isolation isolation, std::shared_ptr<Wakeup> wakeup,
                                              const std::vector<ConfOption>& own = {});
  ~Reader();
  Reader(const Reader&) = delete;
  Reader& operator=(const Reader&) = delete;

  // REQUIRES: the partition exists.
  Status start(const TopicPartition& partition, int64_t offset);
  void stop(const TopicPartition& partition);
  void set_paused(const TopicPartition& partition, bool paused);
  bool reads(const TopicPartition& partition) const { return readings_.contains(partition); }
  bool empty() const { return readings_.empty(); }
  // Where the next record of `partition` is looked for. REQUIRES: reads(partition).
  int64_t position(const TopicPartition& partition) const { return readings_.at(partition)->position; }

  // Polled, AtEnd, Failed or nothing; partitions in turn.
  Event poll(int64_t max_records);
  // The same of one partition.
  Event poll(const TopicPartition& partition, int64_t max_records);
  // Serves what the library has to say of its connections. Now and then.
  void serve(int64_t now_us);

 private:
  struct Reading {
    TopicPartition partition;
    Queue queue;
    int64_t position = 0;
    int64_t end = -1;       // reached behind the last Polled, to be told
    int64_t told_end = -1;  // position of the last AtEnd
    bool paused = false;
  };
  Reader(std::shared_ptr<Wakeup> wakeup) : wakeup_(std::move(wakeup)) {}
  Event read(Reading& reading, int64_t max_records);
  Event tell_end(Reading& reading);
  Status failed(const Reading& reading, const rd_kafka_message_t& message) const;

  const std::shared_ptr<Wakeup> wakeup_;
  Connection connection_;
  Handle handle_;
  std::map<std::string, Topic> topics_;
  std::map<TopicPartition, std::unique_ptr<Reading>> readings_;
  std::vector<Reading*> turns_;
  size_t next_ = 0;
  bool heard_ = false;  // something came since serve()
  int64_t quiet_since_us_ = 0;
  std::vector<rd_kafka_message_t*> messages_;
};

}  // namespace wrackline::kafka
