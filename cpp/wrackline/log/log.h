// Log: topics of partitions of records, with transactions. The seam to Kafka: everything above it is
// the same on the embedded log (log/local/) and on a broker.
//
// What must hold of every implementation (tests/cpp/log/conformance.h is these sentences as tests):
//  - An append is a whole batch: all of it is there or none, at consecutive offsets.
//  - Records of a transaction, and the offsets sent with it, become visible together at its commit, or
//    never. read_committed stops at the last stable offset (LSO): the first offset of the oldest open
//    transaction; aborted records are skipped.
//  - The end of a transaction takes one offset in each partition it wrote (a marker), so offsets have
//    gaps and next_offset, not the last record's offset + 1, is where to go on.
//  - start_init() with a transactional id aborts that id's open transaction and fences its former owner:
//    whatever that one calls from then on answers Code::kFenced.
//  - What was acknowledged survives kill -9 of the process (no fsync: not a power failure).
//
// Whatever can wait is start and poll: start_*() returns at once, the answer is an Event of poll(), which
// never blocks. At most one start_* of a kind is in flight.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "wrackline/core/clock.h"
#include "wrackline/core/records.h"
#include "wrackline/core/status.h"

namespace wrackline {

enum class Isolation : uint8_t { kReadCommitted, kReadUncommitted };

// What a client's transactions are worth. kAtLeastOnce: records are visible as they are appended, and the offsets are
// committed behind them; a crash between the two leaves records that come again.
enum class Guarantee : uint8_t { kExactlyOnce, kAtLeastOnce };

// kInternal: of the job's own making, nothing of it is lost until it is trimmed.
enum class TopicUse : uint8_t { kRecords, kInternal };

struct OffsetAndMetadata {
  int64_t offset = 0;
  std::string metadata;  // text without zero bytes, at most kMaxOffsetMetadata
  friend bool operator==(const OffsetAndMetadata&, const OffsetAndMetadata&) = default;
};
inline constexpr size_t kMaxOffsetMetadata = 4096;

using Offsets = std::map<TopicPartition, OffsetAndMetadata>;

struct TopicInfo {
  std::string name;
  int32_t partitions = 0;
  std::string id;  // of this creation of the topic; unlike that of an earlier topic of the same name
};

namespace event {
// Records of one partition, in offset order.
struct Polled {
  TopicPartition partition;
  std::shared_ptr<Records> records;
  int64_t next_offset = 0;  // go on here: behind the last record and any markers and aborted records
};
// The reader stands at the end of what it may see (the LSO). Told once each time it gets there.
struct AtEnd {
  TopicPartition partition;
  int64_t next_offset = 0;
};
struct Assigned {  // beside what is assigned already; perhaps none
  std::vector<TopicPartition> partitions;
};
struct Revoked {  // answer with answer_revoke() when their work is committed; until then nobody else gets them
  std::vector<TopicPartition> partitions;
};
struct Lost {  // already someone else's: commit nothing of them
  std::vector<TopicPartition> partitions;
};
struct Initialised {};
struct Committed {  // answer to start_committed(); a partition without committed offset is not in it
  Offsets offsets;
};
// start_committed() has waited for a while: a transaction that sent offsets of these partitions is open. `offsets` is
// what is committed nevertheless. The answer still comes, when that transaction has ended.
struct Unstable {
  Offsets offsets;
};
struct OffsetsSent {};
struct Fenced {};  // answer to start_fence()
struct TransactionEnded {
  bool committed = false;  // false: aborted
};
// An operation failed, or the connection did. What to do is the status's code.
struct Failed {
  Status status;
};
}  // namespace event

// monostate: nothing to report now.
using Event = std::variant<std::monostate, event::Polled, event::AtEnd, event::Assigned, event::Revoked, event::Lost,
                           event::Initialised, event::Committed, event::Unstable, event::OffsetsSent, event::Fenced,
                           event::TransactionEnded, event::Failed>;

struct ClientOptions {
  Guarantee guarantee = Guarantee::kExactlyOnce;
  // Names this member of its groups over restarts: a process that comes back at once gets its partitions back at
  // once. Empty: each client is a new member, and leaves when it is destroyed.
  std::string instance;
  // A transaction that is open for longer is aborted by a broker: what a process that died had open holds up readers
  // for so long at most. Also the deadline of each transactional call.
  Millis transaction_timeout = 10'000;
};

// One consumer and one transactional producer: a worker's. Belongs to one thread.
class LogClient {
 public:
  virtual ~LogClient() = default;

  // Joins `group`; the partitions come as event::Assigned. Reading starts with read_from().
  virtual Status subscribe(const std::string& group, const std::vector<std::string>& topics) = 0;
  virtual void answer_revoke() = 0;

