#include "wrackline/job/journal.h"

#include <utility>

namespace wrackline {

Result<std::optional<JournalRow>> last_row(Log& log, const TopicPartition& journal,
                                           const std::function<bool(const JournalRow&)>& counts) {
  std::optional<JournalRow> last;
  const auto place = [](const JournalRow& row) { return std::pair(row.metadata.recovery_count, row.commit_seq); };
  WL_ASSIGN_OR_RETURN(int64_t offset, log.start_offset(journal));
  WL_ASSIGN_OR_RETURN(const int64_t end, log.end_offset(journal, Isolation::kReadCommitted));
  while (offset < end) {
    WL_ASSIGN_OR_RETURN(const event::Polled rows, log.read(journal, offset, 1 << 20, Isolation::kReadCommitted));
    for (int64_t i = 0; i < rows.records->size(); ++i) {
      WL_ASSIGN_OR_RETURN(JournalRow row, JournalRow::decode(rows.records->value(i)));
      if (counts && !counts(row)) continue;
      if (!last || place(row) >= place(*last)) last = std::move(row);
    }
    if (rows.next_offset <= offset) break;
    offset = rows.next_offset;
  }
  return last;
}

}  // namespace wrackline
