// Worker: one thread's part of a job: one consumer, one transactional producer, its tasks, and the commit
// protocol (docs/exactly_once.md). step() does one bounded piece of work and never blocks, so that a thread can loop
// over it in production and a seeded scheduler in tests.
//
//   kStart -> kInit -> kAssign -> kFetchCommitted -> kClaim -> kRestore -> kReadJournal -> kReplay -> kRunning
//                         ^               ^                                                 |            |
//                         +-- revoked ----+-- assigned ------------------- kCommit* --------|------------+
//                                                                              |            |
//     ^---------------- any failure that a recovery mends: drop all that is not committed --+   -> kEnd -> kDone
//
// Partitions come and go at the instants between two transactions (rebalance.cc): tasks that go on wait there.
#pragma once

#include <atomic>
#include <cstdint>
#include <deque>
#include <functional>
#include <limits>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "wrackline/core/clock.h"
#include "wrackline/core/failpoint.h"
#include "wrackline/core/status.h"
#include "wrackline/job/checkpoint.h"
#include "wrackline/job/dead_letter_limit.h"
#include "wrackline/job/options.h"
#include "wrackline/job/plan.h"
#include "wrackline/job/task.h"
#include "wrackline/log/log.h"
#include "wrackline/source/placed_keys.h"
#include "wrackline/source/rows.h"
#include "wrackline/store/store.h"

namespace wrackline {

// Takes rows as they come out, instead of topics: throw-away copies and the test driver.
class RowTap {
 public:
  virtual ~RowTap() = default;
  virtual void rows(int sink, const Batch& batch) = 0;
  // It wants to be emptied before more rows come.
  virtual bool full() const { return false; }
};

// Where rows for other stages go in a run with a tap.
class ExchangeTap {
 public:
  virtual ~ExchangeTap() = default;
  virtual Status write(const SinkSpec& sink, int32_t partition, const Batch& batch) = 0;
  virtual Status mark(const SinkSpec& sink, int32_t partition, const UpstreamMark& mark) = 0;
};

// What the workers of one run know together: partitions move between them. Guarded by its mutex.
struct SharedRun {
  std::mutex mutex;
  std::map<int32_t, int64_t> end_offsets;  // until_now: fixed at the first start
  // What the log had committed at the first start: recovery counts by partition. fresh=True starts over what was
  // claimed by then, not what this run has claimed since.
  std::optional<std::map<int32_t, int64_t>> claims_before;
  PlacedKeys placed_keys;   // guarded by itself
  std::set<int32_t> reset;  // partitions whose reset_steps are emptied: the named checkpoint is without them
};

// What a worker works with. Everything outlives it.
struct WorkerEnv {
  std::shared_ptr<Log> log;  // may be null for bounded rows with a tap
  std::shared_ptr<const Clock> clock;
  Failpoints* failpoints = nullptr;
  // Opens the store of one task (its journal's group and partition).
  std::function<Result<std::unique_ptr<Store>>(int32_t partition)> open_store;
  std::string transactional_id;
  RowTap* tap = nullptr;             // not null: commits nothing, joins no group, keeps no state
  ExchangeTap* exchange = nullptr;   // of a run with a tap, if the plan has exchanges
  std::shared_ptr<RowsSource> rows;  // of a plan without topic
  TraceSink* trace = nullptr;
  std::string instance;                         // ClientOptions::instance
  std::shared_ptr<SharedRun> run;               // null: it is the run's only worker
  std::atomic<int64_t>* state_bytes = nullptr;  // of all workers of the run, for memory_limit; null: it is the only one
  // fresh=True, of a repartition topic: by partition, where the rows of earlier runs end.
  std::map<int32_t, int64_t> fresh_from = {};
  int64_t starts_over = 0;  // CommitMetadata::starts_over of tasks that begin
};

struct WorkerStats {
  int64_t rows_taken = 0;  // in this run, without replays
  int64_t rows_replayed = 0;
  int64_t rows_out = 0;
  int64_t late = 0;
  int64_t dead_letters = 0;
  int64_t commits = 0;
  int64_t cuts = 0;  // of them, by tasks that were cut in a firing
  int64_t checkpoints = 0;
  int64_t recoveries = 0;
  int64_t adopted = 0;  // tasks that came back and went on as they were
  int64_t state_bytes = 0;
  int64_t longest_freeze_us = 0;
  int64_t rows_total = 0;             // until_now: records between start and end; 0: unknown
  Millis watermark = kMinusInfinity;  // the smallest of the tasks
  const char* phase = "starting";
};

enum class Progress : uint8_t { kWorked, kIdle, kDone };

class Worker {
 public:
  // `plan` must be finished.
  Worker(std::shared_ptr<const Plan> plan, JobOptions options, WorkerEnv env);
  ~Worker();

  // kIdle: nothing to do until the log has something, the clock moves on, or wait() ends. A Status other than
  // ok ends the run: the worker must not be stepped again.
  Result<Progress> step();
  // Blocks until there may be work, at most `timeout`.
  void wait(Millis timeout);
  // For how long nothing is due that the log does not wake it for: the next commit, a background write, a retry.
  Millis may_wait() const;

