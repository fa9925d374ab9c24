// How records make sessions begin, grow and merge.
#include <algorithm>
#include <cstddef>
#include <cstring>

#include "wrackline/window/aggregate/fused.h"
#include "wrackline/window/session/session_step.h"

namespace wrackline {

// Most records fall into the latest session of their key, or extend it: true, if this one does. Only the fields that
// change are written.
inline bool SessionStep::extend_latest(uint32_t id, Millis t) {
  uint8_t* last = place(id);
  const auto old_end = load_cell<Millis>(last + offsetof(Session, end));
  if (t > old_end || t < load_cell<Millis>(last + offsetof(Session, start)) || old_end < row_watermark_) return false;
  if (t + gap_ > old_end) {
    if (load_cell<int64_t>(last + offsetof(Session, row_is_out)) != 0) return false;
    store_cell(last + offsetof(Session, end), t + gap_);
  }
  uint8_t* unemitted = last + offsetof(Session, unemitted);
  store_cell(unemitted, load_cell<int64_t>(unemitted) + 1);
  const auto flags = load_cell<uint32_t>(last + sizeof(Session) + offsetof(SessionKey, flags));
  if ((flags & touched_) != touched_) touch(id, touched_);
  return true;
}

void SessionStep::apply_scan(Emitter& out) {
  const bool done = aggregates_.put_at_once(
      *batch_, [&](const auto& put) { put_scan([&](uint32_t row, uint32_t id) { put(row, table_.cells(id)); }, out); });
  if (!done) put_scan([&](uint32_t row, uint32_t id) { add_row(row, id); }, out);
}

// Puts the rows of the scan into their sessions, in order, and passes the moves between them on. put(row, entry) puts
// one into the aggregates.
template <typename Put>
void SessionStep::put_scan(Put put, Emitter& out) {
  std::array<uint32_t, KeyTable::kBlock> ids;
  const Millis* times = batch_->event_times.data();
  const bool early_rows = spec_.early_rows.has_value();
  size_t move = 0;
  const auto pass_moves = [&](size_t rows_done) {
    for (; move < scan_moves_.size() && scan_moves_[move].before <= rows_done; ++move) {
      row_watermark_ = scan_moves_[move].watermark;
      results_.move(below(row_watermark_));
    }
  };
  for (size_t begin = 0; begin < scanned_; begin += KeyTable::kBlock) {
    const size_t size = std::min(KeyTable::kBlock, scanned_ - begin);
    table_.resolve(keys_, scan_rows_.data() + begin, size, ids.data());
    for (size_t i = 0; i < size; ++i) {
      const uint32_t row = scan_rows_[begin + i];
      if (move < scan_moves_.size() && scan_moves_[move].before <= begin + i) pass_moves(begin + i);
      if (!early_rows && extend_latest(ids[i], times[row]))
        put(row, ids[i]);
      else
        put_slowly(row, ids[i], put, out);
    }
    flush_rows();
  }
  counts_.held += static_cast<int64_t>(scanned_);
  pass_moves(scanned_);
}

template <typename Put>
void SessionStep::put_slowly(uint32_t row, uint32_t id, Put put, Emitter& out) {
  const Millis t = batch_->event_times[row];
  if (!is_empty(id)) free_before(id, plus(row_watermark_, -spec_.allowed_lateness));
  const Session last = session(id);
  uint32_t entry = id;
  if (last.end == kMinusInfinity) {
    ++units_[unit_of(id)].keys;
    set_session(id, {.start = t, .end = t + gap_});
  } else {
    flush_rows();
    if (t > last.end) {
      shelve(id);
      set_session(id, {.start = t, .end = t + gap_});
    } else {
      entry = join(id, t, out);
    }
  }
  Session grown = session(entry);
  ++grown.unemitted;
  set_session(entry, grown);
  put(row, entry);
  touch(id, touched_);
  schedule(id, row_watermark_);
  if (final_only()) return;
  const bool fired = grown.end < row_watermark_;
  if (!fired && !(spec_.early_rows && grown.unemitted >= *spec_.early_rows)) return;
  flush_rows();
  emit(entry, fired ? Pane::kLate : Pane::kEarly, out);
}

void SessionStep::add_row(uint32_t row, uint32_t id) {
  put_rows_[put_count_] = row;
  put_ids_[put_count_++] = id;
}

void SessionStep::flush_rows() {
  if (put_count_ == 0) return;
  aggregates_.update(*batch_, put_rows_.data(), put_ids_.data(), put_count_, table_, pools_);
  put_count_ = 0;
}

// The latest session of a key becomes an older one.
void SessionStep::shelve(uint32_t id) {
  const uint32_t hidden = table_.insert_hidden(id);
  if (aggregates_.has_pools()) aggregates_.grow_pools(pools_, table_.count());
  aggregates_.move(table_, pools_, id, hidden);
  const Session last = session(id);
  set_session(hidden, last);
  make_older(id).emplace_hint(make_older(id).end(), last.start, hidden);
  ++hidden_;
}

// Makes a session of key `id` cover [t, t + gap]: a new one or one that grows, which may take another in. REQUIRES: t
// is not after the latest session.
uint32_t SessionStep::join(uint32_t id, Millis t, Emitter& out) {
  const Millis end = t + gap_;
  const Session last = session(id);
  Older& others = make_older(id);
  auto low = others.upper_bound(end);
  const auto touches_below = [&] { return low != others.begin() && session(std::prev(low)->second).end >= t; };
  uint32_t high = KeyTable::kNone;
  auto at = others.end();  // of `high`, if it is an older one
  if (end >= last.start) {
    high = id;
  } else if (touches_below()) {
    at = --low;
    high = at->second;
  }
  if (high == KeyTable::kNone) {
    const uint32_t hidden = table_.insert_hidden(id);
    if (aggregates_.has_pools()) aggregates_.grow_pools(pools_, hidden + 1);
    set_session(hidden, {.start = t, .end = end});
    others.emplace(t, hidden);
    ++hidden_;
    return hidden;
  }
  if (touches_below()) return merge(id, std::prev(low), high, out);
  Session grown = session(high);
  if (t < grown.start || end > grown.end) withdraw(high, out);
  grown = session(high);
  grown.end = std::max(grown.end, end);
  if (t < grown.start) {
    grown.start = t;
    if (at != others.end()) {
      auto node = others.extract(at);
      node.key() = t;
      others.insert(std::move(node));
    }
  }
  set_session(high, grown);
  if (others.empty()) drop_older(id);
  return high;
}

// One session of the older one at `low` and the one behind it, `high`.
uint32_t SessionStep::merge(uint32_t id, Older::iterator low, uint32_t high, Emitter& out) {
  const uint32_t first = low->second;
  withdraw(first, out);
  withdraw(high, out);
  const Session a = session(first);
  const Session b = session(high);
  aggregates_.merge(table_, pools_, first, table_, pools_, high);
  const Session both{.start = a.start,
                     .end = b.end,
                     .unemitted = a.unemitted + b.unemitted,
                     .revision = std::max(a.revision, b.revision)};
  Older& others = make_older(id);
  --hidden_;
  if (high != id) {
    others.erase(std::next(low));
    release(high);
    set_session(first, both);
    return first;
  }
  aggregates_.move(table_, pools_, first, id);
  others.erase(low);
  release(first);
  set_session(id, both);
  if (others.empty()) drop_older(id);
  return id;
}

// The row of a session whose bounds are about to change.
void SessionStep::withdraw(uint32_t id, Emitter& out) {
  Session old = session(id);
  if (!old.row_is_out) return;
  results_.put_merged(table_, id, {.end = old.end, .start = old.start}, old.revision, counts_, out);
  old.row_is_out = 0;
  set_session(id, old);
}

void SessionStep::emit(uint32_t id, Pane pane, Emitter& out) {
  emit_ids_.push_back(id);
  emit_panes(pane, out);
}

// The sessions in emit_ids_, in that order.
void SessionStep::emit_panes(Pane pane, Emitter& out) {
  const bool delta = spec_.emit == EmitMode::kDelta;
  if (delta) std::erase_if(emit_ids_, [this](uint32_t id) { return session(id).unemitted == 0; });
  emit_spans_.clear();
  emit_revisions_.clear();
  for (const uint32_t id : emit_ids_) {
    const Session one = session(id);
    emit_spans_.push_back({.end = one.end, .start = one.start});
    emit_revisions_.push_back(one.revision);
  }
  results_.put({table_, pools_, emit_ids_.data(), emit_ids_.size(), emit_spans_.data()}, {}, emit_revisions_.data(),
               pane, counts_, out);
  for (const uint32_t id : emit_ids_) {
    Session one = session(id);
    counts_.out += one.unemitted;
    counts_.held -= one.unemitted;
    one.unemitted = 0;
    ++one.revision;
    // A dead pane has no row.
    if (!aggregates_.may_overflow() || aggregates_.overflow(table_.cells(id)) == nullptr) one.row_is_out = 1;
    set_session(id, one);
    if (delta) aggregates_.reset(table_, pools_, id);
  }
  emit_ids_.clear();
}

// Notes what key `id` is, of session_flag.
void SessionStep::touch(uint32_t id, uint32_t flags) {
  SessionKey state = key(id);
  const uint32_t added = flags & ~state.flags;
  if (added == 0) return;
  Unit& unit = units_[unit_of(id)];
  if ((added & session_flag::kChanged) && !unit.whole) {
    unit.changed.push_back(id);
    // Entries of keys that came and went are in it, too.
    if (unit.changed.size() > 2 * size_t{unit.keys} + 16) forget_changes(unit);
  }
  if (added & session_flag::kFresh) unit.fresh.push_back(id);
  state.flags |= added;
  set_key(id, state);
}

void SessionStep::forget_changes(Unit& unit) {
  unit.whole = true;
  unit.changed.clear();
  unit.gone = ByteWriter();
  unit.gone_count = 0;
}

const SessionStep::Older& SessionStep::older(uint32_t id) const {
  static const Older none;
  const uint32_t index = key(id).older;
  return index == KeyTable::kNone ? none : olders_[index];
}

SessionStep::Older& SessionStep::make_older(uint32_t id) {
  SessionKey state = key(id);
  if (state.older == KeyTable::kNone) {
    if (free_olders_.empty()) {
      free_olders_.push_back(static_cast<uint32_t>(olders_.size()));
      olders_.emplace_back();
    }
    state.older = free_olders_.back();
    free_olders_.pop_back();
    set_key(id, state);
  }
  return olders_[state.older];
}

void SessionStep::drop_older(uint32_t id) {
  SessionKey state = key(id);
  if (state.older == KeyTable::kNone) return;
  free_olders_.push_back(state.older);
  state.older = KeyTable::kNone;
  set_key(id, state);
}

void SessionStep::release(uint32_t hidden) {
  aggregates_.reset(table_, pools_, hidden);
  table_.release_hidden(hidden);
}

}  // namespace wrackline
