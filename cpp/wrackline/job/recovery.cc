// From nothing to the committed state: the one path of a first start and of every failure (docs/exactly_once.md).
//
//   start: topics, producer -> committed offsets and metadata -> claim -> restore the checkpoint they name ->
//   read the journal up to the committed row -> replay, output suppressed -> check (replay.cc) -> go on
#include <algorithm>

#include "wrackline/core/logging.h"
#include "wrackline/job/journal.h"
#include "wrackline/job/task_slot.h"
#include "wrackline/job/worker.h"

namespace wrackline {
namespace {

constexpr int64_t kUnknownClaims = int64_t{1} << 20;
constexpr int64_t kFirstBackoffUs = 10'000;
constexpr int64_t kLastBackoffUs = 1'000'000;

}  // namespace

// What is not committed is dropped; the next step() starts from what is.
Result<Progress> Worker::recover(const Status& cause) {
  const int64_t now = env_.clock->steady_us();
  const int64_t deadline_us = options_.recovery_deadline * 1000;
  const bool ran = phase_ == Phase::kAssign || phase_ == Phase::kRunning || phase_ == Phase::kDrain ||
                   phase_ == Phase::kWaitCheckpoint || phase_ == Phase::kSendCommit || phase_ == Phase::kSendOffsets ||
                   phase_ == Phase::kCommit;
  if (ran && now - running_since_us_ > deadline_us) failures_ = 0;  // it was well since the one before
  if (failures_ == 0) first_failure_us_ = now;
  ++failures_;
  ++stats_.recoveries;
  if ((now - first_failure_us_ > deadline_us && failures_ > kFewFailures) || failures_ > kMaxFailures) {
    return cause.with_context("gave up after " + std::to_string(failures_) + " recoveries without a commit between");
  }
  const int64_t backoff = std::min(kLastBackoffUs, kFirstBackoffUs << std::min<int64_t>(failures_ - 1, 7));
  log_line(LogLevel::kWarning, "job " + plan_->job() + " recovers: " + cause.to_string());
  tasks_.clear();
  tell_state_bytes(0);
  parked_.clear();
  to_take_.clear();
  missing_since_us_.reset();
  look_again_us_.reset();
  unstable_since_us_.reset();
  assigned_ = answer_due_ = asked_ = ask_again_ = fencing_ = forgot_ = false;
  to_fence_.clear();
  stop_waiting_for_others();
  known_owners_.clear();
  sink_.reset();
  client_.reset();
  retry_at_us_ = now + (failures_ == 1 ? 0 : backoff);
  stats_.rows_taken -= rows_since_commit_;  // they are taken again
  rows_since_commit_ = 0;
  ending_ = false;
  cutting_ = cut_open_ = false;
  inputs_paused_ = false;
  phase_ = Phase::kStart;
  return Progress::kWorked;
}

// A process that slept longer than its transaction may live is fenced by the log itself, and goes on from what is
// committed. One that is fenced again at once has a rival, which would be fenced by it in turn, and so on.
Result<Progress> Worker::on_fenced(const Status& cause) {
  const int64_t now = env_.clock->steady_us();
  const bool again = last_fenced_us_ && now - *last_fenced_us_ <= options_.transaction_timeout * 1000;
  last_fenced_us_ = now;
  if (!again) return recover(cause);
  return Status::fenced("another instance uses the transactional id " + env_.transactional_id +
                        " (state directory copied to another machine?): " + cause.message());
}

// The topic that the job reads. kNotFound says how to make it.
Result<TopicInfo> Worker::input_topic() const {
  const std::string& topic = plan_->source().topic;
  if (const auto& exchange = plan_->source().exchange)
    WL_RETURN_IF_ERROR(env_.log->create_topic(topic, exchange->partitions, TopicUse::kInternal));
  Result<TopicInfo> info = env_.log->topic(topic);
  if (info.status().code() != Code::kNotFound) return info;
  return Status::not_found(info.status().message() + "; wl.Log('" + env_.log->uri() + "').create('" + topic +
                           "') makes it");
}

Status Worker::start_throw_away() {
  sink_ = std::make_unique<TransactionSink>(*this, std::vector<AnySink>());
  int32_t partitions = 1;
  if (!plan_->source().topic.empty()) {
    WL_ASSIGN_OR_RETURN(const TopicInfo info, input_topic());
    partitions = info.partitions;
    WL_RETURN_IF_ERROR(note_ends(partitions));
    WL_ASSIGN_OR_RETURN(client_, env_.log->client());
  }
  for (int32_t partition = 0; partition < partitions; ++partition) {
    auto slot = std::make_unique<TaskSlot>();
    slot->partition = partition;
    slot->input = {plan_->source().topic, partition};
    WL_ASSIGN_OR_RETURN(slot->task, Task::make(plan_, slot->input, sink_.get()));
    WL_RETURN_IF_ERROR(slot->task->check_placement(&env_.run->placed_keys));
    if (client_) {
      WL_ASSIGN_OR_RETURN(const int64_t first, env_.log->start_offset(slot->input));
      slot->task->set_offset(first);
    }
    tasks_.push_back(std::move(slot));
  }
  return enter_running();
}

Status Worker::start() {
  int32_t partitions = 1;
  if (!plan_->source().topic.empty()) {
    WL_ASSIGN_OR_RETURN(const TopicInfo info, input_topic());
    partitions = info.partitions;
  }
  // Partitions are never taken away from a topic: if there are fewer, it is another topic.
  WL_ASSIGN_OR_RETURN(const Offsets committed, env_.log->committed(group_));
  WL_RETURN_IF_ERROR(note_claims(committed));
  WL_RETURN_IF_ERROR(note_ends(partitions));
  WL_RETURN_IF_ERROR(check_state_is_here(committed, partitions));
  for (const auto& [partition, offset] : committed) {
    if (partition.topic == plan_->source().topic && partition.partition >= partitions) {
      return Status::invalid("job " + plan_->job() + " has read " + where(partition) + ", but the topic has " +
                             std::to_string(partitions) +
                             " partitions now: it is not the topic of before. Give the job another name, or " +
                             kStartOver);
    }
  }
  WL_RETURN_IF_ERROR(env_.log->create_topic(plan_->journal_topic(), partitions, TopicUse::kInternal));
  std::vector<AnySink> sinks;
  // Several stages may write one topic: it is made for the widest of them.
  const int32_t wanted = std::max(partitions, plan_->widest());
  for (const SinkSpec& sink : plan_->sinks()) {
    if (sink.exchange) {
      WL_RETURN_IF_ERROR(env_.log->create_topic(sink.topic, sink.exchange->partitions, TopicUse::kInternal));
      sinks.emplace_back(ExchangeSink({.topic = sink.topic,
                                       .partitions = sink.exchange->partitions,
                                       .source = sink.exchange->source,
                                       .source_partitions = partitions,
                                       .key_columns = sink.exchange->key_columns,
                                       .max_record_bytes = env_.log->max_record_bytes()}));
      continue;
    }
    // All late rows of a job without steps that make some are of no stream.
    const auto key = sink.streams.empty() ? std::nullopt : plan_->result_key(sink.streams.front());
    int32_t sink_partitions = wanted;
    if (const Result<TopicInfo> existing = env_.log->topic(sink.topic); existing.ok()) {
      sink_partitions = existing->partitions;
      // Late rows and dead letters keep their input's partition number.
      if (sink_partitions < partitions && !key) {
        return Status::invalid("write: topic '" + sink.topic + "' has " + std::to_string(sink_partitions) +
                               " partitions, fewer than the input's " + std::to_string(partitions));
      }
    } else if (existing.status().code() == Code::kNotFound) {
      if (topics_made_) {
        return Status::not_found("write: topic '" + sink.topic +
                                 "' was deleted while the job ran; the next run makes it anew, empty");
      }
      const TopicUse use = sink.internal ? TopicUse::kInternal : TopicUse::kRecords;
      WL_RETURN_IF_ERROR(env_.log->create_topic(sink.topic, wanted, use));
    } else {
      return existing.status();
    }
    TopicSinkSpec spec{.topic = sink.topic,
                       .partitions = sink_partitions,
                       .job = plan_->job(),
                       .iso_times = sink.times == JsonTimes::kIso,
                       .nan_as_string = sink.nan == JsonNan::kString,
                       .dead_letters = sink.dead_letters,
                       .max_record_bytes = env_.log->max_record_bytes()};
    spec.letter_columns =
        !sink.dead_letters && !sink.streams.empty() && *plan_->schema_of(sink.streams.front()) == *dead_letter_schema();
    if (key) {
      spec.results = true;
      spec.key_columns = key->key_columns;
      spec.window_columns = key->window_columns;
    }
    sinks.emplace_back(TopicSink(std::move(spec)));
  }
  topics_made_ = true;
  sink_ = std::make_unique<TransactionSink>(*this, std::move(sinks));
  WL_ASSIGN_OR_RETURN(client_, env_.log->client({.guarantee = options_.guarantee,
                                                 .instance = env_.instance,
                                                 .transaction_timeout = options_.transaction_timeout}));
  client_->start_init(env_.transactional_id);
  phase_ = Phase::kInit;
  return {};
}

Status Worker::note_claims(const Offsets& committed) {
  if (!options_.fresh) return {};
  const std::string anchor = plan_->source().topic.empty() ? plan_->journal_topic() : plan_->source().topic;
  const std::lock_guard lock(env_.run->mutex);
  if (env_.run->claims_before) return {};
  std::map<int32_t, int64_t> claims;
  for (const auto& [partition, offset] : committed) {
    if (partition.topic != anchor) continue;
    WL_ASSIGN_OR_RETURN(const CommitMetadata metadata, CommitMetadata::decode(offset.metadata));
    claims[partition.partition] = metadata.recovery_count;
  }
  env_.run->claims_before = std::move(claims);
  return {};
}

// Who joins gets partitions; if it could take up none of them, it must not join.
Status Worker::check_state_is_here(const Offsets& committed, int32_t partitions) {
  if (options_.fresh || state_is_here_ || plan_->source().topic.empty()) return {};
  std::set<std::string> owners;
  for (int32_t partition = 0; partition < partitions && !state_is_here_; ++partition) {
    const auto found = committed.find({plan_->source().topic, partition});
    if (found == committed.end()) return {};
    WL_ASSIGN_OR_RETURN(const CommitMetadata metadata, CommitMetadata::decode(found->second.metadata));
    if (metadata.checkpoint.empty()) return {};
    owners.insert(metadata.transactional_id);
    WL_ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, env_.open_store(partition));
    WL_ASSIGN_OR_RETURN(const std::vector<std::string> files, store->list());
    state_is_here_ = std::find(files.begin(), files.end(), metadata.checkpoint) != files.end();
  }
  if (state_is_here_) return {};
  std::string names;
  for (const std::string& owner : owners) names += (names.empty() ? "" : ", ") + owner;
  return Status::invalid("job " + plan_->job() + ": no checkpoint of its partitions is in the state directory (" +
                         options_.state_dir + "): they were deleted, or are where " + names +
                         " ran, and state does not move between directories. Run the job with that state_dir, or " +
                         kStartOver);
}

