// One commit (docs/exactly_once.md): drain -> seal -> journal row -> offsets and metadata -> end of the transaction.
#include <algorithm>

#include "wrackline/core/logging.h"
#include "wrackline/job/task_slot.h"
#include "wrackline/job/worker.h"
#include "wrackline/time/duration.h"

namespace wrackline {
namespace {

constexpr int64_t kLateLineUs = 60'000'000;

}  // namespace

// A commit moves the journal on by at least this: its row, and the marker of its transaction.
int64_t Worker::offsets_per_commit() const { return options_.guarantee == Guarantee::kExactlyOnce ? 2 : 1; }

bool Worker::commit_due() const {
  if (commit_requested_ || resetting_ || has_rebalance()) return true;
  if (options_.commit_rows > 0 && rows_since_commit_ >= options_.commit_rows) return true;
  return env_.clock->steady_us() >= commit_at_us() && has_new();
}

// Readers wait for panes that are out, and the job for nothing that belongs to them: they need not wait for a whole
// interval. Rows of other steps come all the time, and would only make more commits.
int64_t Worker::commit_at_us() const {
  return last_commit_us_ + options_.commit_interval * 1000 / (panes_wait_ ? 4 : 1);
}

int64_t Worker::panes() const {
  int64_t panes = 0;
  for (const auto& slot : tasks_) panes += slot->task ? slot->task->panes() : 0;
  return panes;
}

// Something for the next commit.
bool Worker::has_new() const {
  if (rows_since_commit_ > 0 || (sink_ && sink_->held_bytes() > 0)) return true;
  return std::any_of(tasks_.begin(), tasks_.end(), [](const auto& slot) {
    return slot->undrained || slot->task->has_decisions() ||
           (slot->checkpointer && !slot->checkpointer->durable().empty());
  });
}

// Step 0: no more records; pending late panes come out.
Result<Progress> Worker::drain() {
  if (!drained_ && cut_due()) return begin_cut();
  if (busy()) return advance_and_append();
  if (!drained_) {
    drained_ = true;
    pause_inputs(true);
    for (auto& slot : tasks_) slot->task->before_commit();
    return Progress::kWorked;
  }
  for (auto& slot : tasks_) WL_RETURN_IF_ERROR(slot->task->emit_marks());
  if (env_.tap == nullptr) {
    WL_ASSIGN_OR_RETURN(const bool through, sink_->flush());
    if (!through) return on_event(client_->poll(0));
  }
  WL_RETURN_IF_ERROR(seal());
  phase_ = Phase::kWaitCheckpoint;
  return Progress::kWorked;
}

// The log aborts a transaction that is open for too long: a firing that takes as long would come out never, again and
// again. So it is cut by a commit whose row says where it began and how many of its rows are out.
bool Worker::cut_due() const {
  if (env_.tap != nullptr || options_.guarantee != Guarantee::kExactlyOnce || plan_->stateless()) return false;
  const std::optional<int64_t> since = sink_->since_us();
  if (!since || env_.clock->steady_us() - *since < options_.transaction_timeout * 1000 / 4) return false;
  const auto firing = [](const auto& slot) { return slot->task->firing(); };
  return std::any_of(tasks_.begin(), tasks_.end(), firing) &&
         std::all_of(tasks_.begin(), tasks_.end(),
                     [&](const auto& slot) { return !firing(slot) || slot->task->may_be_cut(); });
}

Result<Progress> Worker::begin_cut() {
  cutting_ = true;
  cut_from_ = phase_;
  pause_inputs(true);
  WL_RETURN_IF_ERROR(seal());
  phase_ = Phase::kWaitCheckpoint;
  return Progress::kWorked;
}

// Step 1: offsets, watermarks, ledger and decisions are frozen together.
Status Worker::seal() {
  WL_RETURN_IF_ERROR(check_dead_letters());
  if (rows_unseen_ > 0) WL_RETURN_IF_ERROR(measure_memory());
  const int64_t now = env_.clock->steady_us();
  const bool freeze_now = env_.tap == nullptr && !cutting_ &&
                          (ending_ || resetting_ || now - last_checkpoint_us_ >= options_.checkpoint_interval * 1000);
  for (auto& slot : tasks_) {
    slot->sealed = cutting_ && slot->task->firing() ? slot->task->seal_cut() : slot->task->seal();
    if (cutting_ && !slot->sealed.cut) slot->sealed.cut.emplace();
    if (env_.tap != nullptr) continue;
    slot->sealed.job_hash = plan_->hash();
    slot->sealed.commit_seq = slot->committed.commit_seq + 1;
    if (env_.rows) slot->sealed.input_hash = env_.rows->fingerprint(std::min(slot->sealed.offset, kFirstRecords));
  }
  WL_RETURN_IF_ERROR(env_.failpoints->hit(Failpoint::kSealed));
  trim_due_ = freeze_now;
  for (auto& slot : tasks_) {
    if (plan_->stateless()) break;  // the journal row is the checkpoint
    // The last checkpoint of a run waits for the one that is being written (poll_checkpoints).
    if (freeze_now && !slot->checkpointer->writing() && slot->checkpointer->durable().empty())
      WL_RETURN_IF_ERROR(freeze(*slot));
  }
  if (freeze_now) last_checkpoint_us_ = now;
  return {};
}

Status Worker::freeze(TaskSlot& slot) {
  // Its records are to be read again: a checkpoint would lie behind them.
  if (slot.task->on_probation()) return {};
  // Nothing new since the checkpoint that is named: it still says everything. At the end it must be of the last
  // commit, so that nothing is left to replay.
  const bool quiet = slot.sealed.offset == slot.committed_offset && slot.sealed.decisions.empty();
  if (quiet && !resetting_ && !slot.committed.checkpoint.empty() &&
      (ending_ ? slot.committed.commit_seq : slot.content_seq) <= slot.checkpoint_seq)
    return {};
  slot.frozen = true;
  const int64_t before = env_.clock->steady_us();
  slot.hash_at_freeze = slot.task->rows_hash();
  slot.journal_at_freeze = slot.journal_floor + offsets_per_commit();
  slot.seq_at_freeze = slot.sealed.commit_seq;
  slot.offset_at_freeze = slot.task->offset();
  CheckpointSeal seal{
      .id = checkpoint_id(env_.transactional_id, slot.committed.recovery_count, slot.sealed.commit_seq),
      .log_id = slot.log_id,
      .job_hash = plan_->hash(),
      .commit_seq = slot.sealed.commit_seq,
      .offset = slot.task->offset(),
      .journal_offset = slot.journal_at_freeze,
      .input_hash = env_.rows ? slot.sealed.input_hash : 0,
      .ledger = slot.task->ledger(),
      .time_state = slot.task->save_time(),
  };
  for (const Step* step : slot.task->steps()) seal.fingerprints.emplace_back(step->name(), step->fingerprint());
  WL_RETURN_IF_ERROR(slot.checkpointer->freeze(seal, slot.task->steps()));
  ++stats_.checkpoints;
  stats_.longest_freeze_us = std::max(stats_.longest_freeze_us, env_.clock->steady_us() - before);
  return {};
}

Status Worker::poll_checkpoints() {
  for (auto& slot : tasks_) {
    if (slot->checkpointer) WL_RETURN_IF_ERROR(slot->checkpointer->poll(slot->task->steps()));
  }
  return {};
}

// Steps 2 and 3. The last commit of a run waits for its checkpoints, so that it can name them.
Result<Progress> Worker::prepare_commit() {
  if (!cutting_) WL_RETURN_IF_ERROR(poll_checkpoints());
  if ((ending_ || resetting_) && !cutting_) {
    for (auto& slot : tasks_) {
      if (slot->checkpointer && slot->checkpointer->writing()) return poll_paused();
      if (resetting_ && slot->frozen && slot->checkpointer->durable().empty()) {
        return Status::unavailable(
            "reset: the checkpoint without the old state could not be written; nothing has changed");
      }
    }
  }
  offsets_.clear();
  for (auto& slot : tasks_) {
    if (env_.tap != nullptr) break;
    const bool firing = cutting_ && slot->task->firing();
    slot->naming = !cutting_ && slot->checkpointer && !slot->checkpointer->durable().empty();
    // A seal that was frozen is committed even if nothing else is new: its commit_seq must not come twice. Behind a
    // cut, which has committed the offset, the ledger alone may be new: late panes that were pending there have come
    // out.
    slot->in_commit = firing || slot->naming || slot->frozen || slot->sealed.offset != slot->committed_offset ||
                      !slot->sealed.decisions.empty() || (slot->undrained && !cutting_) || tells_end(*slot);
    if (!slot->in_commit) continue;
    CommitMetadata& metadata = slot->sealed_metadata = slot->committed;
    metadata.job_hash = plan_->hash();
    metadata.commit_seq = slot->sealed.commit_seq;
    metadata.watermark = slot->sealed.watermark;
    metadata.ledger_hash = hash_of(slot->sealed.ledger);
    metadata.read_to = firing ? slot->sealed.offset : slot->task->ended() ? kPlusInfinity : slot->task->offset();
    if (slot->naming) {
      metadata.checkpoint = slot->checkpointer->durable();
      metadata.journal_offset = slot->journal_at_freeze;
    }
    const uint64_t rows_hash = firing ? slot->task->rows_hash_at_mark() : slot->task->rows_hash();
    metadata.rows_hash = rows_hash - (slot->naming ? slot->hash_at_freeze : slot->hash_at_checkpoint);

    if (plan_->stateless() && !slot->task->on_probation()) {
      // This row alone is what a recovery needs: it lies here or behind.
      metadata.checkpoint.clear();
      metadata.journal_offset = slot->journal_floor;
      metadata.rows_hash = 0;
      slot->hash_at_checkpoint = slot->task->rows_hash();
      slot->sealed.time_state = slot->task->save_time();
    }
    slot->sealed.metadata = metadata;
    Records row;
    const Bytes bytes = slot->sealed.encode();
    row.add(std::nullopt, std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()),
            env_.clock->now());
    sink_->hold(slot->journal, std::move(row));
    const bool rows = env_.rows != nullptr;  // anchored at the journal, whose row says where the input stands
    offsets_[slot->anchor] = {rows ? slot->journal_floor : slot->sealed.offset, metadata.encode()};
  }
  if (offsets_.empty()) {  // nothing to say: no records, no decisions, no checkpoint
    WL_RETURN_IF_ERROR(on_committed());
    return Progress::kWorked;
  }
  phase_ = Phase::kSendCommit;
  return Progress::kWorked;
}

