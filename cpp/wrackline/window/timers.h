// Timers: when the watermark has to look at which keys next. A bucket takes the timers of a stretch of time, unsorted;
// the earliest bucket is put into a heap, so that the heap stays small.
//
// A timer may be early or out of date: whoever takes it looks at the key. Timers come in the order of their times, of
// one time in that of tags and keys, which a restore does not change.
#pragma once

#include <array>
#include <bit>
#include <map>
#include <vector>

#include "wrackline/core/types.h"
#include "wrackline/window/key_table.h"

namespace wrackline {

struct Timer {
  Millis time = 0;
  uint32_t tag = 0;  // of the key
  uint32_t id = 0;
};

class Timers {
 public:
  // `table` must outlive this. A bucket is at most `width` long, which is positive. `looked_at`: the offset in an entry
  // of what time_of() reads.
  Timers(const KeyTable& table, Millis width, size_t looked_at)
      : table_(table),
        shift_(static_cast<int>(std::bit_width(static_cast<uint64_t>(width))) - 1),
        looked_at_(looked_at) {}

  void add(Timer timer);
  // At or before the first timer; kPlusInfinity: there is none.
  Millis next() const;

  // Looks for the first timer up to `until`, in bounded pieces; true: top() is it, or there is none. `time_of(timer)`
  // is when the timer is really due; kPlusInfinity: it is out of date.
  template <typename TimeOf>
  bool prepare(Millis until, TimeOf time_of);
  // The first timer, once prepare() was true; null: there is none.
  const Timer* top() const { return heap_.empty() ? nullptr : &heap_.front(); }
  Timer take();

  int64_t allocated_bytes() const;

 private:
  static constexpr size_t kPiece = 4096;
  static constexpr size_t kAhead = 16;
  static constexpr int64_t kNear = 1024;

  // Whether a comes after b: std's heaps have the largest on top.
  bool after(const Timer& a, const Timer& b) const;
  void push(Timer timer);

  // The number of the first bucket with timers; kPlusInfinity: there is none.
  int64_t first_bucket() const;
  Millis start_of(int64_t bucket) const { return bucket * (Millis{1} << shift_); }
  std::vector<Timer>& near(int64_t bucket) { return near_[static_cast<size_t>(bucket & (kNear - 1))]; }
  const std::vector<Timer>& near(int64_t bucket) const { return near_[static_cast<size_t>(bucket & (kNear - 1))]; }

  const KeyTable& table_;
  const int shift_;  // a bucket is 2^shift_ ms long
  const size_t looked_at_;
  int64_t current_ = kMinusInfinity;            // the heap has what belongs to this bucket and to those before
  std::array<std::vector<Timer>, kNear> near_;  // the buckets from current_ + 1 to current_ + kNear - 1
  size_t near_count_ = 0;                       // timers in them
  std::map<int64_t, std::vector<Timer>> far_;   // timers that were further ahead when they were set
  size_t far_count_ = 0;
  std::vector<Timer> heap_;
  std::vector<Timer> loading_;  // of bucket current_, not in the heap yet
};

template <typename TimeOf>
bool Timers::prepare(Millis until, TimeOf time_of) {
  if (!loading_.empty()) {
    for (size_t i = 0; i < kPiece && !loading_.empty(); ++i) {
      if (loading_.size() > kAhead)
        __builtin_prefetch(table_.entry(loading_[loading_.size() - 1 - kAhead].id) + looked_at_, 1);
      Timer timer = loading_.back();
      loading_.pop_back();
      timer.time = time_of(timer);
      if (timer.time != kPlusInfinity) add(timer);
    }
    return false;
  }
  if (!heap_.empty()) return true;
  const int64_t bucket = first_bucket();
  if (bucket == kPlusInfinity || start_of(bucket) > until) return true;
  current_ = bucket;
  std::swap(loading_, near(bucket));
  near_count_ -= loading_.size();
  if (!far_.empty() && far_.begin()->first == bucket) {
    const std::vector<Timer>& more = far_.begin()->second;
    loading_.insert(loading_.end(), more.begin(), more.end());
    far_count_ -= more.size();
    far_.erase(far_.begin());
  }
  return false;
}

}  // namespace wrackline
