// Stages: a job as it runs. Each stage is a plan of its own with one input: a source, or a repartition topic that other
// stages write and that holds the rows of several upstream tasks. A job whose keys are where its steps need them is one
// stage. What runs a stage (job/worker.h) does not know of the others: each consumes, transforms and produces exactly
// once, and so does the job.
//
//   read "readings" (4 partitions) -> filter -> [exchange by truck] -> window -> write
//   \________________ stage "0" ____________/   \__ stage "window" __/
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "wrackline/core/status.h"
#include "wrackline/job/plan.h"

namespace wrackline {

struct Stage {
  std::shared_ptr<const Plan> plan;
  std::vector<size_t> upstream;  // stages that write its input; empty: it reads a source
  int32_t partitions = 1;        // of its input
  int source = -1;               // which of the job's sources it reads, in order; -1: a repartition topic
};

// Upstream stages come before those that read from them. `partitions`: of the topic of a source; 1 where it has none.
// `job` must be finished. One stage: its plan is `job` itself.
Result<std::vector<Stage>> make_stages(const std::shared_ptr<const Plan>& job,
                                       const std::function<Result<int32_t>(const SourceSpec&)>& partitions);

}  // namespace wrackline
