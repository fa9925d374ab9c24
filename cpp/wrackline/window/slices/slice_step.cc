#include "wrackline/window/slices/slice_step.h"

#include <algorithm>

#include "wrackline/window/slices/late_cells.h"

namespace wrackline {

int64_t Groups::allocated_bytes() const {
  int64_t bytes = table.allocated_bytes();
  for (const Pool& pool : pools) {
    bytes += pool.bytes + static_cast<int64_t>(pool.texts.capacity() * sizeof(std::string) +
                                               pool.lists.capacity() * sizeof(Collected) +
                                               pool.sets.capacity() * sizeof(DistinctSet));
  }
  return bytes;
}

LateWindow::LateWindow() : keys(LateCells::initial()) {}

std::unique_ptr<Step> make_slice_step(std::string name, WindowShape shape) {
  return std::make_unique<SliceStep>(std::move(name), std::move(shape));
}

SliceStep::SliceStep(std::string name, WindowShape shape)
    : Step(std::move(name)),
      spec_(std::move(shape.spec)),
      grid_(*spec_.as<FixedWindow>()),
      input_(std::move(shape.input)),
      late_schema_(std::move(shape.late)),
      keys_(std::move(shape.keys)),
      aggregates_(std::move(shape.aggregates)),
      merged_(aggregates_),
      late_merged_(aggregates_),
      results_(std::move(shape.output), keys_, aggregates_) {}

Millis SliceStep::lost_at(Millis watermark) const {
  return std::max(freed_end_, plus(watermark, -spec_.allowed_lateness));
}

void SliceStep::take(Batch batch) {
  // A watermark that rose without a move is one.
  if (batch.watermark > watermark_ && batch.watermark != kPlusInfinity) {
    batch.moves.insert(batch.moves.begin(), Move{0, batch.watermark});
  }
  keys_.pack(batch);
  row_ = 0;
  move_ = 0;
  const auto length = static_cast<size_t>(batch.length);
  if (scan_rows_.size() < length) {
    scan_rows_.resize(length);
    scan_row_groups_.resize(length);
    sorted_rows_.resize(length);
  }
  counts_.in += batch.length;
  batch_ = std::move(batch);
}

Status SliceStep::advance(Emitter& out) {
  if (firing_)
    fire_piece(out);
  else if (batch_)
    scan(out);
  else
    commit_piece(out);
  return {};
}

void SliceStep::scan(Emitter& out) {
  const Batch& batch = *batch_;
  const Millis* times = batch.event_times.data();
  const auto slice = static_cast<uint64_t>(grid_.slice());
  const bool null_keys = keys_.any_null();
  scan_groups_.clear();
  fast_until_ = kMinusInfinity;
  size_t scanned = 0;
  // Rows up to the next move are judged by the same watermark.
  for (;;) {
    const bool more_moves = move_ < batch.moves.size();
    const int64_t stop = more_moves ? std::min(batch.moves[move_].position, batch.length) : batch.length;
    for (; row_ < stop; ++row_) {
      const bool fast = static_cast<uint64_t>(times[row_]) - static_cast<uint64_t>(fast_start_) < slice &&
                        watermark_ < fast_until_ && !(null_keys && keys_.is_null(row_));
      if (!fast && !judge(row_, out)) continue;
      scan_rows_[scanned] = static_cast<uint32_t>(row_);
      scan_row_groups_[scanned++] = fast_group_;
      ++scan_groups_[fast_group_].count;
    }
    if (!more_moves) break;
    const Millis watermark = batch.moves[move_++].watermark;
    if (watermark <= watermark_) continue;
    if (watermark >= boundary_) {
      apply_scan(scanned);
      flush_late_rows(out);
      begin_firing(watermark);
      return;
    }
    watermark_ = watermark;
    results_.move(plus(watermark, -spec_.allowed_lateness));
  }
  apply_scan(scanned);
  flush_late_rows(out);
  results_.flush(out);
  batch_.reset();
}

// Decides about one row; true when it goes into the slice of fast_group_ with the rest of the scan.
bool SliceStep::judge(int64_t row, Emitter& out) {
  if (keys_.is_null(row)) {
    ++counts_.dead_lettered;
    out.dead_letter(*batch_, row, reason::kNullKey, "a part of the key is null");
    return false;
  }
  const Millis start = grid_.slice_of(batch_->event_times[static_cast<size_t>(row)]);
  const Millis first = grid_.first_end(start);
  const Millis last = grid_.last_end(start);
  const Millis lost = lost_at(watermark_);
  if (last <= lost) {
    ++counts_.late;
    add_late_row(row, last, out);
    return false;
  }
  if (first <= lost) {
    const Millis last_lost = grid_.previous_end(lost);
    counts_.windows_missed += (last_lost - first) / grid_.slide() + 1;
    if (spec_.late_windows_rows) {
      for (Millis end = first; end <= last_lost; end += grid_.slide()) add_late_row(row, end, out);
    }
  }
  const Millis open = grid_.end_after(start, lost);
  if (open <= watermark_) {  // fired, but not freed
    put_late(row, start, open, out);
    return false;
  }
  Slice& slice = slice_at(start);
  boundary_ = std::min(boundary_, open);
  if (slice.scan_group >= scan_groups_.size() || scan_groups_[slice.scan_group].slice != &slice) {
    slice.scan_group = static_cast<uint32_t>(scan_groups_.size());
    scan_groups_.push_back({&slice, 0});
  }
  fast_group_ = slice.scan_group;
  fast_start_ = start;
  fast_until_ = first;
  return true;
}

void SliceStep::add_late_row(int64_t row, Millis end, Emitter& out) {
  const Millis by = watermark_ - (end + spec_.allowed_lateness) + 1;
  // Less than 1 only where another allowed lateness freed the window.
  late_rows_.push_back({row, std::max<Millis>(by, 1), watermark_, true, end - grid_.size(), end});
  if (late_rows_.size() >= ResultBuilder::kMaxRows) flush_late_rows(out);
}

void SliceStep::flush_late_rows(Emitter& out) {
  if (late_rows_.empty()) return;
  out.emit(Port::kLate, late_batch(*batch_, late_schema_, late_rows_, "window", name()));
  late_rows_.clear();
}

Slice& SliceStep::slice_at(Millis start) {
  std::unique_ptr<Slice>& place = slices_[start];
  if (place) return *place;
  if (spare_) {
    place = std::move(spare_);
    place->start = start;
  } else {
    place = std::make_unique<Slice>(start, aggregates_);
  }
  return *place;
}

// Puts the rows of the scan into their slices, slice by slice: within one they stay in order.
void SliceStep::apply_scan(size_t count) {
  if (scan_groups_.size() == 1) {
    update(*scan_groups_[0].slice, scan_rows_.data(), count);
    return;
  }
  size_t begin = 0;
  std::vector<size_t>& places = scan_places_;
  places.clear();
  for (const ScanGroup& group : scan_groups_) {
    places.push_back(begin);
    begin += group.count;
  }
  for (size_t i = 0; i < count; ++i) sorted_rows_[places[scan_row_groups_[i]]++] = scan_rows_[i];
  begin = 0;
  for (const ScanGroup& group : scan_groups_) {
    update(*group.slice, sorted_rows_.data() + begin, group.count);
    begin += group.count;
  }
}

void SliceStep::update(Slice& slice, const uint32_t* rows, size_t count) {
  aggregates_.put(*batch_, keys_, rows, count, slice.groups.table, slice.groups.pools);
  slice.unemitted += static_cast<int64_t>(count);
  slice.count_changed = true;
  counts_.held += static_cast<int64_t>(count);
}

// A row of a window that has fired and is not freed; `first` is the end of the first such one. No row of
// the current scan goes into a slice of these windows, so the order among them does not matter.
void SliceStep::put_late(int64_t row, Millis start, Millis first, Emitter& out) {
  const TableKey key = row_key(keys_, row);
  const Millis last = std::min(grid_.last_end(start), grid_.previous_end(watermark_));
  for (Millis end = first; end <= last; end += grid_.slide()) {
    LateWindow& window = late_windows_[end];
    const uint32_t before = window.keys.count();
    const uint32_t id = window.keys.find_or_insert(key);
    LateCells cells(window.keys.cells(id));
    if (id == before) cells.set_had_on_time(has_key(key, end));
    cells.count_late();
    window.keys.mark_dirty(id);
    if (!spec_.emit_late_each && !cells.due()) {
      cells.set_due(true);
      window.due.push_back(id);
    }
  }
  Slice& slice = slice_at(start);
  const auto at = static_cast<uint32_t>(row);
  const uint32_t id = slice.groups.table.find_or_insert(key);
  slice.groups.table.mark_dirty(id);
  aggregates_.update(*batch_, &at, &id, 1, slice.groups.table, slice.groups.pools);
  boundary_ = std::min({boundary_, first + spec_.allowed_lateness, grid_.end_after(start, watermark_)});
  if (!spec_.emit_late_each) {
    ++slice.unemitted;
    slice.count_changed = true;
    ++counts_.held;
    return;
  }
  ++counts_.out;
  for (Millis end = first; end <= last; end += grid_.slide()) {
    LateWindow& window = late_windows_[end];
    const uint32_t late_id = window.keys.find(key);
    emit_late_panes(end, window, &late_id, 1, out);
  }
}

bool SliceStep::has_key(const TableKey& key, Millis end) const {
  for (auto it = slices_.lower_bound(end - grid_.size()); it != slices_.end() && it->first < end; ++it) {
    if (it->second->groups.table.find(key) != KeyTable::kNone) return true;
  }
  return false;
}

StepStatus SliceStep::status() const {
  StepStatus status{.state_bytes = state_bytes()};
  Millis counted = kMinusInfinity;  // windows up to this end
  for (const auto& [start, slice] : slices_) {
    status.entries += slice->groups.table.count();
    const Millis first = grid_.end_after(start, std::max(watermark_, counted));
    if (first == kPlusInfinity) continue;
    status.next_end = std::min(status.next_end, first);
    counted = grid_.last_end(start);
    status.open_windows += (counted - first) / grid_.slide() + 1;
  }
  return status;
}

// The index has four slots for three entries.
int64_t SliceStep::entry_bytes() const {
  return static_cast<int64_t>(KeyTable::kKeyBytes + merged_.table.cell_bytes() + 6);
}

int64_t SliceStep::state_bytes() const {
  int64_t bytes = merged_.allocated_bytes() + late_merged_.allocated_bytes() + results_.allocated_bytes();
  if (spare_) bytes += spare_->groups.allocated_bytes();
  for (const auto& [start, slice] : slices_)
    bytes += slice->groups.allocated_bytes() + static_cast<int64_t>(sizeof(Slice));
  for (const auto& [end, window] : late_windows_) {
    bytes += window.keys.allocated_bytes() +
             static_cast<int64_t>(sizeof(LateWindow) + window.due.capacity() * sizeof(uint32_t));
  }
  return bytes;
}

}  // namespace wrackline
