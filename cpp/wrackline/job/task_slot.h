// What a worker keeps of one task beside the task itself, and where its rows go. Shared by the worker's source files
// only.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "wrackline/job/worker.h"
#include "wrackline/sink/exchange_sink.h"
#include "wrackline/sink/topic_sink.h"

namespace wrackline {

using AnySink = std::variant<TopicSink, ExchangeSink>;

// kParked: given up in order; is as it was at its last commit. Taken back, it reads on when the worker does.
enum class TaskStage : uint8_t { kRecovering, kParked, kRunning };

struct Worker::TaskSlot {
  int32_t partition = 0;
  TaskStage stage = TaskStage::kRecovering;
  bool lost = false;     // someone else's, to be dropped as soon as no transaction holds it
  bool revoked = false;  // to be given up, likewise
  TopicPartition input;  // topic ""  for bounded rows
  TopicPartition journal;
  TopicPartition anchor;  // whose committed offset carries the metadata: the input, or the journal for bounded rows
  std::unique_ptr<Task> task;
  std::unique_ptr<Checkpointer> checkpointer;  // null in a run with a tap

  // What is known to be committed.
  CommitMetadata committed;
  int64_t committed_offset = 0;  // of the input
  Ledger committed_ledger;
  bool undrained = false;     // by a cut: late panes that were due then come out before the next commit that is none
  bool had_commit = false;    // found at start
  int64_t journal_floor = 0;  // the next journal row lies here or behind

  // Replay: the rows since the checkpoint, in order.
  int64_t restored_seq = 0;
  std::map<int64_t, JournalRow> rows;
  size_t decisions_applied = 0;  // of the first of `rows`
  bool journal_read = false;
  bool row_drained = false;  // pending late panes of the first of `rows` are out
  bool replayed = false;
  std::optional<Cut> cut;  // the last of `rows` was one: the firing goes on from there
  bool changed_job = false;
  std::shared_ptr<Records> left_over;  // polled, behind the boundary
  int64_t left_over_next = 0;

  // The commit under way.
  bool in_commit = false;
  bool naming = false;
  bool frozen = false;  // its seal has a checkpoint
  JournalRow sealed;
  CommitMetadata sealed_metadata;
  uint64_t hash_at_checkpoint = 0;  // Task::rows_hash when the named checkpoint was frozen
  uint64_t hash_at_freeze = 0;      // the same of the one being written
  int64_t journal_at_freeze = 0;    // journal floor behind the commit it was frozen at
  int64_t checkpoint_seq = 0;       // commit_seq of the seal of the named checkpoint
  int64_t content_seq = 0;          // of the last commit with records or decisions
  int64_t seq_at_freeze = 0;        // the same of the one being written
  int64_t offset_at_freeze = 0;     // of the input
  std::string log_id;               // of log and topic: a checkpoint belongs to one

  // Since the task is busy; held: it has been so for long, and its input is paused while others go on with theirs.
  int64_t pieces = 0;
  int64_t busy_since_us = 0;
  bool held = false;

  bool at_end = false;  // told by the log since the last record
  int64_t end_at = 0;   // and that it is there
  int64_t rows_since_commit = 0;
  int64_t end_offset = -1;  // until_now: where this run ends
};

// Encodes rows into the open transaction; holds small batches together until there is enough for an append.
class Worker::TransactionSink final : public RowSink {
 public:
  TransactionSink(Worker& worker, std::vector<AnySink> sinks) : worker_(worker), sinks_(std::move(sinks)) {}

  Status write(int sink, int32_t partition, const Batch& batch) override;
  Status mark(int sink, int32_t partition, const UpstreamMark& mark) override;
  bool is_replayed() const override { return worker_.env_.tap == nullptr; }
  void hold(const TopicPartition& to, Records records);
  // Appends what is held, opening the transaction if it must. False: the log's queue is full, call again.
  Result<bool> flush();
  Status begin();  // the transaction, unless it is open
  bool open() const { return open_; }
  void ended() {
    open_ = false;
    since_us_.reset();
  }
  int64_t held_bytes() const { return held_bytes_; }
  // Of the oldest row that is not committed, or of the transaction.
  std::optional<int64_t> since_us() const { return since_us_; }

 private:
  Worker& worker_;
  std::vector<AnySink> sinks_;
  std::map<TopicPartition, Records> held_;
  int64_t held_bytes_ = 0;
  bool open_ = false;
  std::optional<int64_t> since_us_;
};

inline constexpr int64_t kPatience = 100;  // looks after a deadline: the process may have slept through it

// For messages.
inline constexpr const char* kStartOver = "fresh=True starts over";
inline std::string where(const TopicPartition& partition) {
  return "topic '" + partition.topic + "', partition " + std::to_string(partition.partition);
}

// The records of `polled` at offsets [begin, end).
std::shared_ptr<Records> cut(const Records& records, int64_t begin, int64_t end);

}  // namespace wrackline
