#include "wrackline/window/timers.h"

#include <algorithm>

namespace wrackline {

bool Timers::after(const Timer& a, const Timer& b) const {
  if (a.time != b.time) return a.time > b.time;
  if (a.tag != b.tag) return a.tag > b.tag;
  return a.id != b.id && table_.key(a.id) > table_.key(b.id);
}

void Timers::push(Timer timer) {
  heap_.push_back(timer);
  std::push_heap(heap_.begin(), heap_.end(), [this](const Timer& a, const Timer& b) { return after(a, b); });
}

void Timers::add(Timer timer) {
  const int64_t bucket = timer.time >> shift_;
  if (bucket <= current_) {
    table_.prefetch(timer.id);
    return push(timer);
  }
  if (current_ == kMinusInfinity || bucket - current_ >= kNear) {
    far_[bucket].push_back(timer);
    ++far_count_;
    return;
  }
  near(bucket).push_back(timer);
  ++near_count_;
}

int64_t Timers::first_bucket() const {
  const int64_t far = far_.empty() ? kPlusInfinity : far_.begin()->first;
  if (near_count_ == 0) return far;
  int64_t bucket = current_ + 1;
  while (near(bucket).empty()) ++bucket;
  return std::min(bucket, far);
}

Millis Timers::next() const {
  if (!heap_.empty()) return heap_.front().time;
  const int64_t bucket = first_bucket();
  return bucket == kPlusInfinity ? kPlusInfinity : start_of(bucket);
}

Timer Timers::take() {
  const Timer timer = heap_.front();
  std::pop_heap(heap_.begin(), heap_.end(), [this](const Timer& a, const Timer& b) { return after(a, b); });
  heap_.pop_back();
  return timer;
}

// Lists have room for up to twice their timers; each of the far ones has a node of a map.
int64_t Timers::allocated_bytes() const {
  const size_t timers = heap_.capacity() + loading_.capacity() + 2 * (near_count_ + far_count_);
  return static_cast<int64_t>(timers * sizeof(Timer) + far_.size() * 96 + sizeof(near_));
}

}  // namespace wrackline
