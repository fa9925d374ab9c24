// What a LateWindow keeps for each key: 16 bytes.
#pragma once

#include "wrackline/core/buffer.h"
#include "wrackline/window/cells.h"

namespace wrackline {

class LateCells {
 public:
  static Buffer<uint8_t> initial() { return Buffer<uint8_t>(16, 0); }

  explicit LateCells(uint8_t* cells) : cells_(cells) {}

  int64_t late_count() const { return load_cell<int64_t>(cells_); }
  void count_late() { store_cell(cells_, late_count() + 1); }
  bool had_on_time() const { return cells_[8] != 0; }
  void set_had_on_time(bool had) { cells_[8] = had ? 1 : 0; }
  bool due() const { return cells_[9] != 0; }
  void set_due(bool due) { cells_[9] = due ? 1 : 0; }
  // Numbered as if each late record had had its own pane (semantics.md 4).
  int64_t revision() const { return had_on_time() ? late_count() : late_count() - 1; }

 private:
  uint8_t* cells_;
};

}  // namespace wrackline
