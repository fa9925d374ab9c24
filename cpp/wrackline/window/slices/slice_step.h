// SliceStep: windows that are made of slices. Its work comes in pieces: rows up to the next move of the
// watermark that fires or frees something, then that firing, window by window in order of their ends, at
// most ResultBuilder::kMaxRows rows a piece.
//
//    take -> [scan: judge rows, put them into slices] -> [fire: late panes of what is freed, on_time
//    panes, free slices, pass the move on] -> scan ... -> done
//
// Belongs to one thread.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "wrackline/core/late.h"
#include "wrackline/window/aggregate.h"
#include "wrackline/window/key_table.h"
#include "wrackline/window/result_builder.h"
#include "wrackline/window/slices/grid.h"
#include "wrackline/window/window_shape.h"

namespace wrackline {

// A table of keys with the aggregates of each.
struct Groups {
  explicit Groups(const Aggregates& aggregates) : table(aggregates.initial()), pools(aggregates.make_pools()) {}
  KeyTable table;
  std::vector<Pool> pools;
  int64_t allocated_bytes() const;
};

// The records of [start, start + slice length).
struct Slice {
  Slice(Millis slice_start, const Aggregates& aggregates) : start(slice_start), groups(aggregates) {}
  Millis start;
  Groups groups;
  int64_t unemitted = 0;       // records that no pane has contained yet
  uint32_t scan_group = 0;     // place among the groups of the current scan
  bool frozen = false;         // a block of it is out: the next one may hold changes only
  bool count_changed = false;  // unemitted, since the last freeze
};

// What late records did to a fired window that is not freed: per key how many came, whether the on_time
// pane had the key, and whether a late pane is due.
struct LateWindow {
  LateWindow();
  KeyTable keys;
  std::vector<uint32_t> due;  // entries, in order of their first record since the last pane
  bool frozen = false;
};

class SliceStep final : public Step {
 public:
  SliceStep(std::string name, WindowShape shape);

  void take(Batch batch) override;
  Status advance(Emitter& out) override;
  bool busy() const override { return batch_.has_value() || committing_; }
  void before_commit() override;
  int64_t state_bytes() const override;
  StepStatus status() const override;
  int64_t entry_bytes() const override;

  void freeze(FreezeSink& sink) override;
  void changes_lost() override { freeze_whole_ = true; }
  Status restore(std::string_view unit, bool whole, std::string_view bytes) override;
  Status restored(const StepCounts& counts) override;
  std::string fingerprint() const override;

 private:
  using Slices = std::map<Millis, std::unique_ptr<Slice>>;
  using LateWindows = std::map<Millis, LateWindow>;  // by end

  enum class Stage : uint8_t { kFreeLate, kNextWindow, kMerge, kEmit, kDone };
  struct Firing {
    Millis target = kMinusInfinity;  // where the move goes
    Stage stage = Stage::kFreeLate;
    Millis done = kMinusInfinity;  // windows up to this end have fired
    Slices::iterator from;         // slices before it have no window after `done`
    Millis end = 0;                // of the window that is being emitted
    Slices::iterator merge_slice;
    uint32_t next = 0;  // entry to merge or to emit
    const Groups* source = nullptr;
  };

  // Windows that end here or before are lost to every record.
  Millis lost_at(Millis watermark) const;

  // Rows (slice_step.cc).
  void scan(Emitter& out);
  bool judge(int64_t row, Emitter& out);
  void put_late(int64_t row, Millis start, Millis first, Emitter& out);
  bool has_key(const TableKey& key, Millis end) const;
  void apply_scan(size_t count);
  void update(Slice& slice, const uint32_t* rows, size_t count);
  void add_late_row(int64_t row, Millis end, Emitter& out);
  void flush_late_rows(Emitter& out);
  Slice& slice_at(Millis start);

  // Firing (slice_firing.cc).
  void begin_firing(Millis target);
  void fire_piece(Emitter& out);
  void next_window();
  void merge_piece();
  void emit_piece(Emitter& out);
  void finish_firing();
  void find_boundary();
  void count_emitted(Millis end);
  // Emits some of the due late panes of a window; true when none is left.
  bool emit_due(Millis end, LateWindow& window, Emitter& out);
  void emit_late_panes(Millis end, LateWindow& window, const uint32_t* late_ids, size_t count, Emitter& out);
  void emit_panes(const Groups& groups, size_t count, Millis end, const int64_t* revisions, Pane pane, Emitter& out);
  void commit_piece(Emitter& out);

  const WindowSpec spec_;
  const Grid grid_;
  const SchemaPtr input_;
  const SchemaPtr late_schema_;
  KeyPacker keys_;
  const Aggregates aggregates_;

  // State.
  Millis watermark_ = kMinusInfinity;
  Millis freed_end_ = kMinusInfinity;  // the largest end of a window that was freed
  Slices slices_;
  LateWindows late_windows_;
  Millis boundary_ = kPlusInfinity;  // the first watermark at which something fires or is freed
  bool freeze_whole_ = true;

  // The batch being worked on.
  std::optional<Batch> batch_;
  int64_t row_ = 0;
  size_t move_ = 0;
  std::optional<Firing> firing_;
  bool committing_ = false;
  Millis commit_end_ = 0;  // windows before it have no late pane due
  size_t due_done_ = 0;    // of the window whose late panes are being emitted

  // The current scan: rows put into slices, in order; their slices.
  struct ScanGroup {
    Slice* slice = nullptr;
    size_t count = 0;
  };
  Buffer<uint32_t> scan_rows_;
  Buffer<uint32_t> scan_row_groups_;
  std::vector<ScanGroup> scan_groups_;
  std::vector<size_t> scan_places_;
  Buffer<uint32_t> sorted_rows_;
  // Rows in [fast_start_, + slice) belong to fast_group_ and miss nothing while W < fast_until_.
  Millis fast_start_ = 0;
  Millis fast_until_ = kMinusInfinity;
  uint32_t fast_group_ = 0;

  std::vector<LateRow> late_rows_;
  std::unique_ptr<Slice> spare_;  // the memory of the slice that was freed last
  Groups merged_;                 // a window of several slices
  Groups late_merged_;            // keys that get a late pane
  Buffer<uint32_t> ids_;
  Buffer<int64_t> revisions_;
  ResultBuilder results_;
};

}  // namespace wrackline
