// The deterministic simulation (docs/architecture.md): one worker or two that share a group, log, stores and clock in
// one thread, under a seeded scheduler that stops, delays, fails and crashes whatever it can and moves partitions
// about, and then lets the job run to its end. The same seed is the same run, exactly.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "simulation/faulty_disk.h"
#include "simulation/faulty_log.h"
#include "simulation/job.h"

#include "wrackline/core/ledger.h"

namespace wrackline::simulation {

struct SimulationOptions {
  uint64_t seed = 1;
  std::FILE* trace = nullptr;  // every event in words
  // Planted bugs, and what they need of the job.
  std::function<std::unique_ptr<LogClient>(std::unique_ptr<LogClient>, Log&)> wrap_client;
  std::function<std::unique_ptr<Store>(std::unique_ptr<Store>)> wrap_store;
  std::function<void(JobSpec&)> change_job;
  std::function<void(const Offsets& sent, Offsets& committed)> wrap_committed;
  bool answers_early = false;
  bool cuts_firings = false;  // firings are cut
  bool several = false;       // always more than one worker
};

struct SimulationResult {
  std::vector<std::string> failures;  // empty: all promises held
  uint64_t trace_hash = 0;
  int64_t events = 0;
  int64_t records = 0;
  int64_t processes = 0;
  int64_t crashes = 0;
  int64_t recoveries = 0;  // within a process
  int64_t checkpoints = 0;
  int64_t commits = 0;
  int64_t cuts = 0;
  int64_t replayed = 0;
  int64_t decisions = 0;
  int64_t revokes = 0;
  int64_t adopted = 0;
  int64_t expired = 0;  // times that the group lost offsets
  int64_t fenced = 0;
  int64_t moves = 0;  // of partitions between workers
  int64_t workers = 0;
  StepCounts counts;  // of all steps and partitions, at the end
};

SimulationResult simulate(const SimulationOptions& options);

}  // namespace wrackline::simulation
