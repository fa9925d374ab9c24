#include "wrackline/transform/explode.h"

#include <algorithm>
#include <utility>

#include "wrackline/codec/json_decoder.h"
#include "wrackline/codec/json_text.h"
#include "wrackline/core/hint.h"

namespace wrackline {
namespace {

constexpr int64_t kMaxItemBytes = 1 << 30;  // max_record_bytes of the source was the bound
constexpr std::string_view kValue = "{\"value\":";

class ExplodeList final : public Transform {
 public:
  Result<Transformed> apply(const std::shared_ptr<const Batch>& batch) const override {
    const Column& lists = batch->column(0);
    Transformed made{.from = Buffer<int64_t>()};
    Buffer<int64_t> items;
    for (int64_t row = 0; row < batch->length; ++row) {
      if (lists.is_null(row)) continue;
      for (int32_t i = lists.offsets()[row]; i < lists.offsets()[row + 1]; ++i) {
        items.push_back(i);
        made.from->push_back(row);
      }
    }
    made.length = static_cast<int64_t>(items.size());
    made.columns.push_back(gather(lists.items(), items));
    return made;
  }
};

// Calls `item` with the text of each item. REQUIRES: JSON, with whatever space between.
template <typename Item>
void for_each_item(std::string_view array, Item item) {
  int depth = 0;
  size_t begin = 0;
  const auto end_item = [&](size_t end) {
    while (begin < end && json::ends_scalar(static_cast<uint8_t>(array[begin]))) ++begin;  // space
    if (begin < end) item(array.substr(begin, end - begin));
    begin = end + 1;
  };
  for (size_t i = 0; i < array.size(); ++i) {
    switch (array[i]) {
      case '"':
        for (++i; array[i] != '"'; ++i) i += array[i] == '\\' ? 1 : 0;
        break;
      case '[':
      case '{':
        if (++depth == 1) begin = i + 1;
        break;
      case ']':
      case '}':
        if (--depth == 0) end_item(i);
        break;
      case ',':
        if (depth == 1) end_item(i);
        break;
      default: break;
    }
  }
}

class ExplodeJson final : public Transform {
 public:
  ExplodeJson(Schema schema, bool objects) : schema_(std::move(schema)), objects_(objects) {}

  Result<Transformed> apply(const std::shared_ptr<const Batch>& batch) const override {
    const Column& texts = batch->column(0);
    Transformed made{.from = Buffer<int64_t>()};
    auto items = std::make_shared<Records>();
    Buffer<int64_t> row_of;
    std::vector<bool> bad(static_cast<size_t>(batch->length), false);
    const auto refuse = [&](int64_t row, std::string message) {
      if (!bad[static_cast<size_t>(row)]) made.failed.push_back({row, std::move(message)});
      bad[static_cast<size_t>(row)] = true;
    };
    std::string wrapped;
    for (int64_t row = 0; row < batch->length; ++row) {
      if (texts.is_null(row)) continue;
      const std::string_view text = texts.string_at(row);
      if (text.empty() || text.front() != '[') {
        refuse(row, "expected a list, found " + std::string(text.substr(0, 60)));
        continue;
      }
      for_each_item(text, [&](std::string_view item) {
        if (!objects_) {
          wrapped = kValue;
          wrapped.append(item).append("}");
          item = wrapped;
        }
        items->add(std::nullopt, item, 0);
        row_of.push_back(row);
      });
    }
    items->pad();
    JsonDecoderOptions options;
    options.max_record_bytes = kMaxItemBytes;
    WL_ASSIGN_OR_RETURN(JsonDecoder decoder, JsonDecoder::make(schema_, options));
    const Decoded decoded = decoder.decode(items);
    for (const BadRecord& one : decoded.bad) {
      const int64_t row = row_of[one.record];
      const auto first = std::lower_bound(row_of.begin(), row_of.end(), row) - row_of.begin();
      refuse(row, "item " + std::to_string(one.record - first) + ": " + one.message);
    }
    std::sort(made.failed.begin(), made.failed.end(),
              [](const Transformed::Failed& a, const Transformed::Failed& b) { return a.row < b.row; });
    Buffer<int64_t> good;
    for (int64_t i = 0; i < decoded.batch.length; ++i) {
      const int64_t row = row_of[decoded.batch.record_of[static_cast<size_t>(i)]];
      if (bad[static_cast<size_t>(row)]) continue;
      good.push_back(i);
      made.from->push_back(row);
    }
    made.length = static_cast<int64_t>(good.size());
    for (const ColumnPtr& column : decoded.batch.columns)
      made.columns.push_back(made.length == decoded.batch.length ? column : gather(*column, good));
    return made;
  }

 private:
  const Schema schema_;
  const bool objects_;
};

}  // namespace

Result<TransformSpec> explode(const Schema& input, const std::string& column, std::vector<Field> items,
                              std::vector<std::string> paths) {
  const int index = input.index_of(column);
  if (index < 0) return Status::invalid("there is no column '" + column + "'" + nearest_hint(column, input.names()));
  const Field& field = input.field(index);
  TransformSpec spec{.kind = "explode", .reads = {column}, .passes = true, .text = column};
  if (field.type == Type::kList) {
    spec.makes = {{.name = column, .type = field.item, .nullable = true}};
    spec.function = std::make_shared<ExplodeList>();
    return spec;
  }
  if (!field.json)
    return Status::invalid("column '" + column + "' is " + std::string(type_name(field.type)) + ", not a list");
  WL_CHECK(!items.empty() && items.size() == paths.size());
  const bool objects = items.size() > 1 || items.front().name != column;
  std::vector<Field> within = items;
  for (size_t i = 0; i < items.size(); ++i) within[i].name = objects ? paths[i] : "value";
  Schema schema(std::move(within));
  WL_RETURN_IF_ERROR(JsonDecoder::make(schema).status());
  spec.makes = std::move(items);
  spec.drops = {column};
  spec.function = std::make_shared<ExplodeJson>(std::move(schema), objects);
  return spec;
}

}  // namespace wrackline
