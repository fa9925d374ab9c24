// From the committed offsets to the state that they stand for: restore the checkpoint that they name (or the last
// journal row, of a task without state), read the journal since, replay with output suppressed, and check.
#include <algorithm>

#include "wrackline/core/logging.h"
#include "wrackline/job/task_slot.h"
#include "wrackline/job/worker.h"

namespace wrackline {

Status Worker::restore(TaskSlot& slot) {
  const CommitMetadata& committed = slot.committed;
  WL_ASSIGN_OR_RETURN(slot.task, Task::make(plan_, slot.input, sink_.get()));
  WL_RETURN_IF_ERROR(slot.task->check_placement(&env_.run->placed_keys));
  if (!plan_->stateless() || !committed.checkpoint.empty()) {
    WL_ASSIGN_OR_RETURN(std::unique_ptr<Store> store, env_.open_store(slot.partition));
    slot.checkpointer = std::make_unique<Checkpointer>(std::move(store), env_.failpoints, committed.recovery_count);
  }
  int64_t first = committed.start_offset;
  if (committed.checkpoint.empty()) {
    slot.task->set_offset(first);
  } else {
    Result<CheckpointSeal> seal = slot.checkpointer->read_manifest(committed.checkpoint);
    if (seal.status().code() == Code::kNotFound) {
      return Status::invalid(
          "checkpoint " + committed.checkpoint + ", which commit " + std::to_string(committed.commit_seq) + " of " +
          where(slot.anchor) + " names, is not in the state directory (" + options_.state_dir +
          "): the state is in another directory or was deleted. Run the job with that state_dir, or " + kStartOver);
    }
    WL_RETURN_IF_ERROR(seal.status());
    if (seal->log_id != slot.log_id) {
      return Status::invalid("checkpoint " + committed.checkpoint + " belongs to another log or topic than " +
                             env_.log->uri() + ", " + where(slot.input) + "; " + kStartOver);
    }
    WL_RETURN_IF_ERROR(accept_changed_job(slot, &*seal));
    if (env_.rows) WL_RETURN_IF_ERROR(check_rows(seal->offset, seal->input_hash));
    WL_RETURN_IF_ERROR(slot.checkpointer->restore(*seal, slot.task->steps(), reset_of(slot)));
    first = seal->offset;
    slot.task->set_offset(first);
    WL_RETURN_IF_ERROR(slot.task->restore_time(seal->time_state));
    slot.task->restore_ledger(seal->ledger);
    slot.restored_seq = seal->commit_seq;
    slot.checkpoint_seq = seal->commit_seq;
  }
  if (!options_.fresh && slot.checkpointer) {
    if (const Status owner = slot.checkpointer->check_owner(slot.log_id); !owner.ok()) {
      return owner.with_context("the state directory (" + options_.state_dir + ") holds state of job " + plan_->job() +
                                " that is not of " + env_.log->uri() +
                                ". Give this job another name or state_dir, or " + kStartOver);
    }
  }
  slot.task->suppress_output(true);
  slot.content_seq = committed.commit_seq;
  slot.journal_read = committed.commit_seq == slot.restored_seq;
  if (!slot.journal_read) {
    client_->read_from(slot.journal, committed.journal_offset, Isolation::kReadCommitted);
    if (committed.checkpoint.empty()) return {};  // whether there is anything to replay, the last row says
  } else if (env_.rows) {
    slot.committed_offset = slot.task->offset();
  }
  return check_input(slot, first);
}

// The records that a recovery reads again are there.
Status Worker::check_input(const TaskSlot& slot, int64_t first) const {
  if (env_.rows || !slot.had_commit) return {};
  WL_ASSIGN_OR_RETURN(const int64_t start, env_.log->start_offset(slot.input));
  WL_ASSIGN_OR_RETURN(const int64_t end, env_.log->end_offset(slot.input, Isolation::kReadUncommitted));
  if (start <= first && end >= slot.committed_offset) return {};
  return Status::invalid(where(slot.input) + " holds offsets " + std::to_string(start) + " to " + std::to_string(end) +
                         ", but the job needs " + std::to_string(first) + " to " +
                         std::to_string(slot.committed_offset) +
                         " to recover: records were deleted or the topic is another one. " + kStartOver);
}

// A task that had no state is what its last row says: nothing is replayed. Steps that are new start empty.
Status Worker::restore_from_row(TaskSlot& slot) {
  const JournalRow row = std::move(slot.rows.rbegin()->second);
  slot.rows.clear();
  slot.restored_seq = row.commit_seq;
  slot.task->set_offset(row.offset);
  WL_RETURN_IF_ERROR(slot.task->restore_time(row.time_state));
  slot.task->restore_ledger(row.ledger);
  for (Step* step : slot.task->steps()) {
    for (const LedgerEntry& entry : row.ledger) {
      if (entry.step == step->name()) WL_RETURN_IF_ERROR(step->restored(entry.counts));
    }
  }
  if (env_.rows) return check_rows(row.offset, row.input_hash);
  return check_input(slot, row.offset);
}

// The steps that this run still has to empty.
std::vector<std::string> Worker::reset_of(const TaskSlot& slot) const {
  const std::lock_guard lock(env_.run->mutex);
  return env_.run->reset.contains(slot.partition) ? std::vector<std::string>() : options_.reset_steps;
}

// The bounded rows are those that an earlier run has begun to read.
Status Worker::check_rows(int64_t read, uint64_t input_hash) const {
  if (env_.rows->size() >= read && env_.rows->fingerprint(std::min(read, kFirstRecords)) == input_hash) return {};
  return Status::invalid("job " + plan_->job() + ": these are not the rows that it has begun to read (" +
                         std::to_string(read) + " of them); give it the same input, or " + kStartOver);
}

// A changed job: fitting state just goes on after an orderly end; with something to replay it is refused.
Status Worker::accept_changed_job(const TaskSlot& slot, const CheckpointSeal* seal) const {
  const bool nothing_to_replay = slot.committed.commit_seq == (seal ? seal->commit_seq : 0);
  const std::vector<std::string> reset = reset_of(slot);
  const bool changed = slot.committed.job_hash != plan_->hash() || !reset.empty();
  if (changed && !nothing_to_replay && !options_.replay_accept) {
    return Status::invalid(
        "job " + plan_->job() + " has changed since commit " + std::to_string(slot.committed.commit_seq) + " of " +
        where(slot.anchor) + ", and that run did not end in order: " +
        std::to_string(slot.committed.commit_seq - (seal ? seal->commit_seq : 0)) +
        " commits have to be replayed. Run the unchanged job until it ends, then change it; or give replay=\"accept\" "
        "to take what the changed job makes of them; or " +
        kStartOver);
  }
  if (seal == nullptr) return {};
  for (const Step* step : slot.task->steps()) {
    if (std::find(reset.begin(), reset.end(), step->name()) != reset.end()) continue;
    const std::string now = step->fingerprint();
    const auto before = std::find_if(seal->fingerprints.begin(), seal->fingerprints.end(),
                                     [&](const auto& f) { return f.first == step->name(); });
    if (before == seal->fingerprints.end() || before->second == now) continue;
    return Status::invalid("step '" + step->name() +
                           "' has changed in what shapes its state:\n  before: " + before->second +
                           "\n  now:    " + now + "\nreset='" + step->name() + "' starts this step with empty state");
  }
  return {};
}

// Without transactions a row may have been appended for a commit that never was, and its commit_seq comes again; and so
// may rows of a former owner that did not know. What counts is the last row of the last claim.
Status Worker::on_journal(const event::Polled& polled) {
  for (auto& slot : tasks_) {
    if (slot->journal != polled.partition || slot->journal_read) continue;
    for (int64_t i = 0; i < polled.records->size(); ++i) {
      WL_ASSIGN_OR_RETURN(JournalRow row, JournalRow::decode(polled.records->value(i)));
      const int64_t seq = row.commit_seq;
      if (seq <= slot->restored_seq || seq > slot->committed.commit_seq) continue;
      const auto known = slot->rows.find(seq);
      if (known != slot->rows.end() && known->second.metadata.recovery_count > row.metadata.recovery_count) continue;
      slot->rows[seq] = std::move(row);
    }
  }
  return {};
}

Status Worker::on_journal_end(TaskSlot& slot, int64_t next_offset) {
  if (slot.journal_read) return {};
  const auto last = slot.rows.find(slot.committed.commit_seq);
  const bool found = last != slot.rows.end();
  if (!found || options_.guarantee == Guarantee::kAtLeastOnce) {
    // The markers of a former owner's transactions may still be on their way: there are rows that cannot be seen yet.
    WL_ASSIGN_OR_RETURN(const int64_t end, env_.log->end_offset(slot.journal, Isolation::kReadUncommitted));
    if (end > next_offset) return {};
  }
  if (found) {
    slot.journal_read = true;
    slot.committed_ledger = last->second.ledger;
    if (env_.rows) slot.committed_offset = last->second.offset;
    client_->stop_reading(slot.journal);
    return {};
  }
  return Status::corruption("journal " + where(slot.journal) + ": ends before the row of commit " +
                            std::to_string(slot.committed.commit_seq) + "; it was trimmed or belongs to another job. " +
                            kStartOver);
}

Result<Progress> Worker::read_journals() {
  if (!std::all_of(tasks_.begin(), tasks_.end(), [](const auto& slot) { return slot->journal_read; })) {
    WL_ASSIGN_OR_RETURN(const Progress progress, on_event(client_->poll(options_.max_poll_records)));
    const bool late = env_.clock->steady_us() - restoring_since_us_ > options_.recovery_deadline * 1000;
    if (progress != Progress::kIdle || !late || ++idle_and_late_ < kPatience) return progress;
    return Status::unavailable("journal " + plan_->journal_topic() +
                               ": rows that are committed are still behind an open transaction");
  }
  for (auto& slot : tasks_) {
    if (slot->stage != TaskStage::kRecovering) continue;
    if (!slot->rows.empty() && slot->committed.checkpoint.empty()) {
      if (!slot->rows.rbegin()->second.time_state.empty()) {
        WL_RETURN_IF_ERROR(restore_from_row(*slot));
        continue;
      }
      WL_RETURN_IF_ERROR(accept_changed_job(*slot, nullptr));
      WL_RETURN_IF_ERROR(check_input(*slot, slot->committed.start_offset));
    }
    if (static_cast<int64_t>(slot->rows.size()) != slot->committed.commit_seq - slot->restored_seq) {
      return Status::corruption("journal " + where(slot->journal) + " lacks rows between commit " +
                                std::to_string(slot->restored_seq) + " and " +
                                std::to_string(slot->committed.commit_seq) + "; " + kStartOver);
    }
    if (!slot->rows.empty() && !env_.rows)
      client_->read_from(slot->input, slot->task->offset(), Isolation::kReadCommitted);
    if (env_.rows && !slot->rows.empty()) {
      const JournalRow& last = slot->rows.rbegin()->second;
      WL_RETURN_IF_ERROR(check_rows(last.offset, last.input_hash));
    }
  }
  phase_ = Phase::kReplay;
  return Progress::kWorked;
}

Result<Progress> Worker::replay() {
  if (busy()) return advance_tasks();
  for (auto& slot : tasks_) {
    if (slot->replayed || slot->stage != TaskStage::kRecovering) continue;
    bool at_boundary = false;
    WL_RETURN_IF_ERROR(replay_boundary(*slot, at_boundary));
    if (at_boundary || slot->replayed) return Progress::kWorked;

    const JournalRow& row = slot->rows.begin()->second;
    const int64_t boundary =
        slot->decisions_applied < row.decisions.size() ? row.decisions[slot->decisions_applied].offset : row.offset;
    if (env_.rows) {
      Status status;
      if (!take_rows(*slot, std::min(options_.max_poll_records, boundary - slot->task->offset()), status)) {
        WL_RETURN_IF_ERROR(status);
        return Status::corruption("the input ends before row " + std::to_string(boundary) + " of the journal");
      }
      WL_RETURN_IF_ERROR(env_.failpoints->hit(Failpoint::kDuringReplay));
      return Progress::kWorked;
    }
    if (slot->left_over) {
      const std::shared_ptr<Records> records = cut(*slot->left_over, slot->task->offset(), boundary);
      const int64_t next = std::min(slot->left_over_next, boundary);
      stats_.rows_replayed += records->size();
      if (slot->left_over_next <= boundary) {
        slot->left_over.reset();
        client_->resume(slot->input);
      }
      if (records->empty()) {
        slot->task->skip_to(next);
      } else {
        WL_RETURN_IF_ERROR(slot->task->take_records(records, next, env_.clock->now()));
      }
      WL_RETURN_IF_ERROR(env_.failpoints->hit(Failpoint::kDuringReplay));
      return Progress::kWorked;
    }
    if (slot->at_end && slot->end_at >= boundary) {  // no records between here and the boundary: markers, aborted ones
      slot->task->skip_to(boundary);
      return Progress::kWorked;
    }
    return on_event(client_->poll(options_.max_poll_records));
  }
  WL_RETURN_IF_ERROR(enter_running());
  return Progress::kWorked;
}

// Applies what the journal has at this offset: decisions, and the commit point itself.
Status Worker::replay_boundary(TaskSlot& slot, bool& at_boundary) {
  if (slot.rows.empty()) {
    slot.replayed = true;
    if (client_) {
      client_->resume(slot.input);
      client_->stop_reading(slot.input);
    }
    return finish_replay(slot);
  }
  const JournalRow& row = slot.rows.begin()->second;
  if (slot.decisions_applied < row.decisions.size()) {
    const Decision& decision = row.decisions[slot.decisions_applied];
    if (decision.offset > slot.task->offset()) return {};
    at_boundary = true;
    ++slot.decisions_applied;
    return slot.task->apply(decision);
  }
  if (row.offset > slot.task->offset()) return {};
  at_boundary = true;
  if (!slot.row_drained) {
    slot.row_drained = true;
    if (!row.cut) slot.task->before_commit();
    return {};
  }
  const bool last = slot.rows.size() == 1;
  const JournalRow replayed = slot.task->seal();
  const bool same = replayed.watermark == row.watermark && replayed.ledger == row.ledger;
  if (!same && !options_.replay_accept) {
    std::string step = "read";
    for (size_t i = 0; i < row.ledger.size() && i < replayed.ledger.size(); ++i) {
      if (row.ledger[i] == replayed.ledger[i]) continue;
      step = row.ledger[i].step;
      break;
    }
    return Status::fatal(
        "the replay of commit " + std::to_string(row.commit_seq) + " of " + where(slot.anchor) +
        " gave another answer than the run that committed it, first at step '" + step +
        "'. The log, the state or the job is not what it was. replay=\"accept\" takes what the replay gave; " +
        kStartOver);
  }
  if (!same && last)
    log_line(LogLevel::kWarning,
             "job " + plan_->job() + ": the replay gave another answer, taken as replay=\"accept\" says");
  if (last) slot.undrained = row.cut.has_value();
  if (last && same && slot.committed.job_hash == plan_->hash() && reset_of(slot).empty()) slot.cut = row.cut;
  slot.rows.erase(slot.rows.begin());
  slot.decisions_applied = 0;
  slot.row_drained = false;
  return {};
}

// Promise 2, checked at every recovery: W, ledger and rows are what was committed.
Status Worker::finish_replay(TaskSlot& slot) {
  if (!slot.had_commit || options_.replay_accept || slot.committed.commit_seq == 0) return {};
  const bool watermark = slot.committed.watermark == slot.task->last_watermark();
  const bool ledger = slot.committed.ledger_hash == hash_of(slot.task->ledger()) ||
                      slot.committed.job_hash != plan_->hash() || !reset_of(slot).empty();
  const bool rows = slot.committed.rows_hash == slot.task->rows_hash();
  if (watermark && ledger && rows) return {};
  return Status::fatal(
      "recovery of " + where(slot.anchor) + " did not reach what commit " + std::to_string(slot.committed.commit_seq) +
      " says: another " + (watermark ? ledger ? "set of rows put out" : "ledger" : "watermark") +
      ". The log, the state or the job is not what it was. replay=\"accept\" takes what the replay gave; " +
      kStartOver);
}

}  // namespace wrackline
