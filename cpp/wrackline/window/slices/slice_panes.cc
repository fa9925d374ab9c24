// Panes of single keys: early and late ones.
#include <algorithm>

#include "wrackline/window/slices/slice_step.h"

namespace wrackline {
namespace {

constexpr uint32_t kPiece = 16 * 1024;  // entries looked at at once
constexpr size_t kKeys = 512;           // panes of single keys made at once

int64_t news_of(const Groups& groups, uint32_t id) { return load_cell<EntryHead>(groups.table.cells(id)).rows; }

}  // namespace

// Early panes come window by window: first it is gathered of which keys, then they are made.
void SliceStep::next_early_window() {
  Firing& firing = *firing_;
  const auto has_one = [&](const auto& entry) {
    return entry.second->news && grid_.window_after(entry.first, firing.done).has_value();
  };
  while (firing.from != slices_.end() && !has_one(*firing.from)) ++firing.from;
  std::optional<Span> first;
  for (auto it = firing.from; it != slices_.end(); ++it) {
    if (first && grid_.first_window(it->first.span) >= *first) break;
    if (!has_one(*it)) continue;
    const std::optional<Span> window = grid_.window_after(it->first, firing.done);
    if (!first || *window < *first) first = window;
  }
  if (first) {
    firing.window = *first;
    firing.slice = first_slice(*first);
    firing.next = 0;
    firing.stage = Stage::kGatherEarly;
    return;
  }
  firing.slice = slices_.begin();
  firing.next = 0;
  firing.stage = Stage::kSettleEarly;
}

void SliceStep::gather_early_piece() {
  Firing& firing = *firing_;
  const Slice& slice = *firing.slice->second;
  const KeyTable& table = slice.groups.table;
  const uint32_t count = slice.news ? table.count() : 0;
  const uint32_t stop = std::min(count, firing.next + kPiece);
  WindowKeys& window = windows_[firing.window];
  for (; firing.next < stop; ++firing.next) {
    if (news_of(slice.groups, firing.next) == 0) continue;
    const uint32_t id = window.keys.find_or_insert(table.table_key(firing.next));
    WindowKeyCells cells(window.keys.cells(id));
    if (!cells.due()) cells.set_revisions(cells.revisions() + 1);
    mark_due(window, id);
  }
  if (firing.next < count) return;
  firing.next = 0;
  firing.slice = next_slice(firing.window, firing.slice);
  if (firing.slice == slices_.end()) firing.stage = Stage::kEmitEarly;
}

void SliceStep::emit_early_piece(Emitter& out) {
  Firing& firing = *firing_;
  if (!emit_due(firing.window, windows_[firing.window], Pane::kEarly, out)) return;
  firing.done = firing.window;
  firing.stage = Stage::kNextEarly;
}

// All windows have had their early panes: what is new starts anew.
void SliceStep::settle_early_piece() {
  Firing& firing = *firing_;
  if (firing.slice == slices_.end()) {
    firing.stage = Stage::kDone;
    return;
  }
  Slice& slice = *firing.slice->second;
  const bool open = grid_.window_after(slice.id, after_ends(firing.target)).has_value();
  const uint32_t count = slice.news && open ? slice.groups.table.count() : 0;
  const uint32_t stop = std::min(count, firing.next + kPiece);
  for (; firing.next < stop; ++firing.next) {
    if (news_of(slice.groups, firing.next) > 0) forget_news(slice.groups, firing.next);
  }
  if (firing.next < count) return;
  slice.news = false;
  firing.next = 0;
  ++firing.slice;
}

// The pane that just came out holds every record of the window's slices.
void SliceStep::count_emitted(Span window) {
  if (unemitted_from_ >= window.end) return;
  for (auto it = first_slice(window, std::max(window.start, unemitted_from_)); it != slices_.end();
       it = next_slice(window, it)) {
    Slice& slice = *it->second;
    if (slice.unemitted == 0) continue;
    counts_.out += slice.unemitted;
    counts_.held -= slice.unemitted;
    slice.unemitted = 0;
    slice.count_changed = true;
  }
  if (!grid_.overlaps() || partial_slices_ > 0) return;
  auto it = slices_.lower_bound({grid_.slice_of(unemitted_from_)});
  while (it != slices_.end() && it->first.span.start < window.start && it->second->unemitted == 0) ++it;
  const bool before = it != slices_.end() && it->first.span.start < window.start;
  unemitted_from_ = before ? it->first.span.start : window.end;
}

void SliceStep::mark_due(WindowKeys& window, uint32_t id) {
  WindowKeyCells cells(window.keys.cells(id));
  window.keys.mark_dirty(id);
  if (cells.due()) return;
  cells.set_due(true);
  window.due.push_back(id);
}

bool SliceStep::emit_due(Span span, WindowKeys& window, Pane pane, Emitter& out) {
  const size_t size = std::min(kKeys, window.due.size() - due_done_);
  emit_keys(span, window, window.due.data() + due_done_, size, pane, out);
  due_done_ += size;
  if (due_done_ < window.due.size()) return false;
  if (!window.due.empty()) count_emitted(span);
  window.due.clear();
  window.news.reset();
  due_done_ = 0;
  return true;
}

// One pane of each of these keys: the whole of it, or under `delta` what is new.
void SliceStep::emit_keys(Span span, WindowKeys& window, const uint32_t* key_ids, size_t count, Pane pane,
                          Emitter& out) {
  if (count == 0) return;
  const Groups* source = &some_merged_;
  if (pane == Pane::kLate && delta())
    source = window.news.get();
  else if (!grid_.overlaps())
    source = &first_slice(span)->second->groups;
  else
    some_merged_.clear(aggregates_);
  ids_.resize(count);
  revisions_.resize(count);
  for (size_t i = 0; i < count; ++i) {
    WindowKeyCells cells(window.keys.cells(key_ids[i]));
    if (cells.due()) {
      cells.set_due(false);
      window.keys.mark_dirty(key_ids[i]);
    }
    revisions_[i] = cells.revisions() - 1;
    const TableKey key = window.keys.table_key(key_ids[i]);
    if (source != &some_merged_) {
      ids_[i] = source->table.find(key);
      continue;
    }
    ids_[i] = some_merged_.entry(key, aggregates_);
    for (auto it = first_slice(span); it != slices_.end(); it = next_slice(span, it)) {
      const Groups& from = it->second->groups;
      const uint32_t id = from.table.find(key);
      if (id != KeyTable::kNone)
        aggregates_.merge(some_merged_.table, some_merged_.pools, ids_[i], from.table, from.pools, id);
    }
  }
  emit_panes(*source, count, span, revisions_.data(), pane, out);
  if (spec_.emit_late_each && pane == Pane::kLate) window.news.reset();
}

void SliceStep::emit_panes(const Groups& groups, size_t count, Span window, const int64_t* revisions, Pane pane,
                           Emitter& out) {
  Entries entries{groups.table, groups.pools, ids_.data(), count};
  if (is_count() || is_global()) {
    spans_.resize(count);
    numbers_.resize(count);
    for (size_t i = 0; i < count; ++i) {
      const auto head = load_cell<EntryHead>(groups.table.cells(ids_[i]));
      spans_[i] = {.end = head.last + 1, .start = head.first};
      numbers_[i] = head.number;
    }
    entries.windows = spans_.data();
    entries.numbers = numbers_.data();
  }
  results_.put(entries, window, revisions, pane, counts_, out);
}

}  // namespace wrackline
