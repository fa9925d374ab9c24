#include "wrackline/log/local/engine.h"

#include <algorithm>
#include <chrono>
#include <random>

#include "wrackline/core/spelling.h"
#include "wrackline/log/local/entry.h"

namespace wrackline::local {
namespace {

constexpr Millis kLookAgain = 10;  // how often a reading process looks for what the writing one did
constexpr size_t kMaxName = 249;

std::string random_id() {
  static constexpr char kHex[] = "0123456789abcdef";
  std::random_device device;
  std::string id;
  for (int word = 0; word < 4; ++word) {
    auto bits = device();
    for (int digit = 0; digit < 8; ++digit, bits >>= 4) id.push_back(kHex[bits & 15]);
  }
  return id;
}

Status check_topic_name(const std::string& name) {
  const auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-';
  };
  if (name.empty() || name.size() > kMaxName || name == "." || name == ".." ||
      !std::all_of(name.begin(), name.end(), allowed)) {
    return Status::invalid("topic name '" + name + "': 1 to 249 of letters, digits, '.', '_' and '-'");
  }
  return {};
}

Status check_name(std::string_view what, const std::string& name) {
  if (name.empty() || name.size() > kMaxName || name.find('\0') != std::string::npos) {
    return Status::invalid(std::string(what) + " '" + name + "': 1 to 249 bytes, none of them zero");
  }
  return {};
}

}  // namespace

Status initialise(Storage& storage) {
  Write write;
  write.put(version_key(), encode_version());
  write.put(id_key(), encode_text(random_id()));
  return storage.write(std::move(write));
}

Result<std::shared_ptr<Engine>> Engine::open(std::unique_ptr<Storage> storage, bool writable) {
  std::shared_ptr<Engine> engine(new Engine(std::move(storage), writable));
  WL_RETURN_IF_ERROR(engine->load());
  return engine;
}

Status Engine::load() {
  std::lock_guard lock(mutex_);
  WL_ASSIGN_OR_RETURN(id_, load_id(*storage_));
  WL_ASSIGN_OR_RETURN(std::vector<Topic> topics, load_topics(*storage_));
  WL_RETURN_IF_ERROR(add_topics(std::move(topics)));
  if (!writable_) return {};

  WL_ASSIGN_OR_RETURN(const auto producers, load_producers(*storage_));
  std::map<uint64_t, Producer> by_number;
  for (const auto& [id, producer] : producers) {
    owners_[id].producer = producer;
    by_number[producer.number] = producer;
    last_producer_ = std::max(last_producer_, producer.number);
  }
  Stage stage;
  for (Topic& topic : topics_) {
    for (int32_t number = 0; number < topic.info.partitions; ++number) {
      Partition& partition = topic.partitions[static_cast<size_t>(number)];
      WL_RETURN_IF_ERROR(
          load_partition(*storage_, topic.number, number, partition)
              .with_context("partition " + std::to_string(number) + " of topic '" + topic.info.name + "'"));
      for (const OpenTransaction& transaction : partition.open) {
        const auto producer = by_number.find(transaction.producer);
        if (producer == by_number.end()) return Status::corruption("an open transaction has no producer");
        stage_marker(stage, {&topic, number}, producer->second, false);
      }
    }
  }
  return stage.next.empty() ? Status() : apply(std::move(stage));
}

Status Engine::add_topics(std::vector<Topic> loaded) {
  for (Topic& topic : loaded) {
    if (topics_by_name_.contains(topic.info.name)) continue;
    topics_.push_back(std::move(topic));
    topics_by_name_[topics_.back().info.name] = &topics_.back();
  }
  topics_view_ = view_;
  return {};
}

Status Engine::check_writable() const {
  return writable_ ? Status() : Status::unavailable("the log was opened for reading");
}

Status Engine::refresh() {
  if (writable_) return {};
  WL_ASSIGN_OR_RETURN(const bool changed, storage_->catch_up());
  if (changed) ++view_;
  return {};
}

Result<Topic*> Engine::find_topic(const std::string& name) {
  auto found = topics_by_name_.find(name);
  if (found == topics_by_name_.end() && topics_view_ != view_ && !writable_) {
    WL_ASSIGN_OR_RETURN(std::vector<Topic> topics, load_topics(*storage_));
    WL_RETURN_IF_ERROR(add_topics(std::move(topics)));
    found = topics_by_name_.find(name);
  }
  if (found != topics_by_name_.end()) return found->second;
  std::vector<std::string> names;
  for (const auto& entry : topics_by_name_) names.push_back(entry.first);
  const std::string near = nearest(name, names);
  std::string message = "no topic '" + name + "'";
  if (!near.empty()) message += "; did you mean '" + near + "'?";
  return Status::not_found(message);
}

