// SessionStep: records of a key that are at most a gap apart (semantics.md 5).
//
// Each session is an entry of one table: its aggregates, and behind them a Session. The entry that a key finds holds
// its latest session, which most records extend; older ones that are still there are hidden entries, in a map by start.
// So a key with n sessions takes O(log n) a record, wherever it falls. A record touches at most two sessions: they are
// longer than what it covers.
//
//    take -> [scan: judge rows; apply: sessions grow, merge and come out again] -> [fire: by timers, in the order of
//    what ends first; then early panes; pass the move on] -> scan ... -> done
//
// Float sums are added in partition order within a session; when a record joins two, the later one's sum is added to
// the earlier one's, then the record: a function of the partition's records alone.
//
// Belongs to one thread.
#pragma once

#include <array>
#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "wrackline/core/late.h"
#include "wrackline/window/aggregate.h"
#include "wrackline/window/key_table.h"
#include "wrackline/window/result_builder.h"
#include "wrackline/window/session/session_cells.h"
#include "wrackline/window/timers.h"
#include "wrackline/window/window_shape.h"

namespace wrackline {

class SessionStep final : public Step {
 public:
  SessionStep(std::string name, WindowShape shape);

  void take(Batch batch) override;
  Status advance(Emitter& out) override;
  bool busy() const override { return batch_.has_value(); }
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
  using Older = std::map<Millis, uint32_t>;  // entries by the start of their sessions

  // Keys whose hash begins with the same 8 bits: a unit of checkpoints.
  struct Unit {
    uint32_t keys = 0;  // with sessions
    bool whole = true;  // the next block holds all of it
    std::vector<uint32_t> changed;
    uint32_t gone_count = 0;  // keys in `gone`: in blocks, and no longer here
    ByteWriter gone;
    std::vector<uint32_t> fresh;  // for early panes
  };
  static constexpr size_t kUnits = 256;

  enum class Stage : uint8_t { kTimers, kEarly };
  struct Firing {
    Millis target = kMinusInfinity;  // where the move goes
    Stage stage = Stage::kTimers;
    size_t unit = 0;  // whose early panes come out
    bool sorted = false;
    size_t key = 0;                // of its fresh ones
    Millis from = kMinusInfinity;  // its sessions that start before are done
  };

  // What is told below when the watermark is here: no later row is behind it (semantics.md 4, Chains).
  Millis below(Millis watermark) const { return plus(watermark, -spec_.allowed_lateness - 1); }
  bool final_only() const { return spec_.emit == EmitMode::kFinalOnly; }

  uint8_t* place(uint32_t id) { return table_.cells(id) + aggregate_bytes_; }
  const uint8_t* place(uint32_t id) const { return table_.cells(id) + aggregate_bytes_; }
  Session session(uint32_t id) const { return load_cell<Session>(place(id)); }
  void set_session(uint32_t id, const Session& session) { store_cell(place(id), session); }
  SessionKey key(uint32_t id) const { return load_cell<SessionKey>(place(id) + sizeof(Session)); }
  void set_key(uint32_t id, const SessionKey& key) { store_cell(place(id) + sizeof(Session), key); }
  const Older& older(uint32_t id) const;  // empty: there is none
  // A key whose sessions have all gone stays for a while: mostly it comes again.
  bool is_empty(uint32_t id) const { return end_of(id) == kMinusInfinity; }
  Millis end_of(uint32_t entry) const { return load_cell<Millis>(place(entry) + offsetof(Session, end)); }
  bool is_alone(uint32_t id) const {
    return load_cell<uint32_t>(place(id) + sizeof(Session) + offsetof(SessionKey, older)) == KeyTable::kNone;
  }
  size_t unit_of(uint32_t id) const { return KeyTable::tag_at(table_.entry(id)) >> 24; }

  // Rows (session_step.cc).
  void scan(Emitter& out);
  bool judge(int64_t row, Emitter& out);
  Millis first_action(Millis t) const;
  void set_lost();
  void flush_late_rows(Emitter& out);

