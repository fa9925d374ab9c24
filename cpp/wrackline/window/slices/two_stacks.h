// TwoStacks: what the entries of hopping windows' slices add up to, without adding up every slice for every window.
//
// Time is cut into blocks as long as a window, from the windows' offset on. A window is the end of one block and the
// beginning of the next one (van Herk 1992, Gil and Werman 1993):
//
//    blocks    |  .  .  .  .  .  |  .  .  .  .  .  |
//    window             [  front  |   back  )
//
//    back   the slices of the later block so far, added up: each slice is added once
//    front  of each entry of the earlier block's slices, what it and the later ones of its key come to, made once, from
//           the last slice to the first, when the window first leaves the block's beginning
//
// Windows come in the order of their ends, so a slice's entries are touched three times, however long the window is.
// Which additions are made follows from the numbers of the slices alone, and so does the order of the results: front
// keys by their last slice, the latest first, then those that the back has alone. After a restart both are the same.
//
// For aggregates without pools and entries without a head. Belongs to one thread.
#pragma once

#include <vector>

#include "wrackline/core/buffer.h"
#include "wrackline/window/aggregate.h"
#include "wrackline/window/slices/grid.h"
#include "wrackline/window/slices/groups.h"

namespace wrackline {

class TwoStacks {
 public:
  // `aggregates` must outlive this.
  TwoStacks(const Aggregates& aggregates, const FixedWindow& windows);

  // Works towards `window`, later than all before; a bounded piece. True when it is there: then next() goes through it.
  // REQUIRES: every slice of the window counts in all of its windows.
  bool prepare(Span window, const Slices& slices);
  // Whether another order of additions could show, in this window: sums near the largest double.
  bool order_may_show() const { return front_.huge + back_.huge > 0; }
  // At most `room` more keys of the window, as entries ids of the result; null when there are no more.
  const Groups* next(size_t room, Buffer<uint32_t>& ids);

  // An entry of this slice has changed or is new, or the slice is.
  void changed(Span slice);

  int64_t allocated_bytes() const;

 private:
  static constexpr uint32_t kNone = KeyTable::kNone;

  struct Range {  // of one slice's entries among those of its block
    Span slice;
    size_t begin = 0;
    bool huge = false;
  };
  // The entries of some slices, numbered slice by slice.
  struct Block {
    explicit Block(const Aggregates& aggregates) : sums(aggregates) {}
    Groups sums;  // of each key; in the front, once it is turned, place for results
    std::vector<Range> ranges;
    Buffer<uint32_t> keys;  // of each entry, as an entry of `sums`
    Millis from = 0;        // slices in [from, until) are in it
    Millis until = 0;
    int huge = 0;  // ranges that are, but for dropped ones
    bool stale = true;

    size_t range_end(size_t range) const { return range + 1 < ranges.size() ? ranges[range + 1].begin : keys.size(); }
    void restart(Millis start, const Aggregates& aggregates);
  };
  enum class Turn : uint8_t { kNotYet, kUnderWay, kDone };

  Millis block_start(Millis t) const { return floor_div(t - offset_, size_) * size_ + offset_; }
  void begin(Span window);
  // Pieces of prepare(): true when there is no more to do.
  bool fill_piece(Block& block, Millis until, const Slices& slices);
  bool turn_piece(const Slices& slices);
  bool drop_piece();
  bool link_piece();
  void add(Block& block, const Groups& slice, uint32_t first, uint32_t count);
  void turn(const Groups& slice, uint32_t begin, uint32_t first, uint32_t count);
  void results(const uint32_t* keys, size_t count, Buffer<uint32_t>& ids);
  uint8_t* suffix(uint32_t entry) { return suffixes_.data() + size_t{entry} * cell_bytes_; }

  const Aggregates& aggregates_;
  const Millis size_;
  const Millis offset_;
  const size_t cell_bytes_;

  Span window_;  // that is being prepared or gone through
  Millis boundary_ = 0;
  Block front_;         // ends at the boundary
  Block back_;          // begins there
  uint32_t entry_ = 0;  // of the slice that is being added, turned or dropped

  // The front's suffixes.
  Turn turn_ = Turn::kNotYet;
  size_t to_turn_ = 0;         // ranges before this one are not turned yet
  size_t dropped_ = 0;         // ranges before this one are not in the window any more
  Bytes suffixes_;             // of each entry the cells: it and the later ones of its key
  Buffer<uint32_t> later_;     // the next entry of its key; kNone: it is the last
  Buffer<uint32_t> first_of_;  // of each key the first entry that is not dropped; kNone: the key has left
  Buffer<uint32_t> keys_;      // that have not left, by their last slice, the latest first

  // Which key of one is which of the other; kNone: not there. back_'s keys before linked_ are known.
  Buffer<uint32_t> in_back_;
  Buffer<uint32_t> in_front_;
  uint32_t linked_ = 0;

  size_t next_front_ = 0;
  uint32_t next_back_ = 0;
};

}  // namespace wrackline