Result<PartitionRef> Engine::find_locked(const TopicPartition& partition) {
  WL_ASSIGN_OR_RETURN(Topic* const topic, find_topic(partition.topic));
  if (partition.partition < 0 || partition.partition >= topic->info.partitions) {
    return Status::not_found("topic '" + partition.topic + "' has partitions 0 to " +
                             std::to_string(topic->info.partitions - 1) + ", no " +
                             std::to_string(partition.partition));
  }
  return PartitionRef{topic, partition.partition};
}

Result<const Partition*> Engine::state_of(PartitionRef ref) {
  const auto index = static_cast<size_t>(ref.number);
  Partition& partition = ref.topic->partitions[index];
  if (!writable_ && ref.topic->loaded[index] != view_) {
    WL_RETURN_IF_ERROR(load_partition(*storage_, ref.topic->number, ref.number, partition));
    ref.topic->loaded[index] = view_;
  }
  return static_cast<const Partition*>(&partition);
}

Partition& Engine::Stage::of(PartitionRef ref) {
  const auto key = std::pair(ref.topic->number, ref.number);
  const auto found = next.find(key);
  if (found != next.end()) return found->second.partition;
  return next.emplace(key, Next{ref, ref.topic->partitions[static_cast<size_t>(ref.number)]}).first->second.partition;
}

Status Engine::apply(Stage stage) {
  for (const auto& [key, changed] : stage.next) {
    stage.write.put(partition_key(key.first, key.second), encode_partition(changed.partition));
  }
  WL_RETURN_IF_ERROR(storage_->write(std::move(stage.write)));
  for (auto& [key, changed] : stage.next) {
    changed.ref.topic->partitions[static_cast<size_t>(changed.ref.number)] = std::move(changed.partition);
  }
  changed_.notify_all();
  return {};
}

Status Engine::create_topic(const std::string& name, int32_t partitions) {
  WL_RETURN_IF_ERROR(check_topic_name(name));
  if (partitions < 1 || partitions > kMaxPartitions) {
    return Status::invalid("topic '" + name + "': " + std::to_string(partitions) + " partitions; 1 to " +
                           std::to_string(kMaxPartitions) + " are possible");
  }
  std::lock_guard lock(mutex_);
  WL_RETURN_IF_ERROR(check_writable());
  if (const auto found = topics_by_name_.find(name); found != topics_by_name_.end()) {
    const int32_t has = found->second->info.partitions;
    if (has == partitions) return {};
    return Status::already_exists("topic '" + name + "' exists with " + std::to_string(has) + " partitions, not " +
                                  std::to_string(partitions));
  }
  Topic topic;
  for (const Topic& other : topics_) topic.number = std::max(topic.number, other.number + 1);
  topic.info = {name, partitions, random_id()};
  topic.partitions.resize(static_cast<size_t>(partitions));
  topic.loaded.resize(topic.partitions.size());
  Write write;
  write.put(topic_key(name), encode_topic(topic));
  for (int32_t number = 0; number < partitions; ++number) {
    write.put(partition_key(topic.number, number), encode_partition({}));
  }
  WL_RETURN_IF_ERROR(storage_->write(std::move(write)));
  topics_.push_back(std::move(topic));
  topics_by_name_[name] = &topics_.back();
  return {};
}

Result<std::vector<TopicInfo>> Engine::topics() {
  std::lock_guard lock(mutex_);
  WL_RETURN_IF_ERROR(refresh());
  if (topics_view_ != view_) {
    WL_ASSIGN_OR_RETURN(std::vector<Topic> loaded, load_topics(*storage_));
    WL_RETURN_IF_ERROR(add_topics(std::move(loaded)));
  }
  std::vector<TopicInfo> infos;
  for (const auto& entry : topics_by_name_) infos.push_back(entry.second->info);
  return infos;
}

Result<TopicInfo> Engine::topic(const std::string& name) {
  std::lock_guard lock(mutex_);
  WL_RETURN_IF_ERROR(refresh());
  WL_ASSIGN_OR_RETURN(const Topic* const topic, find_topic(name));
  return topic->info;
}

Result<PartitionRef> Engine::find(const TopicPartition& partition) {
  std::lock_guard lock(mutex_);
  WL_RETURN_IF_ERROR(refresh());
  return find_locked(partition);
}

Result<int64_t> Engine::append(const TopicPartition& partition, const Records& records) {
  WL_RETURN_IF_ERROR(check_writable());
  WL_ASSIGN_OR_RETURN(Bytes entry, encode_records(records, kNoProducer, 0));
  std::lock_guard lock(mutex_);
  WL_ASSIGN_OR_RETURN(const PartitionRef ref, find_locked(partition));
  Stage stage;
  Partition& next = stage.of(ref);
  const int64_t base = next.end;
  std::string key = entry_key(ref.topic->number, ref.number, base);
  seal_entry(entry, key);
  stage.write.put(std::move(key), std::move(entry));
  next.end += records.size();
  WL_RETURN_IF_ERROR(apply(std::move(stage)));
  return base;
}

