// Partitions come and go (docs/exactly_once.md). Whatever the log says is noted at once and done at an instant at
// which no transaction is open: give up what is revoked, answer, take up what is assigned. Tasks that stay wait
// meanwhile.
//
//   revoked: finish, commit -> park -> answer        (in a recovery: drop -> answer)
//   lost:    drop
//   assigned: committed offsets -> a parked task that they agree with goes on; the others are claimed and recovered
#include <algorithm>

#include "wrackline/core/logging.h"
#include "wrackline/job/task_slot.h"
#include "wrackline/job/worker.h"

namespace wrackline {
namespace {

// Offsets that are not there are looked for a few times before it is believed.
constexpr int64_t kLookAgainUs = 400'000;
constexpr int64_t kBelieveMissingUs = 2'000'000;

}  // namespace

bool Worker::all_ready() const {
  return std::all_of(tasks_.begin(), tasks_.end(),
                     [](const auto& slot) { return slot->stage != TaskStage::kRecovering; });
}

Status Worker::on_assigned(const event::Assigned& assigned) {
  to_take_.insert(to_take_.end(), assigned.partitions.begin(), assigned.partitions.end());
  assigned_ = true;
  return rebalance_soon();
}

Status Worker::on_revoked(const event::Revoked& revoked) {
  for (const TopicPartition& partition : revoked.partitions) {
    std::erase(to_take_, partition);
    for (auto& slot : tasks_) slot->revoked = slot->revoked || slot->anchor == partition;
  }
  answer_due_ = true;
  return rebalance_soon();
}

Status Worker::on_lost(const event::Lost& lost) {
  bool any = false;
  for (const TopicPartition& partition : lost.partitions) {
    std::erase(to_take_, partition);
    for (auto& slot : tasks_) {
      slot->lost = slot->lost || slot->anchor == partition;
      any = any || slot->lost;
    }
  }
  if (!any || phase_ == Phase::kClaim) return {};  // the claim changes nothing: it may end
  if (sink_->open() || sink_->held_bytes() > 0) return Status::abort("partitions were lost in an open transaction");
  std::erase_if(tasks_, [&](auto& slot) {
    if (slot->lost) forget(*slot);
    return slot->lost;
  });
  if (!stop_requested_) ending_ = false;  // what was lost is not through
  return rebalance_soon();
}

// At once, if nothing is uncommitted; else the claim or the commit under way, or the next commit, does it at its end.
Status Worker::rebalance_soon() {
  switch (phase_) {
    case Phase::kAssign:
    case Phase::kFetchCommitted:
    case Phase::kRestore:
    case Phase::kReadJournal:
    case Phase::kReplay: return rebalance();
    default: return {};
  }
}

Status Worker::rebalance() {
  stop_waiting_for_others();
  const bool running = phase_ == Phase::kRunning;
  give_up();
  if (!all_ready()) return {};  // the recovery of the others goes on, and what is assigned waits for it
  if (assigned_) return take_up();
  if (tasks_.empty()) {
    phase_ = Phase::kAssign;
    return {};
  }
  return running ? Status() : enter_running();
}

void Worker::give_up() {
  for (auto& slot : tasks_) {
    if (slot->lost || (slot->revoked && slot->stage == TaskStage::kRecovering)) {
      forget(*slot);
      slot.reset();
    } else if (slot->revoked) {
      client_->stop_reading(slot->input);
      slot->revoked = false;
      slot->stage = TaskStage::kParked;
      parked_.push_back(std::move(slot));
    }
  }
  std::erase(tasks_, nullptr);
  if (answer_due_) client_->answer_revoke();
  answer_due_ = false;
}

void Worker::forget(TaskSlot& slot) {
  rows_since_commit_ -= slot.rows_since_commit;
  stats_.rows_taken -= slot.rows_since_commit;
  if (slot.task == nullptr) return;
  forgot_ = true;
  tell_state_bytes(0);  // of those that stay they are told again after the next records
  client_->stop_reading(slot.journal);
  client_->stop_reading(slot.input);
}

Status Worker::take_up() {
  assigned_ = false;
  const std::vector<TopicPartition> partitions = std::exchange(to_take_, {});
  std::erase_if(parked_, [&](const auto& slot) {
    return std::find(partitions.begin(), partitions.end(), slot->anchor) == partitions.end();
  });
  if (partitions.empty()) return enter_running();
  pause_inputs(true);
  for (const TopicPartition& anchor : partitions) {
    auto slot = std::make_unique<TaskSlot>();
    slot->partition = anchor.partition;
    slot->anchor = anchor;
    slot->input = {plan_->source().topic, anchor.partition};
    slot->journal = {plan_->journal_topic(), anchor.partition};
    tasks_.push_back(std::move(slot));
  }
  phase_ = Phase::kFetchCommitted;
  ask_committed();
  return {};
}

// The run ends: what waits for somebody's transaction has not been claimed.
Status Worker::stop_waiting() {
  std::erase_if(tasks_, [](const auto& slot) { return slot->stage == TaskStage::kRecovering; });
  parked_.clear();
  return enter_running();
}

// In a recovery: somebody else has claimed a task since, and has perhaps removed what it needs of files and journal.
Result<bool> Worker::taken_over() const {
  if (phase_ != Phase::kRestore && phase_ != Phase::kReadJournal && phase_ != Phase::kReplay) return false;
  const Result<Offsets> offsets = env_.log->committed(group_);
  if (offsets.status().code() == Code::kCrashed) return offsets.status();
  if (!offsets.ok()) return true;  // who knows: the next recovery will see
  return std::any_of(tasks_.begin(), tasks_.end(), [&](const auto& slot) {
    if (slot->stage != TaskStage::kRecovering) return false;
    const auto found = offsets->find(slot->anchor);
    return found != offsets->end() && found->second.metadata != slot->committed.encode();
  });
}

// An answer that is on its way was asked for before these tasks were assigned: others may have committed since.
void Worker::ask_committed() {
  look_again_us_.reset();
  ask_again_ = asked_;
  if (asked_) return;
  asked_ = true;
  std::vector<TopicPartition> partitions;
  for (const auto& slot : tasks_) {
    if (slot->stage == TaskStage::kRecovering) partitions.push_back(slot->anchor);
  }
  client_->start_committed(group_, partitions);
}

Status Worker::on_committed_offsets(const Offsets& offsets) {
  asked_ = false;
  unstable_since_us_.reset();
  if (phase_ == Phase::kRunning) return on_others(offsets);
  if (phase_ != Phase::kFetchCommitted) return {};
  if (ask_again_) {
    ask_committed();
    return {};
  }
  const int64_t now = env_.clock->steady_us();
  WL_ASSIGN_OR_RETURN(const bool expired, any_expired(offsets));
  if (expired && !missing_since_us_) missing_since_us_ = now;
  if (expired && now - *missing_since_us_ < kBelieveMissingUs) {
    look_again_us_ = now + kLookAgainUs;
    return {};
  }
  missing_since_us_.reset();
  WL_RETURN_IF_ERROR(adopt_parked(offsets));
  if (all_ready()) return enter_running();
  WL_RETURN_IF_ERROR(make_slots(offsets));
  WL_RETURN_IF_ERROR(claim());
  phase_ = Phase::kClaim;
  return {};
}

// A parked task goes on as it is if nobody has committed anything of its partition since: not even a claim.
Status Worker::adopt_parked(const Offsets& offsets) {
  for (auto& slot : tasks_) {
    if (slot->stage != TaskStage::kRecovering) continue;
    const auto parked =
        std::find_if(parked_.begin(), parked_.end(), [&](const auto& p) { return p->anchor == slot->anchor; });
    const auto committed = offsets.find(slot->anchor);
    if (parked == parked_.end() || committed == offsets.end()) continue;
    WL_ASSIGN_OR_RETURN(const CommitMetadata metadata, CommitMetadata::decode(committed->second.metadata));
    if (metadata.transactional_id != env_.transactional_id || metadata != (*parked)->committed) continue;
    slot = std::move(*parked);
    parked_.erase(parked);
    ++stats_.adopted;
  }
  parked_.clear();
  return {};
}

// The offsets of some partitions wait for the end of somebody's transaction. If it is the last owner's, and that one
// is gone, nobody but us will end it before the log does.
void Worker::on_unstable(const Offsets& offsets) {
  if (phase_ != Phase::kFetchCommitted) return;
  unstable_since_us_ = env_.clock->steady_us();
  idle_and_late_ = 0;
  for (const auto& [partition, offset] : offsets) {
    const Result<CommitMetadata> metadata = CommitMetadata::decode(offset.metadata);
    if (!metadata.ok() || metadata->transactional_id == env_.transactional_id) continue;
    const std::string& owner = metadata->transactional_id;
    if (!known_owners_.insert(owner).second) continue;
    log_line(LogLevel::kWarning, "job " + plan_->job() + " waits for the end of a transaction, perhaps of " + owner +
                                     ", which is fenced now; the log ends any other at its timeout");
    to_fence_.push_back(owner);
  }
  fence_next();
}

// Every transaction of a member ends within its transaction_timeout: one that does not has been lost by the broker.
Status Worker::check_unstable() {
  if (!unstable_since_us_) return {};
  const Millis limit = std::max(options_.recovery_deadline, 2 * options_.transaction_timeout);
  if (env_.clock->steady_us() - *unstable_since_us_ < limit * 1000 || ++idle_and_late_ < kPatience) return {};
  return Status::unavailable(
      "job " + plan_->job() + ": the committed offsets of group '" + group_ +
      "' wait for the end of a transaction, and it has not come for " + std::to_string(limit / 1000) +
      " s. A broker that dies while it ends a transaction may lose the end: `kafka-transactions.sh "
      "find-hanging` shows that, and docs/kafka.md says what to do");
}

void Worker::fence_next() {
  if (fencing_ || to_fence_.empty()) return;
  fencing_ = true;
  client_->start_fence(to_fence_.front());
  to_fence_.pop_front();
}

}  // namespace wrackline