  // Ends the run in order: commit, synchronous checkpoint. From any thread.
  void request_stop() { stop_requested_ = true; }

  // Of a stage whose upstream stages have ended: it ends where its input ends now. From any thread.
  void finish_at_end() { finish_requested_ = true; }
  // Of a run with a tap: the stages behind hear at once how far this one is. REQUIRES: !busy().
  Status tell_marks();

  // For the test driver; not on a worker that other threads step.
  void request_commit() { commit_requested_ = true; }
  Status force_idle();

  WorkerStats stats() const;
  bool has_tasks() const { return !tasks_.empty(); }
  // Per partition, as of the last commit; in a run with a tap, as of now.
  std::map<int32_t, Ledger> ledger() const;
  Millis watermark(int32_t partition) const;
  std::vector<TaskStatus> status() const;

 private:
  static constexpr int64_t kMaxFailures = 100;  // recoveries in a row without a commit
  static constexpr int64_t kFewFailures = 5;    // so many are tried however long they took: the process may have slept

  struct TaskSlot;
  class TransactionSink;
  enum class Phase : uint8_t {
    kStart,
    kInit,
    kAssign,
    kFetchCommitted,
    kClaim,
    kRestore,
    kReadJournal,
    kReplay,
    kRunning,
    kDrain,
    kWaitCheckpoint,
    kSendCommit,
    kSendOffsets,
    kCommit,
    kEnd,
    kDone
  };

  // One per phase, or per event of a phase (worker.cc; rebalance.cc; recovery.cc; replay.cc; commit.cc). Each does a
  // bounded piece.
  Result<Progress> step_phase();
  Result<Progress> end();
  Status done();
  Result<Progress> on_event(Event event);

  // rebalance.cc: partitions come and go.
  bool has_rebalance() const { return answer_due_ || assigned_; }
  bool all_ready() const;
  Status on_assigned(const event::Assigned& assigned);
  Status on_revoked(const event::Revoked& revoked);
  Status on_lost(const event::Lost& lost);
  Status rebalance_soon();
  Status rebalance();  // REQUIRES: no transaction is open
  void give_up();
  Status take_up();
  void ask_committed();
  Status on_committed_offsets(const Offsets& offsets);
  Status adopt_parked(const Offsets& offsets);
  void on_unstable(const Offsets& offsets);
  void fence_next();
  Status check_unstable();
  void forget(TaskSlot& slot);
  Status stop_waiting();
  Result<bool> taken_over() const;

  // others.cc: until_now, of a topic that several members share.
  bool group_finished() const;
  bool tells_end(const TaskSlot& slot) const;
  Result<Progress> wait_for_others();
  void stop_waiting_for_others();
  bool is_forgotten(int32_t partition, const Result<CommitMetadata>& metadata) const;
  Status on_others(const Offsets& offsets);
  std::vector<TopicPartition> of_others() const;
  Status note_ends(int32_t partitions);
  Status begin_to_finish();

  // recovery.cc: from nothing to tasks that are claimed, one path for a first start and every failure; and into
  // running when they are what was committed.
  Result<Progress> recover(const Status& cause);
  Result<Progress> on_fenced(const Status& cause);
  Result<TopicInfo> input_topic() const;
  Status start();
  Status start_throw_away();
  Status note_claims(const Offsets& committed);
  Status check_state_is_here(const Offsets& committed, int32_t partitions);
  bool starts_over(const TaskSlot& slot) const;
  Result<int64_t> highest_claim_on_disk(const TaskSlot& slot) const;
  Status make_slots(const Offsets& offsets);
  Status go_on_from_row(TaskSlot& slot, const JournalRow& row);
  Result<std::optional<JournalRow>> last_commit(const TaskSlot& slot) const;
  Result<bool> any_expired(const Offsets& offsets) const;
  Status claim();
  Status enter_running();
  Status begin_task(TaskSlot& slot);

  // replay.cc: from a claimed task to what was committed.
  Status restore(TaskSlot& slot);
  Status restore_from_row(TaskSlot& slot);
  Status check_input(const TaskSlot& slot, int64_t first) const;
  Status check_rows(int64_t read, uint64_t input_hash) const;
  Status accept_changed_job(const TaskSlot& slot, const CheckpointSeal* seal) const;
  std::vector<std::string> reset_of(const TaskSlot& slot) const;
  Status on_journal(const event::Polled& polled);
  Status on_journal_end(TaskSlot& slot, int64_t next_offset);
  Result<Progress> read_journals();
  Result<Progress> replay();
  Status replay_boundary(TaskSlot& slot, bool& at_boundary);
  Status finish_replay(TaskSlot& slot);

