// Inputs: the watermarks of a task that has several inputs (semantics.md 2), each of them one upstream task.
//
// A record is judged by the watermark of its own input; windows fire and are freed by the smallest one. An input that
// is idle or has ended leaves the minimum; its own watermark then follows the task's.
#pragma once

#include <compare>
#include <cstdint>
#include <map>
#include <optional>
#include <vector>

#include "wrackline/core/bytes.h"
#include "wrackline/core/status.h"
#include "wrackline/core/types.h"
#include "wrackline/time/watermark.h"

namespace wrackline {

// An upstream task: partition `partition` of source `source` of those that are merged.
struct UpstreamId {
  uint32_t source = 0;
  int32_t partition = 0;
  friend auto operator<=>(const UpstreamId&, const UpstreamId&) = default;
};

// What an upstream task says of itself at a commit, and when it goes idle or ends.
struct UpstreamMark {
  Millis watermark = kMinusInfinity;
  bool idle = false;
  bool ended = false;
  Millis clock = 0;                     // what its clock shows
  Millis closes_from = kMinusInfinity;  // the largest event time it has seen - its out-of-orderness
  Millis seen_at = 0;                   // what its clock showed then
  friend bool operator==(const UpstreamMark&, const UpstreamMark&) = default;
};

// How an input stands, for people who look.
struct InputStatus {
  uint32_t source = 0;
  int32_t partition = 0;  // -1: nothing has come from any partition of the source yet
  Millis watermark = kMinusInfinity;
  bool idle = false;
  bool ended = false;
};

class Inputs {
 public:
  // `sources` are merged; how many partitions each has, is said with each record of theirs.
  Inputs(uint32_t sources, IdleAdvance idle_advance) : partitions_(sources), idle_advance_(idle_advance) {}

  // The source has so many partitions: each is an input that holds the minimum until it is heard of.
  Status expect(uint32_t source, int32_t partitions);

  // A row of this input, whose task stood at `watermark` before it and judged it by `judged`: the input is awake. Gives
  // what judges the row. (A task with several inputs itself stands at the smallest of them, but its rows stay judged
  // each by its own: else what is late would follow how those interleave.) REQUIRES: expected.
  Millis on_row(UpstreamId id, Millis watermark, Millis judged);
  void on_mark(UpstreamId id, const UpstreamMark& mark);

  // Of the task. kPlusInfinity: all inputs have ended. Rises with on_row() and on_mark() alone.
  Millis watermark() const { return ended_ ? kPlusInfinity : watermark_; }
  Millis last_watermark() const { return watermark_; }  // without the end
  bool ended() const { return ended_; }
  // Of the inputs that have not ended: that has held the minimum, for messages.
  std::optional<UpstreamId> slowest() const;

  std::vector<InputStatus> status() const;

  void save(ByteWriter& out) const;
  Status restore(ByteReader& in);

 private:
  struct Input {
    Millis watermark = kMinusInfinity;
    bool idle = false;
    bool ended = false;
    Millis closes_from = kMinusInfinity;
    Millis seen_at = 0;
  };
  void find_minimum();
  void all_idle(Millis clock);

  std::vector<int32_t> partitions_;  // by source; 0: not heard of yet
  IdleAdvance idle_advance_;
  std::map<UpstreamId, Input> inputs_;
  Millis watermark_ = kMinusInfinity;
  bool ended_ = false;
};

}  // namespace wrackline