bool Worker::starts_over(const TaskSlot& slot) const {
  if (!options_.fresh) return false;
  const std::lock_guard lock(env_.run->mutex);
  const auto before = env_.run->claims_before->find(slot.partition);
  return before != env_.run->claims_before->end() && slot.committed.recovery_count <= before->second;
}

// Of a task whose claims the log has forgotten: its checkpoints may still lie there, and no id may come twice.
Result<int64_t> Worker::highest_claim_on_disk(const TaskSlot& slot) const {
  WL_ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, env_.open_store(slot.partition));
  WL_ASSIGN_OR_RETURN(const std::vector<std::string> files, store->list());
  int64_t highest = 0;
  for (const std::string& file : files) highest = std::max(highest, recovery_count_of(file));
  return highest;
}

Status Worker::make_slots(const Offsets& offsets) {
  for (auto& slot : tasks_) {
    if (slot->stage != TaskStage::kRecovering) continue;
    slot->log_id = env_.log->id();
    if (!slot->input.topic.empty()) {
      WL_ASSIGN_OR_RETURN(const TopicInfo info, env_.log->topic(slot->input.topic));
      slot->log_id += "/" + info.id;
    }
    WL_ASSIGN_OR_RETURN(const int64_t journal_end, env_.log->end_offset(slot->journal, Isolation::kReadUncommitted));
    slot->journal_floor = journal_end;
    const auto found = offsets.find(slot->anchor);
    if (found != offsets.end()) {
      WL_ASSIGN_OR_RETURN(slot->committed, CommitMetadata::decode(found->second.metadata));
      slot->had_commit = true;
      slot->committed_offset = env_.rows ? -1 : found->second.offset;
    }
    if (found != offsets.end() && !starts_over(*slot)) continue;
    std::optional<JournalRow> last;
    if (found == offsets.end()) {
      WL_ASSIGN_OR_RETURN(last, last_commit(*slot));
      if (last && !options_.fresh) {
        WL_RETURN_IF_ERROR(go_on_from_row(*slot, *last));
        continue;
      }
    }
    // The first start, or one that forgets the others: recovery counts go on, so that no checkpoint id comes twice.
    int64_t recoveries = slot->committed.recovery_count;
    if (found == offsets.end() && !plan_->stateless()) {
      WL_ASSIGN_OR_RETURN(recoveries, highest_claim_on_disk(*slot));
    }
    if (last) recoveries = std::max(recoveries, last->metadata.recovery_count);
    slot->committed = CommitMetadata{};
    slot->committed.recovery_count = recoveries;
    slot->committed.job_hash = plan_->hash();
    slot->committed.journal_offset = journal_end;
    slot->committed.starts_over = env_.starts_over;
    if (const auto fresh = env_.fresh_from.find(slot->partition); fresh != env_.fresh_from.end()) {
      slot->committed.start_offset = fresh->second;
    } else if (!env_.rows) {
      WL_ASSIGN_OR_RETURN(slot->committed.start_offset, env_.log->start_offset(slot->input));
    }
    slot->committed_offset = slot->committed.start_offset;
    slot->had_commit = false;
  }
  return {};
}