  // Delivers `partition` from `offset` on (again: moves there), until stop_reading(). An offset below the
  // start of the partition or above its end fails (event::Failed, kNotFound, naming both).
  virtual void read_from(const TopicPartition& partition, int64_t offset, Isolation isolation) = 0;
  virtual void stop_reading(const TopicPartition& partition) = 0;
  virtual void pause(const TopicPartition& partition) = 0;
  virtual void resume(const TopicPartition& partition) = 0;

  virtual void start_committed(const std::string& group, const std::vector<TopicPartition>& partitions) = 0;

  virtual void start_init(const std::string& transactional_id) = 0;  // -> Initialised
  virtual Status begin() = 0;
  // Code::kRetriable: the log cannot take more yet (a full queue), poll and call again with the same records. Their
  // offsets are ignored; so may be the timestamps of records without headers, for that of now.
  virtual Status append(const TopicPartition& partition, const Records& records) = 0;
  // -> OffsetsSent. `offsets` are those of partitions that this client was assigned.
  virtual void start_send_offsets(const std::string& group, const Offsets& offsets) = 0;
  virtual void start_commit() = 0;  // -> TransactionEnded{true}; a Failed may mean either outcome
  virtual void start_abort() = 0;   // -> TransactionEnded{false}
  // Aborts the open transaction of another owner and fences it, as its own start_init() would. -> Fenced.
  virtual void start_fence(const std::string& transactional_id) = 0;
  // Log::trim() some time soon; what fails is only logged.
  virtual void trim(const TopicPartition& partition, int64_t offset) = 0;

  // At most `max_records` records in a Polled. Never blocks.
  virtual Event poll(int64_t max_records) = 0;
  // Blocks until poll() may have something or `timeout` has passed. The only call that does.
  virtual void wait(Millis timeout) = 0;
};

class Log {
 public:
  virtual ~Log() = default;

  virtual std::string id() const = 0;   // of this log (cluster); a copy of its files keeps it
  virtual std::string uri() const = 0;  // as it was opened, without secrets

  // Code::kAlreadyExists if there is one of that name with another partition count; ok if it is the same.
  // kInvalidArgument if an internal one exists with settings under which it may lose records.
  virtual Status create_topic(const std::string& name, int32_t partitions, TopicUse use = TopicUse::kRecords) = 0;
  // The largest record that an append takes: key, value and headers.
  virtual int64_t max_record_bytes() const = 0;

  virtual Result<std::vector<TopicInfo>> topics() = 0;
  // kNotFound names the nearest existing topic.
  virtual Result<TopicInfo> topic(const std::string& name) = 0;

  // Outside any transaction: visible at once. Returns the offset of the first record. On a broker an append that fails
  // may leave a part of its records.
  virtual Result<int64_t> append(const TopicPartition& partition, const Records& records) = 0;
  // Up to about `max_bytes` (at least one record, if there is one) from `offset` on.
  virtual Result<event::Polled> read(const TopicPartition& partition, int64_t offset, int64_t max_bytes,
                                     Isolation isolation) = 0;
  virtual Result<int64_t> start_offset(const TopicPartition& partition) = 0;
  // read_committed: the LSO; read_uncommitted: behind the last record or marker.
  virtual Result<int64_t> end_offset(const TopicPartition& partition, Isolation isolation) = 0;
  // Deletes records below `offset`.
  virtual Status trim(const TopicPartition& partition, int64_t offset) = 0;
  virtual Result<Offsets> committed(const std::string& group) = 0;  // offsets of open transactions are not waited for

  virtual Result<std::unique_ptr<LogClient>> client(const ClientOptions& options = {}) = 0;
};

// Options by name, as the client library of a log calls them. The embedded logs have none.
using LogSettings = std::map<std::string, std::string>;

// "memory:" (a new one, gone with its last owner), "memory:NAME" (shared in the process, also gone then), "local:DIR",
// "kafka://HOST:PORT,HOST:PORT".
// Opening "local:DIR" for writing aborts every open transaction; Code::kUnavailable names the process that
// holds it. One handle per path and process: a second call returns the same log.
// What opening would refuse without looking at anything: a wrong address, an unknown option.
Status check_log(const std::string& uri, const LogSettings& settings);
Result<std::shared_ptr<Log>> open_log(const std::string& uri, std::shared_ptr<const Clock> clock,
                                      const LogSettings& settings = {});
// Reads beside a writing process; every call that writes answers kUnavailable. "memory:NAME" must exist.
Result<std::shared_ptr<Log>> open_log_for_reading(const std::string& uri, std::shared_ptr<const Clock> clock,
                                                  const LogSettings& settings = {});

// Kafka's partitioner: (murmur2(key) & 0x7fffffff) % partitions.
int32_t partition_of(std::string_view key, int32_t partitions);

}  // namespace wrackline
