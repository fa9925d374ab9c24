#include "wrackline/codec/block.h"

namespace wrackline {
namespace {

constexpr uint8_t kVersion = 1;
constexpr uint8_t kRows = 1;
constexpr uint8_t kMark = 2;

void put_header(ByteWriter& out, uint8_t kind, const BlockHeader& header) {
  out.put(kVersion);
  out.put(kind);
  out.put(header.from.source);
  out.put(header.from.partition);
  out.put(header.partitions);
}

template <typename T>
void put_buffer(ByteWriter& out, const Buffer<T>& buffer) {
  out.put(static_cast<uint32_t>(buffer.size() * sizeof(T)));
  out.put_bytes(buffer.data(), buffer.size() * sizeof(T));
}

template <typename T>
bool get_buffer(ByteReader& in, Buffer<T>& buffer) {
  const std::string_view bytes = in.get_bytes(in.get<uint32_t>());
  if (in.failed() || bytes.size() % sizeof(T) != 0) return false;
  buffer.resize(bytes.size() / sizeof(T));
  if (!bytes.empty()) std::memcpy(buffer.data(), bytes.data(), bytes.size());
  return true;
}

void put_column(ByteWriter& out, Column& column) {
  out.put(column.type());
  out.put(column.item());
  out.put(column.length());
  out.put(column.null_count());
  put_buffer(out, column.validity());
  if (column.type() == Type::kList) {
    put_buffer(out, column.mutable_offsets());
    put_column(out, column.mutable_items());
    return;
  }
  put_buffer(out, column.values());
  put_buffer(out, column.mutable_offsets());
}

// As runs of equal ones.
void put_watermarks(ByteWriter& out, const Buffer<Millis>& watermarks) {
  Buffer<uint32_t> lengths;
  Buffer<Millis> runs;
  for (size_t i = 0; i < watermarks.size(); ++i) {
    if (i == 0 || watermarks[i] != watermarks[i - 1]) {
      runs.push_back(watermarks[i]);
      lengths.push_back(0);
    }
    ++lengths.back();
  }
  put_buffer(out, runs);
  put_buffer(out, lengths);
}

bool get_watermarks(ByteReader& in, size_t count, Buffer<Millis>& watermarks) {
  Buffer<Millis> runs;
  Buffer<uint32_t> lengths;
  if (!get_buffer(in, runs) || !get_buffer(in, lengths) || runs.size() != lengths.size()) return false;
  for (size_t run = 0; run < runs.size(); ++run) {
    if (lengths[run] > count - watermarks.size()) return false;
    watermarks.insert(watermarks.end(), lengths[run], runs[run]);
  }
  return watermarks.size() == count;
}

size_t fixed_bytes(Type type, size_t rows) {
  if (type == Type::kBool) return (rows + 7) / 8;
  return rows * (type == Type::kDecimal ? 16 : 8);
}

// Offsets begin at 0, ascend, and end where the values do.
bool offsets_fit(const Buffer<int32_t>& offsets, size_t rows, size_t values) {
  if (offsets.size() != rows + 1 || offsets[0] != 0) return false;
  for (size_t i = 0; i < rows; ++i) {
    if (offsets[i + 1] < offsets[i]) return false;
  }
  return static_cast<size_t>(offsets[rows]) == values;
}

bool get_column(ByteReader& in, Column& column) {
  if (in.get<Type>() != column.type() || in.get<Type>() != column.item()) return false;
  const auto length = in.get<int64_t>();
  const auto nulls = in.get<int64_t>();
  if (in.failed() || length < 0 || nulls < 0 || nulls > length) return false;
  const auto rows = static_cast<size_t>(length);
  if (!get_buffer(in, column.mutable_validity())) return false;
  if (nulls > 0 && column.validity().size() < (rows + 7) / 8) return false;
  if (column.type() == Type::kList) {
    if (!get_buffer(in, column.mutable_offsets()) || !get_column(in, column.mutable_items())) return false;
    if (!offsets_fit(column.mutable_offsets(), rows, static_cast<size_t>(column.items().length()))) return false;
  } else {
    if (!get_buffer(in, column.mutable_values()) || !get_buffer(in, column.mutable_offsets())) return false;
    const bool text = column.type() == Type::kString || column.type() == Type::kBytes;
    if (text ? !offsets_fit(column.mutable_offsets(), rows, column.values().size())
             : column.values().size() < fixed_bytes(column.type(), rows)) {
      return false;
    }
  }
  column.set_length(length, nulls);
  return true;
}

}  // namespace

Bytes encode_block(const BlockHeader& header, const Batch& batch, const Buffer<int64_t>& rows) {
  ByteWriter out;
  put_header(out, kRows, header);
  out.put(static_cast<uint32_t>(rows.size()));
  for (const int64_t row : rows) out.put(batch.event_times[static_cast<size_t>(row)]);
  Millis watermark = batch.watermark;
  size_t move = 0;
  Buffer<Millis> judged;
  Buffer<Millis> own;  // of the task: lower than what judges a row of one of several inputs
  for (const int64_t row : rows) {
    for (; move < batch.moves.size() && batch.moves[move].position <= row; ++move)
      watermark = batch.moves[move].watermark;
    judged.push_back(batch.judged(row, watermark));
    own.push_back(watermark);
  }
  put_watermarks(out, judged);
  put_watermarks(out, own);
  out.put(static_cast<uint32_t>(batch.columns.size()));
  for (const ColumnPtr& column : batch.columns) {
    Column own = *gather(*column, rows);
    put_column(out, own);
  }
  return out.take();
}

Bytes encode_mark(const BlockHeader& header, const UpstreamMark& mark) {
  ByteWriter out;
  put_header(out, kMark, header);
  out.put(mark.watermark);
  out.put(mark.idle);
  out.put(mark.ended);
  out.put(mark.clock);
  out.put(mark.closes_from);
  out.put(mark.seen_at);
  return out.take();
}

Result<ExchangeBlock> decode_block(std::string_view bytes, const SchemaPtr& schema) {
  const auto bad = [] { return Status::corruption("a block that does not fit its topic"); };
  ByteReader in(bytes);
  if (const auto version = in.get<uint8_t>(); in.failed() || version != kVersion) {
    return Status::corruption("a block of version " + std::to_string(version) + ", this program reads " +
                              std::to_string(kVersion));
  }
  ExchangeBlock block;
  const auto kind = in.get<uint8_t>();
  block.header.from.source = in.get<uint32_t>();
  block.header.from.partition = in.get<int32_t>();
  block.header.partitions = in.get<int32_t>();
  const BlockHeader& header = block.header;
  if (in.failed() || header.from.partition < 0 || header.from.partition >= header.partitions) return bad();
  if (kind == kMark) {
    UpstreamMark mark;
    mark.watermark = in.get<Millis>();
    mark.idle = in.get<bool>();
    mark.ended = in.get<bool>();
    mark.clock = in.get<Millis>();
    mark.closes_from = in.get<Millis>();
    mark.seen_at = in.get<Millis>();
    block.mark = mark;
    WL_RETURN_IF_ERROR(in.finish("a block"));
    return block;
  }
  if (kind != kRows) return bad();
  Batch& rows = block.rows;
  const auto count = in.get<uint32_t>();
  const std::string_view times = in.get_bytes(size_t{count} * sizeof(Millis));
  if (in.failed()) return bad();
  rows.schema = schema;
  rows.length = count;
  rows.event_times.resize(count);
  if (count > 0) std::memcpy(rows.event_times.data(), times.data(), times.size());
  if (!get_watermarks(in, count, rows.judged_by) || !get_watermarks(in, count, block.watermarks)) return bad();
  if (in.get<uint32_t>() != static_cast<uint32_t>(schema->size())) return bad();
  for (const Field& field : schema->fields()) {
    auto column = std::make_shared<Column>(field.type, field.item);
    if (!get_column(in, *column) || column->length() != rows.length) return bad();
    if (column->null_count() > 0 && !field.nullable) return bad();
    rows.columns.push_back(std::move(column));
  }
  WL_RETURN_IF_ERROR(in.finish("a block"));
  return block;
}

}  // namespace wrackline
