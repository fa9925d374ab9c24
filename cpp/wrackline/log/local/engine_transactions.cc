#include <algorithm>

#include "wrackline/log/local/engine.h"
#include "wrackline/log/local/entry.h"

namespace wrackline::local {

Result<Engine::Owner*> Engine::owner_of(const ProducerHandle& handle) {
  WL_RETURN_IF_ERROR(check_writable());
  const auto found = owners_.find(handle.transactional_id);
  WL_CHECK(found != owners_.end());
  if (found->second.producer.epoch != handle.epoch) {
    return Status::fenced("transactional id '" + handle.transactional_id + "' has a newer owner");
  }
  return &found->second;
}

void Engine::stage_marker(Stage& stage, PartitionRef ref, const Producer& producer, bool commit) {
  Partition& partition = stage.of(ref);
  const auto open = std::find_if(partition.open.begin(), partition.open.end(),
                                 [&](const OpenTransaction& t) { return t.producer == producer.number; });
  WL_CHECK(open != partition.open.end());
  const int64_t first = open->first;
  partition.open.erase(open);

  const int64_t last = partition.end++;
  std::string key = entry_key(ref.topic->number, ref.number, last);
  Bytes marker =
      encode_marker(commit ? EntryKind::kCommitMarker : EntryKind::kAbortMarker, producer.number, producer.epoch);
  seal_entry(marker, key);
  stage.write.put(std::move(key), std::move(marker));
  if (commit) return;

  stage.write.put(aborted_key(ref.topic->number, ref.number, last), encode_aborted(producer.number, first));
  auto aborted = std::make_shared<AbortedRanges>(*partition.aborted);
  aborted->add(producer.number, first, last);
  partition.aborted = std::move(aborted);
  ++partition.aborts;
}

void Engine::stage_end(Stage& stage, const Owner& owner, bool commit) {
  for (const PartitionRef ref : owner.written) stage_marker(stage, ref, owner.producer, commit);
  if (!commit) return;
  for (const auto& [place, committed] : owner.offsets) {
    const auto& [group, partition] = place;
    stage.write.put(group_key(group, partition.first, partition.second), encode_committed(committed));
  }
}

Result<ProducerHandle> Engine::init(const std::string& id) {
  WL_RETURN_IF_ERROR(check_writable());
  if (id.empty() || id.size() > 249) return Status::invalid("transactional id '" + id + "': 1 to 249 bytes");
  std::lock_guard lock(mutex_);
  const auto found = owners_.find(id);
  Owner next;
  if (found != owners_.end()) next.producer = found->second.producer;
  if (next.producer.number == 0) next.producer.number = last_producer_ + 1;
  ++next.producer.epoch;

  Stage stage;
  if (found != owners_.end() && found->second.open) stage_end(stage, found->second, false);
  stage.write.put(producer_key(id), encode_producer(next.producer));
  WL_RETURN_IF_ERROR(apply(std::move(stage)));
  last_producer_ = std::max(last_producer_, next.producer.number);
  const uint32_t epoch = next.producer.epoch;
  owners_[id] = std::move(next);
  return ProducerHandle{id, epoch};
}

Status Engine::begin(const ProducerHandle& handle) {
  std::lock_guard lock(mutex_);
  WL_ASSIGN_OR_RETURN(Owner* const owner, owner_of(handle));
  if (owner->open) return Status::invalid("the transaction before is still open");
  owner->open = true;
  return {};
}

Status Engine::append(const ProducerHandle& handle, const TopicPartition& partition, const Records& records) {
  Producer producer;
  {
    std::lock_guard lock(mutex_);
    WL_ASSIGN_OR_RETURN(const Owner* const owner, owner_of(handle));
    if (!owner->open) return Status::invalid("no transaction is open");
    producer = owner->producer;
  }
  WL_ASSIGN_OR_RETURN(Bytes entry, encode_records(records, producer.number, producer.epoch));

  std::lock_guard lock(mutex_);
  WL_ASSIGN_OR_RETURN(Owner* const owner, owner_of(handle));  // fenced while it encoded?
  WL_ASSIGN_OR_RETURN(const PartitionRef ref, find_locked(partition));
  Stage stage;
  Partition& next = stage.of(ref);
  std::string key = entry_key(ref.topic->number, ref.number, next.end);
  seal_entry(entry, key);
  stage.write.put(std::move(key), std::move(entry));
  const bool first = std::none_of(next.open.begin(), next.open.end(),
                                  [&](const OpenTransaction& t) { return t.producer == producer.number; });
  if (first) next.open.push_back({producer.number, next.end});
  next.end += records.size();
  WL_RETURN_IF_ERROR(apply(std::move(stage)));
  if (first) owner->written.push_back(ref);
  return {};
}

Status Engine::send_offsets(const ProducerHandle& handle, const std::string& group, const Offsets& offsets) {
  if (group.empty() || group.size() > 249 || group.find('\0') != std::string::npos) {
    return Status::invalid("group '" + group + "': 1 to 249 bytes, none of them zero");
  }
  std::lock_guard lock(mutex_);
  WL_ASSIGN_OR_RETURN(Owner* const owner, owner_of(handle));
  if (!owner->open) return Status::invalid("no transaction is open");
  std::vector<PartitionRef> refs;
  for (const auto& [partition, committed] : offsets) {
    WL_ASSIGN_OR_RETURN(const PartitionRef ref, find_locked(partition));
    refs.push_back(ref);
    const std::string where =
        "the offset of partition " + std::to_string(partition.partition) + " of topic '" + partition.topic + "'";
    if (committed.offset < 0) return Status::invalid(where + " is negative");
    if (committed.metadata.size() > kMaxOffsetMetadata) {
      return Status::invalid(where + " has " + std::to_string(committed.metadata.size()) +
                             " bytes of metadata, more than " + std::to_string(kMaxOffsetMetadata));
    }
    if (committed.metadata.find('\0') != std::string::npos)
      return Status::invalid(where + " has a zero byte in its metadata");
  }
  auto ref = refs.begin();
  for (const auto& [partition, committed] : offsets) {
    owner->offsets[{group, {ref->topic->number, ref->number}}] = committed;
    ++ref;
  }
  return {};
}

Status Engine::end(const ProducerHandle& handle, bool commit) {
  std::lock_guard lock(mutex_);
  WL_ASSIGN_OR_RETURN(Owner* const owner, owner_of(handle));
  if (!owner->open) return Status::invalid("no transaction is open");
  Stage stage;
  stage_end(stage, *owner, commit);
  if (!stage.write.puts.empty()) WL_RETURN_IF_ERROR(apply(std::move(stage)));
  owner->open = false;
  owner->written.clear();
  owner->offsets.clear();
  return {};
}

void Engine::abandon(const ProducerHandle& handle) {
  const Status ended = end(handle, false);
  (void)ended;  // fenced, nothing open, or the storage failed: the next opening aborts it
}

}  // namespace wrackline::local