Result<int64_t> Engine::start_offset(PartitionRef ref) {
  std::lock_guard lock(mutex_);
  WL_RETURN_IF_ERROR(refresh());
  WL_ASSIGN_OR_RETURN(const Partition* const partition, state_of(ref));
  return partition->start;
}

Result<int64_t> Engine::end_offset(PartitionRef ref, Isolation isolation) {
  std::lock_guard lock(mutex_);
  WL_RETURN_IF_ERROR(refresh());
  WL_ASSIGN_OR_RETURN(const Partition* const partition, state_of(ref));
  return partition->visible_end(isolation);
}

Status Engine::trim(const TopicPartition& partition, int64_t offset) {
  WL_RETURN_IF_ERROR(check_writable());
  std::lock_guard lock(mutex_);
  WL_ASSIGN_OR_RETURN(const PartitionRef ref, find_locked(partition));
  Stage stage;
  Partition& next = stage.of(ref);
  if (offset <= next.start) return {};
  if (offset > next.last_stable()) {
    return Status::not_found("cannot delete up to offset " + std::to_string(offset) + " of partition " +
                             std::to_string(ref.number) + " of topic '" + partition.topic +
                             "': its last stable offset is " + std::to_string(next.last_stable()));
  }
  const uint32_t topic = ref.topic->number;
  // Whole entries only: the one that `offset` lies in stays.
  const std::string first = entry_key(topic, ref.number, 0);
  std::string keep = entry_key(topic, ref.number, offset);
  const auto cursor = storage_->cursor(first, entry_key(topic, ref.number, next.end));
  if (offset < next.end) {
    cursor->seek_floor(keep);
    if (cursor->valid()) keep = cursor->key();
  }
  if (cursor->status().ok()) cursor->seek(first);
  WL_RETURN_IF_ERROR(cursor->status());
  if (cursor->valid() && cursor->key() < keep) stage.write.delete_ranges.emplace_back(cursor->key(), keep);
  stage.write.delete_ranges.emplace_back(aborted_key(topic, ref.number, 0), aborted_key(topic, ref.number, offset));
  next.start = offset;
  auto aborted = std::make_shared<AbortedRanges>(*next.aborted);
  aborted->drop_below(offset);
  next.aborted = std::move(aborted);
  return apply(std::move(stage));
}

Result<Offsets> Engine::committed(const std::string& group) {
  WL_RETURN_IF_ERROR(check_name("group", group));
  std::lock_guard lock(mutex_);
  WL_RETURN_IF_ERROR(refresh());
  WL_ASSIGN_OR_RETURN(std::vector<StoredOffset> stored, load_committed(*storage_, group));
  if (topics_view_ != view_) {
    WL_ASSIGN_OR_RETURN(std::vector<Topic> loaded, load_topics(*storage_));
    WL_RETURN_IF_ERROR(add_topics(std::move(loaded)));
  }
  Offsets offsets;
  for (StoredOffset& one : stored) {
    const auto topic =
        std::find_if(topics_.begin(), topics_.end(), [&](const Topic& t) { return t.number == one.topic; });
    if (topic == topics_.end()) return Status::corruption("an offset of group '" + group + "' is of no topic");
    offsets[{topic->info.name, one.partition}] = std::move(one.committed);
  }
  return offsets;
}

Status Engine::join(const std::string& group, const void* member) {
  WL_RETURN_IF_ERROR(check_name("group", group));
  std::lock_guard lock(mutex_);
  const auto [place, joined] = members_.emplace(group, member);
  if (joined || place->second == member) return {};
  return Status::unavailable("group '" + group + "' has a consumer already; the embedded log serves one per group, " +
                             "several need Kafka (kafka://host:port)");
}

void Engine::leave(const void* member) {
  std::lock_guard lock(mutex_);
  std::erase_if(members_, [&](const auto& entry) { return entry.second == member; });
}

void Engine::wait(Millis timeout, const std::vector<Waiter>& waiters) {
  using std::chrono::milliseconds;
  using std::chrono::steady_clock;
  std::unique_lock lock(mutex_);
  const auto more = [&] {
    if (!refresh().ok()) return true;  // the next poll tells
    return std::any_of(waiters.begin(), waiters.end(), [&](const Waiter& waiter) {
      const auto state = state_of(waiter.partition);
      return !state.ok() || (*state)->visible_end(waiter.isolation) > waiter.position;
    });
  };
  // Waiting is the one thing that really takes time: no answer depends on how long.
  const auto deadline = steady_clock::now() + milliseconds(std::clamp<Millis>(timeout, 0, 3'600'000));
  while (!more()) {
    const auto now = steady_clock::now();
    if (now >= deadline) return;
    changed_.wait_until(lock, writable_ ? deadline : std::min(deadline, now + milliseconds(kLookAgain)));
  }
}

}  // namespace wrackline::local
