#include "wrackline/core/arrow.h"

#include <cerrno>
#include <cstring>
#include <deque>
#include <limits>
#include <string>
#include <vector>

#include <gtest/gtest.h>

namespace wrackline {
namespace {

// A producer whose memory is exactly as large as what it says, so that ASan sees every read beyond it, and
// that counts what was released.
class Producer {
 public:
  ~Producer() { EXPECT_EQ(made_, released_) << "everything given away has to be released, once"; }

  template <typename T>
  const void* buffer(const std::vector<T>& values) {
    if (values.empty()) return nullptr;
    buffers_.emplace_back(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
    auto* copy = new char[values.size() * sizeof(T)];
    std::memcpy(copy, values.data(), values.size() * sizeof(T));
    owned_.emplace_back(copy);
    return copy;
  }
  const void* text(const std::string& bytes) { return buffer(std::vector<char>(bytes.begin(), bytes.end())); }
  const void* bits(const std::vector<int>& values) {
    std::vector<uint8_t> bytes((values.size() + 7) / 8);
    for (size_t i = 0; i < values.size(); ++i) bytes[i / 8] = static_cast<uint8_t>(bytes[i / 8] | values[i] << (i % 8));
    return buffer(bytes);
  }

  ArrowSchema* schema(const char* format, const char* name, std::vector<ArrowSchema*> children = {},
                      ArrowSchema* dictionary = nullptr, int64_t flags = 0) {
    child_schemas_.push_back(std::move(children));
    ArrowSchema& made = schemas_.emplace_back();
    made = {format,
            name,
            nullptr,
            flags,
            static_cast<int64_t>(child_schemas_.back().size()),
            child_schemas_.back().data(),
            dictionary,
            release_schema,
            this};
    return &made;
  }
  ArrowArray* array(int64_t length, int64_t offset, int64_t null_count, std::vector<const void*> buffers,
                    std::vector<ArrowArray*> children = {}, ArrowArray* dictionary = nullptr) {
    buffer_lists_.push_back(std::move(buffers));
    child_arrays_.push_back(std::move(children));
    ArrowArray& made = arrays_.emplace_back();
    made = {length,
            null_count,
            offset,
            static_cast<int64_t>(buffer_lists_.back().size()),
            static_cast<int64_t>(child_arrays_.back().size()),
            buffer_lists_.back().data(),
            child_arrays_.back().data(),
            dictionary,
            release_array,
            this};
    return &made;
  }
  // What the tables below are given as: only its outermost structure is released by the consumer.
  Result<ImportedTable> import_one(const char* format, ArrowArray* column, ArrowSchema* child = nullptr,
                                   int64_t flags = 0, ArrowSchema* dictionary = nullptr) {
    std::vector<ArrowSchema*> items;
    if (child != nullptr) items.push_back(child);
    ArrowSchema* root = schema("+s", "", {schema(format, "x", items, dictionary, flags)});
    ArrowArray* table = array(column->length - slice_, slice_, 0, {nullptr}, {column});
    made_ += 2;
    return import_batch(root, table);
  }
  void slice(int64_t rows) { slice_ = rows; }
  void given(int count) { made_ += count; }

 private:
  static void release_schema(ArrowSchema* schema) {
    ++static_cast<Producer*>(schema->private_data)->released_;
    schema->release = nullptr;
  }
  static void release_array(ArrowArray* array) {
    ++static_cast<Producer*>(array->private_data)->released_;
    array->release = nullptr;
  }
  std::deque<std::string> buffers_;
  std::vector<std::unique_ptr<char[]>> owned_;
  std::deque<std::vector<const void*>> buffer_lists_;
  std::deque<std::vector<ArrowSchema*>> child_schemas_;
  std::deque<std::vector<ArrowArray*>> child_arrays_;
  std::deque<ArrowSchema> schemas_;
  std::deque<ArrowArray> arrays_;
  int64_t slice_ = 0;
  int made_ = 0;
  int released_ = 0;
};

std::string cell(const Column& column, int64_t row) {
  if (column.is_null(row)) return "null";
  switch (column.type()) {
    case Type::kBool: return column.bool_at(row) ? "true" : "false";
    case Type::kInt64:
    case Type::kTimestamp: return std::to_string(column.int64s()[row]);
    case Type::kFloat64: {
      std::string text = std::to_string(column.float64s()[row]);
      text.erase(text.find_last_not_of('0') + 1);
      return text;
    }
    case Type::kString:
    case Type::kBytes: return std::string(column.string_at(row));
    case Type::kDecimal: {
      const __int128 value = column.decimal_at(row);
      return std::to_string(static_cast<int64_t>(value >> 64)) + ":" + std::to_string(static_cast<uint64_t>(value));
    }
    case Type::kList: {
      std::string text = "[";
      for (int32_t i = column.offsets()[row]; i < column.offsets()[row + 1]; ++i) text += cell(column.items(), i) + " ";
      return text + "]";
    }
  }
  return "?";
}

using Cells = std::vector<std::string>;

Cells cells(const Result<ImportedTable>& table, int column = 0) {
  if (!table.ok()) return {table.status().to_string()};
  Cells result;
  for (const Batch& batch : table->batches) {
    EXPECT_EQ(table->schema, batch.schema);
    EXPECT_EQ(batch.length, batch.column(column).length());
    EXPECT_EQ(table->schema->field(column).type, batch.column(column).type());
    for (int64_t row = 0; row < batch.length; ++row) result.push_back(cell(batch.column(column), row));
  }
  return result;
}

std::string refusal(const Result<ImportedTable>& table) {
  if (table.ok()) return "was taken";
  EXPECT_EQ(Code::kInvalidArgument, table.status().code());
  return table.status().message();
}

#define EXPECT_CONTAINS(text, part) \
  EXPECT_NE(std::string::npos, (text).find(part)) << "'" << (text) << "' does not contain '" << (part) << "'"

// ---- round trip

std::shared_ptr<const Batch> all_types(int64_t first, int64_t rows, bool nulls) {
  auto batch = std::make_shared<Batch>();
  const std::vector<Field> fields = {
      {"flag", Type::kBool, true},
      {"n", Type::kInt64, true},
      {"x", Type::kFloat64, true},
      {"name", Type::kString, true},
      {"raw", Type::kBytes, true},
      {"at", Type::kTimestamp, true},
      {"total", Type::kDecimal, true},
      {"tags", Type::kList, true, Type::kString},
      {"hits", Type::kList, true, Type::kInt64},
  };
  batch->schema = std::make_shared<const Schema>(fields);
  batch->length = rows;
  for (size_t f = 0; f < fields.size(); ++f) {
    auto column = std::make_shared<Column>(fields[f].type, fields[f].item);
    for (int64_t i = first; i < first + rows; ++i) {
      if (nulls && (static_cast<size_t>(i) + f) % 5 == 0) {
        column->append_null();
        continue;
      }
      switch (fields[f].type) {
        case Type::kBool: column->append_bool(i % 3 == 1); break;
        case Type::kInt64: column->append_int64(std::numeric_limits<int64_t>::max() - i); break;
        case Type::kFloat64: column->append_float64(static_cast<double>(i) / 4); break;
        case Type::kString: column->append_string(std::string(static_cast<size_t>(i % 20), 'x')); break;
        case Type::kBytes: column->append_string(std::string_view("\0\xff", 2)); break;
        case Type::kTimestamp: column->append_int64(-1000 * i); break;
        case Type::kDecimal: column->append_decimal((static_cast<__int128>(-i) << 64) + i); break;
        case Type::kList:
          for (int64_t k = 0; k < i % 4; ++k) {
            fields[f].item == Type::kString ? column->mutable_items().append_string("t" + std::to_string(k))
                                            : column->mutable_items().append_int64(i * k);
          }
          column->append_list_end();
          break;
      }
    }
    batch->columns.push_back(column);
  }
  return batch;
}

Cells cells_of(const std::vector<std::shared_ptr<const Batch>>& batches, int column) {
  Cells result;
  for (const auto& batch : batches) {
    for (int64_t row = 0; row < batch->length; ++row) result.push_back(cell(batch->column(column), row));
  }
  return result;
}

TEST(Arrow, EveryTypeComesBackAsItWent) {
  for (const bool nulls : {false, true}) {
    const std::vector<std::shared_ptr<const Batch>> batches = {all_types(0, 37, nulls), all_types(0, 0, nulls),
                                                               all_types(37, 8, nulls)};
    ArrowArrayStream stream;
    export_stream(batches[0]->schema, batches, &stream);
    const Result<ImportedTable> table = import_stream(&stream);
    ASSERT_TRUE(table.ok()) << table.status().to_string();
    EXPECT_EQ(nullptr, stream.release);
    EXPECT_EQ(*batches[0]->schema, *table->schema);
    ASSERT_EQ(3U, table->batches.size());
    EXPECT_EQ(0, table->batches[1].length);
    for (int column = 0; column < table->schema->size(); ++column) {
      EXPECT_EQ(cells_of(batches, column), cells(table, column)) << table->schema->field(column).name;
    }
  }
}

TEST(Arrow, ExportSaysTheFormatsThatOthersRead) {
  ArrowSchema schema;
  export_schema(*all_types(0, 0, false)->schema, &schema);
  EXPECT_STREQ("+s", schema.format);
  Cells formats;
  for (int64_t i = 0; i < schema.n_children; ++i) formats.emplace_back(schema.children[i]->format);
  EXPECT_EQ((Cells{"b", "l", "g", "u", "z", "tsm:UTC", "d:38,0", "+l", "+l"}), formats);
  EXPECT_STREQ("name", schema.children[3]->name);
  EXPECT_EQ(ARROW_FLAG_NULLABLE, schema.children[3]->flags);
  EXPECT_STREQ("u", schema.children[7]->children[0]->format);
  schema.release(&schema);
  EXPECT_EQ(nullptr, schema.release);
}

TEST(Arrow, ExportCopiesNothing) {
  const auto batch = all_types(0, 10, false);
  ArrowArray array;
  export_batch(batch, &array);
  EXPECT_EQ(batch->column(1).int64s(), array.children[1]->buffers[1]);
  EXPECT_EQ(nullptr, array.children[1]->buffers[0]);
  array.release(&array);
}

TEST(Arrow, AChildMayOutliveItsParentAndTheBatch) {
  auto batch = all_types(0, 10, false);
  const std::weak_ptr<const Batch> watch = batch;
  ArrowArray array;
  ArrowSchema schema;
  export_schema(*batch->schema, &schema);
  export_batch(batch, &array);
  batch.reset();
  ArrowArray tags = *array.children[7];  // moved out, as the interface describes it
  array.children[7]->release = nullptr;
  ArrowSchema tags_schema = *schema.children[7];
  schema.children[7]->release = nullptr;
  array.release(&array);
  schema.release(&schema);
  ASSERT_FALSE(watch.expired());
  EXPECT_STREQ("tags", tags_schema.name);
  EXPECT_STREQ("u", tags_schema.children[0]->format);
  EXPECT_EQ(10, tags.length);
  const auto* offsets = static_cast<const int32_t*>(tags.buffers[1]);
  EXPECT_EQ(3, offsets[4] - offsets[3]);
  tags.release(&tags);
  tags_schema.release(&tags_schema);
  EXPECT_TRUE(watch.expired());
}

TEST(Arrow, AStreamMayBeDroppedHalfRead) {
  auto batch = all_types(0, 3, true);
  const std::weak_ptr<const Batch> watch = batch;
  ArrowArrayStream stream;
  export_stream(batch->schema, {batch, batch, batch}, &stream);
  batch.reset();
  ArrowArray first;
  ASSERT_EQ(0, stream.get_next(&stream, &first));
  stream.release(&stream);
  EXPECT_FALSE(watch.expired());
  first.release(&first);
  EXPECT_TRUE(watch.expired());
}

TEST(Arrow, AStreamIsReadOnce) {
  const auto batch = all_types(0, 3, true);
  ArrowArrayStream stream;
  export_stream(batch->schema, {batch}, &stream);
  ASSERT_TRUE(import_stream(&stream).ok());
  EXPECT_CONTAINS(refusal(import_stream(&stream)), "read already");
}

TEST(Arrow, AnEmptyStreamStillHasItsSchema) {
  const auto batch = all_types(0, 0, false);
  ArrowArrayStream stream;
  export_stream(batch->schema, {}, &stream);
  const Result<ImportedTable> table = import_stream(&stream);
  ASSERT_TRUE(table.ok());
  EXPECT_EQ(*batch->schema, *table->schema);
  EXPECT_TRUE(table->batches.empty());
}

// ---- what others send

TEST(ArrowImport, IntegersOfEveryWidth) {
  const auto check = [](const char* format, auto low, auto high) {
    using T = decltype(low);
    Producer p;
    EXPECT_EQ((Cells{std::to_string(low), std::to_string(high)}),
              cells(p.import_one(format, p.array(2, 0, 0, {nullptr, p.buffer(std::vector<T>{low, high})}))))
        << format;
  };
  check("c", std::numeric_limits<int8_t>::min(), std::numeric_limits<int8_t>::max());
  check("C", uint8_t{0}, std::numeric_limits<uint8_t>::max());
  check("s", std::numeric_limits<int16_t>::min(), std::numeric_limits<int16_t>::max());
  check("S", uint16_t{0}, std::numeric_limits<uint16_t>::max());
  check("i", std::numeric_limits<int32_t>::min(), std::numeric_limits<int32_t>::max());
  check("I", uint32_t{0}, std::numeric_limits<uint32_t>::max());
  check("l", std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max());
  check("L", uint64_t{0}, uint64_t{0x7fffffffffffffff});
}

TEST(ArrowImport, AnUnsignedValueBeyondInt64IsRefusedWithItsColumnUnlessItIsNull) {
  const std::vector<uint64_t> values = {1, 1ULL << 63};
  Producer p;
  const std::string message = refusal(p.import_one("L", p.array(2, 0, 0, {nullptr, p.buffer(values)})));
  EXPECT_CONTAINS(message, "column 'x'");
  EXPECT_CONTAINS(message, "row 1: 9223372036854775808");
  EXPECT_EQ((Cells{"1", "null"}), cells(p.import_one("L", p.array(2, 0, 1, {p.bits({1, 0}), p.buffer(values)}))));
}

TEST(ArrowImport, Floats) {
  Producer p;
  EXPECT_EQ((Cells{"0.5", "-2."}),
            cells(p.import_one("f", p.array(2, 0, 0, {nullptr, p.buffer(std::vector<float>{0.5F, -2})}))));
  EXPECT_EQ((Cells{"0.5", "-2."}),
            cells(p.import_one("g", p.array(2, 0, 0, {nullptr, p.buffer(std::vector<double>{0.5, -2})}))));
}

TEST(ArrowImport, OffsetsOfParentAndChildAdd) {
  std::vector<int32_t> values;
  std::vector<int> valid;
  for (int i = 0; i < 40; ++i) {
    values.push_back(i);
    valid.push_back(i % 4 != 0);
  }
  for (int64_t offset = 0; offset < 10; ++offset) {
    for (int64_t slice = 0; slice < 10; ++slice) {
      Producer p;
      p.slice(slice);
      const int64_t length = 25;
      Cells expected;
      Cells expected_bools;
      for (int64_t i = offset + slice; i < offset + length; ++i) {
        expected.push_back(i % 4 == 0 ? "null" : std::to_string(i));
        expected_bools.emplace_back(i % 4 == 0 ? "null" : "true");
      }
      ASSERT_EQ(expected, cells(p.import_one("i", p.array(length, offset, -1, {p.bits(valid), p.buffer(values)}))));
      ASSERT_EQ(
          expected_bools,
          cells(p.import_one("b", p.array(length, offset, -1, {p.bits(valid), p.bits(std::vector<int>(40, 1))}))));
    }
  }
}

// The import's columns are ours: they can be appended to, also where bits share a byte.
TEST(ArrowImport, WhatWasImportedCanBeAppendedTo) {
  Producer p;
  p.slice(1);
  const Result<ImportedTable> table = p.import_one(
      "b",
      p.array(8, 0, -1, {p.bits({1, 1, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1}), p.bits(std::vector<int>(16, 1))}));
  ASSERT_TRUE(table.ok());
  Column copy = table->batches[0].column(0);
  copy.append_null();
  copy.append_bool(false);
  EXPECT_EQ("true", cell(copy, 0));
  EXPECT_EQ("null", cell(copy, 1));
  EXPECT_EQ("null", cell(copy, 7));
  EXPECT_EQ("false", cell(copy, 8));
}

TEST(ArrowImport, BooleansWithNulls) {
  Producer p;
  EXPECT_EQ((Cells{"true", "null", "false"}),
            cells(p.import_one("b", p.array(3, 0, 1, {p.bits({1, 0, 1}), p.bits({1, 1, 0})}))));
}

TEST(ArrowImport, TextWithSmallAndLargeOffsets) {
  Producer p;
  const std::vector<int32_t> small = {0, 3, 3, 8, 10};
  const std::vector<int64_t> large(small.begin(), small.end());
  const Cells expected = {"abc", "", "defgh", "ij"};
  for (const auto& [format, offsets] : std::vector<std::pair<const char*, const void*>>{
           {"u", p.buffer(small)}, {"z", p.buffer(small)}, {"U", p.buffer(large)}, {"Z", p.buffer(large)}}) {
    EXPECT_EQ(expected, cells(p.import_one(format, p.array(4, 0, 0, {nullptr, offsets, p.text("abcdefghij")}))))
        << format;
    EXPECT_EQ((Cells{"defgh"}),
              cells(p.import_one(format, p.array(1, 2, 0, {nullptr, offsets, p.text("abcdefghij")}))));
    // A null row may have bytes of its own; ours reads as empty.
    const Result<ImportedTable> nulls =
        p.import_one(format, p.array(4, 0, 1, {p.bits({0, 1, 1, 1}), offsets, p.text("abcdefghij")}));
    EXPECT_EQ((Cells{"null", "", "defgh", "ij"}), cells(nulls));
    EXPECT_EQ("", nulls->batches[0].column(0).string_at(0));
  }
}

TEST(ArrowImport, AllEmptyTextNeedsNoDataBuffer) {
  Producer p;
  EXPECT_EQ((Cells{"", ""}),
            cells(p.import_one("u", p.array(2, 0, 0, {nullptr, p.buffer(std::vector<int32_t>{0, 0, 0}), nullptr}))));
}

struct View {
  int32_t size;
  char rest[12];
};

View view(const std::string& text, int32_t buffer = 0, int32_t at = 0) {
  View made{static_cast<int32_t>(text.size()), {}};
  if (text.size() <= 12) {
    std::memcpy(made.rest, text.data(), text.size());
  } else {
    std::memcpy(made.rest, text.data(), 4);
    std::memcpy(made.rest + 4, &buffer, 4);
    std::memcpy(made.rest + 8, &at, 4);
  }
  return made;
}

TEST(ArrowImport, ViewsInlineAndInSeveralBuffers) {
  Producer p;
  const std::string a = "thirteen char";
  const std::string b = "another one that is long";
  const std::vector<View> views = {view("exactly12byt"), view(a, 0, 3), view(""), view(b, 1, 0), view("no", 7, 7)};
  const std::vector<const void*> buffers = {p.bits({1, 1, 1, 1, 0}), p.buffer(views), p.text("..." + a), p.text(b),
                                            p.buffer(std::vector<int64_t>{16, 24})};
  for (const char* format : {"vu", "vz"}) {
    EXPECT_EQ((Cells{"exactly12byt", a, "", b, "null"}), cells(p.import_one(format, p.array(5, 0, 1, buffers))));
    EXPECT_EQ((Cells{"", b}), cells(p.import_one(format, p.array(2, 2, -1, buffers))));
  }
}

TEST(ArrowImport, AViewOfNoBufferIsRefused) {
  Producer p;
  const std::vector<View> views = {view("thirteen char", 3, 0)};
  const std::string message = refusal(p.import_one(
      "vu", p.array(1, 0, 0, {nullptr, p.buffer(views), p.text("thirteen char"), p.buffer(std::vector<int64_t>{13})})));
  EXPECT_CONTAINS(message, "column 'x'");
}

TEST(ArrowImport, DictionariesWithAnyIndexType) {
  const auto check = [](const char* format, auto zero) {
    using T = decltype(zero);
    Producer p;
    ArrowArray* values =
        p.array(2, 1, -1, {p.bits({1, 1, 0}), p.buffer(std::vector<int32_t>{0, 1, 4, 4}), p.text("?red")});
    ArrowArray* index =
        p.array(4, 1, 1, {p.bits({1, 1, 1, 0, 1}), p.buffer(std::vector<T>{9, 0, 1, 77, 0})}, {}, values);
    EXPECT_EQ((Cells{"red", "null", "null", "red"}), cells(p.import_one(format, index, nullptr, 0, p.schema("u", ""))))
        << format;
  };
  check("c", int8_t{});
  check("C", uint8_t{});
  check("s", int16_t{});
  check("S", uint16_t{});
  check("i", int32_t{});
  check("I", uint32_t{});
  check("l", int64_t{});
  check("L", uint64_t{});
}

TEST(ArrowImport, DictionariesOfViewsAndLargeText) {
  Producer p;
  const std::vector<uint32_t> rows = {1, 0, 1};
  ArrowArray* views =
      p.array(2, 0, 0, {nullptr, p.buffer(std::vector<View>{view("a"), view("b")}), p.buffer(std::vector<int64_t>{})});
  EXPECT_EQ((Cells{"b", "a", "b"}), cells(p.import_one("I", p.array(3, 0, 0, {nullptr, p.buffer(rows)}, {}, views),
                                                       nullptr, 0, p.schema("vu", ""))));
  ArrowArray* large = p.array(2, 0, 0, {nullptr, p.buffer(std::vector<int64_t>{0, 1, 2}), p.text("ab")});
  EXPECT_EQ((Cells{"b", "a", "b"}), cells(p.import_one("I", p.array(3, 0, 0, {nullptr, p.buffer(rows)}, {}, large),
                                                       nullptr, 0, p.schema("U", ""))));
}

TEST(ArrowImport, AnIndexBeyondItsDictionaryIsRefused) {
  Producer p;
  ArrowArray* values = p.array(1, 0, 0, {nullptr, p.buffer(std::vector<int32_t>{0, 1}), p.text("a")});
  ArrowArray* index = p.array(1, 0, 0, {nullptr, p.buffer(std::vector<int8_t>{-1})}, {}, values);
  EXPECT_CONTAINS(refusal(p.import_one("c", index, nullptr, 0, p.schema("u", ""))), "no entry -1");
}

TEST(ArrowImport, TimestampsOfEveryUnitAndZoneAreFlooredToMilliseconds) {
  struct Case {
    const char* format;
    std::vector<int64_t> values;
    Cells expected;
  };
  const std::vector<Case> cases = {
      {"tss:", {2, -2}, {"2000", "-2000"}},
      {"tsm:UTC", {1999, -1999}, {"1999", "-1999"}},
      {"tsu:Etc/UTC", {1'999, -1, -1'000, -1'001}, {"1", "-1", "-1", "-2"}},
      {"tsn:Europe/Berlin", {1'999'999, -1, -1'000'000, -1'000'001}, {"1", "-1", "-1", "-2"}},
      {"tdm", {86'400'000}, {"86400000"}},
  };
  for (const Case& c : cases) {
    Producer p;
    const auto length = static_cast<int64_t>(c.values.size());
    const Result<ImportedTable> table = p.import_one(c.format, p.array(length, 0, 0, {nullptr, p.buffer(c.values)}));
    EXPECT_EQ(c.expected, cells(table)) << c.format;
    EXPECT_EQ(Type::kTimestamp, table->schema->field(0).type);
  }
  Producer p;
  EXPECT_EQ((Cells{"86400000", "-86400000"}),
            cells(p.import_one("tdD", p.array(2, 0, 0, {nullptr, p.buffer(std::vector<int32_t>{1, -1})}))));
}

TEST(ArrowImport, SecondsBeyondInt64MillisecondsAreRefused) {
  Producer p;
  const std::vector<int64_t> values = {0, std::numeric_limits<int64_t>::max()};
  EXPECT_CONTAINS(refusal(p.import_one("tss:UTC", p.array(2, 0, 0, {nullptr, p.buffer(values)}))), "row 1");
  EXPECT_EQ((Cells{"0", "null"}), cells(p.import_one("tss:UTC", p.array(2, 0, 1, {p.bits({1, 0}), p.buffer(values)}))));
}

TEST(ArrowImport, DecimalsWithoutFraction) {
  Producer p;
  const std::vector<uint64_t> values = {5, 0, ~0ULL, ~0ULL};
  for (const char* format : {"d:38,0", "d:10,0,128"}) {
    EXPECT_EQ((Cells{"0:5", "-1:18446744073709551615"}),
              cells(p.import_one(format, p.array(2, 0, 0, {nullptr, p.buffer(values)}))));
  }
}

TEST(ArrowImport, ANullColumnIsTextWithoutAnyValue) {
  Producer p;
  const Result<ImportedTable> table = p.import_one("n", p.array(3, 0, 3, {}));
  EXPECT_EQ((Cells{"null", "null", "null"}), cells(table));
  EXPECT_EQ((Field{"x", Type::kString, true}), table->schema->field(0));
}

TEST(ArrowImport, FixedSizeBinary) {
  Producer p;
  EXPECT_EQ((Cells{"cd", "null"}), cells(p.import_one("w:2", p.array(2, 1, 1, {p.bits({1, 1, 0}), p.text("abcdef")}))));
}

TEST(ArrowImport, ListsWithSlicesAndNulls) {
  Producer p;
  const auto items = [&] {
    return p.array(6, 1, 1, {p.bits({1, 1, 1, 0, 1, 1, 1}), p.buffer(std::vector<int16_t>{-9, 0, 1, 2, 3, 4, 5})});
  };
  const std::vector<int32_t> small = {0, 1, 3, 3, 6};
  const std::vector<int64_t> large(small.begin(), small.end());
  for (const auto& [format, offsets] :
       std::vector<std::pair<const char*, const void*>>{{"+l", p.buffer(small)}, {"+L", p.buffer(large)}}) {
    EXPECT_EQ((Cells{"[0 ]", "[1 null ]", "[]", "[3 4 5 ]"}),
              cells(p.import_one(format, p.array(4, 0, 0, {nullptr, offsets}, {items()}), p.schema("s", "item"))));
    EXPECT_EQ((Cells{"[1 null ]", "[]"}),
              cells(p.import_one(format, p.array(2, 1, 0, {nullptr, offsets}, {items()}), p.schema("s", "item"))));
    const Result<ImportedTable> nulls =
        p.import_one(format, p.array(4, 0, 1, {p.bits({1, 0, 1, 1}), offsets}, {items()}), p.schema("s", "item"));
    EXPECT_EQ((Cells{"[0 ]", "null", "[]", "[3 4 5 ]"}), cells(nulls));
    const Column& column = nulls->batches[0].column(0);
    EXPECT_EQ(column.offsets()[1], column.offsets()[2]) << "a null row has no items";
    EXPECT_EQ((Field{"x", Type::kList, true, Type::kInt64}), nulls->schema->field(0));
  }
}

TEST(ArrowImport, NullableIsWhatIsFlaggedOrFound) {
  Producer p;
  const std::vector<int64_t> values = {1, 2};
  EXPECT_FALSE(p.import_one("l", p.array(2, 0, 0, {nullptr, p.buffer(values)}))->schema->field(0).nullable);
  EXPECT_FALSE(p.import_one("l", p.array(2, 0, -1, {p.bits({1, 1}), p.buffer(values)}))->schema->field(0).nullable);
  EXPECT_TRUE(p.import_one("l", p.array(2, 0, 0, {nullptr, p.buffer(values)}), nullptr, ARROW_FLAG_NULLABLE)
                  ->schema->field(0)
                  .nullable);
  EXPECT_TRUE(p.import_one("l", p.array(2, 0, 1, {p.bits({1, 0}), p.buffer(values)}))->schema->field(0).nullable);
}

TEST(ArrowImport, WhatWeDoNotTakeIsRefusedWithColumnAndFormat) {
  for (const char* format : {"+s", "e", "ttu", "tDm", "d:10,2", "d:9,0,32", "+w:3", "+vl", "+m", "+ud:0,1", "tiM",
                             "tsx:", "+r", "w:x", ""}) {
    Producer p;
    const std::string message =
        refusal(p.import_one(format, p.array(1, 0, 0, {nullptr, p.buffer(std::vector<int64_t>{1, 2})})));
    EXPECT_CONTAINS(message, "column 'x'");
    EXPECT_CONTAINS(message, "'" + std::string(format) + "'");
  }
  Producer p;
  ArrowSchema* inner = p.schema("+l", "item", {p.schema("l", "item")});
  EXPECT_CONTAINS(refusal(p.import_one("+l", p.array(0, 0, 0, {nullptr, nullptr}), inner)), "lists of lists");
}

TEST(ArrowImport, ASingleColumnIsNotATable) {
  Producer p;
  p.given(2);
  EXPECT_CONTAINS(refusal(import_batch(p.schema("l", "x"), p.array(0, 0, 0, {nullptr, nullptr}))), "a table is needed");
}

TEST(ArrowImport, TwoColumnsOfOneNameAreRefused) {
  Producer p;
  p.given(2);
  ArrowSchema* root = p.schema("+s", "", {p.schema("l", "a"), p.schema("l", "a")});
  EXPECT_CONTAINS(refusal(import_batch(root, p.array(0, 0, 0, {nullptr}))), "two columns are named 'a'");
}

TEST(ArrowImport, FewerRowsOrBuffersThanNeededAreRefused) {
  Producer p;
  p.slice(-1);  // one row more than the column has
  const std::vector<int64_t> values = {1, 2, 3};
  EXPECT_CONTAINS(refusal(p.import_one("l", p.array(2, 0, 0, {nullptr, p.buffer(values)}))), "column 'x'");
  p.slice(0);
  EXPECT_CONTAINS(refusal(p.import_one("l", p.array(2, 0, 0, {nullptr}))), "column 'x'");
  EXPECT_CONTAINS(refusal(p.import_one("l", p.array(2, 0, 0, {nullptr, nullptr}))), "column 'x'");
  EXPECT_CONTAINS(
      refusal(p.import_one("u", p.array(1, 0, 0, {nullptr, p.buffer(std::vector<int32_t>{3, 1}), p.text("abc")}))),
      "offsets go back");
}

// A stream of one schema whose second batch fails.
struct FailingStream {
  Producer* producer;
  int reads = 0;
};

TEST(ArrowImport, AFailingStreamSaysItsOwnError) {
  Producer p;
  p.given(3);  // schema, one batch, the stream below counts itself
  FailingStream state{&p};
  static bool released;
  released = false;
  ArrowArrayStream stream{[](ArrowArrayStream* s, ArrowSchema* out) {
                            Producer* producer = static_cast<FailingStream*>(s->private_data)->producer;
                            *out = *producer->schema("+s", "", {producer->schema("l", "a")});
                            return 0;
                          },
                          [](ArrowArrayStream* s, ArrowArray* out) {
                            auto* self = static_cast<FailingStream*>(s->private_data);
                            Producer* producer = self->producer;
                            if (self->reads++ > 0) return EIO;
                            ArrowArray* column =
                                producer->array(1, 0, 0, {nullptr, producer->buffer(std::vector<int64_t>{1})});
                            *out = *producer->array(1, 0, 0, {nullptr}, {column});
                            return 0;
                          },
                          [](ArrowArrayStream*) { return "the disk is on fire"; },
                          [](ArrowArrayStream* s) {
                            released = true;
                            s->release = nullptr;
                          },
                          &state};
  EXPECT_CONTAINS(refusal(import_stream(&stream)), "the disk is on fire");
  EXPECT_TRUE(released);
  p.given(-1);
}

}  // namespace
}  // namespace wrackline
