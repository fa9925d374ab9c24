#include "wrackline/sink/exchange_sink.h"

#include "wrackline/core/hash.h"

namespace wrackline {

Status ExchangeSink::write(const Batch& batch, int32_t from, Millis clock_now, std::map<int32_t, Records>& out) {
  const BlockHeader header{{spec_.source, from}, spec_.source_partitions};
  rows_of_.resize(static_cast<size_t>(spec_.partitions));
  for (Buffer<int64_t>& rows : rows_of_) rows.clear();
  if (spec_.key_columns && spec_.partitions > 1) {
    if (schema_ != batch.schema) {
      WL_ASSIGN_OR_RETURN(KeyPacker keys, KeyPacker::make(*batch.schema, *spec_.key_columns, true));
      keys_.emplace(std::move(keys));
      schema_ = batch.schema;
    }
    keys_->pack(batch);
    for (int64_t row = 0; row < batch.length; ++row) {
      const uint64_t hash = hash64(keys_->key(row));
      rows_of_[hash % static_cast<uint64_t>(spec_.partitions)].push_back(row);
    }
  } else {
    Buffer<int64_t>& all = rows_of_[static_cast<size_t>(spec_.key_columns ? 0 : from % spec_.partitions)];
    for (int64_t row = 0; row < batch.length; ++row) all.push_back(row);
  }
  for (size_t partition = 0; partition < rows_of_.size(); ++partition) {
    if (rows_of_[partition].empty()) continue;
    WL_RETURN_IF_ERROR(add_block(batch, rows_of_[partition], header, clock_now, out[static_cast<int32_t>(partition)]));
  }
  return {};
}

Status ExchangeSink::add_block(const Batch& batch, const Buffer<int64_t>& rows, const BlockHeader& header,
                               Millis clock_now, Records& out) const {
  const Bytes block = encode_block(header, batch, rows);
  if (spec_.max_record_bytes > 0 && static_cast<int64_t>(block.size()) > spec_.max_record_bytes) {
    if (rows.size() == 1) {
      return Status::invalid("a row of " + std::to_string(block.size()) + " bytes is larger than topic '" +
                             spec_.topic + "' takes (" + std::to_string(spec_.max_record_bytes) +
                             "); leave columns out before key_by, or raise the topic's max.message.bytes");
    }
    const auto half = rows.begin() + static_cast<std::ptrdiff_t>(rows.size() / 2);
    WL_RETURN_IF_ERROR(add_block(batch, {rows.begin(), half}, header, clock_now, out));
    return add_block(batch, {half, rows.end()}, header, clock_now, out);
  }
  out.add(std::nullopt, std::string_view(reinterpret_cast<const char*>(block.data()), block.size()), clock_now);
  return {};
}

void ExchangeSink::mark(const UpstreamMark& mark, int32_t from, Millis clock_now,
                        std::map<int32_t, Records>& out) const {
  const Bytes bytes = encode_mark({{spec_.source, from}, spec_.source_partitions}, mark);
  for (int32_t partition = 0; partition < spec_.partitions; ++partition) {
    out[partition].add(std::nullopt, std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()),
                       clock_now);
  }
}

}  // namespace wrackline
