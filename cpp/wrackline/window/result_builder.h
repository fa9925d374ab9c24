// ResultBuilder: collects panes and moves of the watermark in the order in which they happen, and makes
// batches of them.
#pragma once

#include <memory>
#include <vector>

#include "wrackline/core/key.h"
#include "wrackline/core/step.h"
#include "wrackline/window/aggregate.h"

namespace wrackline {

class ResultBuilder {
 public:
  static constexpr size_t kMaxRows = 4096;  // of one result batch

  // `keys` and `aggregates` must outlive this.
  ResultBuilder(SchemaPtr schema, const KeyPacker& keys, const Aggregates& aggregates, Millis size);

  // The entries ids[0 .. count) as panes of the window that ends at `end`. `revisions`: one per entry,
  // null for 0. REQUIRES: count <= room().
  void append(const KeyTable& table, const std::vector<Pool>& pools, const uint32_t* ids, size_t count, Millis end,
              const int64_t* revisions, bool late);
  void move(Millis watermark) { moves_.push_back({rows_, watermark}); }
  size_t room() const { return kMaxRows - static_cast<size_t>(rows_); }

  // Emits what there is, if anything.
  void flush(Emitter& out);

  void set_watermark(Millis watermark) { watermark_ = watermark; }
  int64_t allocated_bytes() const { return static_cast<int64_t>(moves_.capacity() * sizeof(Move)); }

 private:
  void reset();
  void append_keys(const KeyTable& table, const uint32_t* ids, size_t count);

  const SchemaPtr schema_;
  const KeyPacker& keys_;
  const Aggregates& aggregates_;
  const Millis size_;
  Millis watermark_ = kMinusInfinity;  // below the step, before the first row that is collected

  int64_t rows_ = 0;
  std::vector<Column> key_columns_;
  std::vector<Column> aggregate_columns_;
  Buffer<int64_t> ends_;
  Buffer<int64_t> revisions_;
  Buffer<uint8_t> late_;
  int64_t late_rows_ = 0;
  std::vector<Move> moves_;
  ColumnPtr on_time_column_;  // kMaxRows times "on_time": shared by all full batches
};

}  // namespace wrackline
