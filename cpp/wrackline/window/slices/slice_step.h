// SliceStep: windows that are made of slices: tumbling, hopping, calendar, count and global ones. Its work comes in
// pieces: rows up to the next move of the watermark that fires or frees something, then that firing, window by window
// in order of their ends, at most ResultBuilder::kMaxRows rows a piece.
//
//    take -> [scan: judge rows, put them into slices] -> [fire: late panes of what is freed, on_time panes, early
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
#include "wrackline/window/result_builder.h"
#include "wrackline/window/slices/calendar_slices.h"
#include "wrackline/window/slices/grid.h"
#include "wrackline/window/slices/groups.h"
#include "wrackline/window/slices/two_stacks.h"
#include "wrackline/window/slices/window_keys.h"
#include "wrackline/window/window_shape.h"

namespace wrackline {

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
  std::string grows_with() const override { return aggregates_.describe_pools(); }

  void freeze(FreezeSink& sink) override;
  void changes_lost() override { freeze_whole_ = true; }
  Status restore(std::string_view unit, bool whole, std::string_view bytes) override;
  Status restored(const StepCounts& counts) override;
  std::string fingerprint() const override;

 private:
  using Windows = std::map<Span, WindowKeys>;

  enum class Stage : uint8_t {
    kFreeLate,
    kNextWindow,
    kStack,
    kMerge,
    kEmit,
    kNextEarly,
    kGatherEarly,
    kEmitEarly,
    kSettleEarly,
    kDone
  };
  struct Firing {
    Millis target = kMinusInfinity;  // where the move goes
    Stage stage = Stage::kFreeLate;
    Span done;                       // windows up to this one have fired
    Slices::iterator from;           // slices before it have no window after `done`
    Span window;                     // that is being emitted
    Slices::iterator slice;          // that is being merged or gathered
    uint32_t next = 0;               // entry to merge, to gather or to emit
    const Groups* source = nullptr;  // null: stacks_
  };

  bool delta() const { return spec_.emit == EmitMode::kDelta; }
  bool final_only() const { return spec_.emit == EmitMode::kFinalOnly; }
  bool is_count() const { return spec_.as<CountWindow>() != nullptr; }
  bool is_global() const { return spec_.as<GlobalWindow>() != nullptr; }
  // Windows that end here or before are lost to every record.
  Millis lost_at(Millis watermark) const;
  // Windows that end here or before have fired.
  Millis fired_at(Millis watermark) const;
  // The watermark at which a window fires.
  Millis fires_at(Span window) const { return final_only() ? plus(window.end, spec_.allowed_lateness) : window.end; }
  // The slices of a window, in order: the first, the first at or after `t` of a hopping window, and the one after `it`;
  // slices_.end(): none.
  Slices::iterator first_slice(Span window) { return first_slice(window, window.start); }
  Slices::iterator first_slice(Span window, Millis t);
  Slices::iterator next_slice(Span window, Slices::iterator it);
  // The first window after `after` that slices from `from` on are part of.
  std::optional<Span> first_window_after(Slices::const_iterator from, Span after) const;

  // Rows (slice_step.cc).
  void scan(Emitter& out);
  size_t scan_run(const int32_t* zones, size_t scanned);
  int64_t take_run(size_t scanned);
  int64_t take_zoned(const int32_t* zones, size_t scanned);
  void pass(Millis watermark);
  bool judge(int64_t row, Emitter& out);
  std::optional<Span> slice_of(int64_t row, Emitter& out);
  void put_late(int64_t row, const SliceId& id, Span first, Emitter& out);
  bool has_key(const TableKey& key, Span window);
  void apply_scan(size_t count);
  void update(Slice& slice, const uint32_t* rows, size_t count);
  void hold(Slice& slice, int64_t count);
  void put_one(Slice& slice, int64_t row, Emitter& out);
  void update_entry(Groups& groups, uint32_t id, uint32_t row);
  void forget_news(Groups& groups, uint32_t id);
  template <typename F>
  static void change_head(Groups& groups, uint32_t id, F change) {
    auto head = load_cell<EntryHead>(groups.table.cells(id));
    change(head);
    store_cell(groups.table.cells(id), head);
    groups.table.mark_dirty(id);
  }
  void add_late_row(int64_t row, Span window, Emitter& out);
  void flush_late_rows(Emitter& out);
  Slice& slice_at(const SliceId& id);

