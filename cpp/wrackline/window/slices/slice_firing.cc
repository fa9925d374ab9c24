// How windows fire: a cursor over their ends, resumed piece by piece.
#include <algorithm>
#include <numeric>

#include "wrackline/window/slices/slice_step.h"

namespace wrackline {
namespace {

constexpr uint32_t kPiece = 16 * 1024;  // entries looked at at once

}  // namespace

void SliceStep::begin_firing(Millis target) {
  firing_.emplace();
  firing_->target = target;
  firing_->done = after_ends(fired_at(watermark_));
  firing_->from = slices_.begin();
}

void SliceStep::fire_piece(Emitter& out) {
  switch (firing_->stage) {
    case Stage::kFreeLate: {
      const auto it = windows_.begin();
      if (it == windows_.end() || it->first.end > std::min(lost_at(firing_->target), fired_at(watermark_)))
        firing_->stage = Stage::kNextWindow;
      else if (emit_due(it->first, it->second, Pane::kLate, out))
        windows_.erase(it);
      return;
    }
    case Stage::kNextWindow: return next_window();
    case Stage::kStack: return stack_piece();
    case Stage::kMerge: return merge_piece();
    case Stage::kEmit: return emit_piece(out);
    case Stage::kNextEarly: return next_early_window();
    case Stage::kGatherEarly: return gather_early_piece();
    case Stage::kEmitEarly: return emit_early_piece(out);
    case Stage::kSettleEarly: return settle_early_piece();
    case Stage::kDone: return finish_firing();
  }
}

void SliceStep::next_window() {
  Firing& firing = *firing_;
  while (firing.from != slices_.end() && !grid_.window_after(firing.from->first, firing.done)) ++firing.from;
  const std::optional<Span> window = first_window_after(firing.from, firing.done);
  if (!window || window->end > fired_at(firing.target)) {
    const bool early = spec_.early && firing.target != kPlusInfinity && firing.target >= next_early(watermark_);
    firing.stage = early ? Stage::kNextEarly : Stage::kDone;
    firing.from = slices_.begin();
    firing.done = after_ends(firing.target);
    return;
  }
  firing.window = *window;
  firing.next = 0;
  firing.slice = first_slice(*window);
  if (next_slice(*window, firing.slice) == slices_.end()) {
    firing.source = &firing.slice->second->groups;
    firing.stage = Stage::kEmit;
    return;
  }
  if (!stacks_ || partial_slices_ > 0) return begin_merge();
  firing.source = nullptr;
  firing.stage = Stage::kStack;
}

void SliceStep::stack_piece() {
  if (!stacks_->prepare(firing_->window, slices_)) return;
  if (stacks_->order_may_show()) return begin_merge();
  firing_->stage = Stage::kEmit;
}

void SliceStep::begin_merge() {
  merged_.clear(aggregates_);
  firing_->source = &merged_;
  firing_->stage = Stage::kMerge;
}

void SliceStep::merge_piece() {
  Firing& firing = *firing_;
  const Groups& from = firing.slice->second->groups;
  const uint32_t stop = std::min(from.table.count(), firing.next + kPiece);
  for (; firing.next < stop; ++firing.next) {
    const uint32_t id = merged_.entry(from.table.table_key(firing.next), aggregates_);
    aggregates_.merge(merged_.table, merged_.pools, id, from.table, from.pools, firing.next);
  }
  if (firing.next < from.table.count()) return;
  firing.next = 0;
  firing.slice = next_slice(firing.window, firing.slice);
  if (firing.slice == slices_.end()) firing.stage = Stage::kEmit;
}

void SliceStep::emit_piece(Emitter& out) {
  Firing& firing = *firing_;
  const Pane pane = final_only() ? Pane::kFinal : is_count() ? Pane::kEarly : Pane::kOnTime;
  if (firing.source == nullptr) {
    if (const Groups* groups = stacks_->next(results_.room(), ids_))
      emit_panes(*groups, ids_.size(), firing.window, nullptr, pane, out);
    else
      window_fired();
    return;
  }
  const KeyTable& table = firing.source->table;
  const auto it = windows_.find(firing.window);
  WindowKeys* keys = it == windows_.end() ? nullptr : &it->second;
  const size_t room = results_.room();
  ids_.clear();
  revisions_.clear();
  if (!with_head_) {
    ids_.resize(std::min<size_t>(table.count() - firing.next, room));
    std::iota(ids_.begin(), ids_.end(), firing.next);
    firing.next += static_cast<uint32_t>(ids_.size());
  }
  // Only what is new comes out of a count window, and of any under `delta`.
  const bool only_news = with_head_ && (delta() || is_count());
  const uint32_t stop = std::min(table.count(), firing.next + kPiece);
  for (; with_head_ && firing.next < stop && ids_.size() < room; ++firing.next) {
    if (only_news && load_cell<EntryHead>(table.cells(firing.next)).rows == 0) continue;
    ids_.push_back(firing.next);
    if (keys == nullptr) continue;
    const uint32_t id = keys->keys.find(table.table_key(firing.next));
    revisions_.push_back(0);
    if (id == KeyTable::kNone) continue;
    WindowKeyCells cells(keys->keys.cells(id));
    revisions_.back() = cells.revisions();
    cells.set_revisions(cells.revisions() + 1);
    keys->keys.mark_dirty(id);
  }
  emit_panes(*firing.source, ids_.size(), firing.window, revisions_.empty() ? nullptr : revisions_.data(), pane, out);
  if (firing.next == table.count()) window_fired();
}

void SliceStep::window_fired() {
  count_emitted(firing_->window);
  firing_->done = firing_->window;
  firing_->stage = Stage::kNextWindow;
}

void SliceStep::finish_firing() {
  const Millis target = firing_->target;
  const Millis lost = plus(target, -spec_.allowed_lateness);
  firing_.reset();
  if (lost != kMinusInfinity) free_slices(lost);
  // +infinity is never stored: the input may be read on (semantics.md 2).
  if (target != kPlusInfinity) watermark_ = target;
  results_.move(lost);
  find_boundary();
}

void SliceStep::free_slices(Millis lost) {
  // The largest end that is freed here is one of the last slice that has a freed one.
  for (auto it = slices_.upper_bound({grid_.after_slices_until(lost)}); it != slices_.begin();) {
    --it;
    if (grid_.first_window(it->first.span).end > lost) continue;
    const Millis end = grid_.last_window_until(it->first.span, lost).end;
    if (end != kPlusInfinity) freed_end_ = std::max(freed_end_, end);
    break;
  }
  while (!slices_.empty() && grid_.last_window(slices_.begin()->first.span).end <= lost) {
    std::unique_ptr<Slice> slice = std::move(slices_.begin()->second);
    if (slice->id.after != kMinusInfinity) --partial_slices_;
    slices_.erase(slices_.begin());
    WL_CHECK(slice->unemitted == 0);
    if (spare_) continue;
    slice->groups.clear(aggregates_);
    slice->news = false;
    slice->frozen = false;
    slice->count_changed = false;
    slice->scan_group = 0;
    spare_ = std::move(slice);
  }
  while (!windows_.empty() && windows_.begin()->first.end <= lost) windows_.erase(windows_.begin());
}

void SliceStep::find_boundary() {
  boundary_ = next_early(watermark_);
  if (slices_.empty()) return;
  const std::optional<Span> kept = grid_.window_after(slices_.begin()->first, after_ends(lost_at(watermark_)));
  if (kept && kept->end <= fired_at(watermark_)) boundary_ = std::min(boundary_, kept->end + spec_.allowed_lateness);
  const std::optional<Span> window = first_window_after(slices_.begin(), after_ends(fired_at(watermark_)));
  if (window) boundary_ = std::min(boundary_, fires_at(*window));
}

// The first watermark after this one at which early panes come out.
Millis SliceStep::next_early(Millis watermark) const {
  if (!spec_.early) return kPlusInfinity;
  if (watermark == kMinusInfinity) return kMinusInfinity + 1;
  return (floor_div(watermark, *spec_.early) + 1) * *spec_.early;
}

void SliceStep::before_commit() {
  WL_CHECK(!busy());
  for (const auto& [span, window] : windows_) {
    if (window.due.empty()) continue;
    committing_ = true;
    commit_from_ = span;
    return;
  }
}

void SliceStep::commit_piece(Emitter& out) {
  const auto it = windows_.lower_bound(commit_from_);
  if (it != windows_.end()) {
    commit_from_ = it->first;
    if (emit_due(it->first, it->second, Pane::kLate, out))
      ++commit_from_.start;  // windows of one end have other starts
    return;
  }
  committing_ = false;
  results_.flush(out);
}

}  // namespace wrackline
