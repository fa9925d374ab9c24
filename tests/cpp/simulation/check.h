// Compares what lies in the log after a run with what the oracle says (promises 1 to 3 of the README).
#pragma once

#include <map>
#include <string>
#include <vector>

#include "simulation/job.h"

#include "wrackline/job/formats.h"
#include "wrackline/log/log.h"

namespace wrackline::simulation {

// Every journal row that was ever committed, per partition, in order.
using Journal = std::map<int32_t, std::vector<JournalRow>>;

// Empty: all is as it must be; else what is not, at most a few sentences.
std::vector<std::string> check(const JobSpec& job, const Input& input, const Journal& journal, Log& log);

}  // namespace wrackline::simulation
