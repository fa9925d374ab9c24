// The journal of a task, read outside its recovery.
#pragma once

#include <cstdint>
#include <optional>

#include "wrackline/job/formats.h"
#include "wrackline/log/log.h"

namespace wrackline {

// The row of the last commit: the last one of the last claim, of those with commit_seq <= `committed` (if that is
// known: without transactions there may be rows above). Nothing: there is none.
Result<std::optional<JournalRow>> last_row(Log& log, const TopicPartition& journal, std::optional<int64_t> committed);

}  // namespace wrackline
