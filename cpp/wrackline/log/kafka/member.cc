#include "wrackline/log/kafka/member.h"

#include <utility>

#include "wrackline/log/kafka/errors.h"

namespace wrackline::kafka {
namespace {

std::vector<TopicPartition> to_partitions(const rd_kafka_topic_partition_list_t& list) {
  std::vector<TopicPartition> partitions;
  for (int i = 0; i < list.cnt; ++i) partitions.push_back({list.elems[i].topic, list.elems[i].partition});
  return partitions;
}

}  // namespace

Result<std::unique_ptr<Member>> Member::join(const Config& config, const std::string& group,
                                             const std::string& instance, const std::vector<std::string>& topics,
                                             std::shared_ptr<Wakeup> wakeup) {
  auto member = std::unique_ptr<Member>(new Member(group, instance.empty(), config.incremental(), std::move(wakeup)));
  member->callbacks_.member = member.get();
  std::vector<ConfOption> own = {{"group.id", group}};
  if (!instance.empty()) own.emplace_back("group.instance.id", instance);
  WL_ASSIGN_OR_RETURN(member->handle_, config.open(Role::kMember, own, &member->callbacks_, [](rd_kafka_conf_t* conf) {
    rd_kafka_conf_set_rebalance_cb(conf, on_rebalance);
  }));
  rd_kafka_poll_set_consumer(member->handle_.get());
  member->queue_.reset(rd_kafka_queue_get_consumer(member->handle_.get()));
  member->wakeup_->watch(member->queue_.get());
  const PartitionList list(rd_kafka_topic_partition_list_new(static_cast<int>(topics.size())));
  for (const std::string& topic : topics)
    rd_kafka_topic_partition_list_add(list.get(), topic.c_str(), RD_KAFKA_PARTITION_UA);
  WL_RETURN_IF_ERROR(status_of(rd_kafka_subscribe(member->handle_.get(), list.get()), "joining group '" + group + "'"));
  return member;
}

Member::~Member() {
  closing_ = true;
  queue_.reset();
  if (handle_ == nullptr) return;
  // Closing leaves the group. A static member need not: that saves the wait for the coordinator's answer.
  if (leaves_) {
    rd_kafka_consumer_close(handle_.get());
  } else {
    rd_kafka_destroy_flags(handle_.release(), RD_KAFKA_DESTROY_F_NO_CONSUMER_CLOSE);
  }
}

Event Member::poll() {
  if (events_.empty()) {
    rd_kafka_message_t* message = rd_kafka_consumer_poll(handle_.get(), 0);  // serves the callbacks
    if (message != nullptr) {
      // Records are of the instant before an assigned partition was paused: Reader has them.
      const rd_kafka_resp_err_t error = message->err;
      std::string what = "group '" + group_ + "'";
      if (message->rkt != nullptr) what += ", topic '" + std::string(rd_kafka_topic_name(message->rkt)) + "'";
      const Status status = status_of(error, what, rd_kafka_message_errstr(message));
      rd_kafka_message_destroy(message);
      // What passes by itself is the library's to repeat; it is logged.
      if (!status.ok() && status.code() != Code::kRetriable && error != RD_KAFKA_RESP_ERR__MAX_POLL_EXCEEDED)
        events_.emplace_back(event::Failed{status});
    }
  }
  if (events_.empty()) return {};
  Event event = std::move(events_.front());
  events_.pop_front();
  return event;
}

void Member::on_rebalance(rd_kafka_t*, rd_kafka_resp_err_t error, rd_kafka_topic_partition_list_t* partitions,
                          void* opaque) {
  static_cast<Callbacks*>(opaque)->member->rebalance(error, *partitions);
}

void Member::rebalance(rd_kafka_resp_err_t error, const rd_kafka_topic_partition_list_t& partitions) {
  if (error == RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS) {
    assign(partitions);
    if (!closing_) events_.emplace_back(event::Assigned{to_partitions(partitions)});
    return;
  }
  const bool lost = rd_kafka_assignment_lost(handle_.get()) != 0;
  if (closing_ || lost || error != RD_KAFKA_RESP_ERR__REVOKE_PARTITIONS) {
    unassign(partitions);
    if (!closing_) events_.emplace_back(event::Lost{to_partitions(partitions)});
    return;
  }
  // Answered later: until then the group waits for us, for max.poll.interval.ms at most.
  revoked_.reset(rd_kafka_topic_partition_list_copy(&partitions));
  events_.emplace_back(event::Revoked{to_partitions(partitions)});
}

void Member::answer_revoke() {
  if (revoked_ == nullptr) return;
  unassign(*revoked_);
  revoked_.reset();
}

void Member::assign(const rd_kafka_topic_partition_list_t& partitions) {
  const PartitionList list(rd_kafka_topic_partition_list_copy(&partitions));
  for (int i = 0; i < list->cnt; ++i) list->elems[i].offset = RD_KAFKA_OFFSET_END;  // fetched by Reader, not here
  if (incremental_) {
    const Error error(rd_kafka_incremental_assign(handle_.get(), list.get()));
    if (error != nullptr) events_.emplace_back(event::Failed{status_of(error.get(), "assigning partitions")});
  } else if (const auto error = rd_kafka_assign(handle_.get(), list.get()); error != RD_KAFKA_RESP_ERR_NO_ERROR) {
    events_.emplace_back(event::Failed{status_of(error, "assigning partitions")});
  }
  rd_kafka_pause_partitions(handle_.get(), list.get());
}

void Member::unassign(const rd_kafka_topic_partition_list_t& partitions) {
  if (incremental_) {
    const Error error(rd_kafka_incremental_unassign(handle_.get(), &partitions));
    return;  // it fails only where there is nothing to give up any more
  }
  rd_kafka_assign(handle_.get(), nullptr);
}

}  // namespace wrackline::kafka
