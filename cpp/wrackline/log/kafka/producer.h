// Producer: one librdkafka producer and the thread on which its transactional calls block. Everything that waits is
// started here and answered through take_answer(); the thread that owns this never blocks.
//
//   kNew -> start_init -> ready -> begin -> append* -> start_send_offsets* -> start_commit | start_abort -> ready
//
// A producer is disposable: after anything but success it is dropped, and another with the same transactional id
// fences it.
//
// An end of a transaction (EndTxn), or its offsets (TxnOffsetCommit), that the client sent more than once may reach the
// broker late, when the next transaction is open, and would end that one or set its offsets back: such a producer is
// replaced before the answer is given, and the late request meets a newer epoch.
#pragma once

#include <atomic>
#include <condition_variable>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <thread>

#include "wrackline/core/clock.h"
#include "wrackline/core/records.h"
#include "wrackline/core/status.h"
#include "wrackline/log/kafka/config.h"
#include "wrackline/log/kafka/wakeup.h"
#include "wrackline/log/log.h"

namespace wrackline::kafka {

class Producer {
 public:
  enum class Call { kNone, kInit, kSendOffsets, kCommit, kAbort };
  struct Answer {
    Call call = Call::kNone;
    Status status;
  };

  // Empty `transactional_id`: at least once, commit and abort only flush.
  Producer(std::shared_ptr<const Config> config, std::string transactional_id, Millis transaction_timeout,
           std::shared_ptr<Wakeup> wakeup, std::shared_ptr<const Clock> clock);
  // Waits for the thread for some seconds at most: one whose call hangs ends by itself, later.
  ~Producer();
  Producer(const Producer&) = delete;
  Producer& operator=(const Producer&) = delete;

  // One at a time: REQUIRES that the answer of the one before was taken.
  bool may_init(const std::string& transactional_id) const;  // else another producer has to
  void start_init();
  void start_send_offsets(const Offsets& offsets, GroupMetadata group);
  void start_commit();
  void start_abort();
  // What has ended: at most one a call. A call without an answer after its deadline is answered with kAbort.
  std::optional<Answer> take_answer();

  Status begin();
  // kRetriable: the queue is full, or the first record is still on its way (prove). The same records must come again:
  // those that are queued are not queued twice.
  Status append(const TopicPartition& partition, const Records& records);
  // A record that could not be delivered, once.
  std::optional<Status> take_failure();

 private:
  struct Shared;
  void start(Call call);
  // The first record of a producer in a partition goes alone. A broker that does not lead the partition yet refuses it,
  // and would take one behind it, whose acknowledgement the library takes for that of both: the first would be lost.
  // kRetriable: it is still on its way. The failure, if it is refused for good.
  Status prove(const TopicPartition& partition);

  const std::shared_ptr<Shared> shared_;  // with the thread
  const std::shared_ptr<const Clock> clock_;
  std::map<std::string, Topic> topics_;
  int64_t proven_by_ = 0;                        // the handle
  std::map<TopicPartition, int64_t> proven_at_;  // of a partition that has had its first record: when to send others
                                                 // behind it even so; 0: it has arrived
  std::map<TopicPartition, int64_t> queued_;     // records of an append that is to come again
  std::vector<rd_kafka_message_t> batch_;
  Call running_ = Call::kNone;
  int64_t deadline_us_ = 0;
};

}  // namespace wrackline::kafka
