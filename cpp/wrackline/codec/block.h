// Blocks: rows of one upstream task for one partition of a repartition topic, as one record; and marks, which say how
// far that task is (docs/formats.md, "Repartition topics").
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "wrackline/core/batch.h"
#include "wrackline/core/bytes.h"
#include "wrackline/core/status.h"
#include "wrackline/time/inputs.h"

namespace wrackline {

struct BlockHeader {
  UpstreamId from;
  int32_t partitions = 0;  // of the source that `from` is a partition of
  friend bool operator==(const BlockHeader&, const BlockHeader&) = default;
};

// Rows `rows` (ascending) of `batch`, each with its event time and the watermark that judges it. REQUIRES: event_times.
Bytes encode_block(const BlockHeader& header, const Batch& batch, const Buffer<int64_t>& rows);
Bytes encode_mark(const BlockHeader& header, const UpstreamMark& mark);

struct ExchangeBlock {
  BlockHeader header;
  std::optional<UpstreamMark> mark;  // else it holds rows
  // Columns, length, event_times and judged_by: what judged each row upstream. That is the watermark of the upstream
  // task before it, or of that one's own input, if it has several.
  Batch rows;
  Buffer<Millis> watermarks;  // of the upstream task before each row
};

// Fails with kCorruption, also when the rows are not of `schema`.
Result<ExchangeBlock> decode_block(std::string_view bytes, const SchemaPtr& schema);

}  // namespace wrackline
