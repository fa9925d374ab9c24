// The whole way of the records, on one screen: run() polls, take() gives to a task, advance_tasks() pushes through
// its steps to the sink. How a commit goes is in commit.cc, how a start and every recovery go in recovery.cc,
// and what happens when partitions come and go in rebalance.cc.
#include "wrackline/job/worker.h"

#include <algorithm>
#include <utility>

#include "wrackline/core/logging.h"
#include "wrackline/job/task_slot.h"

namespace wrackline {
namespace {

constexpr int64_t kAppendBytes = 256 * 1024;  // rows held together before they are appended

}  // namespace

Worker::Worker(std::shared_ptr<const Plan> plan, JobOptions options, WorkerEnv env)
    : plan_(std::move(plan)),
      options_(std::move(options)),
      env_(std::move(env)),
      group_(plan_->group()),
      dead_letter_limit_(options_) {
  if (env_.run == nullptr) env_.run = std::make_shared<SharedRun>();
}

Worker::~Worker() = default;

Result<Progress> Worker::step() {
  Result<Progress> progress = step_phase();
  if (progress.ok()) return progress;
  const Status status = progress.status();
  if (env_.tap == nullptr && status.code() == Code::kFenced) return on_fenced(status);
  const bool mendable = env_.tap == nullptr && (status.code() == Code::kAbort || status.code() == Code::kRetriable);
  if (mendable) return recover(status);
  if (status.code() == Code::kCrashed) return status;
  WL_ASSIGN_OR_RETURN(const bool moved, taken_over());
  return moved ? recover(status) : status;
}

Result<Progress> Worker::step_phase() {
  switch (phase_) {
    case Phase::kStart:
      if (env_.clock->steady_us() < retry_at_us_) return Progress::kIdle;
      WL_RETURN_IF_ERROR(env_.tap ? start_throw_away() : start());
      return Progress::kWorked;
    case Phase::kAssign:
      if (stop_requested_) {  // what it had is committed, and nothing else is its own
        WL_RETURN_IF_ERROR(done());
        return Progress::kDone;
      }
      return on_event(client_->poll(1));
    case Phase::kFetchCommitted:
      if (stop_requested_) {
        WL_RETURN_IF_ERROR(stop_waiting());
        return Progress::kWorked;
      }
      WL_RETURN_IF_ERROR(check_unstable());
      if (look_again_us_ && env_.clock->steady_us() >= *look_again_us_) ask_committed();
      return on_event(client_->poll(1));
    case Phase::kInit:
    case Phase::kClaim:
    case Phase::kSendOffsets:
    case Phase::kCommit: return on_event(client_->poll(1));
    case Phase::kRestore:
      for (auto& slot : tasks_) {
        if (slot->task) continue;
        WL_RETURN_IF_ERROR(restore(*slot));
        return Progress::kWorked;
      }
      phase_ = Phase::kReadJournal;
      restoring_since_us_ = env_.clock->steady_us();
      idle_and_late_ = 0;
      return Progress::kWorked;
    case Phase::kReadJournal: return read_journals();
    case Phase::kReplay: return replay();
    case Phase::kRunning: return run();
    case Phase::kDrain: return drain();
    case Phase::kWaitCheckpoint: return prepare_commit();
    case Phase::kSendCommit: return send_commit();
    case Phase::kEnd: return end();
    case Phase::kDone: return Progress::kDone;
  }
  return Progress::kDone;
}

// A broker answers a commit before readers can see it, and an init not before: whoever reads when the run has ended
// sees all of it. What fails here changes nothing of what is committed.
Result<Progress> Worker::end() {
  const Event event = client_->poll(1);
  if (std::holds_alternative<std::monostate>(event)) return Progress::kIdle;
  if (const auto* failed = std::get_if<event::Failed>(&event)) {
    log_line(LogLevel::kWarning,
             "job " + plan_->job() +
                 ": all is committed, but readers may see the last of it late: " + failed->status.message());
  } else if (!std::holds_alternative<event::Initialised>(event)) {
    return Progress::kWorked;
  }
  WL_RETURN_IF_ERROR(done());
  return Progress::kDone;
}

Status Worker::done() {
  phase_ = Phase::kDone;
  client_.reset();
  return {};
}

Status Worker::tell_marks() {
  if (phase_ != Phase::kRunning || busy()) return {};
  for (auto& slot : tasks_) WL_RETURN_IF_ERROR(slot->task->emit_marks());
  return {};
}

Result<Progress> Worker::run() {
  if (finish_requested_ && !options_.until_now) WL_RETURN_IF_ERROR(begin_to_finish());
  if (cut_due()) return begin_cut();
  release_held();
  if (busy()) return may_take_beside() ? advance_beside_firings() : advance_and_append();
  WL_RETURN_IF_ERROR(poll_checkpoints());
  if (holding_back()) return take_cut();
  if (commit_due()) {
    phase_ = Phase::kDrain;
    drained_ = false;
    return Progress::kWorked;
  }
  if (!stop_requested_ && input_finished() && !group_finished()) return wait_for_others();
  if (stop_requested_ || input_finished()) {
    // The last commit names a checkpoint of its own: one that is under way is written and named before.
    const auto any = [&](auto predicate) {
      return std::any_of(tasks_.begin(), tasks_.end(),
                         [&](const auto& slot) { return slot->checkpointer && predicate(*slot->checkpointer); });
    };
    if (any([](const Checkpointer& checkpointer) { return checkpointer.writing(); })) return poll_paused();
    ending_ = !any([](const Checkpointer& checkpointer) { return !checkpointer.durable().empty(); });
    if (ending_ && !stop_requested_) WL_RETURN_IF_ERROR(end_inputs());
    phase_ = Phase::kDrain;
    drained_ = false;
    return Progress::kWorked;
  }
  return take_next();
}

// The records of a firing that was cut, before all else.
Result<Progress> Worker::take_cut() {
  for (const auto& slot : tasks_) {
    if (const Status status = slot->task->check_cut(); !status.ok()) {
      return status.with_context("recovery of " + where(slot->anchor) +
                                 ": the log, the state or the job is not what it was; " + kStartOver);
    }
  }
  return take_next();
}

Result<Progress> Worker::take_next() {
  WL_ASSIGN_OR_RETURN(const bool appended, append_held());
  if (!appended) return on_event(client_->poll(0));

  const int64_t limit = poll_limit();
  if (env_.rows != nullptr) {
    Status status;
    for (auto& slot : tasks_) {
      if (take_rows(*slot, limit, status)) return Progress::kWorked;
      WL_RETURN_IF_ERROR(status);
    }
    WL_RETURN_IF_ERROR(check_idle());
    return busy() ? Progress::kWorked : Progress::kIdle;
  }
  return on_event(client_->poll(limit));
}

Result<Progress> Worker::on_event(Event event) {
  if (std::holds_alternative<std::monostate>(event)) {
    if (phase_ == Phase::kRunning) panes_wait_ = panes() > committed_panes_;
    if (phase_ == Phase::kRunning && !waiting_since_us_) WL_RETURN_IF_ERROR(check_idle());
    return busy() ? Progress::kWorked : Progress::kIdle;
  }
  if (auto* failed = std::get_if<event::Failed>(&event)) {
    // Perhaps of a read for a task that was given up since: what is there is for its new owner to say.
    if (failed->status.code() == Code::kNotFound && forgot_) return Status::abort(failed->status.message());
    return failed->status;
  }
  if (auto* revoked = std::get_if<event::Revoked>(&event)) {
    WL_RETURN_IF_ERROR(on_revoked(*revoked));
    return Progress::kWorked;
  }
  if (auto* assigned = std::get_if<event::Assigned>(&event)) {
    WL_RETURN_IF_ERROR(on_assigned(*assigned));
    return Progress::kWorked;
  }
  if (auto* lost = std::get_if<event::Lost>(&event)) {
    WL_RETURN_IF_ERROR(on_lost(*lost));
    return Progress::kWorked;
  }
  if (auto* committed = std::get_if<event::Committed>(&event)) {
    WL_RETURN_IF_ERROR(on_committed_offsets(committed->offsets));
    return Progress::kWorked;
  }
  if (auto* unstable = std::get_if<event::Unstable>(&event)) {
    on_unstable(unstable->offsets);
    return Progress::kWorked;
  }
  if (std::holds_alternative<event::Fenced>(event)) {
    fencing_ = false;
    fence_next();
    return Progress::kWorked;
  }
  if (auto* polled = std::get_if<event::Polled>(&event)) {
    if (phase_ == Phase::kReadJournal) WL_RETURN_IF_ERROR(on_journal(*polled));
    TaskSlot* const slot = slot_of(polled->partition);
    if (slot == nullptr || slot->task == nullptr) return Progress::kWorked;
    const bool runs = slot->stage == TaskStage::kRunning;
    const bool takes = runs ? phase_ == Phase::kRunning && !inputs_paused_ && !slot->held
                            : phase_ == Phase::kReplay && !slot->left_over;
    if (takes) {
      WL_RETURN_IF_ERROR(take(*slot, *polled));
    } else if (runs || slot->left_over) {  // it was on its way when its input was paused: once more, later
      client_->read_from(slot->input, runs ? slot->task->offset() : slot->left_over_next, Isolation::kReadCommitted);
      client_->pause(slot->input);
    }
    return Progress::kWorked;
  }
  if (auto* end = std::get_if<event::AtEnd>(&event)) {
    for (auto& slot : tasks_) {
      if (slot->input == end->partition) {
        slot->at_end = true;
        slot->end_at = end->next_offset;
        if (slot->stage == TaskStage::kRunning) slot->task->skip_to(std::max(slot->task->offset(), end->next_offset));
      }
      if (phase_ == Phase::kReadJournal && slot->journal == end->partition)
        WL_RETURN_IF_ERROR(on_journal_end(*slot, end->next_offset));
    }
    return Progress::kWorked;
  }
  switch (phase_) {
    case Phase::kInit:
      if (!std::holds_alternative<event::Initialised>(event)) return Progress::kWorked;
      WL_RETURN_IF_ERROR(
          client_->subscribe(group_, {plan_->source().topic.empty() ? plan_->journal_topic() : plan_->source().topic}));
      phase_ = Phase::kAssign;
      running_since_us_ = env_.clock->steady_us();
      return Progress::kWorked;
    case Phase::kClaim:
      if (std::holds_alternative<event::OffsetsSent>(event)) client_->start_commit();
      if (auto* ended = std::get_if<event::TransactionEnded>(&event)) {
        sink_->ended();
        if (!ended->committed) return Status::abort("the claim was aborted");
        WL_RETURN_IF_ERROR(env_.failpoints->hit(Failpoint::kClaim));
        phase_ = Phase::kRestore;
        WL_RETURN_IF_ERROR(rebalance());  // what came meanwhile
      }
      return Progress::kWorked;
    case Phase::kSendOffsets:
      if (std::holds_alternative<event::OffsetsSent>(event)) WL_RETURN_IF_ERROR(end_transaction());
      return Progress::kWorked;
    case Phase::kCommit:
      if (auto* ended = std::get_if<event::TransactionEnded>(&event)) {
        sink_->ended();
        WL_RETURN_IF_ERROR(env_.failpoints->hit(Failpoint::kAnswerLost));
        if (!ended->committed) return Status::abort("the transaction was aborted");
        WL_RETURN_IF_ERROR(on_committed());
      }
      return Progress::kWorked;
    default: return Progress::kWorked;
  }
}

Status Worker::take(TaskSlot& slot, const event::Polled& polled) {
  if (phase_ == Phase::kReplay) {  // cut there where the journal wants it
    slot.left_over = polled.records;
    slot.left_over_next = polled.next_offset;
    client_->pause(slot.input);  // until it is used up: the next poll may be for another task
    return {};
  }
  if (!polled.records->empty() && polled.records->offset(0) < slot.task->offset())
    return Status::abort("the log delivers records that it has delivered before");
  slot.at_end = false;
  const int64_t rows = polled.records->size();
  rows_since_commit_ += rows;
  slot.rows_since_commit += rows;
  stats_.rows_taken += rows;
  WL_RETURN_IF_ERROR(slot.task->take_records(polled.records, polled.next_offset, env_.clock->now()));
  WL_RETURN_IF_ERROR(check_memory(rows, static_cast<int64_t>(polled.records->byte_size())));
  return env_.failpoints->hit(Failpoint::kRecordTaken);
}

// False: there are none now.
bool Worker::take_rows(TaskSlot& slot, int64_t max_rows, Status& status) {
  const int64_t offset = slot.task->offset();
  const bool closed = slot.task->ended() && phase_ == Phase::kRunning && !options_.resume_append;
  if (offset >= env_.rows->size() || closed) return false;
  bool tombstone = false;
  Batch rows = env_.rows->read(offset, max_rows, tombstone);
  const int64_t count = tombstone ? 1 : rows.length;
  if (phase_ == Phase::kReplay) {
    stats_.rows_replayed += count;
  } else {
    rows_since_commit_ += count;
    stats_.rows_taken += count;
  }
  status = slot.task->take_rows(std::move(rows), offset, env_.clock->now());
  if (status.ok()) status = check_memory(count, 0);
  if (status.ok() && phase_ == Phase::kRunning) status = env_.failpoints->hit(Failpoint::kRecordTaken);
  return status.ok();
}

Status Worker::check_memory(int64_t rows, int64_t bytes) {
  constexpr int64_t kRows = 65'536;       // between two measurements, which go through all slices; or a commit
  constexpr int64_t kBytes = 64LL << 20;  // of records
  rows_unseen_ += rows;
  bytes_unseen_ += bytes;
  return rows_unseen_ < kRows && bytes_unseen_ < kBytes ? Status() : measure_memory();
}

// Of this worker; returns those of all.
int64_t Worker::tell_state_bytes(int64_t own) {
  std::atomic<int64_t>& all = env_.state_bytes != nullptr ? *env_.state_bytes : own_state_bytes_;
  const int64_t change = own - std::exchange(told_state_bytes_, own);
  return all.fetch_add(change) + change;
}

Status Worker::measure_memory() {
  if (options_.memory_limit <= 0) return {};
  rows_unseen_ = bytes_unseen_ = 0;
  int64_t own = 0;
  std::map<std::string, std::pair<int64_t, const Step*>> steps;
  for (const auto& slot : tasks_) {
    if (!slot->task) continue;
    for (const Step* step : slot->task->steps()) {
      auto& [size, one] = steps[step->name()];
      const int64_t more = step->state_bytes();
      size += more;
      own += more;
      one = step;
    }
  }
  const int64_t total = tell_state_bytes(own);
  if (total <= options_.memory_limit || steps.empty()) return {};
  const auto& [size, largest] = std::max_element(steps.begin(), steps.end(), [](const auto& a, const auto& b) {
                                  return a.second.first < b.second.first;
                                })->second;
  const std::string grows = largest->grows_with();
  return Status::unavailable(
      "state takes " + std::to_string(total) +
      " bytes, more than memory_limit=" + std::to_string(options_.memory_limit) + "; most of it is step '" +
      largest->name() + "' with " + std::to_string(size) + (grows.empty() ? "" : " (for " + grows + ")") +
      ". Raise memory_limit, or make its windows, lateness or `within` shorter" +
      (grows.empty() ? ""
                     : "; aggregates that keep values have others in their place that do not (approx_quantile, "
                       "approx_n_unique), and .write() keeps rows themselves"));
}

int64_t Worker::poll_limit() const {
  int64_t limit = options_.max_poll_records;
  if (options_.commit_rows > 0) limit = std::min(limit, options_.commit_rows - rows_since_commit_);
  if (options_.max_rows > 0) limit = std::min(limit, options_.max_rows - stats_.rows_taken);
  return std::max<int64_t>(limit, 1);
}

bool Worker::busy() const {
  return std::any_of(tasks_.begin(), tasks_.end(), [](const auto& slot) { return slot->task && slot->task->busy(); });
}

bool Worker::holding_back() const {
  return std::any_of(tasks_.begin(), tasks_.end(),
                     [](const auto& slot) { return slot->task && slot->task->holding_back(); });
}

// Backpressure: what could not be appended yet goes first; nothing is taken or fired before, so that a firing of any
// size holds little. False: the log's queue is full.
Result<bool> Worker::append_held() {
  bool through = true;
  if (sink_ && sink_->held_bytes() > kAppendBytes) {
    WL_ASSIGN_OR_RETURN(through, sink_->flush());
  }
  if (phase_ == Phase::kRunning) pause_inputs(!through);  // a part of it may have gone: what is left can wait
  return through;
}

Result<Progress> Worker::advance_and_append() {
  WL_ASSIGN_OR_RETURN(const bool appended, append_held());
  return appended ? advance_tasks() : on_event(client_->poll(0));
}

// Nothing is taken, but the log is heard.
Result<Progress> Worker::poll_paused() {
  if (client_ == nullptr) return Progress::kIdle;
  pause_inputs(true);
  return on_event(client_->poll(0));
}

Result<Progress> Worker::advance_tasks() {
  for (size_t i = 0; i < tasks_.size(); ++i) {
    TaskSlot& slot = *tasks_[(next_task_ + i) % tasks_.size()];
    if (!slot.task->busy()) continue;
    next_task_ = (next_task_ + i) % tasks_.size();
    return advance(slot);
  }
  return Progress::kIdle;
}

Result<Progress> Worker::advance(TaskSlot& slot) {
  if (slot.pieces++ == 0) slot.busy_since_us = env_.clock->steady_us();
  WL_RETURN_IF_ERROR(slot.task->advance());
  if (!slot.task->busy()) slot.pieces = 0;
  return Progress::kWorked;
}

// Not before the firings of a cut are through (on_cut), and not while anything waits for those that are under way.
bool Worker::may_take_beside() const {
  return tasks_.size() > 1 && env_.rows == nullptr && !cut_open_ && !holding_back() && !commit_due() &&
         !stop_requested_ && !input_finished();
}

// As advance_and_append(), but the records of other tasks do not wait for the end of a long firing: they are taken
// between its pieces. A commit does.
Result<Progress> Worker::advance_beside_firings() {
  WL_ASSIGN_OR_RETURN(const bool appended, append_held());
  if (!appended) return on_event(client_->poll(0));
  hold_long_firings();
  const auto not_held = [](const auto& slot) { return slot->task && slot->task->busy() && !slot->held; };
  if (const auto it = std::find_if(tasks_.begin(), tasks_.end(), not_held); it != tasks_.end()) return advance(**it);
  if (Event event = client_->poll(poll_limit()); !std::holds_alternative<std::monostate>(event)) {
    WL_RETURN_IF_ERROR(on_event(std::move(event)).status());
    if (phase_ != Phase::kRunning) return Progress::kWorked;
  }
  next_task_ = (next_task_ + 1) % std::max<size_t>(tasks_.size(), 1);
  for (size_t i = 0; i < tasks_.size(); ++i) {
    TaskSlot& slot = *tasks_[(next_task_ + i) % tasks_.size()];
    if (!slot.held || !slot.task || !slot.task->busy()) continue;
    next_task_ = (next_task_ + i) % tasks_.size();
    return advance(slot);
  }
  return Progress::kWorked;
}

void Worker::hold_long_firings() {
  constexpr int64_t kLongUs = 2'000;
  if (inputs_paused_) return;
  for (auto& slot : tasks_) {
    if (slot->held || slot->pieces < 2) continue;
    const bool is_long = options_.firing_pieces > 0 ? slot->pieces > options_.firing_pieces
                                                    : env_.clock->steady_us() - slot->busy_since_us > kLongUs;
    if (!is_long) continue;
    slot->held = true;
    client_->pause(slot->input);
  }
}

void Worker::release_held() {
  for (auto& slot : tasks_) {
    if (!slot->held || (slot->task && slot->task->busy())) continue;
    slot->held = false;
    if (!inputs_paused_) client_->resume(slot->input);
  }
}

Status Worker::check_idle() {
  const Millis now = env_.clock->now();
  for (auto& slot : tasks_) {
    if (slot->task->firing()) continue;  // a cut says of one trigger alone
    const bool at_end = env_.rows ? slot->task->offset() == env_.rows->size() : slot->at_end;
    WL_RETURN_IF_ERROR(slot->task->check_idle(now, at_end));
  }
  return {};
}

Status Worker::force_idle() {
  for (auto& slot : tasks_) WL_RETURN_IF_ERROR(slot->task->go_idle(env_.clock->now()));
  return {};
}

bool Worker::input_finished() const {
  if (options_.max_rows > 0 && stats_.rows_taken >= options_.max_rows) return true;
  if (env_.rows != nullptr) {
    return env_.rows->closed() && std::all_of(tasks_.begin(), tasks_.end(), [&](const auto& slot) {
             return slot->task->offset() >= env_.rows->size();
           });
  }
  return options_.until_now && std::all_of(tasks_.begin(), tasks_.end(),
                                           [](const auto& slot) { return slot->task->offset() >= slot->end_offset; });
}

// W becomes +infinity where the input has truly ended: bounded rows, or a topic that the run closes.
Status Worker::end_inputs() {
  const bool rows_ended = env_.rows != nullptr && env_.rows->closed() && !tasks_.empty() &&
                          tasks_.front()->task->offset() >= env_.rows->size();
  const bool topic_closed = env_.rows == nullptr && options_.until_now && options_.close &&
                            std::all_of(tasks_.begin(), tasks_.end(), [](const auto& slot) {
                              return slot->task->offset() >= slot->end_offset;  // rows= may end the run before
                            });
  if (!rows_ended && !topic_closed) return {};
  if (rows_ended && options_.resume_append) return {};  // it may grow: windows stay open
  for (auto& slot : tasks_) WL_RETURN_IF_ERROR(slot->task->end(env_.clock->now()));
  inputs_ended_ = true;
  return {};
}

// While a commit is under way or the log takes no more, polls must not hand out records: nobody would take them.
void Worker::pause_inputs(bool pause) {
  if (pause == inputs_paused_ || env_.rows != nullptr || client_ == nullptr) return;
  inputs_paused_ = pause;
  for (auto& slot : tasks_) {
    if (pause)
      client_->pause(slot->input);
    else if (!slot->held)
      client_->resume(slot->input);
  }
}

Worker::TaskSlot* Worker::slot_of(const TopicPartition& input) {
  for (auto& slot : tasks_) {
    if (slot->input == input) return slot.get();
  }
  return nullptr;
}

void Worker::wait(Millis timeout) {
  if (client_ && timeout > 0) client_->wait(timeout);
}

Millis Worker::may_wait() const {
  constexpr Millis kLongest = 100;
  constexpr Millis kShort = 20;
  if (phase_ != Phase::kRunning) return kShort;
  const auto writing = [](const auto& slot) { return slot->checkpointer && slot->checkpointer->writing(); };
  if (std::any_of(tasks_.begin(), tasks_.end(), writing)) return kShort;
  if (!has_new()) return kLongest;
  const int64_t due_us = commit_at_us() - env_.clock->steady_us();
  return std::clamp<Millis>((due_us + 999) / 1000, 0, kLongest);
}

WorkerStats Worker::stats() const {
  WorkerStats stats = stats_;
  stats.watermark = kPlusInfinity;
  for (const auto& slot : tasks_) {
    if (!slot->task) continue;
    stats.watermark = std::min(stats.watermark, slot->task->watermark());
    stats.state_bytes += slot->task->state_bytes();
    for (const LedgerEntry& entry : slot->task->ledger()) {
      stats.late += entry.counts.late;
      stats.dead_letters += entry.counts.dead_lettered + entry.counts.panes_dead;
      stats.rows_out += entry.counts.rows_out;
    }
  }
  if (stats.watermark == kPlusInfinity) stats.watermark = kMinusInfinity;
  switch (phase_) {
    case Phase::kRunning:
    case Phase::kDrain:
    case Phase::kWaitCheckpoint:
    case Phase::kSendCommit:
    case Phase::kSendOffsets:
    case Phase::kCommit:
    case Phase::kEnd: stats.phase = "running"; break;
    case Phase::kReplay: stats.phase = "replaying"; break;
    case Phase::kDone: stats.phase = "done"; break;
    default: stats.phase = "starting";
  }
  return stats;
}

std::map<int32_t, Ledger> Worker::ledger() const {
  std::map<int32_t, Ledger> ledger;
  for (const auto& slot : tasks_) {
    if (!slot->task) continue;
    ledger[slot->partition] = env_.tap ? slot->task->ledger() : slot->committed_ledger;
  }
  return ledger;
}

std::vector<TaskStatus> Worker::status() const {
  std::vector<TaskStatus> status;
  for (const auto& slot : tasks_) {
    if (slot->task) status.push_back(slot->task->status());
  }
  return status;
}

Millis Worker::watermark(int32_t partition) const {
  for (const auto& slot : tasks_) {
    if (slot->partition == partition && slot->task) return slot->task->watermark();
  }
  return kMinusInfinity;
}

Status Worker::TransactionSink::write(int sink, int32_t partition, const Batch& batch) {
  if (worker_.env_.tap != nullptr) {
    const SinkSpec& spec = worker_.plan_->sinks()[static_cast<size_t>(sink)];
    if (spec.exchange) return worker_.env_.exchange->write(spec, partition, batch);
    worker_.env_.tap->rows(spec.number < 0 ? sink : spec.number, batch);
    return {};
  }
  std::map<int32_t, Records> rows;
  const std::string* topic = nullptr;
  WL_RETURN_IF_ERROR(std::visit(
      [&](auto& to) {
        topic = &to.topic();
        return to.write(batch, partition, worker_.env_.clock->now(), rows);
      },
      sinks_[static_cast<size_t>(sink)]));
  for (auto& [number, records] : rows) hold({*topic, number}, std::move(records));
  return worker_.env_.failpoints->hit(Failpoint::kPaneOut);
}

Status Worker::TransactionSink::mark(int sink, int32_t partition, const UpstreamMark& mark) {
  if (worker_.env_.tap != nullptr) {
    return worker_.env_.exchange->mark(worker_.plan_->sinks()[static_cast<size_t>(sink)], partition, mark);
  }
  const auto& to = std::get<ExchangeSink>(sinks_[static_cast<size_t>(sink)]);
  std::map<int32_t, Records> marks;
  to.mark(mark, partition, worker_.env_.clock->now(), marks);
  for (auto& [number, records] : marks) hold({to.topic(), number}, std::move(records));
  return {};
}

void Worker::TransactionSink::hold(const TopicPartition& to, Records records) {
  if (!since_us_) since_us_ = worker_.env_.clock->steady_us();
  Records& held = held_[to];
  held_bytes_ += static_cast<int64_t>(records.byte_size());
  if (held.empty()) {
    held = std::move(records);
    return;
  }
  const int64_t first = held.size();
  held.append(records.layout(), 0, records.size(), 0);
  for (int64_t i = 0; records.any_headers() && i < records.size(); ++i) held.set_headers(first + i, records.headers(i));
}

Status Worker::TransactionSink::begin() {
  if (open_) return {};
  WL_RETURN_IF_ERROR(worker_.client_->begin());
  open_ = true;
  if (!since_us_) since_us_ = worker_.env_.clock->steady_us();
  return {};
}

Result<bool> Worker::TransactionSink::flush() {
  if (held_.empty()) return true;
  WL_RETURN_IF_ERROR(begin());
  while (!held_.empty()) {
    const auto next = held_.begin();
    const Status status = worker_.client_->append(next->first, next->second);
    if (status.code() == Code::kRetriable) return false;
    WL_RETURN_IF_ERROR(status);
    held_bytes_ -= static_cast<int64_t>(next->second.byte_size());
    held_.erase(next);
  }
  held_bytes_ = 0;
  return true;
}

std::shared_ptr<Records> cut(const Records& records, int64_t begin, int64_t end) {
  auto part = std::make_shared<Records>();
  int64_t first = 0;
  while (first < records.size() && records.offset(first) < begin) ++first;
  int64_t last = first;
  while (last < records.size() && records.offset(last) < end) ++last;
  part->append(records.layout(), first, last, 0);
  for (int64_t i = first; i < last; ++i) {
    part->set_offset(i - first, records.offset(i));
    if (records.any_headers()) part->set_headers(i - first, records.headers(i));
  }
  return part;
}

}  // namespace wrackline
