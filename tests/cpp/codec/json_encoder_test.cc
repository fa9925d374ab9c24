#include "wrackline/codec/json_encoder.h"

#include <bit>
#include <cmath>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "wrackline/codec/json_decoder.h"
#include "wrackline/codec/json_text.h"

namespace wrackline {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

Batch batch_of(std::vector<Field> fields, std::vector<std::shared_ptr<Column>> columns) {
  Batch batch;
  batch.schema = std::make_shared<const Schema>(std::move(fields));
  batch.length = columns.empty() ? 0 : columns[0]->length();
  batch.columns.assign(columns.begin(), columns.end());
  return batch;
}

std::vector<std::string> values(const Records& records) {
  std::vector<std::string> result;
  for (int64_t i = 0; i < records.size(); ++i) result.emplace_back(records.value(i));
  return result;
}

// The value texts of one column named "c".
std::vector<std::string> encoded(const std::shared_ptr<Column>& column, JsonEncoderOptions options = {}) {
  const Batch batch = batch_of({{.name = "c", .type = column->type(), .item = column->item()}}, {column});
  Records records;
  JsonEncoder::all_columns(batch.schema, options).encode(batch, 0, records);
  std::vector<std::string> result = values(records);
  for (std::string& text : result) {
    EXPECT_TRUE(text.starts_with("{\"c\":") && text.ends_with('}')) << text;
    text = text.substr(5, text.size() - 6);
  }
  return result;
}

std::shared_ptr<Column> floats(const std::vector<double>& numbers) {
  auto column = std::make_shared<Column>(Type::kFloat64);
  for (const double number : numbers) column->append_float64(number);
  return column;
}

std::shared_ptr<Column> strings(const std::vector<std::string>& texts) {
  auto column = std::make_shared<Column>(Type::kString);
  for (const std::string& text : texts) column->append_string(text);
  return column;
}

using Texts = std::vector<std::string>;

TEST(JsonEncoder, WritesObjectsAndKeysAsDocumented) {
  auto key = strings({"a", "b\"c"});
  auto start = std::make_shared<Column>(Type::kTimestamp);
  start->append_int64(1'700'000'000'000);
  start->append_int64(-1);
  auto count = std::make_shared<Column>(Type::kInt64);
  count->append_int64(3);
  count->append_null();
  const Batch batch = batch_of({{.name = "k", .type = Type::kString},
                                {.name = "window_start", .type = Type::kTimestamp},
                                {.name = "n", .type = Type::kInt64}},
                               {key, start, count});
  Records records;
  JsonEncoder::make(batch.schema, {0, 1, 2}, {0, 1})->encode(batch, 55, records);
  EXPECT_EQ(values(records),
            (Texts{R"({"k":"a","window_start":1700000000000,"n":3})", R"({"k":"b\"c","window_start":-1,"n":null})"}));
  EXPECT_EQ(records.key(0), R"(["a",1700000000000])");
  EXPECT_EQ(records.key(1), R"(["b\"c",-1])");
  EXPECT_EQ(records.timestamp(1), 55);

  Records iso;
  const JsonEncoder encoder = *JsonEncoder::make(batch.schema, {1}, {1}, {.iso_times = true});
  encoder.encode(batch, 1, 2, 0, iso);
  EXPECT_EQ(values(iso), Texts{R"({"window_start":"1969-12-31T23:59:59.999Z"})"});
  EXPECT_EQ(iso.key(0), R"(["1969-12-31T23:59:59.999Z"])");
  Bytes array;
  encoder.append_array(batch, 0, {0, 2}, array);
  EXPECT_EQ(std::string(array.begin(), array.end()), R"(["a",3])");
}

TEST(JsonEncoder, AppendsBehindWhatIsThereAndLeavesWholeRecords) {
  Records records;
  records.add("k", "before", 1);
  const Batch batch = batch_of({{.name = "c", .type = Type::kString}}, {strings({"x", std::string(5'000, 'y')})});
  JsonEncoder::all_columns(batch.schema).encode(batch, 2, records);
  records.add(std::nullopt, "after", 3);
  EXPECT_EQ(values(records), (Texts{"before", R"({"c":"x"})", "{\"c\":\"" + std::string(5'000, 'y') + "\"}", "after"}));
  EXPECT_EQ(records.key(0), "k");
  EXPECT_FALSE(records.has_key(1));
  EXPECT_EQ(records.value_bytes().size(), 6U + 1 + 9 + 1 + 5'008 + 1 + 5 + 1);
}

TEST(JsonEncoder, NoColumnsAreAnEmptyObject) {
  const Batch batch = batch_of({{.name = "c", .type = Type::kString}}, {strings({"x"})});
  Records records;
  JsonEncoder::make(batch.schema, {}, {})->encode(batch, 0, records);
  EXPECT_EQ(values(records), Texts{"{}"});
  EXPECT_FALSE(JsonEncoder::make(batch.schema, {1}, {}).ok());
}

TEST(JsonEncoder, NanAndInfinitiesAreNullOrStrings) {
  const auto column = floats({std::nan(""), kInfinity, -kInfinity, 1.5});
  EXPECT_EQ(encoded(column), (Texts{"null", "null", "null", "1.5"}));
  EXPECT_EQ(encoded(column, {.nan_as_string = true}), (Texts{"\"NaN\"", "\"Infinity\"", "\"-Infinity\"", "1.5"}));
}

TEST(JsonEncoder, FloatsAreShort) {
  EXPECT_EQ(encoded(floats({0, -0.0, 1, -1, 0.1, -0.1, 123.45, 1e22, 5e-324, 0.0001, -0.0001, 0.00001, 100, 1e15,
                            123456.789, 1.0 / 3})),
            (Texts{"0.0", "-0.0", "1.0", "-1.0", "0.1", "-0.1", "123.45", "1e+22", "5e-324", "0.0001", "-0.0001",
                   "1e-05", "100.0", "1e+15", "123456.789", "0.3333333333333333"}));
}

TEST(JsonEncoder, EveryFloatReadsBackBitForBitAndIsNoLongerThanNeeded) {
  std::mt19937_64 random(5);
  for (int i = 0; i < 300'000; ++i) {
    double value = std::bit_cast<double>(random());
    if (i % 3 == 1) value = static_cast<double>(static_cast<int64_t>(random() % 20'000'000) - 10'000'000) / 100;
    if (i % 3 == 2) value = static_cast<double>(static_cast<int64_t>(random() >> (random() % 64))) / 10'000;
    if (!std::isfinite(value)) continue;
    char text[json::kMaxNumberSize + 1] = {};
    char* const end = json::write_float64(value, text);
    *end = '\0';
    ASSERT_EQ(std::bit_cast<uint64_t>(std::strtod(text, nullptr)), std::bit_cast<uint64_t>(value)) << text;
    if (std::abs(value) >= 0x1p53) continue;  // whole numbers may be written out
    // No shorter run of digits reads back the same.
    char digits[64];
    std::string significant;
    for (const char* p = text; *p != '\0' && *p != 'e'; ++p) {
      if (*p >= '0' && *p <= '9') significant += *p;
    }
    const size_t first = significant.find_first_not_of('0');
    if (first == std::string::npos) continue;
    const size_t last = significant.find_last_not_of('0');
    const int count = static_cast<int>(last - first);
    if (count == 0) continue;
    std::snprintf(digits, sizeof digits, "%.*e", count - 1, value);
    ASSERT_NE(std::strtod(digits, nullptr), value) << text;
  }
}

TEST(JsonEncoder, StringsAreEscapedAndAlwaysUtf8) {
  EXPECT_EQ(encoded(strings({"", "plain", "q\"b\\", std::string("\0\1\x1f", 3), "\b\f\n\r\t", "caf\xc3\xa9",
                             "\xf0\x9f\x98\x80", "\x7f", "/"})),
            (Texts{"\"\"", "\"plain\"", R"("q\"b\\")", R"("\u0000\u0001\u001f")", R"("\b\f\n\r\t")", "\"caf\xc3\xa9\"",
                   "\"\xf0\x9f\x98\x80\"", "\"\x7f\"", "\"/\""}));
  const std::string bad = "\xef\xbf\xbd";
  EXPECT_EQ(
      encoded(
          strings({"\xff", "a\xc3", "\xe2\x82", "\xed\xa0\x80", "\xc0\x80", "\xf5z", "\xf4\x90\x80\x80", "x\x80y"})),
      (Texts{"\"" + bad + "\"", "\"a" + bad + "\"", "\"" + bad + bad + "\"", "\"" + bad + bad + bad + "\"",
             "\"" + bad + bad + "\"", "\"" + bad + "z\"", "\"" + bad + bad + bad + bad + "\"", "\"x" + bad + "y\""}));
}

TEST(JsonEncoder, BoolsBytesDecimalsAndLists) {
  auto bools = std::make_shared<Column>(Type::kBool);
  bools->append_bool(true);
  bools->append_null();
  bools->append_bool(false);
  EXPECT_EQ(encoded(bools), (Texts{"true", "null", "false"}));

  auto bytes = std::make_shared<Column>(Type::kBytes);
  for (const std::string_view text : {"", "f", "fo", "foo", "foob"}) bytes->append_string(text);
  EXPECT_EQ(encoded(bytes), (Texts{"\"\"", "\"Zg==\"", "\"Zm8=\"", "\"Zm9v\"", "\"Zm9vYg==\""}));

  auto decimals = std::make_shared<Column>(Type::kDecimal);
  __int128 large = 1;
  for (int i = 0; i < 37; ++i) large *= 10;
  for (const __int128 value : {__int128{0}, __int128{-7}, large, -large, static_cast<__int128>(1) << 127})
    decimals->append_decimal(value);
  EXPECT_EQ(encoded(decimals),
            (Texts{"\"0\"", "\"-7\"", "\"1" + std::string(37, '0') + "\"", "\"-1" + std::string(37, '0') + "\"",
                   "\"-170141183460469231731687303715884105728\""}));

  auto lists = std::make_shared<Column>(Type::kList, Type::kFloat64);
  lists->append_list_end();
  lists->mutable_items().append_float64(1.5);
  lists->mutable_items().append_null();
  lists->mutable_items().append_float64(std::nan(""));
  lists->append_list_end();
  lists->append_null();
  EXPECT_EQ(encoded(lists), (Texts{"[]", "[1.5,null,null]", "null"}));
}

TEST(JsonEncoder, IntegersAreWholeAndTimesOutOfRangeAreNumbers) {
  auto ints = std::make_shared<Column>(Type::kInt64);
  for (const int64_t value : {int64_t{0}, INT64_MAX, INT64_MIN}) ints->append_int64(value);
  EXPECT_EQ(encoded(ints), (Texts{"0", "9223372036854775807", "-9223372036854775808"}));
  auto times = std::make_shared<Column>(Type::kTimestamp);
  times->append_int64(kMinusInfinity);
  EXPECT_EQ(encoded(times, {.iso_times = true}), Texts{"-9223372036854775808"});
}

TEST(JsonEncoder, WhatItWritesTheDecoderReads) {
  std::mt19937_64 random(17);
  const std::vector<Field> fields = {{.name = "b", .type = Type::kBool, .nullable = true},
                                     {.name = "i \"1\"", .type = Type::kInt64, .nullable = true},
                                     {.name = "f", .type = Type::kFloat64, .nullable = true},
                                     {.name = "s", .type = Type::kString, .nullable = true},
                                     {.name = "y", .type = Type::kBytes, .nullable = true},
                                     {.name = "t", .type = Type::kTimestamp, .nullable = true}};
  for (int round = 0; round < 50; ++round) {
    std::vector<std::shared_ptr<Column>> columns;
    const int rows = static_cast<int>(random() % 200);
    for (const Field& field : fields) {
      auto column = std::make_shared<Column>(field.type);
      for (int row = 0; row < rows; ++row) {
        if (random() % 5 == 0) {
          column->append_null();
          continue;
        }
        switch (field.type) {
          case Type::kBool: column->append_bool(random() % 2 == 0); break;
          case Type::kInt64: column->append_int64(static_cast<int64_t>(random() >> random() % 64)); break;
          case Type::kFloat64: {
            const double value = std::bit_cast<double>(random());
            column->append_float64(std::isfinite(value) ? value : 0.5);
            break;
          }
          case Type::kTimestamp:
            column->append_int64(static_cast<int64_t>(random() % 4'000'000'000'000) - 2'000'000'000'000);
            break;
          default: {
            std::string text;
            for (uint64_t n = random() % 40; n > 0; --n) {
              if (field.type == Type::kBytes)
                text += static_cast<char>(random());
              else if (random() % 8 == 0)
                text += "\xe2\x82\xac";
              else
                text += static_cast<char>(random() % 128);
            }
            column->append_string(text);
          }
        }
      }
      columns.push_back(std::move(column));
    }
    const Batch batch = batch_of(fields, columns);
    auto records = std::make_shared<Records>();
    JsonEncoder::all_columns(batch.schema, {.iso_times = round % 2 == 0}).encode(batch, 0, *records);
    const Decoded decoded = JsonDecoder::make(Schema(fields))->decode(records);
    ASSERT_TRUE(decoded.bad.empty()) << decoded.bad[0].message;
    ASSERT_EQ(decoded.batch.length, rows);
    for (int c = 0; c < static_cast<int>(fields.size()); ++c) {
      const Column& want = batch.column(c);
      const Column& got = decoded.batch.column(c);
      for (int64_t row = 0; row < rows; ++row) {
        ASSERT_EQ(got.is_null(row), want.is_null(row));
        if (want.is_null(row)) continue;
        switch (want.type()) {
          case Type::kBool: ASSERT_EQ(got.bool_at(row), want.bool_at(row)); break;
          case Type::kString:
          case Type::kBytes: ASSERT_EQ(got.string_at(row), want.string_at(row)); break;
          default: ASSERT_EQ(got.int64s()[row], want.int64s()[row]);
        }
      }
    }
  }
}

}  // namespace
}  // namespace wrackline