Result<Progress> Worker::send_commit() {
  WL_ASSIGN_OR_RETURN(const bool through, sink_->flush());
  if (!through) return on_event(client_->poll(0));
  WL_RETURN_IF_ERROR(env_.failpoints->hit(Failpoint::kJournalRowSent));
  client_->start_send_offsets(group_, offsets_);
  phase_ = Phase::kSendOffsets;
  return Progress::kWorked;
}

Status Worker::end_transaction() {
  WL_RETURN_IF_ERROR(env_.failpoints->hit(Failpoint::kOffsetsSent));
  client_->start_commit();
  WL_RETURN_IF_ERROR(env_.failpoints->hit(Failpoint::kEndTxnSent));
  for (auto& slot : tasks_) {
    if (slot->naming) WL_RETURN_IF_ERROR(env_.failpoints->hit(Failpoint::kNamingCommitSent));
  }
  phase_ = Phase::kCommit;
  return {};
}

// The commit is known to be committed (or there was nothing to commit).
Status Worker::on_committed() {
  WL_RETURN_IF_ERROR(env_.failpoints->hit(Failpoint::kCommitted));
  for (auto& slot : tasks_) {
    if (!slot->in_commit) continue;
    slot->committed = slot->sealed_metadata;
    if (slot->sealed.offset != slot->committed_offset || !slot->sealed.decisions.empty() || slot->undrained)
      slot->content_seq = slot->committed.commit_seq;
    slot->undrained = slot->sealed.cut.has_value();
    slot->committed_offset = slot->sealed.offset;
    slot->committed_ledger = slot->sealed.ledger;
    slot->journal_floor += offsets_per_commit();
    if (slot->naming) {
      slot->hash_at_checkpoint = slot->hash_at_freeze;
      slot->checkpoint_seq = slot->seq_at_freeze;
      WL_RETURN_IF_ERROR(slot->checkpointer->named());
      // Rows below it are no longer needed; never the last one.
      client_->trim(slot->journal,
                    std::min(slot->committed.journal_offset, slot->journal_floor - offsets_per_commit()));
      if (plan_->source().exchange) client_->trim(slot->input, slot->offset_at_freeze);
    }
    if (!slot->sealed.time_state.empty()) WL_RETURN_IF_ERROR(row_is_committed(*slot));
    slot->in_commit = slot->naming = slot->frozen = false;
    ++stats_.commits;
    failures_ = 0;
  }
  last_commit_us_ = env_.clock->steady_us();
  if (cutting_) {
    on_cut();
    return {};
  }
  cut_open_ = false;
  say_late(last_commit_us_);
  panes_wait_ = false;
  committed_panes_ = panes();
  rows_since_commit_ = 0;
  for (auto& slot : tasks_) slot->rows_since_commit = 0;
  commit_requested_ = false;
  if (resetting_) {  // every task's checkpoint is without the old state: a recovery must not empty it again
    resetting_ = false;
    const std::lock_guard lock(env_.run->mutex);
    for (auto& slot : tasks_) env_.run->reset.insert(slot->partition);
  }
  if (ending_) {
    const bool in_log = env_.tap == nullptr && options_.guarantee == Guarantee::kExactlyOnce;
    if (!in_log) return done();
    client_->start_init(env_.transactional_id);
    phase_ = Phase::kEnd;
    return {};
  }
  phase_ = Phase::kRunning;
  pause_inputs(false);
  return has_rebalance() ? rebalance() : Status();
}