// The group's offsets have expired, or were deleted: the last commit is in the journal, too. What was claimed since
// then nobody knows, and no checkpoint id may come twice.
Status Worker::go_on_from_row(TaskSlot& slot, const JournalRow& row) {
  if (row.metadata.transactional_id.empty()) {
    return Status::invalid("job " + plan_->job() + " has a journal (" + slot.journal.topic +
                           ") of an older version, but no committed offset: the group's offsets were deleted. " +
                           kStartOver);
  }
  log_line(LogLevel::kWarning, "job " + plan_->job() + ": the group has no committed offset for " + where(slot.anchor) +
                                   " (expired, or deleted); it goes on from commit " + std::to_string(row.commit_seq) +
                                   ", the last one in the journal");
  slot.committed = row.metadata;
  slot.committed.recovery_count += kUnknownClaims;
  slot.committed_offset = env_.rows ? -1 : row.offset;
  slot.had_commit = true;
  return {};
}

// At least once, the last row may be of a commit that never was: the checkpoint that it names is gone, because the next
// owner went on from the one before.
Result<std::optional<JournalRow>> Worker::last_commit(const TaskSlot& slot) const {
  WL_ASSIGN_OR_RETURN(std::optional<JournalRow> last, last_row(*env_.log, slot.journal));
  if (!last || last->metadata.checkpoint.empty() || options_.guarantee == Guarantee::kExactlyOnce) return last;
  WL_ASSIGN_OR_RETURN(const std::unique_ptr<Store> store, env_.open_store(slot.partition));
  WL_ASSIGN_OR_RETURN(const std::vector<std::string> files, store->list());
  const auto is_here = [&](const JournalRow& row) {
    const std::string& checkpoint = row.metadata.checkpoint;
    return checkpoint.empty() || std::find(files.begin(), files.end(), checkpoint) != files.end();
  };
  WL_ASSIGN_OR_RETURN(std::optional<JournalRow> here, last_row(*env_.log, slot.journal, is_here));
  return here ? here : last;
}

