// Task: one input partition and all its steps: its own watermark, windows, dedup memory and ledger. A
// deterministic function of one ordered sequence of records and the journal's decisions; promises 1 and 2 rest
// on that. Belongs to the worker's thread, never blocks, never asks the clock.
//
// A firing may be cut by commits: seal_cut() says where the task stood when the firing began and how many rows have
// come out since; resume() makes another task that stands there hold back as many.
//
// The way of a record: take_records() -> decode -> event time -> inboxes -> advance(): step by step, always the
// lowest step that has work, so that inboxes stay short -> RowSink.
#pragma once

#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "wrackline/codec/json_decoder.h"
#include "wrackline/core/batch.h"
#include "wrackline/core/ledger.h"
#include "wrackline/core/status.h"
#include "wrackline/core/step.h"
#include "wrackline/core/trace.h"
#include "wrackline/job/formats.h"
#include "wrackline/job/plan.h"
#include "wrackline/job/task_trace.h"
#include "wrackline/source/placed_keys.h"
#include "wrackline/time/inputs.h"
#include "wrackline/time/time_stage.h"

namespace wrackline {

// Where a task's rows go: a transaction, or the memory of a throw-away run.
class RowSink {
 public:
  virtual ~RowSink() = default;
  // Rows for plan.sinks()[sink]. `partition`: the task's.
  virtual Status write(int sink, int32_t partition, const Batch& batch) = 0;
  // How far a task is, for plan.sinks()[sink], which is an exchange.
  virtual Status mark(int /*sink*/, int32_t /*partition*/, const UpstreamMark& /*mark*/) { return {}; }
  // A replay has to put the same rows out again: they are hashed.
  virtual bool is_replayed() const { return true; }
};

// How a task stands at an instant, for people who look.
struct TaskStatus {
  int32_t partition = 0;
  int64_t offset = 0;  // of the next record
  Millis watermark = kMinusInfinity;
  Millis last_record = kMinusInfinity;  // the clock when records came last
  bool on_probation = false;
  bool idle = false;
  bool ended = false;
  std::vector<InputStatus> inputs;  // of a task behind an exchange
  std::vector<std::pair<std::string, StepStatus>> steps;
  size_t stage = 0;  // of the run
};

class Task final : private Emitter {
 public:
  // `sink` must outlive the task.
  static Result<std::unique_ptr<Task>> make(std::shared_ptr<const Plan> plan, TopicPartition input, RowSink* sink);
  ~Task() override;

  const TopicPartition& input() const { return input_; }

  // Takes what one poll returned. REQUIRES: !busy().
  Status take_records(std::shared_ptr<Records> records, int64_t next_offset, Millis clock_now);
  // The same for rows of a bounded input, whose offsets are row numbers from `offset` on.
  Status take_rows(Batch rows, int64_t offset, Millis clock_now);
  // An idle decision, if one is due now. `at_end`: the input has been read to its end.
  Status check_idle(Millis clock_now, bool at_end);
  // The input is idle, whatever idle_after says.
  Status go_idle(Millis clock_now);
  // The input has ended here: W is +infinity for the steps, and stays what it was.
  // A partition without one accepted record says so in the log and commits its dead letters after all.
  Status end(Millis clock_now);
  // A decision that the journal holds. REQUIRES: offset() == decision.offset and !busy().
  Status apply(const Decision& decision);

  // There is work left from take_*, end or before_commit.
  bool busy() const;
  // One bounded piece of it.
  Status advance();
  // Pending late panes come out. May make the task busy.
  void before_commit();
  // All of that is out: the stages behind hear how far this task is. REQUIRES: !busy().
  Status emit_marks();

  // In the middle of what a take_*, a decision or a resume() has set off: no commit but a cut.
  bool firing() const { return busy() || holding_back(); }
  bool holding_back() const;
  // Not before a record is accepted: where the task stood then is no place to start from.
  bool may_be_cut() const { return !mark_.on_probation; }
  // What a cut of this firing seals. REQUIRES: firing() and may_be_cut().
  JournalRow seal_cut();
  uint64_t rows_hash_at_mark() const { return mark_.rows_hash; }
  int64_t records_since_mark() const { return read_.in - mark_.counts.front().in; }
  // What was cut has come out again, or can still.
  Status check_cut() const;
  // The task is as it was at the seal of `cut`, and goes on from there. REQUIRES: !busy().
  Status resume(const Cut& cut);

  // Rows put out from now on are only hashed (a replay), or written again.
  void suppress_output(bool suppress) { suppressed_ = suppress; }

  int64_t offset() const { return offset_; }          // of the next record to take
  void set_offset(int64_t offset);                    // where to start; REQUIRES: nothing taken yet
  void skip_to(int64_t offset) { offset_ = offset; }  // no record lies before it (markers, aborted records)
  // The task starts, or goes on after a restore: idleness counts from here.
  void start(Millis clock_now) {
    if (time_) time_->start(clock_now);
  }
  Millis watermark() const { return time_ ? time_->watermark() : inputs_->watermark(); }
  Millis last_watermark() const {
    return time_ ? time_->last_watermark() : inputs_->last_watermark();
  }  // without the end
  bool ended() const { return ended_; }
  void reopen() {  // an input that had ended goes on; W is what it was
    ended_ = false;
    if (time_) time_->reopen();
    for (Marks& marks : marks_) marks.ended = false;
  }
  // Every record so far was refused: nothing of this partition may be committed yet (semantics.md 1).
  bool on_probation() const { return on_probation_; }
  bool has_decisions() const { return !decisions_.empty() && !on_probation_; }
  int64_t late_warnings() const { return time_ ? time_->late_warnings() : 0; }  // records more than warn_late behind W
  uint64_t rows_hash() const { return rows_hash_; }
  Ledger ledger() const;
  int64_t panes() const;  // that its windows have put out
  int64_t state_bytes() const;
  TaskStatus status() const;
  // Dead letters so far, and what was said of the last one.
  int64_t dead_letters() const { return dead_count_; }
  const std::string& last_dead_letter() const { return last_dead_; }