// The firings go on. What they were set off by is not committed yet, and nothing but they may be done before it is.
void Worker::on_cut() {
  cutting_ = false;
  cut_open_ = true;
  ++stats_.cuts;
  rows_since_commit_ = 0;
  for (auto& slot : tasks_) {
    slot->rows_since_commit = slot->task->firing() ? slot->task->records_since_mark() : 0;
    rows_since_commit_ += slot->rows_since_commit;
  }
  phase_ = cut_from_;
  pause_inputs(false);
}

// Of a task without state: older rows are no longer needed, nor a checkpoint that there was before.
Status Worker::row_is_committed(TaskSlot& slot) {
  if (trim_due_) client_->trim(slot.journal, slot.committed.journal_offset);
  if (trim_due_ && plan_->source().exchange) client_->trim(slot.input, slot.committed_offset);
  if (slot.checkpointer == nullptr) return {};
  WL_RETURN_IF_ERROR(slot.checkpointer->none_named());
  slot.checkpointer.reset();
  return {};
}

int64_t Worker::dead_letters() const {
  int64_t dead = 0;
  for (const auto& slot : tasks_) dead += slot->task->dead_letters();
  return dead;
}

Status Worker::check_dead_letters() {
  std::string last;
  for (const auto& slot : tasks_) {
    if (!slot->task->last_dead_letter().empty()) last = slot->task->last_dead_letter();
  }
  return dead_letter_limit_.check(stats_.rows_taken, dead_letters(), env_.clock->steady_us(), last);
}