  // Sessions grow (session_growth.cc).
  void apply_scan(Emitter& out);
  bool extend_latest(uint32_t id, Millis t);
  template <typename Put>
  void put_scan(Put put, Emitter& out);
  template <typename Put>
  void put_slowly(uint32_t row, uint32_t id, Put put, Emitter& out);
  void add_row(uint32_t row, uint32_t id);
  void flush_rows();
  void shelve(uint32_t id);
  uint32_t join(uint32_t id, Millis t, Emitter& out);
  uint32_t merge(uint32_t id, Older::iterator low, uint32_t high, Emitter& out);
  void withdraw(uint32_t id, Emitter& out);
  void emit(uint32_t id, Pane pane, Emitter& out);
  void emit_panes(Pane pane, Emitter& out);
  void touch(uint32_t id, uint32_t flags);
  void forget_changes(Unit& unit);
  Older& make_older(uint32_t id);
  void drop_older(uint32_t id);
  void release(uint32_t hidden);

  // Firing (session_firing.cc).
  void fire_piece(Emitter& out);
  void timers_piece(Emitter& out);
  void early_piece(Emitter& out);
  void sort_fresh(size_t unit);
  void finish_firing();
  void take_due(Millis target);
  bool note_firing(const Timer& timer);
  void act(const Timer& timer);
  void free_before(uint32_t id, Millis lost);
  void free_session(uint32_t id, uint32_t entry);
  void set_timer(uint32_t id, Millis time);
  uint32_t first_session(uint32_t id) const;
  uint32_t first_unfired(uint32_t id, Millis fired) const;
  Millis next_action(uint32_t id, Millis fired) const;
  Millis true_time(const Timer& timer, Millis fired);
  void schedule(uint32_t id, Millis fired);
  void find_boundary();

  // Checkpoints (session_state.cc).
  void write_key(uint32_t id, ByteWriter& out);
  Status read_key(ByteReader& in);
  void remove_sessions(uint32_t id);

  const WindowSpec spec_;
  const Millis gap_;
  const SchemaPtr input_;
  const SchemaPtr late_schema_;
  KeyPacker keys_;
  const Aggregates aggregates_;
  const size_t aggregate_bytes_;
  const uint32_t touched_;  // flags that a record sets on its key

  // State.
  Millis watermark_ = kMinusInfinity;
  Millis freed_end_ = kMinusInfinity;      // the largest end of a session that was freed
  Millis restored_lost_ = kMinusInfinity;  // at the checkpoint
  KeyTable table_;
  std::vector<Pool> pools_;
  std::vector<Older> olders_;
  std::vector<uint32_t> free_olders_;
  int64_t hidden_ = 0;  // sessions that are not the latest of their key
  Timers timers_;
  std::array<Unit, kUnits> units_;
  Millis boundary_ = kMinusInfinity;  // at no watermark before it anything fires or is freed
  Millis lost_ = kMinusInfinity;      // records before it are late

  // The batch being worked on.
  std::optional<Batch> batch_;
  int64_t row_ = 0;
  size_t move_ = 0;
  std::optional<Firing> firing_;

  // The current scan: rows to put into sessions, and the moves between them.
  struct ScanMove {
    size_t before;  // how many rows
    Millis watermark;
  };
  Buffer<uint32_t> scan_rows_;
  size_t scanned_ = 0;
  std::vector<ScanMove> scan_moves_;
  Millis row_watermark_ = kMinusInfinity;  // that the row being put was judged by
  // Rows whose session is decided, not yet in its aggregates.
  std::array<uint32_t, KeyTable::kBlock> put_rows_;
  std::array<uint32_t, KeyTable::kBlock> put_ids_;
  size_t put_count_ = 0;

  std::vector<Timer> due_;
  // Sessions that are about to come out.
  std::vector<uint32_t> emit_ids_;
  std::vector<Span> emit_spans_;
  Buffer<int64_t> emit_revisions_;
  std::vector<LateRow> late_rows_;
  ResultBuilder results_;
};

}  // namespace wrackline
