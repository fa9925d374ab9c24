#include "wrackline/sink/topic_sink.h"

#include <algorithm>
#include <optional>

#include "wrackline/codec/json_text.h"
#include "wrackline/core/sha256.h"
#include "wrackline/log/log.h"

namespace wrackline {
namespace {

// Names of Kafka Streams' error headers, so that tools that know those show ours (semantics.md 9).
constexpr const char* kErrorPrefix = "__streams.errors.";

std::string text_or_empty(const Column& column, int64_t row) {
  return column.is_null(row) ? std::string() : std::string(column.string_at(row));
}

std::string number_or_empty(const Column& column, int64_t row) {
  return column.is_null(row) ? std::string() : std::to_string(column.int64s()[row]);
}

// What of a dead letter's value fits into a record of at most `limit` bytes; says so in its headers.
std::optional<std::string_view> cut_to_fit(std::optional<std::string_view> value, std::optional<std::string_view> key,
                                           Headers& headers, int64_t limit) {
  constexpr int64_t kFraming = 512;  // lengths, and the two headers below
  if (!value || limit <= 0) return value;
  int64_t others = kFraming + static_cast<int64_t>(key ? key->size() : 0);
  for (const auto& [name, text] : headers) others += static_cast<int64_t>(name.size() + text.size());
  const int64_t room = std::max<int64_t>(0, limit - others);
  if (static_cast<int64_t>(value->size()) <= room) return value;
  headers.emplace_back("wl.truncated", std::to_string(value->size()));
  headers.emplace_back("wl.sha256", sha256(*value));
  return value->substr(0, static_cast<size_t>(room));
}

}  // namespace

Result<const TopicSink::Encoding*> TopicSink::encoding_of(const SchemaPtr& schema) {
  for (const auto& encoding : encodings_) {
    if (encoding->schema == schema || *encoding->schema == *schema) return encoding.get();
  }
  std::vector<int> values;
  for (int i = 0; i < schema->size(); ++i) values.push_back(i);
  std::vector<int> keys;
  for (const std::string& name : spec_.key_columns) keys.push_back(schema->index_of(name));
  std::vector<int> record_key = keys;
  for (const std::string& name : spec_.window_columns) record_key.push_back(schema->index_of(name));
  WL_ASSIGN_OR_RETURN(JsonEncoder encoder,
                      JsonEncoder::make(schema, std::move(values), spec_.results ? record_key : std::vector<int>{},
                                        {spec_.iso_times, spec_.nan_as_string}));
  encodings_.push_back(std::make_unique<Encoding>(Encoding{schema, std::move(encoder), std::move(keys)}));
  return encodings_.back().get();
}

Batch TopicSink::letters_that_fit(const Batch& batch) const {
  constexpr int64_t kOthers = 2'048;  // names of columns, step, topic, numbers, framing
  const Column& key = *batch.find("key");
  const Column& value = *batch.find("value");
  const Column& message = *batch.find("message");
  auto values = std::make_shared<Column>(Type::kBytes);
  auto messages = std::make_shared<Column>(Type::kString);
  for (int64_t row = 0; row < batch.length; ++row) {
    std::string text = text_or_empty(message, row);
    // The key is there twice: as it is, and in base64.
    const auto others =
        kOthers + static_cast<int64_t>(json::max_string_size(text.size()) + key.string_at(row).size() * 3);
    const auto room = static_cast<size_t>(std::max<int64_t>(0, spec_.max_record_bytes - others) / 4 * 3);
    const std::string_view whole = value.string_at(row);
    if (whole.size() > room) {
      text += " (the first " + std::to_string(room) + " bytes of " + std::to_string(whole.size()) + ", sha256 " +
              sha256(whole) + ")";
    }
    value.is_null(row) ? values->append_null() : values->append_string(whole.substr(0, room));
    messages->append_string(text);
  }
  Batch cut = batch;
  cut.columns[static_cast<size_t>(batch.schema->index_of("value"))] = std::move(values);
  cut.columns[static_cast<size_t>(batch.schema->index_of("message"))] = std::move(messages);
  return cut;
}

Status TopicSink::write(const Batch& given, int32_t input_partition, Millis clock_now,
                        std::map<int32_t, Records>& out) {
  if (spec_.dead_letters) return write_dead_letters(given, input_partition, clock_now, out[input_partition]);
  std::optional<Batch> cut;
  if (spec_.letter_columns && spec_.max_record_bytes > 0) cut = letters_that_fit(given);
  const Batch& batch = cut ? *cut : given;
  WL_ASSIGN_OR_RETURN(const Encoding* const encoding, encoding_of(batch.schema));
  if (!spec_.results) {
    if (!batch.records) {
      encoding->encoder.encode(batch, clock_now, out[input_partition]);
      return {};
    }
    Records values;
    encoding->encoder.encode(batch, clock_now, values);
    for (int64_t row = 0; row < batch.length; ++row) {
      const int64_t original = batch.record_of[static_cast<size_t>(row)];
      const bool has_key = batch.records->has_key(original);
      out[input_partition].add(has_key ? std::optional(batch.records->key(original)) : std::nullopt, values.value(row),
                               clock_now);
    }
    return {};
  }
  if (spec_.partitions == 1) {
    encoding->encoder.encode(batch, clock_now, out[0]);
    return {};
  }
  Bytes key;
  rows_of_.resize(static_cast<size_t>(spec_.partitions));
  for (int64_t row = 0; row < batch.length; ++row) {
    key.clear();
    encoding->encoder.append_array(batch, row, encoding->key_columns, key);
    const int32_t partition = partition_of({reinterpret_cast<const char*>(key.data()), key.size()}, spec_.partitions);
    rows_of_[static_cast<size_t>(partition)].push_back(row);
  }
  for (int32_t partition = 0; partition < spec_.partitions; ++partition) {
    std::vector<int64_t>& rows = rows_of_[static_cast<size_t>(partition)];
    if (!rows.empty()) encoding->encoder.encode(batch, rows, clock_now, out[partition]);
    rows.clear();
  }
  return {};
}

Status TopicSink::write_dead_letters(const Batch& batch, int32_t input_partition, Millis clock_now,
                                     Records& out) const {
  const Column& key = *batch.find("key");
  const Column& value = *batch.find("value");
  const Column& reason = *batch.find("reason");
  const Column& message = *batch.find("message");
  const Column& step = *batch.find("step");
  const Column& topic = *batch.find("topic");
  const Column& partition = *batch.find("partition");
  const Column& offset = *batch.find("offset");
  const Column& timestamp = *batch.find("timestamp");
  for (int64_t row = 0; row < batch.length; ++row) {
    Headers headers;
    if (batch.records) headers = batch.records->headers(batch.record_of[static_cast<size_t>(row)]);
    const std::string prefix = kErrorPrefix;
    headers.emplace_back(prefix + "exception", text_or_empty(reason, row));
    headers.emplace_back(prefix + "message", text_or_empty(message, row));
    headers.emplace_back(prefix + "topic", text_or_empty(topic, row));
    headers.emplace_back(prefix + "partition",
                         partition.is_null(row) ? std::to_string(input_partition) : number_or_empty(partition, row));
    headers.emplace_back(prefix + "offset", number_or_empty(offset, row));
    headers.emplace_back("wl.reason", text_or_empty(reason, row));
    headers.emplace_back("wl.step", text_or_empty(step, row));
    headers.emplace_back("wl.job", spec_.job);
    const auto bytes = [row](const Column& column) {
      return column.is_null(row) ? std::nullopt : std::optional<std::string_view>(column.string_at(row));
    };
    const std::optional<std::string_view> whole = bytes(value);
    const std::optional<std::string_view> kept = cut_to_fit(whole, bytes(key), headers, spec_.max_record_bytes);
    out.add(bytes(key), kept, timestamp.is_null(row) ? clock_now : timestamp.int64s()[row], 0, std::move(headers));
  }
  return {};
}

}  // namespace wrackline
