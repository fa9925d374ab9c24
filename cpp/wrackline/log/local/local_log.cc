#include "wrackline/log/local/local_log.h"

#include <limits>

#include "wrackline/log/local/entry.h"

namespace wrackline::local {
namespace {

class LocalLog final : public Log {
 public:
  LocalLog(std::shared_ptr<Engine> engine, std::string uri, bool writable)
      : engine_(std::move(engine)), uri_(std::move(uri)), writable_(writable) {}

  std::string id() const override { return engine_->id(); }
  std::string uri() const override { return uri_; }

  Status create_topic(const std::string& name, int32_t partitions, TopicUse /*use*/) override {
    WL_RETURN_IF_ERROR(check_writable());
    return engine_->create_topic(name, partitions);
  }
  int64_t max_record_bytes() const override { return kMaxEntryBytes / 2; }
  Result<std::vector<TopicInfo>> topics() override { return engine_->topics(); }
  Result<TopicInfo> topic(const std::string& name) override { return engine_->topic(name); }

  Result<int64_t> append(const TopicPartition& partition, const Records& records) override {
    WL_RETURN_IF_ERROR(check_writable());
    return engine_->append(partition, records);
  }
  Result<event::Polled> read(const TopicPartition& partition, int64_t offset, int64_t max_bytes,
                             Isolation isolation) override {
    WL_ASSIGN_OR_RETURN(const PartitionRef ref, engine_->find(partition));
    const ReadLimits limits = {.records = std::numeric_limits<int64_t>::max(), .bytes = max_bytes};
    WL_ASSIGN_OR_RETURN(ReadResult result, engine_->read(ref, offset, limits, isolation, nullptr));
    return std::move(result.polled);
  }
  Result<int64_t> start_offset(const TopicPartition& partition) override {
    WL_ASSIGN_OR_RETURN(const PartitionRef ref, engine_->find(partition));
    return engine_->start_offset(ref);
  }
  Result<int64_t> end_offset(const TopicPartition& partition, Isolation isolation) override {
    WL_ASSIGN_OR_RETURN(const PartitionRef ref, engine_->find(partition));
    return engine_->end_offset(ref, isolation);
  }
  Status trim(const TopicPartition& partition, int64_t offset) override {
    WL_RETURN_IF_ERROR(check_writable());
    return engine_->trim(partition, offset);
  }
  Result<Offsets> committed(const std::string& group) override { return engine_->committed(group); }
  Result<std::unique_ptr<LogClient>> client(const ClientOptions& options) override {
    return make_client(engine_, options, writable_);
  }

 private:
  Status check_writable() const { return writable_ ? Status() : Status::unavailable("the log was opened for reading"); }

  const std::shared_ptr<Engine> engine_;  // shared with its clients and other handles of the process
  const std::string uri_;
  const bool writable_;
};

}  // namespace

std::shared_ptr<Log> make_log(std::shared_ptr<Engine> engine, std::string uri, bool writable) {
  return std::make_shared<LocalLog>(std::move(engine), std::move(uri), writable);
}

}  // namespace wrackline::local