// Tasks that have a journal, but no offset in `offsets`.
Result<bool> Worker::any_expired(const Offsets& offsets) const {
  if (options_.fresh) return false;
  for (const auto& slot : tasks_) {
    if (slot->stage != TaskStage::kRecovering || offsets.contains(slot->anchor)) continue;
    WL_ASSIGN_OR_RETURN(const std::optional<JournalRow> last, last_row(*env_.log, slot->journal));
    if (last) return true;
  }
  return false;
}

// The owner's first transaction: unchanged offsets, its own id.
Status Worker::claim() {
  Offsets offsets;
  for (auto& slot : tasks_) {
    if (slot->stage != TaskStage::kRecovering) continue;
    ++slot->committed.recovery_count;
    slot->committed.transactional_id = env_.transactional_id;
    CommitMetadata& metadata = slot->committed;
    if (!slot->had_commit) metadata.ledger_hash = 0;
    offsets[slot->anchor] = {env_.rows ? slot->journal_floor : slot->committed_offset, metadata.encode()};
  }
  WL_RETURN_IF_ERROR(sink_->begin());
  client_->start_send_offsets(group_, offsets);
  return {};
}

Status Worker::enter_running() {
  // Only now that every task is well: a refused start leaves all files as they were.
  // The old state of a reset step goes once a checkpoint without it is named.
  bool recovered = tasks_.empty();
  for (auto& slot : tasks_) {
    if (slot->stage != TaskStage::kRecovering) continue;
    recovered = true;
    if (env_.tap != nullptr) continue;
    if (!reset_of(*slot).empty())
      resetting_ = true;
    else if (slot->checkpointer)
      WL_RETURN_IF_ERROR(slot->checkpointer->remove_unneeded());
  }
  pause_inputs(false);
  stats_.rows_total = stats_.rows_taken;
  for (auto& slot : tasks_) {
    if (slot->stage != TaskStage::kRunning) WL_RETURN_IF_ERROR(begin_task(*slot));
    if (phase_ == Phase::kDone) return {};
    if (env_.rows)
      stats_.rows_total += env_.rows->size() - slot->task->offset();
    else if (options_.until_now)
      stats_.rows_total += std::max<int64_t>(0, slot->end_offset - slot->task->offset());
  }
  phase_ = Phase::kRunning;
  dead_letter_limit_.start(stats_.rows_taken, dead_letters(), env_.clock->steady_us());
  if (!recovered) return {};
  running_since_us_ = env_.clock->steady_us();
  last_commit_us_ = running_since_us_;
  // What was replayed is not replayed again: a job that is killed often would replay more each time.
  last_checkpoint_us_ = running_since_us_ - (stats_.rows_replayed > 0 ? options_.checkpoint_interval * 1000 : 0);
  return {};
}

