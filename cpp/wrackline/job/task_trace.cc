#include "wrackline/job/task_trace.h"

namespace wrackline {

int64_t TaskTrace::offset_of(const Batch& batch, int64_t row) {
  const int64_t index = batch.record_of[static_cast<size_t>(row)];
  return batch.records ? batch.records->offset(index) : index;  // bounded rows: their number
}

void TaskTrace::accepted(const Batch& batch) {
  watermark_ = batch.watermark;
  size_t next = 0;
  for (int64_t row = 0; row < batch.length; ++row) {
    const auto index = static_cast<size_t>(row);
    for (; next < batch.moves.size() && batch.moves[next].position <= row; ++next) {
      watermark_ = batch.moves[next].watermark;
      set_by_ = row > 0 ? offset_of(batch, row - 1) : -1;
    }
    TraceRecord record;
    record.event_time = batch.event_times[index];
    if (batch.records) record.arrival = batch.records->timestamp(batch.record_of[index]);
    record.partition = partition_;
    record.offset = offset_of(batch, row);
    record.watermark = watermark_;
    record.set_by_offset = watermark_ == kMinusInfinity ? -1 : set_by_;
    record.step = plan_.node(Plan::kSource).name;
    sink_->trace(std::move(record));
  }
  if (next < batch.moves.size() && batch.length > 0) set_by_ = offset_of(batch, batch.length - 1);
}

void TaskTrace::refused(int64_t offset, Millis arrival, Fate fate, std::string_view step) {
  TraceRecord record;
  record.arrival = arrival;
  record.partition = partition_;
  record.offset = offset;
  record.watermark = watermark_;
  record.set_by_offset = set_by_;
  record.fate = fate;
  record.step = step;
  sink_->trace(std::move(record));
}

void TaskTrace::taken(int node, const Batch& batch) {
  if (!std::holds_alternative<FilterSpec>(plan_.node(node).spec) || batch.record_of.empty()) return;
  for (int64_t row = 0; row < batch.length; ++row) in_filter_.insert(offset_of(batch, row));
}

void TaskTrace::emitted(StreamRef stream, const Batch& batch) {
  if (batch.record_of.empty() || stream.node == Plan::kSource || stream.node == Plan::kDeadLetters) return;
  const Plan::Node& node = plan_.node(stream.node);
  if (std::holds_alternative<FilterSpec>(node.spec)) {
    for (int64_t row = 0; row < batch.length; ++row) in_filter_.erase(offset_of(batch, row));
    return;
  }
  if (stream.port == Port::kMain) return;
  const auto* window = std::get_if<WindowSpec>(&node.spec);
  if (window != nullptr && window->late_windows_rows) return;  // such a row may count in another window
  const Fate fate = stream.port == Port::kLate ? Fate::kLate : Fate::kDuplicate;
  for (int64_t row = 0; row < batch.length; ++row) sink_->fate(partition_, offset_of(batch, row), fate, node.name);
}

void TaskTrace::through(int node) {
  if (!std::holds_alternative<FilterSpec>(plan_.node(node).spec)) return;
  for (const int64_t offset : in_filter_) sink_->fate(partition_, offset, Fate::kFiltered, plan_.node(node).name);
  in_filter_.clear();
}

}  // namespace wrackline
