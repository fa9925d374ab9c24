// What the embedded log knows of its partitions, and how it lies in the storage: keys, small values, and
// their loading (docs/formats.md, "The embedded log").
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "wrackline/log/local/storage.h"
#include "wrackline/log/log.h"

namespace wrackline::local {

inline constexpr uint32_t kFormatVersion = 1;

// Keys. Numbers in them are big-endian, so that their order is the order of the bytes.
std::string version_key();
std::string id_key();
std::string topic_key(std::string_view name);
std::string producer_key(std::string_view transactional_id);
std::string partition_key(uint32_t topic, int32_t partition);
std::string entry_key(uint32_t topic, int32_t partition, int64_t base);
std::string aborted_key(uint32_t topic, int32_t partition, int64_t last);
std::string group_prefix(std::string_view group);
std::string group_key(std::string_view group, uint32_t topic, int32_t partition);
int64_t offset_in(std::string_view entry_or_aborted_key);
// The first key behind all that begin with `prefix`.
std::string behind(std::string prefix);

// Where aborted transactions wrote, of one partition. Those of one producer do not overlap.
class AbortedRanges {
 public:
  void add(uint64_t producer, int64_t first, int64_t last);
  bool contains(uint64_t producer, int64_t offset) const;  // logarithmic
  void drop_below(int64_t offset);

 private:
  struct Range {
    int64_t first;
    int64_t last;
  };
  std::unordered_map<uint64_t, std::vector<Range>> ranges_;  // each in offset order
};

struct OpenTransaction {
  uint64_t producer;
  int64_t first;  // offset of its first record here
};

struct Partition {
  int64_t start = 0;
  int64_t end = 0;
  uint64_t aborts = 0;                                                               // how many ranges were ever added
  std::vector<OpenTransaction> open;                                                 // at most one per producer
  std::shared_ptr<const AbortedRanges> aborted = std::make_shared<AbortedRanges>();  // shared with running reads

  int64_t last_stable() const;
  int64_t visible_end(Isolation isolation) const {
    return isolation == Isolation::kReadCommitted ? last_stable() : end;
  }
};

struct Topic {
  uint32_t number = 0;
  TopicInfo info;
  std::vector<Partition> partitions;
  std::vector<uint64_t> loaded;  // per partition: the engine's view in which it was read
};

struct Producer {
  uint64_t number = 0;  // from 1 on; its entries carry it
  uint32_t epoch = 0;
};

// Values.
Bytes encode_topic(const Topic& topic);
Result<Topic> decode_topic(std::string_view key, std::string_view value);
Bytes encode_partition(const Partition& partition);
Bytes encode_aborted(uint64_t producer, int64_t first);
Bytes encode_producer(const Producer& producer);
Bytes encode_committed(const OffsetAndMetadata& committed);
Bytes encode_text(std::string_view text);
Bytes encode_version();

// Loading. `partition` is brought to what the storage holds.
Result<std::vector<Topic>> load_topics(Storage& storage);
Status load_partition(Storage& storage, uint32_t topic, int32_t number, Partition& partition);
Result<std::map<std::string, Producer>> load_producers(Storage& storage);
struct StoredOffset {
  uint32_t topic;
  int32_t partition;
  OffsetAndMetadata committed;
};
Result<std::vector<StoredOffset>> load_committed(Storage& storage, std::string_view group);
// The log's id; kCorruption also for a newer format.
Result<std::string> load_id(Storage& storage);

}  // namespace wrackline::local