// A task that has recovered, or was parked, reads on from where it stands.
Status Worker::begin_task(TaskSlot& slot) {
  Task& task = *slot.task;
  slot.stage = TaskStage::kRunning;
  if (slot.committed_ledger.empty()) slot.committed_ledger = task.ledger();
  if (task.ended() && env_.rows && !options_.resume_append) {
    if (inputs_ended_) {  // by this run's own last commit, whose answer was lost
      phase_ = Phase::kDone;
      return {};
    }
    return Status::invalid("job " + plan_->job() +
                           ": this bounded input has been read to its end by an earlier run; resume=\"append\" goes on "
                           "with rows that were added, " +
                           kStartOver);
  }
  task.reopen();
  if (env_.trace) task.set_trace(env_.trace);
  task.suppress_output(false);
  task.start(env_.clock->now());
  if (const std::optional<Cut> cut = std::exchange(slot.cut, std::nullopt)) {
    WL_RETURN_IF_ERROR(task.resume(*cut));
    cut_open_ = true;
  }
  slot.at_end = false;
  if (env_.rows) return {};
  if (options_.until_now) {
    WL_RETURN_IF_ERROR(note_ends(slot.partition + 1));  // the topic may have grown
    const std::lock_guard lock(env_.run->mutex);
    slot.end_offset = env_.run->end_offsets.at(slot.partition);
  }
  client_->read_from(slot.input, task.offset(), Isolation::kReadCommitted);
  return {};
}

}  // namespace wrackline
