// The journal of a task, read outside its recovery.
#pragma once

#include <cstdint>
#include <functional>
#include <optional>

#include "wrackline/job/formats.h"
#include "wrackline/log/log.h"

namespace wrackline {

// The row of the last commit: the last one of the last claim, of those that `counts` (null: all of them do). Nothing:
// there is none.
Result<std::optional<JournalRow>> last_row(Log& log, const TopicPartition& journal,
                                           const std::function<bool(const JournalRow&)>& counts = nullptr);

}  // namespace wrackline
