// ResultBuilder: collects panes and moves of the watermark in the order in which they happen, and makes
// batches of them.
#pragma once

#include <memory>
#include <string_view>
#include <vector>

#include "wrackline/core/key.h"
#include "wrackline/core/ledger.h"
#include "wrackline/core/step.h"
#include "wrackline/window/aggregate.h"

namespace wrackline {

// Why a row of a window comes out (semantics.md 4).
enum class Pane : uint8_t { kEarly, kOnTime, kLate, kFinal, kMerged };
std::string_view pane_name(Pane pane);

// A window: [start, end). The global one has no bounds: kMinusInfinity to kPlusInfinity.
struct Span {
  Millis end = 0;
  Millis start = 0;
  // By (end, start): the order in which windows fire.
  friend auto operator<=>(const Span&, const Span&) = default;
};

// Entries ids[0 .. count) of a table.
struct Entries {
  const KeyTable& table;
  const std::vector<Pool>& pools;
  const uint32_t* ids;
  size_t count;
  // Of each entry, where they are not the same for all: its window (of count and global windows the bounds of its
  // records), and which window of its key it is (of count windows).
  const Span* windows = nullptr;
  const int64_t* numbers = nullptr;

  Entries part(size_t first, size_t size) const {
    return {table, pools, ids + first, size, windows ? windows + first : nullptr, numbers ? numbers + first : nullptr};
  }
};

class ResultBuilder {
 public:
  static constexpr size_t kMaxRows = 4096;  // of one result batch

  // `keys` and `aggregates` must outlive this. `schema`: window_output_schema().
  ResultBuilder(SchemaPtr schema, const KeyPacker& keys, const Aggregates& aggregates);

  // The entries as panes of `window`, or each of its own. `revisions`: one per entry, null for 0. An entry whose sum
  // does not fit is a dead pane instead. Counts panes, panes_dead and rows_out; emits full batches.
  void put(const Entries& entries, Span window, const int64_t* revisions, Pane pane, StepCounts& counts, Emitter& out);
  // The withdrawal of a session's row: null aggregates. Counts a row.
  void put_merged(const KeyTable& table, uint32_t id, Span window, int64_t revision, StepCounts& counts, Emitter& out);
  void move(Millis watermark) { moves_.push_back({rows_, watermark}); }
  size_t room() const { return kMaxRows - static_cast<size_t>(rows_); }

  // Emits what there is, if anything.
  void flush(Emitter& out);

  void set_watermark(Millis watermark) { watermark_ = watermark; }
  int64_t allocated_bytes() const { return static_cast<int64_t>(moves_.capacity() * sizeof(Move)); }

 private:
  void reset();
  void append_keys(const KeyTable& table, const uint32_t* ids, size_t count);
  void append(const Entries& entries, Span window, const int64_t* revisions, Pane pane);
  void append_window(Span window, size_t count, Pane pane);
  std::string describe(const Entries& entries, size_t i, Span window) const;

  const SchemaPtr schema_;
  const KeyPacker& keys_;
  const Aggregates& aggregates_;
  const bool bounded_;   // rows have their window's bounds; else null, and are as late as their last record
  const bool numbered_;  // rows have their window's number
  Millis watermark_ = kMinusInfinity;  // below the step, before the first row that is collected

  int64_t rows_ = 0;
  std::vector<Column> key_columns_;
  std::vector<Column> aggregate_columns_;
  Buffer<int64_t> starts_;
  Buffer<int64_t> ends_;
  Buffer<int64_t> numbers_;
  Buffer<int64_t> revisions_;
  Buffer<Pane> panes_;
  int64_t on_time_rows_ = 0;
  std::vector<Move> moves_;
  ColumnPtr on_time_column_;  // kMaxRows times "on_time": shared by all full batches
};

}  // namespace wrackline
