// How sessions fire and are freed: by timers, one session at a time, in the order of what is due first.
//
// A key has one timer that counts. It is set when a session begins, and not moved when one grows: whoever takes it
// finds that it is early, and sets it again. So a record that extends a session has nothing to do with timers.
#include <algorithm>
#include <cstddef>

#include "wrackline/window/session/session_step.h"

namespace wrackline {
namespace {

constexpr Millis kKeptGaps = 2;  // a key stays without sessions: mostly it comes again
constexpr size_t kDue = 256;     // keys that have something to do
constexpr size_t kPiece = 1024;  // sessions that are looked at for an early pane

}  // namespace

void SessionStep::fire_piece(Emitter& out) {
  if (firing_->stage == Stage::kTimers)
    timers_piece(out);
  else
    early_piece(out);
}

void SessionStep::timers_piece(Emitter& out) {
  const Millis target = firing_->target;
  // In the order of time, so that what ends before a timer has fired.
  const auto time_of = [this](const Timer& timer) { return true_time(timer, timer.time - 1); };
  if (!timers_.prepare(target, time_of)) return;
  take_due(target);
  if (!due_.empty()) {
    emit_panes(final_only() ? Pane::kFinal : Pane::kOnTime, out);
    for (const Timer& timer : due_) act(timer);
    return;
  }
  if (timers_.next() <= target && timers_.next() != kPlusInfinity) return;  // another bucket
  const bool early =
      spec_.early && target != kPlusInfinity &&
      (watermark_ == kMinusInfinity || floor_div(target, *spec_.early) > floor_div(watermark_, *spec_.early));
  if (early)
    firing_->stage = Stage::kEarly;
  else
    finish_firing();
}

// Some of the keys of this bucket that fire, each once, and in the order of time: a bucket is shorter than a gap.
// Others are acted upon at once: what frees a session is not there after a restore, and what the key fires next may be
// due before the rest of the bucket.
void SessionStep::take_due(Millis target) {
  due_.clear();
  for (size_t taken = 0; taken < kDue; ++taken) {
    const Timer* top = timers_.top();
    if (top == nullptr || top->time > target) return;
    Timer timer = timers_.take();
    const Millis time = true_time(timer, timer.time - 1);
    if (time == timer.time) {
      SessionKey state = key(timer.id);
      state.timer = kPlusInfinity;
      set_key(timer.id, state);
      if (note_firing(timer))
        due_.push_back(timer);
      else
        act(timer);
    } else if (time != kPlusInfinity) {
      timer.time = time;
      timers_.add(timer);
    }
  }
}

// When `timer` is really due; the key's timer is set to it. kPlusInfinity: it does not count.
Millis SessionStep::true_time(const Timer& timer, Millis fired) {
  SessionKey state = key(timer.id);  // of an entry that is no key's: without a timer
  if (state.timer != timer.time) return kPlusInfinity;
  state.timer = next_action(timer.id, fired);
  if (state.timer != timer.time) set_key(timer.id, state);
  if (is_empty(timer.id)) table_.prefetch_index(timer.id);  // it is about to go
  return state.timer;
}

// The first session of key `id` that ends at `fired` or later; kNone: there is none.
uint32_t SessionStep::first_unfired(uint32_t id, Millis fired) const {
  if (!is_alone(id)) {
    const Older& others = older(id);
    auto it = others.lower_bound(fired);
    if (it != others.begin() && end_of(std::prev(it)->second) >= fired) --it;
    if (it != others.end()) return it->second;
  }
  return end_of(id) >= fired ? id : KeyTable::kNone;
}

// The first watermark at which a session of key `id` fires or is freed, when those that end before `fired` have fired.
Millis SessionStep::next_action(uint32_t id, Millis fired) const {
  if (is_empty(id)) return key(id).timer;
  const Millis freed = end_of(first_session(id)) + spec_.allowed_lateness + 1;
  if (final_only() || spec_.allowed_lateness == 0) return freed;
  // A key with sessions that only wait for being freed is looked at when a record comes, or when it is to go itself.
  const Millis looked_at = freed + kKeptGaps * gap_;
  const uint32_t unfired = first_unfired(id, fired);
  return unfired == KeyTable::kNone ? looked_at : std::min(looked_at, end_of(unfired) + 1);
}

// The session of a due key that comes out; false: there is none.
bool SessionStep::note_firing(const Timer& timer) {
  const uint32_t id = timer.id;
  if (is_empty(id)) return false;
  const uint32_t entry = final_only() ? first_session(id) : first_unfired(id, timer.time - 1);
  if (entry == KeyTable::kNone) return false;
  const Millis fires = end_of(entry) + 1 + (final_only() ? spec_.allowed_lateness : 0);
  if (fires != timer.time) return false;
  emit_ids_.push_back(entry);
  return true;
}

// A due key, when what it fires is out.
void SessionStep::act(const Timer& timer) {
  const uint32_t id = timer.id;
  if (is_empty(id)) return table_.erase(id);  // it has no timer, which those that do not count see
  touch(id, session_flag::kChanged);
  const Millis end = end_of(id);
  free_before(id, timer.time - spec_.allowed_lateness);
  if (!is_empty(id)) return set_timer(id, next_action(id, timer.time));
  const Millis goes = end + spec_.allowed_lateness + 1 + kKeptGaps * gap_;
  if (goes <= timer.time) return table_.erase(id);
  set_timer(id, goes);
}

// Frees the sessions of key `id` that end before `lost`.
void SessionStep::free_before(uint32_t id, Millis lost) {
  while (!is_empty(id)) {
    const uint32_t first = first_session(id);
    if (end_of(first) >= lost) return;
    free_session(id, first);
  }
}

uint32_t SessionStep::first_session(uint32_t id) const { return is_alone(id) ? id : older(id).begin()->second; }

// REQUIRES: `entry` holds the first session of key `id`.
void SessionStep::free_session(uint32_t id, uint32_t entry) {
  const Session freed = session(entry);
  WL_CHECK(freed.unemitted == 0);
  freed_end_ = std::max(freed_end_, freed.end);
  if (entry == id) {
    Unit& unit = units_[unit_of(id)];
    if (!unit.whole && (key(id).flags & session_flag::kFrozen)) {
      unit.gone.put_string(table_.key(id));
      ++unit.gone_count;
    }
    return remove_sessions(id);
  }
  Older& others = make_older(id);
  others.erase(others.begin());
  release(entry);
  --hidden_;
  if (others.empty()) drop_older(id);
}

// Brings the timer of key `id` forward, if it is too late.
void SessionStep::schedule(uint32_t id, Millis fired) {
  const Millis time = next_action(id, fired);
  if (time < key(id).timer) set_timer(id, time);
}

void SessionStep::set_timer(uint32_t id, Millis time) {
  SessionKey state = key(id);
  state.timer = time;
  set_key(id, state);
  timers_.add({time, KeyTable::tag_at(table_.entry(id)), id});
}

// Sessions that have not fired and hold anything new; unit by unit, in the order of keys.
void SessionStep::early_piece(Emitter& out) {
  Firing& firing = *firing_;
  for (size_t looked_at = 0; looked_at < kPiece;) {
    if (firing.unit == kUnits) return finish_firing();
    std::vector<uint32_t>& fresh = units_[firing.unit].fresh;
    if (!firing.sorted) {
      looked_at += fresh.size();
      sort_fresh(firing.unit);
      firing.sorted = true;
      continue;
    }
    if (firing.key == fresh.size()) {
      fresh.clear();
      ++firing.unit;
      firing.sorted = false;
      firing.key = 0;
      continue;
    }
    const uint32_t id = fresh[firing.key];
    touch(id, session_flag::kChanged);
    const auto look = [&](uint32_t entry) {
      ++looked_at;
      const Session one = session(entry);
      if (one.end >= firing.target && one.unemitted > 0) emit(entry, Pane::kEarly, out);
    };
    const Older& others = older(id);
    auto it = others.lower_bound(firing.from);
    for (; it != others.end() && looked_at < kPiece; ++it) look(it->second);
    if (it != others.end()) {
      firing.from = it->first;
      return;
    }
    look(id);
    SessionKey state = key(id);
    state.flags &= ~session_flag::kFresh;
    set_key(id, state);
    firing.from = kMinusInfinity;
    ++firing.key;
  }
}

// Leaves out keys that have gone since they were noted; their entries may be those of others.
void SessionStep::sort_fresh(size_t unit) {
  std::vector<uint32_t>& fresh = units_[unit].fresh;
  std::erase_if(fresh, [&](uint32_t id) {
    return table_.use(id) != KeyTable::Use::kKey || unit_of(id) != unit || !(key(id).flags & session_flag::kFresh);
  });
  std::sort(fresh.begin(), fresh.end(), [&](uint32_t a, uint32_t b) {
    const uint32_t tag_a = KeyTable::tag_at(table_.entry(a));
    const uint32_t tag_b = KeyTable::tag_at(table_.entry(b));
    return tag_a != tag_b ? tag_a < tag_b : table_.key(a) < table_.key(b);
  });
  fresh.erase(std::unique(fresh.begin(), fresh.end()), fresh.end());
}

void SessionStep::finish_firing() {
  const Millis target = firing_->target;
  firing_.reset();
  // +infinity is never stored: the input may be read on (semantics.md 2).
  if (target != kPlusInfinity) watermark_ = target;
  results_.move(below(target));
  set_lost();
  find_boundary();
}

void SessionStep::find_boundary() {
  boundary_ = timers_.next();
  if (!spec_.early) return;
  const Millis multiple =
      watermark_ == kMinusInfinity ? kMinusInfinity : (floor_div(watermark_, *spec_.early) + 1) * *spec_.early;
  boundary_ = std::min(boundary_, multiple);
}

}  // namespace wrackline