// One line a minute about records far behind W; at the end, what nobody reads.
void Worker::say_late(int64_t now_us) {
  int64_t warnings = 0;
  for (const auto& slot : tasks_) warnings += slot->task->late_warnings();
  if (warnings > late_warnings_said_ && (now_us - late_said_us_ >= kLateLineUs || ending_)) {
    log_line(LogLevel::kWarning, "job " + plan_->job() + ": " + std::to_string(warnings) + " records came more than " +
                                     format_duration(plan_->source().watermark.warn_late) +
                                     " behind the watermark (warn_late); nothing is dropped for it");
    late_warnings_said_ = warnings;
    late_said_us_ = now_us;
  }
  if (!ending_ || env_.tap != nullptr) return;  // a copy writes one stream alone
  for (const StreamRef stream : plan_->late_streams()) {
    const bool written = std::any_of(plan_->sinks().begin(), plan_->sinks().end(), [&](const SinkSpec& sink) {
      return std::find(sink.streams.begin(), sink.streams.end(), stream) != sink.streams.end();
    });
    const bool worked_on = std::any_of(plan_->nodes().begin(), plan_->nodes().end(),
                                       [&](const Plan::Node& node) { return node.input == stream; });
    if (written || worked_on) continue;
    int64_t late = 0;
    for (const auto& slot : tasks_) {
      for (const LedgerEntry& entry : slot->task->ledger())
        late += entry.step == plan_->node(stream.node).name ? entry.counts.late : 0;
    }
    if (late > 0) {
      log_line(LogLevel::kWarning, "job '" + plan_->job() + "', step '" + plan_->node(stream.node).name + "': " +
                                       std::to_string(late) + (late == 1 ? " late row was" : " late rows were") +
                                       " counted but not written; job.late.write(\"topic\") keeps them");
    }
  }
}

}  // namespace wrackline
