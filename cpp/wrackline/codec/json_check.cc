#include "wrackline/codec/json_check.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>

#include "wrackline/codec/json_decoder.h"

namespace wrackline {

int64_t first_that_is_no_json(const Column& texts) {
  constexpr int64_t kRows = 4096;  // at once
  JsonDecoderOptions options;
  options.max_record_bytes = int64_t{1} << 30;
  const Schema schema({{.name = "v", .type = Type::kString, .nullable = true, .json = true}});
  Result<JsonDecoder> decoder = JsonDecoder::make(schema, options);
  WL_CHECK(decoder.ok());
  for (int64_t begin = 0; begin < texts.length(); begin += kRows) {
    const int64_t end = std::min(texts.length(), begin + kRows);
    auto records = std::make_shared<Records>();
    Buffer<int64_t> row_of;
    std::string wrapped;
    for (int64_t row = begin; row < end; ++row) {
      if (texts.is_null(row)) continue;
      wrapped = "{\"v\":";
      wrapped.append(texts.string_at(row)).append("}");
      records->add(std::nullopt, wrapped, 0);
      row_of.push_back(row);
    }
    records->pad();
    const Decoded decoded = decoder->decode(std::move(records));
    if (!decoded.bad.empty()) return row_of[decoded.bad.front().record];
    const Column& values = decoded.batch.column(0);
    for (int64_t i = 0; i < decoded.batch.length; ++i) {
      const int64_t row = row_of[static_cast<size_t>(i)];
      // More than the value: another field behind it, or null with something around.
      const std::string_view text = texts.string_at(row);
      if (values.is_null(i) ? text != "null" : values.string_at(i) != text) return row;
    }
  }
  return -1;
}

}  // namespace wrackline