  // What a commit seals. Takes the decisions since the last call.
  JournalRow seal();
  std::vector<Step*> steps();
  std::string save_time() const;
  Status restore_time(std::string_view bytes);
  void restore_ledger(const Ledger& ledger);

  // Checks what partitioned_by says. `keys` must outlive the task.
  Status check_placement(PlacedKeys* keys);

  void set_trace(TraceSink* sink) { trace_ = std::make_unique<TaskTrace>(*plan_, input_.partition, sink); }

 private:
  Task(std::shared_ptr<const Plan> plan, TopicPartition input, RowSink* sink, SchemaPtr schema,
       std::vector<std::unique_ptr<Step>> steps);

  // Emitter, for the step that is being advanced.
  void emit(Port port, Batch batch) override;
  void dead_letter(const Batch& batch, int64_t row, std::string_view reason, std::string message) override;
  void dead_pane(Millis event_time, std::string_view reason, std::string message) override;

  void mark();
  // Rows of one way out come in an order that follows from the records alone. Dead letters of several steps share a
  // stream, but not a way.
  size_t way_out(int sink, StreamRef from) const;
  Ledger ledger_of(const std::vector<StepCounts>& counts) const;
  std::vector<StepCounts> counts() const;

  Status take(Batch batch, const TimeInput& time);  // from event time on
  Status take_block(std::string_view bytes);
  Status decide_idle(Millis clock_now, bool was_idle, std::optional<Millis> decided);
  bool feeds_exchange() const { return !marks_.empty(); }
  void give(StreamRef from, Batch batch);  // to the inboxes and sinks below
  Status flush_dead_letters();
  void pass_move(Millis before, Millis after);  // a batch without rows
  // Row `row` of `batch`: its original record, or for bounded rows and results the row as JSON.
  void add_dead_row(const Batch& batch, int64_t row, std::string_view step, std::string_view reason,
                    std::string message);
  // `record` < 0: there is no original record, `own_value` stands for it.
  void add_dead_letter(const std::shared_ptr<const Records>& records, int64_t record,
                       std::optional<std::string> own_value, std::string_view step, std::string_view reason,
                       std::string message);
  std::string row_as_json(const Batch& batch, int64_t row) const;

  std::shared_ptr<const Plan> plan_;
  TopicPartition input_;
  std::shared_ptr<const TopicPartition> origin_;
  RowSink* sink_;
  SchemaPtr schema_;  // of its columns, by their own names
  // One input, whose records are decoded and get their event time; or several upstream tasks, whose blocks have it.
  std::optional<JsonDecoder> decoder_;
  std::optional<TimeStage> time_;
  std::optional<Inputs> inputs_;
  std::optional<PlacementCheck> placement_;
  std::vector<std::unique_ptr<Step>> steps_;
  std::vector<std::deque<Batch>> inboxes_;               // one per step
  std::vector<std::vector<std::vector<int>>> below_;     // [node][port] -> nodes
  std::vector<std::vector<std::vector<int>>> sinks_of_;  // [node][port] -> sinks
  int current_ = 0;                                      // node whose step is being advanced

  struct DeadLetter {
    std::shared_ptr<const Records> records;
    int64_t record = -1;
    std::optional<std::string> own_value;
    std::string step;
    std::string reason;
    std::string message;
  };
  // Where the task stood when it was last not busy and was given something.
  struct Mark {
    int64_t offset = 0;
    Millis watermark = kMinusInfinity;
    std::optional<TimeUnit> unit;
    int64_t refused = 0;
    uint64_t rows_hash = 0;
    size_t decisions = 0;  // of decisions_
    int64_t cut_end = 0;   // Cut::end, of a firing that goes on
    bool on_probation = true;
    std::vector<StepCounts> counts;  // of the source and each step
  };
  Mark mark_;
  struct Way {
    int64_t given = 0;    // rows since the mark
    int64_t written = 0;  // of them and of those to come, by this task or one that was cut
  };
  std::vector<Way> ways_;
  std::vector<DeadLetter> dead_;  // since the last flush; on probation: all of them, at most kFirstRecords
  // Of each sink that is an exchange: what the stage behind has been told.
  struct Marks {
    int sink = 0;
    Millis watermark = kMinusInfinity;  // of the stream, so far; finite
    bool ended = false;
    bool to_merge = false;
    std::optional<UpstreamMark> told;  // by this object
  };
  std::vector<Marks> marks_;
  Millis idle_at_ = 0;  // the clock when the input was found idle last
  std::vector<Decision> decisions_;
  StepCounts read_;
  int64_t offset_ = 0;
  int64_t start_offset_ = 0;
  int64_t refused_ = 0;
  uint64_t rows_hash_ = 0;
  Status emit_status_;  // emit() cannot return one
  Millis last_record_ = kMinusInfinity;
  int64_t dead_count_ = 0;
  std::string last_dead_;
  bool on_probation_ = true;
  bool suppressed_ = false;
  bool ended_ = false;
  std::unique_ptr<TaskTrace> trace_;  // null: off
};

}  // namespace wrackline
