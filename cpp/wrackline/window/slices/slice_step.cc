#include "wrackline/window/slices/slice_step.h"

#include <algorithm>
#include <numeric>

#include "wrackline/time/zones.h"

namespace wrackline {

int64_t Groups::allocated_bytes() const {
  int64_t bytes = table.allocated_bytes();
  for (const Pool& pool : pools) bytes += pool.allocated_bytes();
  return bytes;
}

std::unique_ptr<Step> make_slice_step(std::string name, WindowShape shape) {
  return std::make_unique<SliceStep>(std::move(name), std::move(shape));
}

SliceStep::SliceStep(std::string name, WindowShape shape)
    : Step(std::move(name)),
      spec_(std::move(shape.spec)),
      grid_(spec_.kind),
      input_(std::move(shape.input)),
      late_schema_(std::move(shape.late)),
      keys_(std::move(shape.keys)),
      aggregates_(std::move(shape.aggregates)),
      with_head_(needs_entry_head(spec_)),
      row_by_row_(spec_.early_rows.has_value() || is_count()),
      boundary_(next_early(watermark_)),
      merged_(aggregates_),
      some_merged_(aggregates_),
      results_(std::move(shape.output), keys_, aggregates_) {
  if (const auto* calendar = spec_.as<CalendarWindow>()) calendar_.emplace(*calendar, *input_);
  if (grid_.overlaps() && !aggregates_.has_pools() && !with_head_)
    stacks_.emplace(aggregates_, *spec_.as<FixedWindow>());
}

Millis SliceStep::lost_at(Millis watermark) const {
  return std::max(freed_end_, plus(watermark, -spec_.allowed_lateness));
}

Millis SliceStep::fired_at(Millis watermark) const { return final_only() ? lost_at(watermark) : watermark; }

Slices::iterator SliceStep::first_slice(Span window, Millis t) {
  auto it = slices_.lower_bound({grid_.overlaps() ? grid_.slice_of(t) : window});
  if (it != slices_.end() && it->first.after >= window.end) it = next_slice(window, it);
  return it != slices_.end() && grid_.holds(window, it->first.span) ? it : slices_.end();
}

Slices::iterator SliceStep::next_slice(Span window, Slices::iterator it) {
  do {
    ++it;
  } while (it != slices_.end() && it->first.after >= window.end);
  return it != slices_.end() && grid_.holds(window, it->first.span) ? it : slices_.end();
}

// Windows grow with slices, but for those that count only after an end.
std::optional<Span> SliceStep::first_window_after(Slices::const_iterator from, Span after) const {
  std::optional<Span> first;
  for (auto it = from; it != slices_.end(); ++it) {
    const std::optional<Span> window = grid_.window_after(it->first, after);
    if (window && (!first || *window < *first)) first = window;
    if (first && grid_.first_window(it->first.span) >= *first) break;
  }
  return first;
}

void SliceStep::take(Batch batch) {
  // A watermark that rose without a move is one.
  if (batch.watermark > watermark_ && batch.watermark != kPlusInfinity) {
    batch.moves.insert(batch.moves.begin(), Move{0, batch.watermark});
  }
  keys_.pack(batch);
  if (calendar_) calendar_->look_at(batch);
  row_ = 0;
  move_ = 0;
  const auto length = static_cast<size_t>(batch.length);
  if (scan_rows_.size() < length) {
    scan_rows_.resize(length);
    scan_row_groups_.assign(length, 0);
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
  return aggregates_.failure();
}

void SliceStep::scan(Emitter& out) {
  const Batch& batch = *batch_;
  const Millis* times = batch.event_times.data();
  const bool null_keys = keys_.any_null();
  scan_groups_.clear();
  const int32_t* zones = calendar_ ? calendar_->places() : nullptr;
  const bool each_alone = null_keys || !batch.judged_by.empty();
  fast_.assign(zones == nullptr ? 1 : calendar_->place_count() + 1, Fast());  // the last one: of no zone
  quiet_ = {};
  size_t scanned = 0;
  // Rows up to the next move are judged by the same watermark. scan_run() may go beyond it.
  const auto next_stop = [&] {
    return move_ < batch.moves.size() ? std::min(batch.moves[move_].position, batch.length) : batch.length;
  };
  for (;;) {
    for (; row_ < next_stop(); ++row_) {
      if (!each_alone) {
        scanned += scan_run(zones, scanned);
        if (row_ >= next_stop()) break;
      }
      const Fast& of = zones == nullptr || zones[row_] < 0 ? fast_.back() : fast_[static_cast<size_t>(zones[row_])];
      const bool fast = static_cast<uint64_t>(times[row_]) - static_cast<uint64_t>(of.start) < of.length &&
                        batch.judged(row_, watermark_) < of.until && !(null_keys && keys_.is_null(row_));
      if (fast)
        group_ = of.group;
      else if (!judge(row_, out))
        continue;
      scan_rows_[scanned] = static_cast<uint32_t>(row_);
      scan_row_groups_[scanned++] = group_;
      ++scan_groups_[group_].count;
    }
    if (move_ == batch.moves.size()) break;
    const Millis watermark = batch.moves[move_++].watermark;
    if (watermark <= watermark_) continue;
    if (watermark >= boundary_) {
      apply_scan(scanned);
      flush_late_rows(out);
      begin_firing(watermark);
      return;
    }
    pass(watermark);
  }
  apply_scan(scanned);
  flush_late_rows(out);
  results_.flush(out);
  batch_.reset();
}

// The watermark moves, and nothing fires.
void SliceStep::pass(Millis watermark) {
  watermark_ = watermark;
  results_.move(plus(watermark, -spec_.allowed_lateness));
}

namespace {

// The first of times[begin .. stop) that is not in [start, end).
int64_t first_outside(const Millis* times, int64_t begin, int64_t stop, Millis start, Millis end) {
  constexpr int64_t kFew = 16;  // shorter runs end without a look at a whole block
  constexpr int64_t kBlock = 64;
  const auto inside = [=](int64_t i) { return times[i] >= start && times[i] < end; };
  for (const int64_t few = std::min(stop, begin + kFew); begin < few; ++begin) {
    if (!inside(begin)) return begin;
  }
  for (; begin + kBlock <= stop; begin += kBlock) {  // without a branch for each
    int64_t outside = 0;
    for (int64_t i = begin; i < begin + kBlock; ++i) outside |= int64_t{times[i] < start} | int64_t{times[i] >= end};
    if (outside != 0) break;
  }
  while (begin < stop && inside(begin)) ++begin;
  return begin;
}

}  // namespace

// Takes rows from here on that lie in one slice with the row that was judged last, of their zone if they have one,
// beyond moves at which nothing fires, which it passes; returns how many.
size_t SliceStep::scan_run(const int32_t* zones, size_t scanned) {
  const Batch& batch = *batch_;
  if (quiet_.boundary != boundary_) {
    const auto fires = std::lower_bound(batch.moves.begin() + static_cast<ptrdiff_t>(move_), batch.moves.end(),
                                        boundary_, [](const Move& move, Millis t) { return move.watermark < t; });
    quiet_ = {boundary_, static_cast<size_t>(fires - batch.moves.begin()),
              fires == batch.moves.end() ? batch.length : std::min(fires->position, batch.length)};
  }
  const int64_t begin = row_;
  row_ = zones != nullptr ? take_zoned(zones, scanned) : take_run(scanned);
  if (row_ == begin) return 0;
  for (; move_ < quiet_.moves && batch.moves[move_].position <= row_; ++move_) {
    if (batch.moves[move_].watermark > watermark_) pass(batch.moves[move_].watermark);
  }
  return static_cast<size_t>(row_ - begin);
}

// Both take rows from row_ to the one that they return.
int64_t SliceStep::take_run(size_t scanned) {
  const Fast& of = fast_.back();
  if (watermark_ >= of.until) return row_;
  const auto end = static_cast<Millis>(static_cast<uint64_t>(of.start) + of.length);
  const int64_t stop = first_outside(batch_->event_times.data(), row_, quiet_.stop, of.start, end);
  const auto count = static_cast<size_t>(stop - row_);
  if (count == 0) return stop;
  uint32_t* const rows = scan_rows_.data() + scanned;
  std::iota(rows, rows + count, static_cast<uint32_t>(row_));
  if (of.group != 0) std::fill_n(scan_row_groups_.begin() + static_cast<ptrdiff_t>(scanned), count, of.group);
  scan_groups_[of.group].count += count;
  return stop;
}

int64_t SliceStep::take_zoned(const int32_t* zones, size_t scanned) {
  const Millis* const times = batch_->event_times.data();
  uint32_t* rows = scan_rows_.data() + scanned;
  uint32_t* groups = scan_row_groups_.data() + scanned;
  int64_t row = row_;
  for (; row < quiet_.stop && zones[row] >= 0; ++row) {
    const Fast& of = fast_[static_cast<size_t>(zones[row])];
    if (static_cast<uint64_t>(times[row]) - static_cast<uint64_t>(of.start) >= of.length || watermark_ >= of.until)
      break;
    *rows++ = static_cast<uint32_t>(row);
    *groups++ = of.group;
    ++scan_groups_[of.group].count;
  }
  return row;
}

// Decides about one row; true when it goes into the slice of group_ with the rest of the scan.
bool SliceStep::judge(int64_t row, Emitter& out) {
  if (keys_.is_null(row)) {
    ++counts_.dead_lettered;
    out.dead_letter(*batch_, row, reason::kNullKey, "a part of the key is null");
    return false;
  }
  const std::optional<Span> found = slice_of(row, out);
  if (!found) return false;
  const Span span = *found;
  const Span first = grid_.first_window(span);
  const Span last = grid_.last_window(span);
  const Millis lost = lost_at(batch_->judged(row, watermark_));
  if (last.end <= lost) {
    ++counts_.late;
    add_late_row(row, last, out);
    return false;
  }
  const bool misses = first.end <= lost;
  if (misses) {
    const Span last_lost = grid_.last_window_until(span, lost);
    counts_.windows_missed += (last_lost.end - first.end) / grid_.slide() + 1;
    if (spec_.late_windows_rows) {
      for (Span window = first; window <= last_lost; window = grid_.next(window)) add_late_row(row, window, out);
    }
  }
  const Span open = *grid_.window_after(span, after_ends(lost));
  if (open.end <= fired_at(watermark_)) {  // but not freed
    put_late(row, {span}, open, out);
    return false;
  }
  // Of several inputs, windows that are lost to this record may not have fired yet: it must not count there.
  const bool unfired_lost = misses && lost > fired_at(watermark_);
  const SliceId id{span, unfired_lost ? grid_.last_window_until(span, lost).end : kMinusInfinity};
  Slice& slice = slice_at(id);
  boundary_ = std::min(boundary_, fires_at(open));
  if (row_by_row_) {
    put_one(slice, row, out);
    return false;
  }
  if (slice.scan_group >= scan_groups_.size() || scan_groups_[slice.scan_group].slice != &slice) {
    slice.scan_group = static_cast<uint32_t>(scan_groups_.size());
    scan_groups_.push_back({&slice, 0});
  }
  group_ = slice.scan_group;
  const int32_t* zones = calendar_ ? calendar_->places() : nullptr;
  fast_[zones == nullptr ? 0 : static_cast<size_t>(zones[row])] = {
      span.start, static_cast<uint64_t>(span.end) - static_cast<uint64_t>(span.start),
      misses ? kMinusInfinity : fires_at(first), slice.scan_group};
  return true;
}

// The slice of one row; none: it became a dead letter.
std::optional<Span> SliceStep::slice_of(int64_t row, Emitter& out) {
  const Millis time = batch_->event_times[static_cast<size_t>(row)];
  if (spec_.as<FixedWindow>()) return grid_.slice_of(time);
  if (!calendar_) return kUnbounded;
  const int32_t place = calendar_->places() == nullptr ? 0 : calendar_->places()[row];
  if (place != CalendarSlices::kNoZone) return calendar_->slice_of(place, time);
  const std::string& name = spec_.as<CalendarWindow>()->zone_column;
  const Column& zones = *batch_->find(name);
  ++counts_.dead_lettered;
  out.dead_letter(*batch_, row, reason::kTimezone,
                  zones.is_null(row) ? "'" + name + "' is null; it names the time zone"
                                     : "'" + name + "': " + zone_index(zones.string_at(row)).status().message());
  return std::nullopt;
}

void SliceStep::add_late_row(int64_t row, Span window, Emitter& out) {
  const Millis watermark = batch_->judged(row, watermark_);
  const Millis by = watermark - (window.end + spec_.allowed_lateness) + 1;
  // Less than 1 only where another allowed lateness freed the window.
  late_rows_.push_back({row, std::max<Millis>(by, 1), watermark, true, window.start, window.end});
  if (late_rows_.size() >= ResultBuilder::kMaxRows) flush_late_rows(out);
}

void SliceStep::flush_late_rows(Emitter& out) {
  if (late_rows_.empty()) return;
  out.emit(Port::kLate, late_batch(*batch_, late_schema_, late_rows_, "window", name()));
  late_rows_.clear();
}

Slice& SliceStep::slice_at(const SliceId& id) {
  std::unique_ptr<Slice>& place = slices_[id];
  if (place) return *place;
  if (id.after != kMinusInfinity) ++partial_slices_;
  if (spare_) {
    place = std::move(spare_);
    place->id = id;
  } else {
    place = std::make_unique<Slice>(id, aggregates_);
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
  std::fill_n(scan_row_groups_.begin(), count, 0);
}

void SliceStep::update(Slice& slice, const uint32_t* rows, size_t count) {
  aggregates_.put(*batch_, keys_, rows, count, slice.groups.table, slice.groups.pools);
  if (stacks_) stacks_->changed(slice.id.span);
  slice.news = true;
  hold(slice, static_cast<int64_t>(count));
}

// No pane has contained these records yet.
void SliceStep::hold(Slice& slice, int64_t count) {
  slice.unemitted += count;
  slice.count_changed = true;
  counts_.held += count;
  unemitted_from_ = std::min(unemitted_from_, slice.id.span.start);
}

// A row that may make a pane of its key come out at once.
void SliceStep::put_one(Slice& slice, int64_t row, Emitter& out) {
  Groups& groups = slice.groups;
  const TableKey key = row_key(keys_, row);
  const uint32_t id = groups.entry(key, aggregates_);
  const auto at = static_cast<uint32_t>(row);
  update_entry(groups, id, at);
  slice.news = true;
  hold(slice, 1);
  const auto head = load_cell<EntryHead>(groups.table.cells(id));
  const auto* count = spec_.as<CountWindow>();
  if (head.rows < (count != nullptr ? count->rows : *spec_.early_rows)) return;
  slice.unemitted -= head.rows;
  counts_.held -= head.rows;
  counts_.out += head.rows;
  ids_.assign(1, id);
  if (count != nullptr) {
    emit_panes(groups, 1, slice.id.span, nullptr, Pane::kOnTime, out);
    aggregates_.reset(groups.table, groups.pools, id);
    change_head(groups, id, [](EntryHead& of) { ++of.number; });
    return;
  }
  KeyTable& keys = windows_[slice.id.span].keys;
  const uint32_t key_id = keys.find_or_insert(key);
  WindowKeyCells cells(keys.cells(key_id));
  const int64_t revision = cells.revisions();
  cells.set_revisions(revision + 1);
  keys.mark_dirty(key_id);
  emit_panes(groups, 1, slice.id.span, &revision, Pane::kEarly, out);
  forget_news(groups, id);
}

void SliceStep::update_entry(Groups& groups, uint32_t id, uint32_t row) {
  groups.table.mark_dirty(id);
  aggregates_.update(*batch_, &row, &id, 1, groups.table, groups.pools);
}

// What the entry holds has come out.
void SliceStep::forget_news(Groups& groups, uint32_t id) {
  if (delta())
    aggregates_.reset(groups.table, groups.pools, id);
  else
    change_head(groups, id, [](EntryHead& of) { of.rows = 0; });
}

// A row of a window that has fired and is not freed; `first` is the first such one. No row of the current scan goes
// into a slice of these windows, so the order among them does not matter.
void SliceStep::put_late(int64_t row, const SliceId& slice_id, Span first, Emitter& out) {
  const Span span = slice_id.span;
  const TableKey key = row_key(keys_, row);
  const auto at = static_cast<uint32_t>(row);
  const Span last = grid_.last_window_until(span, watermark_);
  for (Span window = first; window <= last; window = grid_.next(window)) {
    WindowKeys& of = windows_[window];
    const uint32_t before = of.keys.count();
    const uint32_t id = of.keys.find_or_insert(key);
    WindowKeyCells cells(of.keys.cells(id));
    if (id == before) cells.set_revisions(has_key(key, window) ? 1 : 0);
    cells.set_revisions(cells.revisions() + 1);
    of.keys.mark_dirty(id);
    if (delta()) {
      if (!of.news) of.news = std::make_unique<Groups>(aggregates_);
      update_entry(*of.news, of.news->entry(key, aggregates_), at);
    }
    if (!spec_.emit_late_each) mark_due(of, id);
  }
  const std::optional<Span> unfired = grid_.window_after(span, after_ends(watermark_));
  Slice& slice = slice_at(slice_id);
  if (!delta() || unfired) update_entry(slice.groups, slice.groups.entry(key, aggregates_), at);
  if (stacks_) stacks_->changed(span);
  slice.news = slice.news || unfired;
  boundary_ = std::min(boundary_, first.end + spec_.allowed_lateness);
  if (unfired) boundary_ = std::min(boundary_, fires_at(*unfired));
  if (!spec_.emit_late_each) {
    hold(slice, 1);
    return;
  }
  ++counts_.out;
  for (Span window = first; window <= last; window = grid_.next(window)) {
    WindowKeys& of = windows_[window];
    const uint32_t id = of.keys.find(key);
    emit_keys(window, of, &id, 1, Pane::kLate, out);
  }
}

bool SliceStep::has_key(const TableKey& key, Span window) {
  for (auto it = first_slice(window); it != slices_.end(); it = next_slice(window, it)) {
    if (it->second->groups.table.find(key) != KeyTable::kNone) return true;
  }
  return false;
}

StepStatus SliceStep::status() const {
  StepStatus status{.state_bytes = state_bytes()};
  Span counted = after_ends(fired_at(watermark_));  // windows up to this one
  for (const auto& [id, slice] : slices_) {
    status.entries += slice->groups.table.count();
    const std::optional<Span> first = grid_.window_after(id, counted);
    if (!first) continue;
    status.next_end = std::min(status.next_end, fires_at(*first));
    counted = grid_.last_window(id.span);
    status.open_windows += grid_.overlaps() ? (counted.end - first->end) / grid_.slide() + 1 : 1;
  }
  return status;
}

int64_t SliceStep::entry_bytes() const {
  return static_cast<int64_t>(KeyTable::kKeyBytes + merged_.table.cell_bytes() + KeyTable::kIndexBytes);
}

int64_t SliceStep::state_bytes() const {
  int64_t bytes = merged_.allocated_bytes() + some_merged_.allocated_bytes() + results_.allocated_bytes();
  if (spare_) bytes += spare_->groups.allocated_bytes();
  if (stacks_) bytes += stacks_->allocated_bytes();
  for (const auto& [id, slice] : slices_)
    bytes += slice->groups.allocated_bytes() + static_cast<int64_t>(sizeof(Slice));
  for (const auto& [span, window] : windows_) {
    bytes += window.keys.allocated_bytes() + (window.news ? window.news->allocated_bytes() : 0) +
             static_cast<int64_t>(sizeof(WindowKeys) + window.due.capacity() * sizeof(uint32_t));
  }
  return bytes;
}

}  // namespace wrackline
