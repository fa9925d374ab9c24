// WindowKeys: what is remembered of the keys of one window, beside their slices, once they have come out early or
// have had late records: how many revisions there are, and whether a pane is due.
#pragma once

#include <memory>
#include <vector>

#include "wrackline/core/buffer.h"
#include "wrackline/window/cells.h"
#include "wrackline/window/key_table.h"
#include "wrackline/window/slices/groups.h"

namespace wrackline {

// Of each key: 16 bytes.
class WindowKeyCells {
 public:
  static Buffer<uint8_t> initial() { return Buffer<uint8_t>(16, 0); }

  explicit WindowKeyCells(uint8_t* cells) : cells_(cells) {}

  // Panes so far, numbered as if each late record had had its own (semantics.md 4).
  int64_t revisions() const { return load_cell<int64_t>(cells_); }
  void set_revisions(int64_t revisions) { store_cell(cells_, revisions); }
  bool due() const { return cells_[8] != 0; }
  void set_due(bool due) { cells_[8] = due ? 1 : 0; }

 private:
  uint8_t* cells_;
};

struct WindowKeys {
  WindowKeys() : keys(WindowKeyCells::initial()) {}
  KeyTable keys;
  std::vector<uint32_t> due;  // entries whose pane has to come out, in the order in which they became due
  // emit=delta: the late records since the last late pane. Empty whenever a commit seals.
  std::unique_ptr<Groups> news;
  bool frozen = false;
};

}  // namespace wrackline
