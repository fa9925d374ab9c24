#include "wrackline/log/kafka/admin.h"

#include <algorithm>
#include <array>
#include <atomic>
#include <utility>

#include "wrackline/core/hint.h"
#include "wrackline/core/logging.h"
#include "wrackline/log/kafka/errors.h"

namespace wrackline::kafka {
namespace {

constexpr int32_t kMaxPartitions = 10'000;
constexpr Millis kBetweenAttempts = 50;
// Under these nothing of an internal topic is lost until it is trimmed.
constexpr std::array<std::pair<const char*, const char*>, 3> kInternalSettings = {
    {{"cleanup.policy", "delete"}, {"retention.ms", "-1"}, {"retention.bytes", "-1"}}};

std::string where(const TopicPartition& partition) {
  return "partition " + std::to_string(partition.partition) + " of topic '" + partition.topic + "'";
}

PartitionList list_of(const TopicPartition& partition, int64_t offset) {
  PartitionList list(rd_kafka_topic_partition_list_new(1));
  rd_kafka_topic_partition_list_add(list.get(), partition.topic.c_str(), partition.partition)->offset = offset;
  return list;
}

// Of one append; the library's reports come on whatever thread serves it.
struct Delivery {
  std::atomic<int64_t> left = 0;
  std::mutex mutex;
  int64_t first = -1;  // offset of the first record
  Status failure;
};

void on_delivery(rd_kafka_t*, const rd_kafka_message_t* message, void*) {
  auto* delivery = static_cast<Delivery*>(message->_private);
  if (delivery == nullptr) return;
  {
    const std::lock_guard lock(delivery->mutex);
    if (message->err != RD_KAFKA_RESP_ERR_NO_ERROR) {
      if (delivery->failure.ok()) delivery->failure = status_of(message->err, "append");
    } else if (delivery->first < 0 || message->offset < delivery->first) {
      delivery->first = message->offset;
    }
  }
  --delivery->left;
}

bool legal_topic_name(const std::string& name) {
  return !name.empty() && name.size() <= 249 && name != "." && name != ".." &&
         name.find_first_not_of("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-") ==
             std::string::npos;
}

}  // namespace

Result<std::shared_ptr<Admin>> Admin::open(std::shared_ptr<const Config> config, std::shared_ptr<const Clock> clock) {
  auto admin = std::shared_ptr<Admin>(new Admin(std::move(config), std::move(clock)));
  const Config& settings = *admin->config_;
  WL_ASSIGN_OR_RETURN(admin->handle_, settings.open(Role::kAdmin, {}, &admin->connection_, [](rd_kafka_conf_t* conf) {
    rd_kafka_conf_set_dr_msg_cb(conf, on_delivery);
  }));
  const int64_t deadline = admin->clock_->steady_us() + settings.connect_timeout() * 1000;
  // Asked in pieces, so that what the connections say is heard meanwhile.
  while (admin->cluster_id_.empty()) {
    const struct rd_kafka_metadata* metadata = nullptr;
    const rd_kafka_resp_err_t error = rd_kafka_metadata(admin->handle_.get(), 0, nullptr, &metadata, 250);
    if (error == RD_KAFKA_RESP_ERR_NO_ERROR) {
      rd_kafka_metadata_destroy(metadata);
      char* id = rd_kafka_clusterid(admin->handle_.get(), 250);
      if (id != nullptr) {
        admin->cluster_id_ = id;
        rd_kafka_mem_free(admin->handle_.get(), id);
      }
    }
    rd_kafka_poll(admin->handle_.get(), 0);
    const std::string reason = admin->connection_.last_error();
    const Status status = status_of(error, "connecting to " + settings.servers(), reason);
    if (status.code() == Code::kUnavailable || status.code() == Code::kInvalidArgument) return status;
    if (reason.find("SASL authentication error") != std::string::npos ||
        reason.find("SSL handshake failed") != std::string::npos || admin->clock_->steady_us() > deadline) {
      return Status::unavailable("no broker of " + settings.servers() + " can be reached (for " +
                                 std::to_string(settings.connect_timeout()) +
                                 " ms, connect_timeout): " + (reason.empty() ? rd_kafka_err2str(error) : reason));
    }
  }
  return admin;
}

Admin::Options Admin::options(rd_kafka_admin_op_t operation) const {
  Options made(rd_kafka_AdminOptions_new(handle_.get(), operation));
  std::array<char, 256> why{};
  rd_kafka_AdminOptions_set_request_timeout(made.get(), static_cast<int>(config_->connect_timeout()), why.data(),
                                            why.size());
  return made;
}

Status Admin::ask(std::string_view what, const std::function<void(rd_kafka_queue_t*)>& start,
                  const std::function<Status(rd_kafka_event_t*)>& read) const {
  const int64_t deadline = clock_->steady_us() + config_->connect_timeout() * 1000;
  const Queue queue(rd_kafka_queue_new(handle_.get()));
  for (;;) {
    start(queue.get());
    const RdEvent event(rd_kafka_queue_poll(queue.get(), static_cast<int>(config_->connect_timeout() + 1'000)));
    rd_kafka_poll(handle_.get(), 0);
    Status status = event == nullptr
                        ? Status::retriable(std::string(what) + ": no answer")
                        : status_of(rd_kafka_event_error(event.get()), what, rd_kafka_event_error_string(event.get()));
    if (status.ok()) status = read(event.get());
    if (status.code() != Code::kRetriable) return status;
    if (clock_->steady_us() >= deadline) {
      const std::string reason = connection_.last_error();
      return reason.empty() ? status : Status::retriable(status.message() + ": " + reason);
    }
    rd_kafka_queue_poll(queue.get(), static_cast<int>(kBetweenAttempts));  // nothing comes: waits
  }
}

Result<std::vector<TopicInfo>> Admin::describe(const std::vector<std::string>& names) const {
  std::vector<const char*> raw;
  for (const std::string& name : names) raw.push_back(name.c_str());
  const Owned<rd_kafka_TopicCollection_t, rd_kafka_TopicCollection_destroy> collection(
      rd_kafka_TopicCollection_of_topic_names(raw.data(), raw.size()));
  std::vector<TopicInfo> found;
  const std::string what = names.size() == 1 ? "topic '" + names.front() + "'" : "topics";
  const Options how = options(RD_KAFKA_ADMIN_OP_DESCRIBETOPICS);
  WL_RETURN_IF_ERROR(ask(
      what,
      [&](rd_kafka_queue_t* queue) { rd_kafka_DescribeTopics(handle_.get(), collection.get(), how.get(), queue); },
      [&](rd_kafka_event_t* event) -> Status {
        found.clear();
        size_t count = 0;
        const rd_kafka_TopicDescription_t** topics =
            rd_kafka_DescribeTopics_result_topics(rd_kafka_event_DescribeTopics_result(event), &count);
        for (size_t i = 0; i < count; ++i) {
          const rd_kafka_error_t* error = rd_kafka_TopicDescription_error(topics[i]);
          if (error != nullptr && rd_kafka_error_code(error) != RD_KAFKA_RESP_ERR_NO_ERROR) {
            const Status status = status_of(rd_kafka_error_code(error), what, rd_kafka_error_string(error));
            if (status.code() == Code::kNotFound) continue;
            return status;
          }
          size_t partitions = 0;
          rd_kafka_TopicDescription_partitions(topics[i], &partitions);
          found.push_back({.name = rd_kafka_TopicDescription_name(topics[i]),
                           .partitions = static_cast<int32_t>(partitions),
                           .id = rd_kafka_Uuid_base64str(rd_kafka_TopicDescription_topic_id(topics[i]))});
        }
        return {};
      }));
  return found;
}

Result<std::vector<std::string>> Admin::names() const {
  const struct rd_kafka_metadata* metadata = nullptr;
  const rd_kafka_resp_err_t error =
      rd_kafka_metadata(handle_.get(), 1, nullptr, &metadata, static_cast<int>(config_->connect_timeout()));
  WL_RETURN_IF_ERROR(status_of(error, "listing topics"));
  std::vector<std::string> found;
  for (int i = 0; i < metadata->topic_cnt; ++i) {
    if (!std::string_view(metadata->topics[i].topic).starts_with("__")) found.emplace_back(metadata->topics[i].topic);
  }
  rd_kafka_metadata_destroy(metadata);
  std::sort(found.begin(), found.end());
  return found;
}

Result<std::vector<TopicInfo>> Admin::topics() {
  WL_ASSIGN_OR_RETURN(const std::vector<std::string> all, names());
  if (all.empty()) return std::vector<TopicInfo>();
  return describe(all);
}

Result<TopicInfo> Admin::topic(const std::string& name) {
  if (legal_topic_name(name)) {
    WL_ASSIGN_OR_RETURN(const std::vector<TopicInfo> found, describe({name}));
    if (!found.empty()) {
      const std::lock_guard lock(known_mutex_);
      return known_[name] = found.front();
    }
  }
  WL_ASSIGN_OR_RETURN(const std::vector<std::string> all, names());
  return Status::not_found("there is no topic '" + name + "'" + nearest_hint(name, all));
}

Status Admin::check_exists(const TopicPartition& partition) {
  TopicInfo info;
  {
    const std::lock_guard lock(known_mutex_);
    if (const auto found = known_.find(partition.topic); found != known_.end()) info = found->second;
  }
  if (partition.partition < 0 || partition.partition >= info.partitions) {
    WL_ASSIGN_OR_RETURN(info, topic(partition.topic));
  }
  if (partition.partition >= 0 && partition.partition < info.partitions) return {};
  return Status::not_found("topic '" + partition.topic + "' has partitions 0 to " +
                           std::to_string(info.partitions - 1) + ", not " + std::to_string(partition.partition));
}

Status Admin::create_topic(const std::string& name, int32_t partitions, TopicUse use) {
  if (!legal_topic_name(name)) {
    return Status::invalid("'" + name +
                           "' is no topic name: 1 to 249 of the characters a-z, A-Z, 0-9, '.', '_' and '-'");
  }
  if (partitions < 1 || partitions > kMaxPartitions) {
    return Status::invalid("topic '" + name + "': 1 to " + std::to_string(kMaxPartitions) + " partitions, not " +
                           std::to_string(partitions));
  }
  std::array<char, 512> why{};
  const Owned<rd_kafka_NewTopic_t, rd_kafka_NewTopic_destroy> spec(
      rd_kafka_NewTopic_new(name.c_str(), partitions, -1, why.data(), why.size()));
  if (spec == nullptr) return Status::invalid("topic '" + name + "': " + why.data());
  if (use == TopicUse::kInternal) {
    for (const auto& [setting, value] : kInternalSettings) rd_kafka_NewTopic_set_config(spec.get(), setting, value);
  }
  const std::string what = "creating topic '" + name + "'";
  const Options how = options(RD_KAFKA_ADMIN_OP_CREATETOPICS);
  rd_kafka_AdminOptions_set_operation_timeout(how.get(), static_cast<int>(config_->connect_timeout()), why.data(),
                                              why.size());
  rd_kafka_NewTopic_t* raw = spec.get();
  Status created = ask(
      what, [&](rd_kafka_queue_t* queue) { rd_kafka_CreateTopics(handle_.get(), &raw, 1, how.get(), queue); },
      [&](rd_kafka_event_t* event) {
        size_t count = 0;
        const rd_kafka_topic_result_t** results =
            rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(event), &count);
        const char* detail = rd_kafka_topic_result_error_string(results[0]);
        return status_of(rd_kafka_topic_result_error(results[0]), what, detail == nullptr ? "" : detail);
      });
  if (!created.ok() && created.code() != Code::kAlreadyExists) return created;

  // A new topic is not known to every broker at once.
  const int64_t deadline = clock_->steady_us() + config_->connect_timeout() * 1000;
  Result<TopicInfo> info = topic(name);
  const Queue nothing(rd_kafka_queue_new(handle_.get()));
  while (info.status().code() == Code::kNotFound && clock_->steady_us() < deadline) {
    rd_kafka_queue_poll(nothing.get(), static_cast<int>(kBetweenAttempts));
    info = topic(name);
  }
  WL_RETURN_IF_ERROR(info.status());
  // Nor led: what is produced before may be refused.
  for (int32_t partition = 0; created.ok() && partition < info->partitions; ++partition) {
    Result<int64_t> end = end_offset({name, partition}, Isolation::kReadUncommitted);
    while (!end.ok() && clock_->steady_us() < deadline) {
      rd_kafka_queue_poll(nothing.get(), static_cast<int>(kBetweenAttempts));
      end = end_offset({name, partition}, Isolation::kReadUncommitted);
    }
    WL_RETURN_IF_ERROR(end.status());
  }
  if (info->partitions != partitions) {
    return Status::already_exists("topic '" + name + "' exists with " + std::to_string(info->partitions) +
                                  " partitions, not " + std::to_string(partitions));
  }
  return use == TopicUse::kInternal && !created.ok() ? check_internal(name) : Status();
}

Status Admin::check_internal(const std::string& name) const {
  const Owned<rd_kafka_ConfigResource_t, rd_kafka_ConfigResource_destroy> resource(
      rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, name.c_str()));
  rd_kafka_ConfigResource_t* raw = resource.get();
  const std::string what = "settings of topic '" + name + "'";
  const Options how = options(RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
  Status checked = ask(
      what, [&](rd_kafka_queue_t* queue) { rd_kafka_DescribeConfigs(handle_.get(), &raw, 1, how.get(), queue); },
      [&](rd_kafka_event_t* event) -> Status {
        size_t count = 0;
        const rd_kafka_ConfigResource_t** found =
            rd_kafka_DescribeConfigs_result_resources(rd_kafka_event_DescribeConfigs_result(event), &count);
        if (count == 0) return Status::retriable(what + ": no answer");
        WL_RETURN_IF_ERROR(status_of(rd_kafka_ConfigResource_error(found[0]), what));
        const rd_kafka_ConfigEntry_t** entries = rd_kafka_ConfigResource_configs(found[0], &count);
        for (size_t i = 0; i < count; ++i) {
          const std::string_view setting = rd_kafka_ConfigEntry_name(entries[i]);
          const char* value = rd_kafka_ConfigEntry_value(entries[i]);
          const auto wanted = std::find_if(kInternalSettings.begin(), kInternalSettings.end(),
                                           [&](const auto& one) { return setting == one.first; });
          if (wanted == kInternalSettings.end() || value == nullptr || std::string_view(value) == wanted->second)
            continue;
          return Status::invalid("topic '" + name + "' is the job's own and must lose nothing, but has " +
                                 std::string(setting) + "=" + value + "; set it to " + wanted->second);
        }
        return {};
      });
  if (checked.code() != Code::kUnavailable) return checked;
  log_line(LogLevel::kWarning, "not checked: " + checked.message());  // reading settings needs a right of its own
  return {};
}

Result<int64_t> Admin::append(const TopicPartition& partition, const Records& records) {
  WL_RETURN_IF_ERROR(check_exists(partition));
  for (int64_t i = 0; i < records.size(); ++i) {
    if (records.timestamp(i) < 1) {
      return Status::invalid("append to " + where(partition) + ": record " + std::to_string(i) + " has the timestamp " +
                             std::to_string(records.timestamp(i)) + " ms; Kafka's begin behind 1970-01-01T00:00:00Z");
    }
  }
  const std::lock_guard lock(append_mutex_);
  const Topic topic(rd_kafka_topic_new(handle_.get(), partition.topic.c_str(), nullptr));
  Delivery delivery;
  Status status;
  for (int64_t i = 0; i < records.size() && status.ok();) {
    const std::string_view key = records.key(i), value = records.value(i);
    rd_kafka_headers_t* headers = nullptr;
    if (!records.headers(i).empty()) {
      headers = rd_kafka_headers_new(records.headers(i).size());
      for (const auto& [name, bytes] : records.headers(i)) {
        rd_kafka_header_add(headers, name.data(), static_cast<ssize_t>(name.size()), bytes.data(),
                            static_cast<ssize_t>(bytes.size()));
      }
    }
    std::array<rd_kafka_vu_t, 8> what{};
    size_t parts = 0;
    what[parts].vtype = RD_KAFKA_VTYPE_RKT;
    what[parts++].u.rkt = topic.get();
    what[parts].vtype = RD_KAFKA_VTYPE_PARTITION;
    what[parts++].u.i32 = partition.partition;
    what[parts].vtype = RD_KAFKA_VTYPE_MSGFLAGS;
    what[parts++].u.i = RD_KAFKA_MSG_F_COPY;
    what[parts].vtype = RD_KAFKA_VTYPE_TIMESTAMP;
    what[parts++].u.i64 = records.timestamp(i);
    what[parts].vtype = RD_KAFKA_VTYPE_OPAQUE;
    what[parts++].u.ptr = &delivery;
    what[parts].vtype = RD_KAFKA_VTYPE_KEY;
    what[parts++].u.mem = {records.has_key(i) ? const_cast<char*>(key.empty() ? "" : key.data()) : nullptr, key.size()};
    what[parts].vtype = RD_KAFKA_VTYPE_VALUE;
    what[parts++].u.mem = {records.has_value(i) ? const_cast<char*>(value.empty() ? "" : value.data()) : nullptr,
                           value.size()};
    if (headers != nullptr) {
      what[parts].vtype = RD_KAFKA_VTYPE_HEADERS;
      what[parts++].u.headers = headers;
    }
    const Error error(rd_kafka_produceva(handle_.get(), what.data(), parts));
    if (error == nullptr) {
      ++delivery.left;
      ++i;
      if (i % 1024 == 0) rd_kafka_poll(handle_.get(), 0);
      if (!proven_.contains(partition)) {
        while (delivery.left > 0) rd_kafka_poll(handle_.get(), 10);
        const std::lock_guard delivered(delivery.mutex);
        if (!delivery.failure.ok()) break;
        proven_.insert(partition);
      }
      continue;
    }
    if (headers != nullptr) rd_kafka_headers_destroy(headers);
    if (rd_kafka_error_code(error.get()) == RD_KAFKA_RESP_ERR__QUEUE_FULL) {
      rd_kafka_poll(handle_.get(), 100);
    } else {
      status = status_of(error.get(), "append to " + where(partition));
    }
  }
  // What is queued refers to `delivery`: message.timeout.ms bounds the wait.
  while (delivery.left > 0) rd_kafka_poll(handle_.get(), 100);
  WL_RETURN_IF_ERROR(status);
  const std::lock_guard delivered(delivery.mutex);
  if (!delivery.failure.ok()) return delivery.failure.with_context("append to " + where(partition));
  if (records.empty()) return end_offset(partition, Isolation::kReadUncommitted);
  return delivery.first;
}

Result<int64_t> Admin::offset_of(const TopicPartition& partition, int64_t spec, Isolation isolation) {
  WL_RETURN_IF_ERROR(check_exists(partition));
  const PartitionList list = list_of(partition, spec);
  const Options how = options(RD_KAFKA_ADMIN_OP_LISTOFFSETS);
  const Error refused(rd_kafka_AdminOptions_set_isolation_level(
      how.get(), isolation == Isolation::kReadCommitted ? RD_KAFKA_ISOLATION_LEVEL_READ_COMMITTED
                                                        : RD_KAFKA_ISOLATION_LEVEL_READ_UNCOMMITTED));
  WL_RETURN_IF_ERROR(status_of(refused.get(), "isolation level"));
  int64_t offset = -1;
  const std::string what = "offsets of " + where(partition);
  WL_RETURN_IF_ERROR(ask(
      what, [&](rd_kafka_queue_t* queue) { rd_kafka_ListOffsets(handle_.get(), list.get(), how.get(), queue); },
      [&](rd_kafka_event_t* event) -> Status {
        size_t count = 0;
        const rd_kafka_ListOffsetsResultInfo_t** infos =
            rd_kafka_ListOffsets_result_infos(rd_kafka_event_ListOffsets_result(event), &count);
        if (count == 0) return Status::retriable(what + ": no answer");
        const rd_kafka_topic_partition_t* answer = rd_kafka_ListOffsetsResultInfo_topic_partition(infos[0]);
        offset = answer->offset;
        if (answer->err == RD_KAFKA_RESP_ERR_NO_ERROR && offset < 0)  // a broker that has just started
          return Status::retriable(what + ": not known yet");
        return status_of(answer->err, what);
      }));
  return offset;
}

Result<int64_t> Admin::start_offset(const TopicPartition& partition) {
  return offset_of(partition, RD_KAFKA_OFFSET_SPEC_EARLIEST, Isolation::kReadUncommitted);
}
Result<int64_t> Admin::end_offset(const TopicPartition& partition, Isolation isolation) {
  return offset_of(partition, RD_KAFKA_OFFSET_SPEC_LATEST, isolation);
}

Status Admin::trim(const TopicPartition& partition, int64_t offset) {
  WL_RETURN_IF_ERROR(check_exists(partition));
  const PartitionList list = list_of(partition, offset);
  const Owned<rd_kafka_DeleteRecords_t, rd_kafka_DeleteRecords_destroy> spec(rd_kafka_DeleteRecords_new(list.get()));
  rd_kafka_DeleteRecords_t* raw = spec.get();
  const Options how = options(RD_KAFKA_ADMIN_OP_DELETERECORDS);
  const std::string what = "trimming " + where(partition);
  return ask(
      what, [&](rd_kafka_queue_t* queue) { rd_kafka_DeleteRecords(handle_.get(), &raw, 1, how.get(), queue); },
      [&](rd_kafka_event_t* event) {
        const rd_kafka_topic_partition_list_t* done =
            rd_kafka_DeleteRecords_result_offsets(rd_kafka_event_DeleteRecords_result(event));
        return status_of(done->cnt == 0 ? RD_KAFKA_RESP_ERR_NO_ERROR : done->elems[0].err, what);
      });
}

void Admin::start_trim(const TopicPartition& partition, int64_t offset) {
  const PartitionList list = list_of(partition, offset);
  const Owned<rd_kafka_DeleteRecords_t, rd_kafka_DeleteRecords_destroy> spec(rd_kafka_DeleteRecords_new(list.get()));
  rd_kafka_DeleteRecords_t* raw = spec.get();
  const Queue main(rd_kafka_queue_get_main(handle_.get()));  // where the answer is dropped
  rd_kafka_DeleteRecords(handle_.get(), &raw, 1, options(RD_KAFKA_ADMIN_OP_DELETERECORDS).get(), main.get());
  rd_kafka_poll(handle_.get(), 0);
}

Result<rd_kafka_t*> Admin::group_handle(const std::string& group) {
  const std::lock_guard lock(groups_mutex_);
  Handle& handle = groups_[group];
  if (handle == nullptr) {
    WL_ASSIGN_OR_RETURN(handle, config_->open(Role::kMember, {{"group.id", group}}, &connection_));
  }
  return handle.get();
}

Result<Queue> Admin::committed_queue(const std::string& group) {
  WL_ASSIGN_OR_RETURN(rd_kafka_t* const handle, group_handle(group));
  return Queue(rd_kafka_queue_new(handle));
}

Status Admin::start_committed(const std::string& group, const std::vector<TopicPartition>& partitions, bool stable,
                              rd_kafka_queue_t* queue) {
  WL_ASSIGN_OR_RETURN(rd_kafka_t* const handle, group_handle(group));
  rd_kafka_poll(handle, 0);  // what its connections have to say
  PartitionList list;
  if (!partitions.empty()) {
    list.reset(rd_kafka_topic_partition_list_new(static_cast<int>(partitions.size())));
    for (const TopicPartition& partition : partitions)
      rd_kafka_topic_partition_list_add(list.get(), partition.topic.c_str(), partition.partition);
  }
  const Owned<rd_kafka_ListConsumerGroupOffsets_t, rd_kafka_ListConsumerGroupOffsets_destroy> spec(
      rd_kafka_ListConsumerGroupOffsets_new(group.c_str(), list.get()));
  rd_kafka_ListConsumerGroupOffsets_t* raw = spec.get();
  const Options how = options(RD_KAFKA_ADMIN_OP_LISTCONSUMERGROUPOFFSETS);
  const Error ignored(rd_kafka_AdminOptions_set_require_stable_offsets(how.get(), stable ? 1 : 0));
  rd_kafka_ListConsumerGroupOffsets(handle, &raw, 1, how.get(), queue);
  return {};
}

CommittedAnswer Admin::parse_committed(rd_kafka_event_t* event) {
  CommittedAnswer answer;
  const std::string_view what = "committed offsets";
  answer.status = status_of(rd_kafka_event_error(event), what, rd_kafka_event_error_string(event));
  if (!answer.status.ok()) return answer;
  size_t count = 0;
  const rd_kafka_group_result_t** groups =
      rd_kafka_ListConsumerGroupOffsets_result_groups(rd_kafka_event_ListConsumerGroupOffsets_result(event), &count);
  if (count == 0) return answer;
  if (const rd_kafka_error_t* error = rd_kafka_group_result_error(groups[0]); error != nullptr) {
    if (rd_kafka_error_code(error) == RD_KAFKA_RESP_ERR_GROUP_ID_NOT_FOUND) return answer;
    answer.status = status_of(rd_kafka_error_code(error), what, rd_kafka_error_string(error));
    if (!answer.status.ok()) return answer;
  }
  const rd_kafka_topic_partition_list_t* list = rd_kafka_group_result_partitions(groups[0]);
  for (int i = 0; i < list->cnt; ++i) {
    const rd_kafka_topic_partition_t& entry = list->elems[i];
    if (entry.err == RD_KAFKA_RESP_ERR_UNSTABLE_OFFSET_COMMIT) {
      answer.unstable = true;
    } else if (entry.err != RD_KAFKA_RESP_ERR_NO_ERROR) {
      answer.status = status_of(entry.err, what);
    } else if (entry.offset >= 0) {
      answer.offsets[{entry.topic, entry.partition}] = {
          entry.offset, std::string(static_cast<const char*>(entry.metadata), entry.metadata_size)};
    }
  }
  return answer;
}

Result<Offsets> Admin::committed(const std::string& group) {
  WL_RETURN_IF_ERROR(group_handle(group).status());
  Offsets offsets;
  WL_RETURN_IF_ERROR(ask(
      "committed offsets of group '" + group + "'",
      [&](rd_kafka_queue_t* queue) { static_cast<void>(start_committed(group, {}, false, queue)); },
      [&](rd_kafka_event_t* event) {
        CommittedAnswer answer = parse_committed(event);
        offsets = std::move(answer.offsets);
        return answer.status;
      }));
  return offsets;
}

}  // namespace wrackline::kafka
