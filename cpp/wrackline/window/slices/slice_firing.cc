// How windows fire: a cursor over their ends, resumed piece by piece.
#include <algorithm>
#include <numeric>

#include "wrackline/window/slices/late_cells.h"
#include "wrackline/window/slices/slice_step.h"

namespace wrackline {
namespace {

constexpr uint32_t kMergePiece = 16 * 1024;  // entries merged at once
constexpr size_t kLatePiece = 512;           // late panes made at once

}  // namespace

void SliceStep::begin_firing(Millis target) {
  firing_.emplace();
  firing_->target = target;
  firing_->done = watermark_;
  firing_->from = slices_.begin();
}

void SliceStep::fire_piece(Emitter& out) {
  switch (firing_->stage) {
    case Stage::kFreeLate: {
      const auto it = late_windows_.begin();
      if (it == late_windows_.end() || it->first > lost_at(firing_->target))
        firing_->stage = Stage::kNextWindow;
      else if (emit_due(it->first, it->second, out))
        late_windows_.erase(it);
      return;
    }
    case Stage::kNextWindow: return next_window();
    case Stage::kMerge: return merge_piece();
    case Stage::kEmit: return emit_piece(out);
    case Stage::kDone: return finish_firing();
  }
}

void SliceStep::next_window() {
  Firing& firing = *firing_;
  // Ends grow with slices, so the first slice that has one left has the smallest.
  Millis end = kPlusInfinity;
  for (; firing.from != slices_.end(); ++firing.from) {
    end = grid_.end_after(firing.from->first, firing.done);
    if (end != kPlusInfinity) break;
  }
  if (end == kPlusInfinity || end > firing.target) {
    firing.stage = Stage::kDone;
    return;
  }
  firing.end = end;
  firing.next = 0;
  const auto first = slices_.lower_bound(end - grid_.size());
  const auto second = std::next(first);
  if (second == slices_.end() || second->first >= end) {
    firing.source = &first->second->groups;
    firing.stage = Stage::kEmit;
    return;
  }
  aggregates_.clear_pools(merged_.pools, merged_.table.count());
  merged_.table.clear();
  firing.merge_slice = first;
  firing.source = &merged_;
  firing.stage = Stage::kMerge;
}

void SliceStep::merge_piece() {
  Firing& firing = *firing_;
  const Groups& from = firing.merge_slice->second->groups;
  const uint32_t stop = std::min(from.table.count(), firing.next + kMergePiece);
  for (; firing.next < stop; ++firing.next) {
    const uint32_t id = merged_.table.find_or_insert(from.table.table_key(firing.next));
    if (aggregates_.has_pools()) aggregates_.grow_pools(merged_.pools, merged_.table.count());
    aggregates_.merge(merged_.table, merged_.pools, id, from.table, from.pools, firing.next);
  }
  if (firing.next < from.table.count()) return;
  firing.next = 0;
  ++firing.merge_slice;
  if (firing.merge_slice == slices_.end() || firing.merge_slice->first >= firing.end) firing.stage = Stage::kEmit;
}

void SliceStep::emit_piece(Emitter& out) {
  Firing& firing = *firing_;
  const uint32_t count = firing.source->table.count();
  const auto size = std::min<size_t>(count - firing.next, results_.room());
  ids_.resize(size);
  std::iota(ids_.begin(), ids_.end(), firing.next);
  emit_panes(*firing.source, size, firing.end, nullptr, Pane::kOnTime, out);
  firing.next += static_cast<uint32_t>(size);
  if (firing.next < count) return;
  count_emitted(firing.end);
  firing.done = firing.end;
  firing.stage = Stage::kNextWindow;
}

void SliceStep::finish_firing() {
  const Millis target = firing_->target;
  const Millis lost = plus(target, -spec_.allowed_lateness);
  firing_.reset();
  // The largest end that is freed here is one of the last slice that has a freed one.
  if (lost != kMinusInfinity) {
    auto it = lost == kPlusInfinity ? slices_.end() : slices_.upper_bound(lost);
    while (it != slices_.begin()) {
      --it;
      if (grid_.first_end(it->first) > lost) continue;
      const Millis last = grid_.last_end(it->first);
      freed_end_ = std::max(freed_end_, last <= lost ? last : grid_.previous_end(lost));
      break;
    }
  }
  while (!slices_.empty() && grid_.last_end(slices_.begin()->first) <= lost) {
    std::unique_ptr<Slice> slice = std::move(slices_.begin()->second);
    slices_.erase(slices_.begin());
    WL_CHECK(slice->unemitted == 0);
    if (spare_) continue;
    aggregates_.clear_pools(slice->groups.pools, slice->groups.table.count());
    slice->groups.table.clear();
    slice->frozen = false;
    slice->count_changed = false;
    slice->scan_group = 0;
    spare_ = std::move(slice);
  }
  // +infinity is never stored: the input may be read on (semantics.md 2).
  if (target != kPlusInfinity) watermark_ = target;
  results_.move(lost);
  find_boundary();
}

void SliceStep::find_boundary() {
  boundary_ = kPlusInfinity;
  if (slices_.empty()) return;
  const Millis freeing = grid_.end_after(slices_.begin()->first, lost_at(watermark_));
  if (freeing <= watermark_) boundary_ = freeing + spec_.allowed_lateness;
  for (const auto& [start, slice] : slices_) {
    const Millis end = grid_.end_after(start, watermark_);
    if (end == kPlusInfinity) continue;
    boundary_ = std::min(boundary_, end);
    return;
  }
}

// The pane that just came out holds every record of the window's slices.
void SliceStep::count_emitted(Millis end) {
  for (auto it = slices_.lower_bound(end - grid_.size()); it != slices_.end() && it->first < end; ++it) {
    Slice& slice = *it->second;
    if (slice.unemitted == 0) continue;
    counts_.out += slice.unemitted;
    counts_.held -= slice.unemitted;
    slice.unemitted = 0;
    slice.count_changed = true;
  }
}

// The entries ids_[0 .. count).
void SliceStep::emit_panes(const Groups& groups, size_t count, Millis end, const int64_t* revisions, Pane pane,
                           Emitter& out) {
  results_.put({groups.table, groups.pools, ids_.data(), count}, {.end = end, .start = end - grid_.size()}, revisions,
               pane, counts_, out);
}

bool SliceStep::emit_due(Millis end, LateWindow& window, Emitter& out) {
  const size_t size = std::min(kLatePiece, window.due.size() - due_done_);
  emit_late_panes(end, window, window.due.data() + due_done_, size, out);
  due_done_ += size;
  if (due_done_ < window.due.size()) return false;
  if (!window.due.empty()) count_emitted(end);
  window.due.clear();
  due_done_ = 0;
  return true;
}

void SliceStep::emit_late_panes(Millis end, LateWindow& window, const uint32_t* late_ids, size_t count, Emitter& out) {
  if (count == 0) return;
  aggregates_.clear_pools(late_merged_.pools, late_merged_.table.count());
  late_merged_.table.clear();
  ids_.resize(count);
  revisions_.resize(count);
  const auto begin = slices_.lower_bound(end - grid_.size());
  for (size_t i = 0; i < count; ++i) {
    LateCells cells(window.keys.cells(late_ids[i]));
    if (cells.due()) {
      cells.set_due(false);
      window.keys.mark_dirty(late_ids[i]);
    }
    revisions_[i] = cells.revision();
    const TableKey key = window.keys.table_key(late_ids[i]);
    ids_[i] = late_merged_.table.find_or_insert(key);
    if (aggregates_.has_pools()) aggregates_.grow_pools(late_merged_.pools, late_merged_.table.count());
    for (auto it = begin; it != slices_.end() && it->first < end; ++it) {
      const Groups& from = it->second->groups;
      const uint32_t id = from.table.find(key);
      if (id != KeyTable::kNone)
        aggregates_.merge(late_merged_.table, late_merged_.pools, ids_[i], from.table, from.pools, id);
    }
  }
  emit_panes(late_merged_, count, end, revisions_.data(), Pane::kLate, out);
}

void SliceStep::before_commit() {
  WL_CHECK(!busy());
  for (const auto& [end, window] : late_windows_) {
    if (window.due.empty()) continue;
    committing_ = true;
    commit_end_ = end;
    return;
  }
}

void SliceStep::commit_piece(Emitter& out) {
  const auto it = late_windows_.lower_bound(commit_end_);
  if (it != late_windows_.end()) {
    commit_end_ = it->first;
    if (emit_due(it->first, it->second, out)) ++commit_end_;
    return;
  }
  committing_ = false;
  results_.flush(out);
}

}  // namespace wrackline