  // Firing (slice_firing.cc).
  void begin_firing(Millis target);
  void fire_piece(Emitter& out);
  void next_window();
  void stack_piece();
  void begin_merge();
  void merge_piece();
  void emit_piece(Emitter& out);
  void window_fired();
  void finish_firing();
  void free_slices(Millis lost);
  void find_boundary();
  Millis next_early(Millis watermark) const;

  // Panes (slice_panes.cc).
  void next_early_window();
  void gather_early_piece();
  void emit_early_piece(Emitter& out);
  void settle_early_piece();
  void count_emitted(Span window);
  void mark_due(WindowKeys& window, uint32_t id);
  // Emits some of the due panes of a window; true when none is left.
  bool emit_due(Span span, WindowKeys& window, Pane pane, Emitter& out);
  void emit_keys(Span span, WindowKeys& window, const uint32_t* key_ids, size_t count, Pane pane, Emitter& out);
  // The entries ids_[0 .. count).
  void emit_panes(const Groups& groups, size_t count, Span window, const int64_t* revisions, Pane pane, Emitter& out);
  void commit_piece(Emitter& out);

  const WindowSpec spec_;
  const Grid grid_;
  std::optional<CalendarSlices> calendar_;  // of calendar windows
  const SchemaPtr input_;
  const SchemaPtr late_schema_;
  KeyPacker keys_;
  const Aggregates aggregates_;
  const bool with_head_;
  const bool row_by_row_;  // a record may make a pane come out by itself

  // State.
  Millis watermark_ = kMinusInfinity;
  Millis freed_end_ = kMinusInfinity;  // the largest end of a window that was freed
  Slices slices_;
  int64_t partial_slices_ = 0;             // that do not count in all of their windows
  Millis unemitted_from_ = kPlusInfinity;  // hopping: slices that begin before have no `unemitted`
  Windows windows_;
  Millis boundary_ = kPlusInfinity;  // the first watermark at which something fires or is freed
  bool freeze_whole_ = true;

  // The batch being worked on.
  std::optional<Batch> batch_;
  int64_t row_ = 0;
  size_t move_ = 0;
  std::optional<Firing> firing_;
  bool committing_ = false;
  Span commit_from_;     // windows before it have no late pane due
  size_t due_done_ = 0;  // of the window whose due panes are being emitted

  // The current scan: rows put into slices, in order; their slices.
  struct ScanGroup {
    Slice* slice = nullptr;
    size_t count = 0;
  };
  Buffer<uint32_t> scan_rows_;
  Buffer<uint32_t> scan_row_groups_;  // all 0 between scans, and behind the rows of the current one
  std::vector<ScanGroup> scan_groups_;
  std::vector<size_t> scan_places_;
  Buffer<uint32_t> sorted_rows_;
  // Rows in [start, start + length) belong to `group` and miss nothing while W < until. One for each zone.
  struct Fast {
    Millis start = 0;
    uint64_t length = 0;
    Millis until = kMinusInfinity;
    uint32_t group = 0;
  };
  std::vector<Fast> fast_;
  uint32_t group_ = 0;  // of the row that was judged last
  // Rows before `stop` are judged before anything fires: only the first `moves` moves lie between them.
  struct Quiet {
    Millis boundary = kMinusInfinity;  // for which this holds
    size_t moves = 0;
    int64_t stop = 0;
  };
  Quiet quiet_;

  std::vector<LateRow> late_rows_;
  std::unique_ptr<Slice> spare_;     // the memory of the slice that was freed last
  std::optional<TwoStacks> stacks_;  // of hopping windows
  Groups merged_;                    // a window of several slices that stacks_ cannot have
  Groups some_merged_;               // keys that get a pane of their own
  Buffer<uint32_t> ids_;
  Buffer<int64_t> revisions_;
  std::vector<Span> spans_;
  Buffer<int64_t> numbers_;
  ResultBuilder results_;
};

}  // namespace wrackline
