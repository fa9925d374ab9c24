// Engine: the embedded log itself, over any Storage: topics, appends, transactions, fencing, reads. The Log
// and LogClient of a process are thin handles on one engine.
//
// Thread-safe: one mutex guards the state and orders the writes, so that state and storage always agree;
// batches are encoded before it is taken and decoded after it is released.
// What is written changes in the storage first, in memory after it; a failed write leaves both as they were.
#pragma once

#include <condition_variable>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "wrackline/log/local/state.h"
#include "wrackline/log/local/storage.h"
#include "wrackline/log/log.h"

namespace wrackline::local {

inline constexpr int32_t kMaxPartitions = 10'000;

// A partition that exists. Holds as long as the engine.
struct PartitionRef {
  Topic* topic = nullptr;
  int32_t number = 0;
};

// What an owner of a transactional id shows with every call; of an older epoch: Code::kFenced.
struct ProducerHandle {
  std::string transactional_id;
  uint32_t epoch = 0;
};

struct ReadLimits {
  int64_t records;
  int64_t bytes;
};

// The batch in which the last read stopped, so that the next one need not fetch it again. One per reader.
struct CutEntry {
  int64_t base = 0;
  std::shared_ptr<const Bytes> bytes;
};

struct ReadResult {
  event::Polled polled;
  int64_t visible_end = 0;  // when it was read
};

// A reader that has seen everything below `position`.
struct Waiter {
  PartitionRef partition;
  Isolation isolation;
  int64_t position;
};

// Makes an empty storage a log with an id of its own.
Status initialise(Storage& storage);

class Engine {
 public:
  // A writing one aborts every open transaction of the storage; one that reads follows Storage::catch_up().
  static Result<std::shared_ptr<Engine>> open(std::unique_ptr<Storage> storage, bool writable);

  const std::string& id() const { return id_; }
  bool writable() const { return writable_; }

  Status create_topic(const std::string& name, int32_t partitions);
  Result<std::vector<TopicInfo>> topics();
  Result<TopicInfo> topic(const std::string& name);
  Result<PartitionRef> find(const TopicPartition& partition);

  Result<int64_t> append(const TopicPartition& partition, const Records& records);
  // `cut` may be null.
  Result<ReadResult> read(PartitionRef partition, int64_t offset, ReadLimits limits, Isolation isolation,
                          CutEntry* cut);
  Result<int64_t> start_offset(PartitionRef partition);
  Result<int64_t> end_offset(PartitionRef partition, Isolation isolation);
  Status trim(const TopicPartition& partition, int64_t offset);
  Result<Offsets> committed(const std::string& group);

  Result<ProducerHandle> init(const std::string& transactional_id);
  Status begin(const ProducerHandle& producer);
  Status append(const ProducerHandle& producer, const TopicPartition& partition, const Records& records);
  Status send_offsets(const ProducerHandle& producer, const std::string& group, const Offsets& offsets);
  // kInvalidArgument: no open transaction.
  Status end(const ProducerHandle& producer, bool commit);
  // Aborts what the owner left open, if it still is the owner.
  void abandon(const ProducerHandle& producer);

  // One member per group. REQUIRES: leave() before `member` dies.
  Status join(const std::string& group, const void* member);
  void leave(const void* member);

  // Returns when one of `waiters` may see more, or after `timeout`.
  void wait(Millis timeout, const std::vector<Waiter>& waiters);

 private:
  // Partitions and storage writes of one change, before it is applied.
  struct Stage {
    struct Next {
      PartitionRef ref;
      Partition partition;
    };
    std::map<std::pair<uint32_t, int32_t>, Next> next;
    Write write;
    Partition& of(PartitionRef ref);
  };
  struct Owner {
    Producer producer;
    bool open = false;
    std::vector<PartitionRef> written;
    std::map<std::pair<std::string, std::pair<uint32_t, int32_t>>, OffsetAndMetadata> offsets;  // by group, partition
  };

  Engine(std::unique_ptr<Storage> storage, bool writable) : storage_(std::move(storage)), writable_(writable) {}
  Status load();
  // All below: REQUIRES mutex_ held.
  Status check_writable() const;
  Status refresh();
  Result<Topic*> find_topic(const std::string& name);
  Result<ReadResult> read_once(PartitionRef partition, int64_t offset, ReadLimits limits, Isolation isolation,
                               CutEntry* cut, bool look);  // REQUIRES mutex_ not held
  Result<PartitionRef> find_locked(const TopicPartition& partition);
  Result<const Partition*> state_of(PartitionRef ref);
  Result<Owner*> owner_of(const ProducerHandle& producer);
  Status apply(Stage stage);
  void stage_marker(Stage& stage, PartitionRef ref, const Producer& producer, bool commit);
  void stage_end(Stage& stage, const Owner& owner, bool commit);
  Status add_topics(std::vector<Topic> loaded);

  const std::unique_ptr<Storage> storage_;
  const bool writable_;
  std::string id_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<Topic> topics_;  // a deque: PartitionRefs point into it
  std::map<std::string, Topic*, std::less<>> topics_by_name_;
  std::map<std::string, Owner> owners_;  // by transactional id
  uint64_t last_producer_ = 0;
  std::map<std::string, const void*> members_;  // by group
  uint64_t view_ = 1;                           // of a reading engine: counts what it caught up with
  uint64_t topics_view_ = 0;
};

}  // namespace wrackline::local
