// The stages of a job as Python sees them: what job.explain() shows.
#pragma once

#include <string>
#include <vector>

#include "bindings.h"

#include "wrackline/job/stages.h"

namespace wrackline::bindings {

struct StageShape {
  std::string name;
  std::string input;  // a topic; empty: bounded rows
  int32_t partitions = 1;
  int source = -1;  // which of the job's sources it reads; -1: what its upstream stages write
  std::vector<size_t> upstream;
  std::vector<std::string> steps;  // without that which reads
  std::string reads;               // the step that reads
};

std::vector<StageShape> shapes_of(const std::vector<Stage>& stages);
py::list to_list(const std::vector<StageShape>& stages);

}  // namespace wrackline::bindings
