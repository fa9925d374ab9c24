// RollingStep: for each record its own columns and aggregates over the records of its key in (t - size, t]
// (semantics.md 5). A row comes out when the watermark has passed it: by then all that its window holds is there.
//
//    take -> [scan: judge rows, hold them] -> [release: rows in the order of time go into the rings of their keys and
//    come out; moves of the watermark between them] -> [expire: keys without a row in reach go] -> done
//
// Held rows stay in the batch that brought them. They wait in a queue while they come in the order of time, and in a
// heap otherwise: disorder costs those that are out of order. Aggregates of fixed width are kept in rings (ring.h);
// with others (texts, lists, sets) each row adds up its window anew, from the columns of the batches.
//
// Belongs to one thread.
#pragma once

#include <array>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "wrackline/core/late.h"
#include "wrackline/window/aggregate.h"
#include "wrackline/window/key_table.h"
#include "wrackline/window/rolling/ring.h"
#include "wrackline/window/timers.h"
#include "wrackline/window/window_shape.h"

namespace wrackline {

class RollingStep final : public Step {
 public:
  RollingStep(std::string name, WindowShape shape);
  ~RollingStep() override;

  void take(Batch batch) override;
  Status advance(Emitter& out) override;
  bool busy() const override { return stage_ != Stage::kIdle; }
  int64_t state_bytes() const override;
  StepStatus status() const override;
  int64_t entry_bytes() const override;
  std::string grows_with() const override { return aggregates_.describe_pools(); }

  void freeze(FreezeSink& sink) override;
  void changes_lost() override;
  Status restore(std::string_view unit, bool whole, std::string_view bytes) override;
  Status restored(const StepCounts& counts) override;
  std::string fingerprint() const override;

 private:
  static constexpr size_t kMaxRows = 4096;  // of one result batch

  // A batch with the rows of it that are held, or are in reach of a window that looks at columns.
  struct Segment {
    Batch batch;
    int64_t held = 0;
    Millis last = kMinusInfinity;  // the largest time of its rows
    int64_t bytes = 0;             // of its columns
  };
  // A row of a segment. Segments are numbered as they came.
  struct Ref {
    Millis time = 0;
    uint32_t segment = 0;
    uint32_t row = 0;
    uint32_t key = 0;  // an entry
    // By time, those of one time as they came.
    friend auto operator<=>(const Ref&, const Ref&) = default;
  };
  // What a ring holds where windows are added up anew.
  struct Place {
    uint32_t segment;
    uint32_t row;
  };
  struct Key {
    Ring ring;
    uint32_t held = 0;
    uint32_t unused = 0;
    Millis timer = kPlusInfinity;  // the one that counts
  };
  // Rows in the checkpoint: they are never changed, and leave it when no window can reach them any more.
  struct Unit {
    std::string name;
    Millis last;   // the largest time in it
    bool of_held;  // rows that were held then
  };
  enum class Stage : uint8_t { kIdle, kScan, kRelease, kExpire };

  Key& key(uint32_t id) { return *reinterpret_cast<Key*>(table_.cells(id)); }
  const Key& key(uint32_t id) const { return *reinterpret_cast<const Key*>(table_.cells(id)); }
  // The aggregates of the key's rows in its current block; not where windows are added up anew.
  uint8_t* total(uint32_t id) { return table_.cells(id) + sizeof(Key); }
  Segment& segment(uint32_t number) { return segments_[number - first_segment_]; }
  // No row at or before it is in a window that is still to come.
  Millis out_of_reach(Millis watermark) const { return plus(watermark, -size_); }

  // rolling_step.cc
  void scan(Emitter& out);
  void add_late(int64_t row, Emitter& out);
  void flush_late_rows(Emitter& out);
  void hold(const Batch& batch, const uint32_t* rows, size_t count);
  void expire_piece();
  Millis due(const Timer& timer);
  void finish(Emitter& out);
  void set_lost();

  // rolling_release.cc
  void release_piece(Emitter& out);
  void take_run(Millis target);
  const Ref* next_held();
  bool turn_over(Millis time, size_t& work);
  bool turn_over(uint32_t id, int64_t block, size_t& work);
  void load_cells(size_t begin, size_t end);
  void add(size_t begin, size_t end, int64_t block);
  void query(size_t begin, size_t end);
  void emit_rows(size_t begin, size_t end, Emitter& out);
  void pass_moves(Millis time);
  void flush(Emitter& out);
  ColumnPtr own_column(size_t column);
  void row_done(uint32_t segment);
  void count_bytes(Segment& segment);
  void release_segments();

  // rolling_state.cc
  void write_held(ByteWriter& out, Millis& last);
  void write_window(ByteWriter& out);
  Status read_held(std::string_view bytes);
  Status read_window(std::string_view bytes);
  Status read_window_key(ByteReader& in, uint32_t segment);
  void settle(uint32_t id, uint32_t turned, int64_t block);
  Batch empty_batch() const;

  const WindowSpec spec_;
  const Millis size_;
  const SchemaPtr input_;
  const SchemaPtr output_;
  const SchemaPtr late_schema_;
  const size_t own_columns_;        // the first ones of the input: the others are for the aggregates alone
  std::vector<uint8_t> looked_at_;  // by column of the input: the aggregates read it
  KeyPacker keys_;
  const Aggregates aggregates_;
  const bool anew_;  // each window is added up anew
  const size_t stride_;

  // State.
  Millis watermark_ = kMinusInfinity;
  Millis released_ = kMinusInfinity;  // the largest time of a row that came out
  Millis lost_ = kMinusInfinity;      // rows before it are late
  KeyTable table_;                    // Key, then the total
  int64_t ring_bytes_ = 0;
  std::deque<Segment> segments_;
  uint32_t first_segment_ = 0;
  int64_t segment_bytes_ = 0;
  std::deque<Ref> queue_;  // ascending
  std::vector<Ref> heap_;  // the first on top
  Timers timers_;
  // Checkpoints.
  std::vector<Unit> units_;
  int64_t next_unit_ = 0;
  uint32_t frozen_segment_ = 0;               // segments before it are in units
  Millis frozen_to_ = kMinusInfinity;         // rows of rings before it are
  std::map<int64_t, std::string> read_held_;  // units that restore() was given, by number
  std::map<int64_t, std::string> read_window_;

  // The batch being worked on.
  Stage stage_ = Stage::kIdle;
  Batch batch_;
  Millis target_ = kMinusInfinity;  // where its moves lead
  std::vector<Millis> moves_;       // not yet passed on: those from next_move_
  size_t next_move_ = 0;
  Buffer<uint32_t> scan_rows_;
  std::vector<LateRow> late_rows_;

  // Rows that are being released: of one time, or at most kBlock of several times in one block.
  std::vector<Ref> run_;
  size_t turned_ = 0;     // of their keys, turned over
  uint32_t turn_at_ = 0;  // of the ring that is being turned over: so many are left
  size_t added_ = 0;      // of a longer run
  size_t come_out_ = 0;
  KeyTable cells_;           // kBlock entries: cells of rows, then of their windows
  std::vector<Pool> pools_;  // of cells_
  std::array<uint32_t, KeyTable::kBlock> ids_;

  // Rows that have come out, not yet in a batch.
  std::vector<Ref> out_rows_;
  std::vector<Column> out_columns_;
  std::vector<Move> out_moves_;
  Millis below_ = kMinusInfinity;  // the watermark below, before the first of them
};

}  // namespace wrackline
