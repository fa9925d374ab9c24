// ExchangeSink: rows to blocks of a repartition topic, each to the partition of its key, and marks to all of them.
//
// Belongs to one worker.
#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "wrackline/codec/block.h"
#include "wrackline/core/key.h"
#include "wrackline/core/records.h"
#include "wrackline/core/status.h"

namespace wrackline {

struct ExchangeSinkSpec {
  std::string topic;
  int32_t partitions = 1;         // of the topic
  uint32_t source = 0;            // which of those that are merged there
  int32_t source_partitions = 1;  // upstream tasks of it
  // Not set: a row goes to the partition that has its task's number (modulo partitions).
  std::optional<std::vector<std::string>> key_columns;
  int64_t max_record_bytes = 0;  // 0: no limit
};

class ExchangeSink {
 public:
  explicit ExchangeSink(ExchangeSinkSpec spec) : spec_(std::move(spec)) {}

  const std::string& topic() const { return spec_.topic; }
  // Adds blocks of the rows of `batch`, which come from upstream task `from`, to `out` (partition -> records).
  Status write(const Batch& batch, int32_t from, Millis clock_now, std::map<int32_t, Records>& out);
  void mark(const UpstreamMark& mark, int32_t from, Millis clock_now, std::map<int32_t, Records>& out) const;

 private:
  Status add_block(const Batch& batch, const Buffer<int64_t>& rows, const BlockHeader& header, Millis clock_now,
                   Records& out) const;

  ExchangeSinkSpec spec_;
  SchemaPtr schema_;  // that keys_ packs
  std::optional<KeyPacker> keys_;
  std::vector<Buffer<int64_t>> rows_of_;  // by partition, of the batch that is being written
};

}  // namespace wrackline
