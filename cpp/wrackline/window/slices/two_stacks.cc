#include "wrackline/window/slices/two_stacks.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "wrackline/core/status.h"

namespace wrackline {
namespace {

constexpr uint32_t kPiece = 16 * 1024;  // entries looked at at once
constexpr uint32_t kStep = KeyTable::kBlock;

}  // namespace

TwoStacks::TwoStacks(const Aggregates& aggregates, const FixedWindow& windows)
    : aggregates_(aggregates),
      size_(windows.size),
      offset_(windows.offset),
      cell_bytes_(aggregates.initial().size()),
      front_(aggregates),
      back_(aggregates) {}

void TwoStacks::Block::restart(Millis start, const Aggregates& aggregates) {
  sums.clear(aggregates);
  ranges.clear();
  keys.clear();
  from = until = start;
  huge = 0;
  stale = false;
}

void TwoStacks::begin(Span window) {
  if (window < window_) front_.stale = back_.stale = true;
  window_ = window;
  next_front_ = 0;
  next_back_ = 0;
  entry_ = 0;
  const Millis boundary = block_start(window.start - 1) + size_;
  if (boundary != boundary_) {
    std::swap(front_, back_);
    front_.stale = front_.stale || boundary != boundary_ + size_;
    back_.stale = true;
    boundary_ = boundary;
    turn_ = Turn::kNotYet;
  }
  if (front_.stale) {
    front_.restart(window.start, aggregates_);
    turn_ = Turn::kNotYet;
  }
  if (back_.stale) {
    back_.restart(boundary_, aggregates_);
    in_front_.clear();
    linked_ = 0;
    std::fill(in_back_.begin(), in_back_.end(), kNone);
  }
}

bool TwoStacks::prepare(Span window, const Slices& slices) {
  if (window != window_ || front_.stale || back_.stale) begin(window);
  if (turn_ == Turn::kNotYet && !fill_piece(front_, boundary_, slices)) return false;
  if (turn_ != Turn::kDone && !turn_piece(slices)) return false;
  return drop_piece() && fill_piece(back_, window.end, slices) && link_piece();
}

// Adds the slices in [block.until, until).
bool TwoStacks::fill_piece(Block& block, Millis until, const Slices& slices) {
  const auto it = slices.upper_bound({after_ends(block.until)});
  if (it == slices.end() || it->first.span.end > until) {
    block.until = until;
    return true;
  }
  const Groups& slice = it->second->groups;
  const uint32_t count = slice.table.count();
  if (entry_ == 0) block.ranges.push_back({it->first.span, block.keys.size()});
  const uint32_t stop = std::min(count, entry_ + kPiece);
  for (; entry_ < stop; entry_ += kStep) add(block, slice, entry_, std::min(kStep, stop - entry_));
  if (entry_ < count) return false;
  entry_ = 0;
  if (block.ranges.back().huge) ++block.huge;
  block.until = it->first.span.end;
  return false;
}

void TwoStacks::add(Block& block, const Groups& slice, uint32_t first, uint32_t count) {
  std::array<uint8_t*, kStep> cells;
  std::array<const uint8_t*, kStep> added;
  const size_t begin = block.keys.size();
  block.keys.resize(begin + count);
  uint32_t* keys = block.keys.data() + begin;
  block.sums.table.resolve(slice.table, first, count, keys);
  for (uint32_t i = 0; i < count; ++i) {
    cells[i] = block.sums.table.cells(keys[i]);
    added[i] = slice.table.cells(first + i);
  }
  aggregates_.merge_cells(cells.data(), added.data(), count);
  bool& huge = block.ranges.back().huge;
  huge = huge || aggregates_.holds_huge_sum(added.data(), count);
}

bool TwoStacks::turn_piece(const Slices& slices) {
  if (turn_ == Turn::kNotYet) {
    turn_ = Turn::kUnderWay;
    suffixes_.resize(front_.keys.size() * cell_bytes_);
    later_.resize(front_.keys.size());
    first_of_.assign(front_.sums.table.count(), kNone);
    in_back_.assign(front_.sums.table.count(), kNone);
    linked_ = 0;
    in_front_.clear();
    keys_.clear();
    to_turn_ = front_.ranges.size();
    for (dropped_ = 0; dropped_ < to_turn_ && front_.ranges[dropped_].slice.start < window_.start; ++dropped_)
      front_.huge -= front_.ranges[dropped_].huge ? 1 : 0;
  }
  if (to_turn_ == dropped_) {
    turn_ = Turn::kDone;
    return true;
  }
  const Range& range = front_.ranges[to_turn_ - 1];
  const auto it = slices.find({range.slice});
  const auto count = static_cast<uint32_t>(front_.range_end(to_turn_ - 1) - range.begin);
  WL_CHECK(it != slices.end() && it->second->groups.table.count() == count);
  const uint32_t stop = std::min(count, entry_ + kPiece);
  for (; entry_ < stop; entry_ += kStep)
    turn(it->second->groups, static_cast<uint32_t>(range.begin), entry_, std::min(kStep, stop - entry_));
  if (entry_ < count) return false;
  entry_ = 0;
  --to_turn_;
  return false;
}

// Entries of a slice, of which no two have the same key: what they and the later ones of their keys come to.
void TwoStacks::turn(const Groups& slice, uint32_t begin, uint32_t first, uint32_t count) {
  std::array<uint8_t*, kStep> cells;
  std::array<const uint8_t*, kStep> added;
  uint32_t merged = 0;
  for (uint32_t i = first; i < first + count; ++i) {
    const uint32_t entry = begin + i;
    const uint32_t key = front_.keys[entry];
    const uint32_t later = std::exchange(first_of_[key], entry);
    later_[entry] = later;
    std::memcpy(suffix(entry), slice.table.cells(i), cell_bytes_);
    if (later == kNone) {
      keys_.push_back(key);
      continue;
    }
    __builtin_prefetch(suffix(later));
    cells[merged] = suffix(entry);
    added[merged++] = suffix(later);
  }
  aggregates_.merge_cells(cells.data(), added.data(), merged);
}

// Slices that are not in the window any more leave the front.
bool TwoStacks::drop_piece() {
  if (dropped_ < front_.ranges.size() && front_.ranges[dropped_].slice.start < window_.start) {
    const Range& range = front_.ranges[dropped_];
    const auto count = static_cast<uint32_t>(front_.range_end(dropped_) - range.begin);
    const uint32_t stop = std::min(count, entry_ + kPiece);
    for (; entry_ < stop; ++entry_) {
      const size_t entry = range.begin + entry_;
      first_of_[front_.keys[entry]] = later_[entry];
    }
    if (entry_ < count) return false;
    entry_ = 0;
    if (range.huge) --front_.huge;
    ++dropped_;
    return false;
  }
  front_.from = window_.start;
  while (!keys_.empty() && first_of_[keys_.back()] == kNone) keys_.pop_back();
  return true;
}

bool TwoStacks::link_piece() {
  const KeyTable& front = front_.sums.table;
  const KeyTable& back = back_.sums.table;
  const uint32_t stop = std::min(back.count(), linked_ + kPiece);
  for (; linked_ < stop; ++linked_) {
    const uint32_t key = keys_.empty() ? kNone : front.find(back.table_key(linked_));
    in_front_.push_back(key);
    if (key != kNone) in_back_[key] = linked_;
  }
  return linked_ == back.count();
}

const Groups* TwoStacks::next(size_t room, Buffer<uint32_t>& ids) {
  ids.clear();
  if (next_front_ < keys_.size()) {
    const size_t stop = std::min(keys_.size(), next_front_ + std::min(room, size_t{kPiece}));
    for (; next_front_ < stop; next_front_ += kStep)
      results(keys_.data() + next_front_, std::min<size_t>(kStep, stop - next_front_), ids);
    next_front_ = stop;
    return &front_.sums;
  }
  const uint32_t count = back_.sums.table.count();
  for (; next_back_ < count && ids.size() < room; ++next_back_) {
    const uint32_t key = in_front_[next_back_];
    if (key == kNone || first_of_[key] == kNone) ids.push_back(next_back_);
  }
  return ids.empty() ? nullptr : &back_.sums;
}

// Front and back together, in the front's cells.
void TwoStacks::results(const uint32_t* keys, size_t count, Buffer<uint32_t>& ids) {
  std::array<uint8_t*, kStep> cells;
  std::array<const uint8_t*, kStep> added;
  size_t merged = 0;
  for (size_t i = 0; i < count; ++i) __builtin_prefetch(suffix(first_of_[keys[i]]));
  for (size_t i = 0; i < count; ++i) {
    uint8_t* place = front_.sums.table.cells(keys[i]);
    std::memcpy(place, suffix(first_of_[keys[i]]), cell_bytes_);
    ids.push_back(keys[i]);
    const uint32_t in_back = in_back_[keys[i]];
    if (in_back == kNone) continue;
    cells[merged] = place;
    added[merged] = back_.sums.table.cells(in_back);
    __builtin_prefetch(added[merged++]);
  }
  aggregates_.merge_cells(cells.data(), added.data(), merged);
}

void TwoStacks::changed(Span slice) {
  if (slice.start >= boundary_)
    back_.stale = back_.stale || slice.end <= back_.until;
  else
    front_.stale = front_.stale || (slice.start >= front_.from && slice.end <= front_.until);
}

int64_t TwoStacks::allocated_bytes() const {
  int64_t bytes = 0;
  for (const Block* block : {&front_, &back_}) {
    bytes += block->sums.allocated_bytes();
    bytes += static_cast<int64_t>(block->ranges.capacity() * sizeof(Range) + block->keys.capacity() * sizeof(uint32_t));
  }
  const size_t numbers =
      later_.capacity() + first_of_.capacity() + keys_.capacity() + in_back_.capacity() + in_front_.capacity();
  return bytes + static_cast<int64_t>(suffixes_.capacity() + numbers * sizeof(uint32_t));
}

}  // namespace wrackline
