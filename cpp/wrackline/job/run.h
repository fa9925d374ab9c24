// Run: the workers of one process in their loops: slot, stores, progress, stop. What the binding calls.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "wrackline/job/memory_exchange.h"
#include "wrackline/job/stages.h"
#include "wrackline/job/worker.h"

namespace wrackline {

struct RunEnv {
  std::shared_ptr<Log> log;
  std::shared_ptr<const Clock> clock;
  std::vector<std::shared_ptr<RowsSource>> rows;  // of the plan's sources, in order: those without a topic
  RowTap* tap = nullptr;
  // Null: state lies in the state directory, that of a memory log in memory. `task`: "<stage>-<partition>".
  std::function<Result<std::unique_ptr<Store>>(const std::string& task)> open_store;
};

class Run {
 public:
  // Takes a slot in the state directory, checks the topics and creates those that the job writes.
  static Result<std::unique_ptr<Run>> open(std::shared_ptr<const Plan> plan, const JobOptions& options,
                                           const RunEnv& env);
  ~Run();

  // Steps the workers until all are done: the first one in this thread, the others each in one of their own (with a tap
  // all of them in this one). The first that fails ends the others in order; a stage ends when those before it have.
  // Calls `tick` about every `tick_ms`, or when the tap is full, with what they did together; it returns false to stop
  // in order (commit and checkpoint). If it throws, the run ends where it stands. From one thread.
  Status loop(const std::function<bool(const WorkerStats&)>& tick, Millis tick_ms);

  void request_stop();  // from any thread
  // Of all workers together, as of a moment ago. From the thread of loop(), or without one.
  WorkerStats stats();
  std::map<int32_t, Ledger> ledger();
  // How the tasks stand now. From any thread, by whose request the workers look; one that does not within `patience`
  // (it may be in a long call of a user's function) is told of as it was when it last did.
  std::vector<TaskStatus> status(Millis patience);
  const std::vector<Stage>& stages() const { return stages_; }
  // The first one. REQUIRES: loop() is not under way, or this is its thread.
  Worker& worker();
  const Worker& worker() const;

 private:
  Run();
  class Slot;
  struct Seat;
  class Threads;

  Status make_seats(const std::shared_ptr<const Plan>& plan, const JobOptions& options, const RunEnv& env);
  void drive(Seat& seat);
  void has_ended(Seat& seat, const Status& status);
  Result<Progress> step_own();
  void look_at_own();
  Status loop_first(const std::function<bool(const WorkerStats&)>& tick, Millis tick_ms);

  std::unique_ptr<Slot> slot_;
  std::shared_ptr<const Clock> clock_;
  const RowTap* tap_ = nullptr;
  std::vector<Stage> stages_;
  std::unique_ptr<MemoryExchange> exchange_;  // of a run with a tap and several stages
  std::vector<std::unique_ptr<Seat>> seats_;  // upstream stages first
  std::mutex mutex_;
  Status first_failure_;           // guarded by mutex_
  std::condition_variable ended_;  // a worker has
  std::atomic<bool> abandoned_ = false;
  std::atomic<int64_t> state_bytes_ = 0;  // of all workers
  std::atomic<bool> begun_ = false;       // loop() was called
  std::atomic<std::thread::id> loops_;    // the thread of loop(); none: it is not under way
  bool stepping_ = false;                 // of that thread: a worker is at work
};

// The ledger of a job's last commit, per partition, from its journal: of a running or a finished job, also from
// another process. kNotFound: the job has never committed on this log.
Result<std::map<int32_t, Ledger>> read_ledger(Log& log, const std::string& job);

}  // namespace wrackline
