// Run: the workers of one process in their loops: slot, stores, progress, stop. What the binding calls.
#pragma once

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "wrackline/job/worker.h"

namespace wrackline {

struct RunEnv {
  std::shared_ptr<Log> log;
  std::shared_ptr<const Clock> clock;
  std::shared_ptr<RowsSource> rows;
  RowTap* tap = nullptr;
  // Null: state lies in the state directory, that of a memory log in memory.
  std::function<Result<std::unique_ptr<Store>>(int32_t partition)> open_store;
};

class Run {
 public:
  // Takes a slot in the state directory, checks the topics and creates those that the job writes.
  static Result<std::unique_ptr<Run>> open(std::shared_ptr<const Plan> plan, const JobOptions& options,
                                           const RunEnv& env);
  ~Run();

  // Steps the workers until all are done: the first one in this thread, the others each in one of their own. The first
  // that fails ends the others in order. Calls `tick` about every `tick_ms`, or when the tap is full, with what they
  // did together; it returns false to stop in order (commit and checkpoint). If it throws, the run ends where it
  // stands. From one thread.
  Status loop(const std::function<bool(const WorkerStats&)>& tick, Millis tick_ms);

  void request_stop();  // from any thread
  // Of all workers together, as of a moment ago. From the thread of loop(), or without one.
  WorkerStats stats();
  std::map<int32_t, Ledger> ledger();
  std::vector<TaskStatus> status();
  // The first one. REQUIRES: loop() is not under way, or this is its thread.
  Worker& worker();
  const Worker& worker() const;

 private:
  Run();
  class Slot;
  struct Seat;
  class Threads;

  void drive(Seat& seat);
  void end_others(const Status& status);
  Status loop_first(const std::function<bool(const WorkerStats&)>& tick, Millis tick_ms);

  std::unique_ptr<Slot> slot_;
  std::shared_ptr<const Clock> clock_;
  const RowTap* tap_ = nullptr;
  std::vector<std::unique_ptr<Seat>> seats_;
  std::mutex mutex_;
  Status first_failure_;           // guarded by mutex_
  std::condition_variable ended_;  // a worker has
  std::atomic<bool> abandoned_ = false;
};

// The ledger of a job's last commit, per partition, from its journal: of a running or a finished job, also from
// another process. kNotFound: the job has never committed on this log.
Result<std::map<int32_t, Ledger>> read_ledger(Log& log, const std::string& job);

}  // namespace wrackline
