// Counts as plain Python values.
#pragma once

#include <map>

#include <pybind11/pybind11.h>

#include "wrackline/core/ledger.h"
#include "wrackline/job/worker.h"

namespace wrackline::bindings {

pybind11::dict to_dict(const WorkerStats& stats);
// {partition: [(step, {counter: value})]}
pybind11::dict to_dict(const std::map<int32_t, Ledger>& ledgers);
pybind11::list to_list(const std::vector<TaskStatus>& tasks);

}  // namespace wrackline::bindings
