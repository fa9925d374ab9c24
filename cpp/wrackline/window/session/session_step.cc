#include "wrackline/window/session/session_step.h"

#include <algorithm>

namespace wrackline {
namespace {

// A timer is looked at about once a gap, a bucket is a small part of it.
constexpr Millis kBucketsPerGap = 256;

template <typename T>
void append(Buffer<uint8_t>& cells, const T& value) {
  cells.resize(cells.size() + sizeof(T));
  store_cell(cells.data() + cells.size() - sizeof(T), value);
}

Buffer<uint8_t> initial_cells(const Aggregates& aggregates) {
  Buffer<uint8_t> cells = aggregates.initial();
  append(cells, Session());
  append(cells, SessionKey());
  // Whole lines of the cache, where that costs little.
  const size_t lines = (KeyTable::kKeyBytes + cells.size() + KeyTable::kLine - 1) / KeyTable::kLine;
  const size_t padding = lines * KeyTable::kLine - KeyTable::kKeyBytes - cells.size();
  if (padding <= KeyTable::kLine / 4) cells.resize(cells.size() + padding);
  return cells;
}

}  // namespace

std::unique_ptr<Step> make_session_step(std::string name, WindowShape shape) {
  return std::make_unique<SessionStep>(std::move(name), std::move(shape));
}

SessionStep::SessionStep(std::string name, WindowShape shape)
    : Step(std::move(name)),
      spec_(std::move(shape.spec)),
      gap_(spec_.as<SessionWindow>()->gap),
      input_(std::move(shape.input)),
      late_schema_(std::move(shape.late)),
      keys_(std::move(shape.keys)),
      aggregates_(std::move(shape.aggregates)),
      aggregate_bytes_(aggregates_.initial().size()),
      touched_(session_flag::kChanged | (spec_.early ? session_flag::kFresh : 0)),
      table_(initial_cells(aggregates_), KeyTable::Keys::kGo),
      pools_(aggregates_.make_pools()),
      timers_(table_, std::max<Millis>(1, gap_ / kBucketsPerGap), KeyTable::kKeyBytes + aggregate_bytes_),
      results_(std::move(shape.output), keys_, aggregates_) {
  find_boundary();
}

void SessionStep::take(Batch batch) {
  // A watermark that rose without a move is one.
  if (batch.watermark > watermark_ && batch.watermark != kPlusInfinity) {
    batch.moves.insert(batch.moves.begin(), Move{0, batch.watermark});
  }
  keys_.pack(batch);
  row_ = 0;
  move_ = 0;
  if (scan_rows_.size() < static_cast<size_t>(batch.length)) scan_rows_.resize(static_cast<size_t>(batch.length));
  counts_.in += batch.length;
  batch_ = std::move(batch);
}

Status SessionStep::advance(Emitter& out) {
  if (firing_)
    fire_piece(out);
  else
    scan(out);
  return aggregates_.failure();
}

void SessionStep::scan(Emitter& out) {
  const Batch& batch = *batch_;
  const Millis* times = batch.event_times.data();
  const bool null_keys = keys_.any_null();
  const bool own_inputs = !batch.judged_by.empty();
  scanned_ = 0;
  scan_moves_.clear();
  row_watermark_ = watermark_;
  for (;;) {
    const bool more_moves = move_ < batch.moves.size();
    const int64_t stop = more_moves ? std::min(batch.moves[move_].position, batch.length) : batch.length;
    Millis first = kPlusInfinity;  // the smallest time of those that are put
    for (; row_ < stop; ++row_) {
      const Millis t = times[row_];
      if ((null_keys || own_inputs || t < lost_) && !judge(row_, out)) continue;
      scan_rows_[scanned_++] = static_cast<uint32_t>(row_);
      first = std::min(first, t);
    }
    if (first != kPlusInfinity) boundary_ = std::min(boundary_, first_action(first));
    if (!more_moves) break;
    const Millis watermark = batch.moves[move_++].watermark;
    if (watermark <= watermark_) continue;
    if (watermark >= boundary_) {
      apply_scan(out);
      flush_late_rows(out);
      firing_.emplace();
      firing_->target = watermark;
      return;
    }
    scan_moves_.push_back({scanned_, watermark});
    watermark_ = watermark;
    set_lost();
  }
  apply_scan(out);
  flush_late_rows(out);
  results_.flush(out);
  batch_.reset();
}

// When a session whose records are not before `t` has something to do at the earliest.
Millis SessionStep::first_action(Millis t) const {
  if (final_only()) return t + gap_ + spec_.allowed_lateness + 1;
  // One that has fired when it begins leaves open when others do.
  return t + gap_ < watermark_ ? watermark_ + 1 : t + gap_ + 1;
}

// Decides about one row that may be late or without a key; true when it goes into a session.
bool SessionStep::judge(int64_t row, Emitter& out) {
  if (keys_.is_null(row)) {
    ++counts_.dead_lettered;
    out.dead_letter(*batch_, row, reason::kNullKey, "a part of the key is null");
    return false;
  }
  const Millis t = batch_->event_times[static_cast<size_t>(row)];
  const Millis watermark = batch_->judged(row, watermark_);
  if (t < lost_ || t < plus(watermark, -spec_.allowed_lateness)) {
    ++counts_.late;
    // Less than 1 only where another allowed lateness freed a session.
    const Millis by = std::max<Millis>(watermark - t - spec_.allowed_lateness, 1);
    late_rows_.push_back({.row = row, .late_by_ms = by, .watermark = watermark});
    if (late_rows_.size() >= ResultBuilder::kMaxRows) flush_late_rows(out);
    return false;
  }
  return true;
}

void SessionStep::set_lost() {
  lost_ = plus(watermark_, -spec_.allowed_lateness);
  if (freed_end_ != kMinusInfinity) lost_ = std::max(lost_, freed_end_ + 1);
}

void SessionStep::flush_late_rows(Emitter& out) {
  if (late_rows_.empty()) return;
  out.emit(Port::kLate, late_batch(*batch_, late_schema_, late_rows_, "session", name()));
  late_rows_.clear();
}

StepStatus SessionStep::status() const {
  StepStatus status{.state_bytes = state_bytes()};
  for (uint32_t id = 0; id < table_.count(); ++id) {
    if (table_.use(id) == KeyTable::Use::kFree || is_empty(id)) continue;
    ++status.entries;
    const Session one = session(id);
    if (one.end < watermark_) continue;
    ++status.open_windows;
    status.next_end = std::min(status.next_end, one.end + 1);
  }
  return status;
}

int64_t SessionStep::entry_bytes() const {
  return static_cast<int64_t>(KeyTable::kKeyBytes + table_.cell_bytes() + KeyTable::kIndexBytes);
}

int64_t SessionStep::state_bytes() const {
  constexpr size_t kNodeBytes = 64;  // of a map
  int64_t bytes = table_.allocated_bytes() + timers_.allocated_bytes() + results_.allocated_bytes();
  for (const Pool& pool : pools_) bytes += pool.allocated_bytes();
  bytes += static_cast<int64_t>(olders_.capacity() * sizeof(Older)) + hidden_ * static_cast<int64_t>(kNodeBytes);
  for (const Unit& unit : units_) {
    bytes +=
        static_cast<int64_t>((unit.changed.capacity() + unit.fresh.capacity()) * sizeof(uint32_t) + unit.gone.size());
  }
  return bytes;
}

std::string SessionStep::fingerprint() const {
  return "window " + describe_window(spec_.kind) + " key" + keys_.fingerprint() + " aggregates " +
         aggregates_.fingerprint();
}

}  // namespace wrackline