  // worker.cc: the way of the records.
  Result<Progress> run();
  Result<Progress> take_cut();
  Result<Progress> take_next();
  Status take(TaskSlot& slot, const event::Polled& polled);
  bool take_rows(TaskSlot& slot, int64_t max_rows, Status& status);
  // So much was taken: measures state if that is due.
  Status check_memory(int64_t rows, int64_t bytes);
  // Fails, naming the largest step, where the run's state has grown beyond memory_limit.
  Status measure_memory();
  int64_t tell_state_bytes(int64_t own);
  Status check_idle();
  Result<Progress> advance_tasks();
  Result<bool> append_held();
  Result<Progress> advance(TaskSlot& slot);
  Result<Progress> advance_and_append();
  bool may_take_beside() const;
  Result<Progress> advance_beside_firings();
  void hold_long_firings();
  void release_held();
  Result<Progress> poll_paused();
  bool busy() const;
  bool holding_back() const;
  bool input_finished() const;
  Status end_inputs();
  int64_t poll_limit() const;
  void pause_inputs(bool pause);
  TaskSlot* slot_of(const TopicPartition& input);

  // commit.cc
  int64_t offsets_per_commit() const;
  bool commit_due() const;
  int64_t commit_at_us() const;
  int64_t panes() const;
  bool has_new() const;
  bool cut_due() const;
  Result<Progress> drain();
  Result<Progress> begin_cut();
  Status seal();
  Status freeze(TaskSlot& slot);
  Status poll_checkpoints();
  Result<Progress> prepare_commit();
  Result<Progress> send_commit();
  Status end_transaction();
  Status on_committed();
  void on_cut();
  Status row_is_committed(TaskSlot& slot);
  void say_late(int64_t now_us);
  int64_t dead_letters() const;
  Status check_dead_letters();

  std::shared_ptr<const Plan> plan_;
  JobOptions options_;
  WorkerEnv env_;
  Phase phase_ = Phase::kStart;
  std::string group_;
  std::unique_ptr<LogClient> client_;
  std::unique_ptr<TransactionSink> sink_;
  std::vector<std::unique_ptr<TaskSlot>> tasks_;

  // Rebalances.
  std::vector<std::unique_ptr<TaskSlot>> parked_;  // given up in order; until the next assignment
  std::vector<TopicPartition> to_take_;            // assigned, not yet taken up
  bool assigned_ = false;                          // there was an assignment, perhaps of nothing, that is not taken up
  bool answer_due_ = false;                        // to a revoke
  bool asked_ = false;                             // start_committed() is in flight
  bool ask_again_ = false;                         // about other tasks than it asked for, or about later times
  std::optional<int64_t> missing_since_us_;        // offsets that the journal says there were
  std::optional<int64_t> look_again_us_;           // for them
  std::optional<int64_t> unstable_since_us_;       // the end of a transaction is waited for
  std::deque<std::string> to_fence_;
  std::set<std::string> known_owners_;  // that are or have been in to_fence_
  bool fencing_ = false;
  bool forgot_ = false;  // a task, in its recovery

  // until_now: its own tasks are through.
  std::optional<int64_t> waiting_since_us_;
  bool said_waiting_ = false;
  bool others_through_ = false;
  bool topics_made_ = false;  // by this run: one that is missing later was deleted
  int64_t asked_others_us_ = std::numeric_limits<int64_t>::min() / 2;

  std::atomic<bool> stop_requested_ = false;
  std::atomic<bool> finish_requested_ = false;
  bool commit_requested_ = false;
  bool ending_ = false;  // the commit under way is the last one
  bool inputs_paused_ = false;
  bool cutting_ = false;           // the commit under way is a cut
  Phase cut_from_ = Phase::kDone;  // and goes on there
  bool cut_open_ = false;          // what set off the firings that were cut is not committed yet
  Offsets offsets_;                // of the commit under way
  bool trim_due_ = false;          // the commit under way is one after a checkpoint interval
  bool drained_ = false;           // pending late panes of the commit under way are out
  bool panes_wait_ = false;        // for a commit, and there is nothing else to do
  int64_t committed_panes_ = 0;
  int64_t last_commit_us_ = 0;
  int64_t last_checkpoint_us_ = 0;
  int64_t rows_since_commit_ = 0;
  std::atomic<int64_t> own_state_bytes_ = 0;  // where the run has no other worker
  int64_t told_state_bytes_ = 0;              // of this worker in the sum
  int64_t rows_unseen_ = 0;                   // since state was measured
  int64_t bytes_unseen_ = 0;
  int64_t running_since_us_ = 0;
  int64_t first_failure_us_ = 0;  // of failures_; recoveries are bounded from here
  int64_t retry_at_us_ = 0;
  std::optional<int64_t> last_fenced_us_;
  int64_t restoring_since_us_ = 0;
  int64_t idle_and_late_ = 0;   // looks since the deadline of what is waited for
  int64_t failures_ = 0;        // recoveries in a row: without a commit or a good while between
  bool inputs_ended_ = false;   // by this run
  bool state_is_here_ = false;  // of at least one partition, when it started
  bool resetting_ = false;      // reset_steps are emptied; the next commit names a checkpoint without them
  DeadLetterLimit dead_letter_limit_;
  int64_t late_warnings_said_ = 0;
  int64_t late_said_us_ = std::numeric_limits<int64_t>::min() / 2;
  size_t next_task_ = 0;  // where a round over tasks goes on
  WorkerStats stats_;
};

}  // namespace wrackline
