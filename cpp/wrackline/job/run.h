// Run: a worker in its own loop: slot, stores, progress, stop. What the binding calls.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "wrackline/job/worker.h"

namespace wrackline {

struct RunEnv {
  std::shared_ptr<Log> log;
  std::shared_ptr<const Clock> clock;
  std::shared_ptr<RowsSource> rows;
  RowTap* tap = nullptr;
};

class Run {
 public:
  // Takes a slot in the state directory, checks the topics and creates those that the job writes.
  static Result<std::unique_ptr<Run>> open(std::shared_ptr<const Plan> plan, JobOptions options, const RunEnv& env);
  ~Run();

  // Steps the worker until it is done. Calls `tick` about every `tick_ms`; it returns false to stop in order
  // (commit and checkpoint). From one thread.
  Status loop(const std::function<bool(const WorkerStats&)>& tick, Millis tick_ms);

  void request_stop() { worker_->request_stop(); }  // from any thread
  Worker& worker() { return *worker_; }
  const Worker& worker() const { return *worker_; }

 private:
  Run();
  class Slot;
  std::unique_ptr<Slot> slot_;
  std::shared_ptr<const Clock> clock_;
  Failpoints failpoints_;
  std::unique_ptr<Worker> worker_;
};

// The ledger of a job's last commit, per partition, from its journal: of a running or a finished job, also from
// another process. kNotFound: the job has never committed on this log.
Result<std::map<int32_t, Ledger>> read_ledger(Log& log, const std::string& job);

}  // namespace wrackline
