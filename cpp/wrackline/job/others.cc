// until_now of a topic that several members share: whose own tasks are through waits until the group's committed
// offsets have reached all ends, and with `close` until all of them are closed. If it left before, its partitions would
// move to a member that may not have their state.
#include <algorithm>

#include "wrackline/core/logging.h"
#include "wrackline/job/task_slot.h"
#include "wrackline/job/worker.h"

namespace wrackline {
namespace {

constexpr int64_t kLookUs = 200'000;
constexpr int64_t kPatienceUs = 5'000'000;

}  // namespace

// Where the run ends: the same for all its workers, and for tasks that come later.
Status Worker::note_ends(int32_t partitions) {
  if (!options_.until_now || plan_->source().topic.empty()) return {};
  // Rows of earlier stages that have committed may lie behind a transaction that a killed process left open: they
  // belong to the run, which waits until the log has ended that one.
  const Isolation isolation = plan_->source().exchange ? Isolation::kReadUncommitted : Isolation::kReadCommitted;
  const std::lock_guard lock(env_.run->mutex);
  for (int32_t partition = 0; partition < partitions; ++partition) {
    if (env_.run->end_offsets.contains(partition)) continue;
    WL_ASSIGN_OR_RETURN(const int64_t end, env_.log->end_offset({plan_->source().topic, partition}, isolation));
    env_.run->end_offsets[partition] = end;
  }
  return {};
}

// From now on a run that ends: at the end that its input has now.
Status Worker::begin_to_finish() {
  options_.until_now = true;
  WL_ASSIGN_OR_RETURN(const TopicInfo info, input_topic());
  WL_RETURN_IF_ERROR(note_ends(info.partitions));
  const std::lock_guard lock(env_.run->mutex);
  for (auto& slot : tasks_) slot->end_offset = env_.run->end_offsets.at(slot->partition);
  return {};
}

std::vector<TopicPartition> Worker::of_others() const {
  std::vector<TopicPartition> others;
  const std::lock_guard lock(env_.run->mutex);
  for (const auto& [partition, end] : env_.run->end_offsets) {
    const bool own =
        std::any_of(tasks_.begin(), tasks_.end(), [&](const auto& slot) { return slot->partition == partition; });
    if (!own) others.push_back({plan_->source().topic, partition});
  }
  return others;
}

bool Worker::group_finished() const {
  if (env_.tap != nullptr || env_.rows != nullptr || !options_.until_now) return true;
  if (options_.max_rows > 0 && stats_.rows_taken >= options_.max_rows) return true;
  return others_through_ || of_others().empty();
}

// The others see only what is committed: that this task is through must be, even if none of its records can be yet.
bool Worker::tells_end(const TaskSlot& slot) const {
  return waiting_since_us_ && slot.task->offset() > std::max(slot.committed_offset, slot.committed.read_to);
}

Result<Progress> Worker::wait_for_others() {
  const int64_t now = env_.clock->steady_us();
  if (!waiting_since_us_) {
    waiting_since_us_ = now;
    WL_RETURN_IF_ERROR(end_inputs());  // what closes does so at once: the others wait for it
    commit_requested_ = std::any_of(tasks_.begin(), tasks_.end(), [&](const auto& slot) { return tells_end(*slot); });
    return Progress::kWorked;
  }
  const std::vector<TopicPartition> others = of_others();
  if (!said_waiting_ && now - *waiting_since_us_ > kPatienceUs) {
    said_waiting_ = true;
    log_line(LogLevel::kInfo,
             "job " + plan_->job() + ": waiting for " + std::to_string(others.size()) + " partitions of other members");
  }
  if (!asked_ && now - asked_others_us_ >= kLookUs) {
    asked_ = true;
    asked_others_us_ = now;
    client_->start_committed(group_, others);
  }
  return poll_paused();
}

// Whose partitions are whose has changed.
void Worker::stop_waiting_for_others() {
  waiting_since_us_.reset();
  others_through_ = false;
}

// A commit of the runs that fresh=True forgets. REQUIRES: the mutex of env_.run.
bool Worker::is_forgotten(int32_t partition, const Result<CommitMetadata>& metadata) const {
  if (!options_.fresh || !env_.run->claims_before) return false;
  const auto before = env_.run->claims_before->find(partition);
  return before != env_.run->claims_before->end() && (!metadata.ok() || metadata->recovery_count <= before->second);
}

Status Worker::on_others(const Offsets& offsets) {
  if (!waiting_since_us_) return {};
  const std::vector<TopicPartition> others = of_others();
  const std::lock_guard lock(env_.run->mutex);
  others_through_ = std::all_of(others.begin(), others.end(), [&](const TopicPartition& partition) {
    const int64_t end = env_.run->end_offsets.at(partition.partition);
    const auto found = offsets.find(partition);
    if (found == offsets.end()) return false;
    const Result<CommitMetadata> metadata = CommitMetadata::decode(found->second.metadata);
    if (is_forgotten(partition.partition, metadata)) return false;
    if (options_.close) return metadata.ok() && metadata->read_to == kPlusInfinity;
    return found->second.offset >= end || (metadata.ok() && metadata->read_to >= end);
  });
  return {};
}

}  // namespace wrackline
