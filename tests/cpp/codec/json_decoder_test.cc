#include "wrackline/codec/json_decoder.h"

#include <bit>
#include <cmath>
#include <limits>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "wrackline/core/step.h"

namespace wrackline {
namespace {

const Field kId{.name = "id", .type = Type::kInt64};
const Field kPrice{.name = "price", .type = Type::kFloat64};
const Field kName{.name = "name", .type = Type::kString};
constexpr std::string_view kGoodId = R"({"id":7})";

Decoded decode(const std::vector<Field>& fields, const std::vector<std::string>& documents,
               JsonDecoderOptions options = {}) {
  auto records = std::make_shared<Records>();
  for (const std::string& document : documents) records->add(std::nullopt, document, 0);
  records->pad();
  Result<JsonDecoder> decoder = JsonDecoder::make(Schema(fields), std::move(options));
  EXPECT_TRUE(decoder.ok()) << decoder.status().message();
  return decoder->decode(records);
}

// The one bad record of `document` between two good ones that must not suffer.
BadRecord bad(const std::vector<Field>& fields, const std::string& document, const std::string& good,
              JsonDecoderOptions options = {}) {
  const Decoded decoded = decode(fields, {good, document, good}, std::move(options));
  EXPECT_EQ(decoded.batch.length, 2) << document;
  if (decoded.batch.length == 2) {
    EXPECT_EQ(decoded.batch.record_of[0], 0U);
    EXPECT_EQ(decoded.batch.record_of[1], 2U);
  }
  EXPECT_EQ(decoded.bad.size(), 1U) << document;
  if (decoded.bad.size() != 1) return {};
  EXPECT_EQ(decoded.bad[0].record, 1U);
  return decoded.bad[0];
}

std::string_view reason_of(const std::string& document) { return bad({kId}, document, std::string(kGoodId)).reason; }

bool taken(const std::string& document) {
  const Decoded decoded = decode({kId}, {document});
  return decoded.batch.length == 1 && decoded.bad.empty();
}

TEST(JsonDecoder, EveryTypeArrivesInItsColumn) {
  const Decoded decoded =
      decode({{.name = "b", .type = Type::kBool},
              {.name = "i", .type = Type::kInt64},
              {.name = "f", .type = Type::kFloat64},
              {.name = "s", .type = Type::kString},
              {.name = "y", .type = Type::kBytes},
              {.name = "t", .type = Type::kTimestamp}},
             {R"({"b":true,"i":-12,"f":2.5,"s":"caf\u00e9 \"x\"","y":"AAEC/w==","t":"1970-01-01T00:00:01Z"})",
              R"({"b":false,"i":9223372036854775807,"f":3,"s":"","y":"","t":1700000000000})"});
  ASSERT_TRUE(decoded.bad.empty()) << decoded.bad[0].message;
  const Batch& batch = decoded.batch;
  ASSERT_EQ(batch.length, 2);
  EXPECT_TRUE(batch.column(0).bool_at(0));
  EXPECT_FALSE(batch.column(0).bool_at(1));
  EXPECT_EQ(batch.column(1).int64s()[0], -12);
  EXPECT_EQ(batch.column(1).int64s()[1], INT64_MAX);
  EXPECT_EQ(batch.column(2).float64s()[0], 2.5);
  EXPECT_EQ(batch.column(2).float64s()[1], 3.0);
  EXPECT_EQ(batch.column(3).string_at(0), "caf\xc3\xa9 \"x\"");
  EXPECT_EQ(batch.column(3).string_at(1), "");
  EXPECT_EQ(batch.column(4).string_at(0), std::string_view("\0\1\2\xff", 4));
  EXPECT_EQ(batch.column(4).string_at(1), "");
  EXPECT_EQ(batch.column(5).int64s()[0], 1'000);
  EXPECT_EQ(batch.column(5).int64s()[1], 1'700'000'000'000);
}

TEST(JsonDecoder, NoRecordsGiveAnEmptyBatch) {
  const Decoded decoded = decode({kId, kName}, {});
  EXPECT_EQ(decoded.batch.length, 0);
  EXPECT_EQ(decoded.batch.columns.size(), 2U);
}

TEST(JsonDecoder, FieldsMayComeInAnyOrderAndAmongOthers) {
  const Decoded decoded =
      decode({kId, kPrice, kName},
             {R"({"id":1,"price":1.5,"name":"a"})", R"({"name":"b","id":2,"price":2.5})",
              R"({"x":{"id":9,"y":[1,{"id":8},"}"]},"name":"c","z":null,"price":3.5,"w":"\"id\":5","id":3})"});
  ASSERT_EQ(decoded.batch.length, 3);
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(decoded.batch.column(0).int64s()[i], i + 1);
    EXPECT_EQ(decoded.batch.column(1).float64s()[i], i + 1.5);
    EXPECT_EQ(decoded.batch.column(2).string_at(i), std::string(1, static_cast<char>('a' + i)));
  }
}

TEST(JsonDecoder, RawNewlinesAndSpacesInAValueAreFine) {
  EXPECT_TRUE(taken("{\n  \"id\": 1\n}"));
  EXPECT_TRUE(taken("\n\n {\"id\"\t:\r\n1 } \n"));
}

TEST(JsonDecoder, KeysMayBeEscaped) { EXPECT_TRUE(taken(R"({"\u0069d":1})")); }

TEST(JsonDecoder, LongAndStrangeFieldNamesAreFound) {
  const std::string name(40, 'n');
  const std::string quote = "a\"b\\c";
  const Decoded decoded = decode({{.name = name, .type = Type::kInt64}, {.name = quote, .type = Type::kInt64}},
                                 {"{\"" + name + R"(":1,"a\"b\\c":2})"});
  ASSERT_EQ(decoded.batch.length, 1) << decoded.bad[0].message;
  EXPECT_EQ(decoded.batch.column(0).int64s()[0], 1);
  EXPECT_EQ(decoded.batch.column(1).int64s()[0], 2);
}

TEST(JsonDecoder, UnusedFieldsAreCheckedButNotStored) {
  const JsonDecoderOptions options{.used = {false, true}};
  const Decoded decoded = decode({kId, kName}, {R"({"id":1,"name":"a"})", R"({"id":"x","name":"b"})"}, options);
  ASSERT_EQ(decoded.batch.columns.size(), 1U);
  EXPECT_EQ(decoded.batch.schema->names(), std::vector<std::string>{"name"});
  EXPECT_EQ(decoded.batch.length, 1);
  ASSERT_EQ(decoded.bad.size(), 1U);
  EXPECT_EQ(decoded.bad[0].reason, reason::kSchema);
}

TEST(JsonDecoder, NullableFieldsTakeNullAndMissing) {
  const Field nullable{.name = "name", .type = Type::kString, .nullable = true};
  const Decoded decoded = decode({kId, nullable}, {R"({"id":1,"name":null})", R"({"id":2})", R"({"id":3,"name":"x"})",
                                                   R"({"name":null})", R"({"id":4,"name":null})"});
  ASSERT_EQ(decoded.batch.length, 4);
  const Column& column = decoded.batch.column(1);
  EXPECT_EQ(column.null_count(), 3);
  EXPECT_TRUE(column.is_null(0));
  EXPECT_TRUE(column.is_null(1));
  EXPECT_FALSE(column.is_null(2));
  EXPECT_EQ(column.string_at(2), "x");
  EXPECT_TRUE(column.is_null(3));
}

TEST(JsonDecoder, RequiredFieldsRefuseNullAndMissing) {
  EXPECT_EQ(reason_of(R"({"id":null})"), reason::kSchema);
  EXPECT_EQ(reason_of(R"({})"), reason::kSchema);
  EXPECT_EQ(reason_of(R"({"ID":1})"), reason::kSchema);
}

TEST(JsonDecoder, TombstonesAreNeitherRowsNorBad) {
  auto records = std::make_shared<Records>();
  records->add("k", std::nullopt, 0);
  records->add(std::nullopt, std::string(kGoodId), 0);
  records->add("k", std::nullopt, 0);
  records->add("k", "", 0);  // an empty value is no tombstone
  Result<JsonDecoder> decoder = JsonDecoder::make(Schema({kId}));
  const Decoded decoded = decoder->decode(records);
  ASSERT_EQ(decoded.tombstones.size(), 2U);
  EXPECT_EQ(decoded.tombstones[0], 0U);
  EXPECT_EQ(decoded.tombstones[1], 2U);
  EXPECT_EQ(decoded.batch.length, 1);
  ASSERT_EQ(decoded.bad.size(), 1U);
  EXPECT_EQ(decoded.bad[0].record, 3U);
  EXPECT_EQ(decoded.bad[0].reason, reason::kDecode);
}

TEST(JsonDecoder, WrongTypeNamesFieldAndValue) {
  const BadRecord record = bad({kId}, R"({"id":"seven"})", std::string(kGoodId));
  EXPECT_EQ(record.reason, reason::kSchema);
  EXPECT_NE(record.message.find("\"id\""), std::string::npos) << record.message;
  EXPECT_NE(record.message.find("int64"), std::string::npos) << record.message;
  EXPECT_NE(record.message.find("\"seven\""), std::string::npos) << record.message;
}

TEST(JsonDecoder, IntegersTakeNoOtherSpelling) {
  for (const char* value :
       {"1.0", "1e3", "\"1\"", "true", "[1]", "{}", "1.5", "9223372036854775808", "-9223372036854775809",
        "99999999999999999999", "18446744073709551616", "123456789012345678901234567890"}) {
    EXPECT_EQ(reason_of("{\"id\":" + std::string(value) + "}"), reason::kSchema) << value;
  }
  for (const char* value : {"01",  "-",   "+1",    "1.", ".5",  "1e",  "0x10",  "NaN", "Infinity",  "-Infinity",
                            "nan", "tru", "nulll", "1a", "--1", "-01", "1_000", "'a'", "undefined", "1\"a\""}) {
    EXPECT_EQ(reason_of("{\"id\":" + std::string(value) + "}"), reason::kDecode) << value;
  }
  const Decoded decoded = decode({kId}, {R"({"id":-9223372036854775808})", R"({"id":-0})", R"({"id":0})",
                                         R"({"id":12345678})", R"({"id":123456789})", R"({"id":1234567})"});
  ASSERT_EQ(decoded.batch.length, 6);
  const int64_t* values = decoded.batch.column(0).int64s();
  EXPECT_EQ(values[0], INT64_MIN);
  EXPECT_EQ(values[1], 0);
  EXPECT_EQ(values[2], 0);
  EXPECT_EQ(values[3], 12'345'678);
  EXPECT_EQ(values[4], 123'456'789);
  EXPECT_EQ(values[5], 1'234'567);
}

TEST(JsonDecoder, FloatsAreRoundedCorrectly) {
  const std::vector<std::string> spellings = {"0",
                                              "-0.0",
                                              "1",
                                              "0.1",
                                              "123456789.123456789",
                                              "1e22",
                                              "1e23",
                                              "5e-324",
                                              "2.2250738585072011e-308",
                                              "1.7976931348623157e308",
                                              "1e-400",
                                              "-1e-400",
                                              "0e999",
                                              "9007199254740993",
                                              "123456789012345678901234567890",
                                              "0.000000000000000000000000000001",
                                              "1E+2",
                                              "1e-2",
                                              "8.41e21",
                                              "9.5367431640625e-7",
                                              "0.1000000000000000055511151231257827021181583404541015625"};
  std::vector<std::string> documents;
  for (const std::string& spelling : spellings) documents.push_back("{\"price\":" + spelling + "}");
  const Decoded decoded = decode({kPrice}, documents);
  ASSERT_EQ(decoded.batch.length, static_cast<int64_t>(spellings.size()));
  for (size_t i = 0; i < spellings.size(); ++i) {
    EXPECT_EQ(std::bit_cast<uint64_t>(decoded.batch.column(0).float64s()[i]),
              std::bit_cast<uint64_t>(std::strtod(spellings[i].c_str(), nullptr)))
        << spellings[i];
  }
}

TEST(JsonDecoder, FloatsRefuseHugeExponentsAndSpellingsThatAreNotJson) {
  const std::string good = R"({"price":1})";
  for (const char* value : {"1e400", "-1e400", "1e999999999999", "\"1.5\"", "true"}) {
    EXPECT_EQ(bad({kPrice}, "{\"price\":" + std::string(value) + "}", good).reason, reason::kSchema) << value;
  }
  EXPECT_EQ(bad({kPrice}, "{\"price\":1" + std::string(400, '0') + "}", good).reason, reason::kSchema);
  for (const char* value :
       {"NaN", "nan", "Infinity", "-Infinity", "inf", "1.e5", "1e+", ".1", "1.5.5", "1e5.5", "01.5", "1,5"}) {
    EXPECT_EQ(bad({kPrice}, "{\"price\":" + std::string(value) + "}", good).reason, reason::kDecode) << value;
  }
}

TEST(JsonDecoder, WhatTheEncoderWroteHasNamesForNumbersAndDotsInKeys) {
  const std::vector<Field> fields = {{.name = "f", .type = Type::kFloat64},
                                     {.name = "a", .type = Type::kString, .json = true},
                                     {.name = "a.b", .type = Type::kInt64},
                                     {.name = "l", .type = Type::kList, .item = Type::kFloat64}};
  JsonDecoderOptions options;
  options.encoded = true;
  const Decoded decoded = decode(
      fields,
      {R"({"f":"NaN","a":{"b":1},"a.b":2,"l":["Infinity",1.5]})", R"({"f":"-Infinity","a":[],"a.b":3,"l":["NaN"]})"},
      options);
  ASSERT_TRUE(decoded.bad.empty()) << decoded.bad[0].message;
  const Batch& batch = decoded.batch;
  EXPECT_TRUE(std::isnan(batch.column(0).float64s()[0]));
  EXPECT_EQ(-std::numeric_limits<double>::infinity(), batch.column(0).float64s()[1]);
  EXPECT_EQ(R"({"b":1})", batch.column(1).string_at(0));
  EXPECT_EQ(2, batch.column(2).int64s()[0]);
  EXPECT_EQ(std::numeric_limits<double>::infinity(), batch.column(3).items().float64s()[0]);
  EXPECT_EQ(1.5, batch.column(3).items().float64s()[1]);
  const std::string good = R"({"f":1.5,"a":1,"a.b":2,"l":[]})";
  EXPECT_EQ(reason::kSchema, bad(fields, R"({"f":"nan","a":1,"a.b":2,"l":[]})", good, options).reason);
  EXPECT_EQ(reason::kSchema, bad(fields, R"({"f":1.5,"a":{"b":1},"l":[]})", good, options).reason);
  EXPECT_EQ(reason::kSchema, bad({fields[0]}, R"({"f":"NaN"})", R"({"f":1.5})").reason);
}

TEST(JsonDecoder, StringsMustBeUtf8AndWellEscaped) {
  const std::string good = R"({"name":"x"})";
  for (const std::string& inside :
       {std::string("\xff"), std::string("\xc3"), std::string("\xed\xa0\x80"), std::string("\xc0\x80"),
        std::string("\xf5\x80\x80\x80"), std::string("a\nb"), std::string("a\0b", 3), std::string("\\q"),
        std::string("\\u12"), std::string("\\ud800"), std::string("\\ud800\\u0041"), std::string("\\udc00"),
        std::string("\\")}) {
    EXPECT_EQ(bad({kName}, "{\"name\":\"" + inside + "\"}", good).reason, reason::kDecode) << inside;
    EXPECT_EQ(bad({kName}, "{\"name\":\"x\",\"other\":\"" + inside + "\"}", good).reason, reason::kDecode) << inside;
    EXPECT_EQ(bad({kName}, "{\"name\":\"x\",\"" + inside + "\":1}", good).reason, reason::kDecode) << inside;
  }
  const Decoded decoded =
      decode({kName}, {R"({"name":"\ud83d\ude00\u0000\b\f\n\r\t\/\\\""})", "{\"name\":\"\xf0\x9f\x98\x80\"}"});
  ASSERT_EQ(decoded.batch.length, 2);
  EXPECT_EQ(decoded.batch.column(0).string_at(0), std::string_view("\xf0\x9f\x98\x80\0\b\f\n\r\t/\\\"", 13));
  EXPECT_EQ(decoded.batch.column(0).string_at(1), "\xf0\x9f\x98\x80");
}

TEST(JsonDecoder, StringsOfEveryLengthArriveWhole) {
  std::vector<std::string> documents;
  for (size_t size = 0; size < 300; ++size)
    documents.push_back("{\"name\":\"" + std::string(size, static_cast<char>('a' + size % 26)) + "\"}");
  const Decoded decoded = decode({kName}, documents);
  ASSERT_EQ(decoded.batch.length, 300);
  for (size_t size = 0; size < 300; ++size) {
    EXPECT_EQ(decoded.batch.column(0).string_at(static_cast<int64_t>(size)),
              std::string(size, static_cast<char>('a' + size % 26)));
  }
}

TEST(JsonDecoder, BytesMustBeStrictBase64) {
  const Field bytes{.name = "y", .type = Type::kBytes};
  for (const char* value : {"\"A\"", "\"AA\"", "\"AAA\"", "\"AB==\"", "\"AAB=\"", "\"A A=\"", "\"AA-_\"", "\"====\"",
                            "\"AA==AA==\"", "1"}) {
    EXPECT_EQ(bad({bytes}, "{\"y\":" + std::string(value) + "}", R"({"y":"AAAA"})").reason, reason::kSchema) << value;
  }
}

TEST(JsonDecoder, WhatIsNotOneObjectIsOneBadRecord) {
  for (const char* document : {"",
                               " ",
                               "\n",
                               "[]",
                               "[{\"id\":1}]",
                               "1",
                               "\"id\"",
                               "null",
                               "true",
                               "nonsense",
                               "{",
                               "}",
                               "{\"id\"",
                               "{\"id\":",
                               "{\"id\":1",
                               "{\"id\":1,",
                               "{\"id\":1,}",
                               "{\"id\" 1}",
                               "{\"id\":1 \"x\":2}",
                               "{id:1}",
                               "{\"id\":1}}",
                               "{\"id\":1},",
                               "{\"id\":1}{\"id\":2}",
                               "{\"id\":1}\n{\"id\":2}",
                               "{\"id\":1} x",
                               "{\"id\":1}\"",
                               "{\"id\":1]",
                               "{\"id\":1,\"x\":[1}",
                               "{\"id\":1,\"x\":{]}",
                               "{\"id\":1,\"x\":[1,]}",
                               "{\"id\":1,\"x\":[,1]}",
                               "{\"id\":1,\"x\":{\"a\"}}",
                               "{\"id\":1,\"x\":{1:2}}",
                               "{\"id\":1,\"x\":tru}",
                               "{\"id\":1,\"x\":01}",
                               "{\"id\":1,\"x\":[",
                               "{\"id\":1,\"x\":{",
                               "{\"id\":1,\"x\":\"",
                               "{\"id\":1,\"x\":\"abc}",
                               "{\"id\":1,\"x\":\"\\\"}",
                               "{\"id\":1,,\"x\":2}",
                               "{,\"id\":1}",
                               "{\"id\"::1}",
                               "{\"id\":1:2}",
                               "{\"id\":}",
                               "{:1}",
                               "\xef\xbb\xbf{\"id\":1}",
                               "{'id':1}",
                               "{\"id\":1 /* c */}",
                               "{\"id\":1\f}",
                               "{\"id\":1 2}",
                               "\\",
                               "{\"id\":1}\\",
                               "{\"id\":1,\"x\":\"a\"b\"c\"}",
                               "{\"id\":1,\"x\":\"a\" \"b\"}"}) {
    EXPECT_EQ(reason_of(document), reason::kDecode) << document;
  }
}

// Each document reaches for what comes behind it.
TEST(JsonDecoder, ATruncatedDocumentDoesNotSwallowItsNeighbour) {
  for (const char* document : {"{\"id\":1,\"x\":", "{\"id\":", "{\"x\":[", "{\"x\":{\"y\":", "{\"id\":1,\"x\":[1,",
                               "{\"id\":1,\"x\":\"", "{\"id\":1,\"x\":\"\\"}) {
    const Decoded decoded =
        decode({kId}, {R"({"id":1})", document, R"({"id":2})", "]}", R"({"id":3})", "}", ",\"id\":4}", R"({"id":4})"});
    EXPECT_EQ(decoded.batch.length, 4) << document;
    EXPECT_EQ(decoded.bad.size(), 4U) << document;
  }
}

TEST(JsonDecoder, AFieldTwiceIsBadAndAnotherKeyTwiceIsNot) {
  EXPECT_EQ(reason_of(R"({"id":1,"id":1})"), reason::kSchema);
  EXPECT_EQ(reason_of(R"({"id":1,"x":2,"\u0069d":1})"), reason::kSchema);
  EXPECT_TRUE(taken(R"({"id":1,"x":1,"x":2})"));
}

TEST(JsonDecoder, DeepNestingIsBad) {
  const auto nested = [](int levels) {
    return "{\"id\":1,\"x\":" + std::string(static_cast<size_t>(levels), '[') +
           std::string(static_cast<size_t>(levels), ']') + "}";
  };
  EXPECT_TRUE(taken(nested(63)));
  EXPECT_EQ(reason_of(nested(64)), reason::kDecode);
  EXPECT_EQ(reason_of(nested(400'000)), reason::kDecode);
  std::string objects;
  for (int i = 0; i < 70; ++i) objects += "{\"x\":";
  EXPECT_EQ(reason_of(objects + "1" + std::string(70, '}')), reason::kDecode);
}

TEST(JsonDecoder, TooLargeIsBadAndTheLimitItselfIsNot) {
  const JsonDecoderOptions options{.max_record_bytes = 100};
  const auto sized = [](size_t size) { return "{\"id\":1,\"x\":\"" + std::string(size - 15, 'x') + "\"}"; };
  ASSERT_EQ(sized(100).size(), 100U);
  EXPECT_EQ(decode({kId}, {sized(100)}, options).batch.length, 1);
  EXPECT_EQ(bad({kId}, sized(101), std::string(kGoodId), options).reason, reason::kTooLarge);
  EXPECT_EQ(decode({kId}, {sized(101)}, options).bad.size(), 1U);
}

TEST(JsonDecoder, LargeRecordsUpToTheLimitAreTaken) {
  std::vector<std::string> documents;
  for (int i = 0; i < 4; ++i)
    documents.push_back("{\"name\":\"" + std::string(1'000'000, static_cast<char>('a' + i)) + "\"}");
  const Decoded decoded = decode({kName}, documents);
  ASSERT_EQ(decoded.batch.length, 4);
  for (int i = 0; i < 4; ++i)
    EXPECT_EQ(decoded.batch.column(0).string_at(i), std::string(1'000'000, static_cast<char>('a' + i)));
}

TEST(JsonDecoder, RecordsAfterManyBadOnesKeepTheirNumbers) {
  std::vector<std::string> documents;
  for (int i = 0; i < 5'000; ++i) documents.push_back(i % 7 == 3 ? "{\"id\":\"" : "{\"id\":" + std::to_string(i) + "}");
  const Decoded decoded = decode({kId}, documents);
  int64_t row = 0;
  for (int i = 0; i < 5'000; ++i) {
    if (i % 7 == 3) continue;
    ASSERT_EQ(decoded.batch.record_of[static_cast<size_t>(row)], static_cast<uint32_t>(i));
    ASSERT_EQ(decoded.batch.column(0).int64s()[row], i);
    ++row;
  }
  EXPECT_EQ(decoded.batch.length, row);
}

// --- paths -------------------------------------------------------------------------------------

const std::vector<Field> kGps = {{.name = "gps.speed", .type = Type::kFloat64},
                                 {.name = "gps.lat", .type = Type::kInt64, .nullable = true}};

std::string gps(const std::string& document) {
  const Decoded decoded = decode(kGps, {document});
  if (!decoded.bad.empty()) return "bad: " + std::string(decoded.bad[0].reason);
  const Batch& batch = decoded.batch;
  return std::to_string(static_cast<int>(batch.column(0).float64s()[0])) + "," +
         (batch.column(1).is_null(0) ? "null" : std::to_string(batch.column(1).int64s()[0]));
}

TEST(JsonDecoderPaths, NestedFieldsAreFound) {
  EXPECT_EQ(gps(R"({"gps":{"speed":5,"lat":2}})"), "5,2");
  EXPECT_EQ(gps(R"({"gps":{"lat":2,"x":{"speed":9},"speed":5},"speed":1})"), "5,2");
  EXPECT_EQ(gps(R"({"gps":{"speed":5}})"), "5,null");
  EXPECT_EQ(gps(R"({"gps":{"speed":5},"gps":{"lat":4}})"), "5,4");
}

TEST(JsonDecoderPaths, AKeyThatSpellsTheWholeNameGoesBefore) {
  EXPECT_EQ(gps(R"({"gps.speed":7,"gps":{"speed":5,"lat":2}})"), "7,2");
  EXPECT_EQ(gps(R"({"gps":{"speed":5,"lat":2},"gps.speed":7})"), "7,2");
  EXPECT_EQ(gps(R"({"gps":{"speed":"bad","lat":2},"gps.speed":7})"), "7,2");
  EXPECT_EQ(gps(R"({"gps":{"lat":null},"gps.speed":7,"gps.lat":3})"), "7,3");
  EXPECT_EQ(gps(R"({"gps.speed":7})"), "7,null");
  EXPECT_EQ(gps(R"({"gps":5,"gps.speed":7,"gps.lat":3})"), "7,3");
  EXPECT_EQ(gps(R"({"x":{"gps.speed":7},"gps":{"speed":5}})"), "5,null");
}

TEST(JsonDecoderPaths, WhatIsWrongOnThePathIsBad) {
  EXPECT_EQ(gps(R"({"gps":{"speed":"fast"}})"), "bad: schema");
  EXPECT_EQ(gps(R"({"gps":{"speed":1,"speed":2}})"), "bad: schema");
  EXPECT_EQ(gps(R"({"gps":{"speed":1},"gps":{"speed":2}})"), "bad: schema");
  EXPECT_EQ(gps(R"({"gps.speed":1,"gps.speed":2})"), "bad: schema");
  EXPECT_EQ(gps(R"({"gps":null})"), "bad: schema");
  EXPECT_EQ(gps(R"({"gps":5,"gps.speed":1})"), "bad: schema");
  EXPECT_EQ(gps(R"({"gps":{"speed":5},"gps.speed":"x"})"), "bad: schema");
  EXPECT_EQ(gps(R"({"gps":{"speed":tru},"gps.speed":1})"), "bad: decode");
  EXPECT_EQ(gps(R"({"gps":{"speed":1)"), "bad: decode");
}

TEST(JsonDecoderPaths, AFieldThatIsTheBeginningOfAnotherHasNoObjectBehindIt) {
  const Decoded decoded = decode({{.name = "a", .type = Type::kInt64}, {.name = "a.b", .type = Type::kInt64}},
                                 {R"({"a":1,"a.b":2})", R"({"a":{"b":2}})"});
  EXPECT_EQ(decoded.batch.length, 1);
  EXPECT_EQ(decoded.bad.size(), 1U);
}

// --- the event-time field ----------------------------------------------------------------------

TEST(JsonDecoderTime, NumbersOfTheEventTimeArriveAsTheyAreWithTheirForm) {
  const Decoded decoded = decode({{.name = "ts", .type = Type::kTimestamp}},
                                 {R"({"ts":"1970-01-01T00:00:01Z"})", R"({"ts":17})", R"({"ts":17.5})",
                                  R"({"ts":null})", R"({})", R"({"ts":"no time"})", R"({"ts":true})", R"({"ts":-3})"},
                                 {.time_field = 0});
  const Column& column = decoded.batch.column(0);
  ASSERT_EQ(decoded.batch.length, 6);
  ASSERT_EQ(decoded.time_forms.size(), 6U);
  EXPECT_EQ(decoded.time_forms[0], TimeForm::kMillis);
  EXPECT_EQ(column.int64s()[0], 1'000);
  EXPECT_EQ(decoded.time_forms[1], TimeForm::kInteger);
  EXPECT_EQ(column.int64s()[1], 17);
  EXPECT_EQ(decoded.time_forms[2], TimeForm::kFloat);
  EXPECT_EQ(std::bit_cast<double>(column.int64s()[2]), 17.5);
  EXPECT_TRUE(column.is_null(3));
  EXPECT_TRUE(column.is_null(4));
  EXPECT_EQ(decoded.time_forms[5], TimeForm::kInteger);
  ASSERT_EQ(decoded.bad.size(), 2U);
  EXPECT_EQ(decoded.bad[0].reason, reason::kTimestamp);
  EXPECT_EQ(decoded.bad[1].reason, reason::kSchema);
}

TEST(JsonDecoderTime, ANullEventTimeIsDeliveredWhateverItsType) {
  for (const Type type : {Type::kInt64, Type::kFloat64, Type::kString}) {
    const Decoded decoded = decode({{.name = "ts", .type = type}}, {R"({"ts":null})", "{}"}, {.time_field = 0});
    EXPECT_EQ(decoded.batch.length, 2);
    EXPECT_EQ(decoded.batch.column(0).null_count(), 2);
  }
}

TEST(JsonDecoderTime, NumbersOfOtherTimestampFieldsAreInTheirUnit) {
  const std::vector<Field> fields = {{.name = "t", .type = Type::kTimestamp}};
  const Decoded decoded = decode(fields, {R"({"t":2})", R"({"t":2.5})", R"({"t":253402300800})", R"({"t":"x"})"},
                                 {.units = {TimeUnit::kSeconds}});
  ASSERT_EQ(decoded.batch.length, 2);
  EXPECT_EQ(decoded.batch.column(0).int64s()[0], 2'000);
  EXPECT_EQ(decoded.batch.column(0).int64s()[1], 2'500);
  ASSERT_EQ(decoded.bad.size(), 2U);
  EXPECT_EQ(decoded.bad[0].reason, reason::kSchema);
  EXPECT_EQ(decoded.bad[1].reason, reason::kSchema);
}

const Field kNumbers{.name = "n", .type = Type::kList, .nullable = true, .item = Type::kInt64};
const Field kAny{.name = "any", .type = Type::kString, .nullable = true, .json = true};

TEST(JsonDecoderList, ItemsOfBadRecordsLeaveNothing) {
  const Decoded decoded =
      decode({kId, kNumbers}, {R"({"id":1,"n":[1,null,3]})", R"({"id":2,"n":[4,5,"6"]})", R"({"n":[7],"id":"x"})",
                               R"({"id":3})", R"({"id":4,"n":[ ]})", R"({"id":5,"n":[8]})", R"({"id":6,"n":[9]x})"});
  ASSERT_EQ(decoded.batch.length, 4);
  ASSERT_EQ(decoded.bad.size(), 3U);
  EXPECT_EQ(decoded.bad[0].reason, reason::kSchema);
  EXPECT_NE(decoded.bad[0].message.find("item 2: expected int64, found \"6\""), std::string::npos);
  EXPECT_EQ(decoded.bad[2].reason, reason::kDecode);
  const Column& lists = decoded.batch.column(1);
  EXPECT_TRUE(lists.is_null(1));
  const std::vector<int32_t> offsets(lists.offsets(), lists.offsets() + 5);
  EXPECT_EQ(offsets, (std::vector<int32_t>{0, 3, 3, 3, 4}));
  EXPECT_EQ(lists.items().length(), 4);
  EXPECT_TRUE(lists.items().is_null(1));
  EXPECT_EQ(lists.items().int64s()[3], 8);
}

TEST(JsonDecoderList, IsCheckedAlsoWhereItIsNotStored) {
  const Decoded decoded =
      decode({kId, kNumbers}, {R"({"id":1,"n":[1,2]})", R"({"id":2,"n":[true]})"}, {.used = {true, false}});
  EXPECT_EQ(decoded.batch.length, 1);
  EXPECT_EQ(decoded.bad.size(), 1U);
}

TEST(JsonDecoderJson, KeepsAnyValueAsItStandsThere) {
  const std::vector<std::string> values = {
      R"({"a": [1, {"b":"}\"]"}]})", R"([ ])", R"("text \u00e9")", "-1.50e3", "true", R"({})"};
  std::vector<std::string> documents;
  for (const std::string& value : values) {
    documents.push_back("{\"any\": " + value + " ,\"id\":1}");
    documents.push_back("{\"id\":2,\"any\":" + value + "}");
  }
  documents.emplace_back(R"({"id":3,"any":null})");
  documents.emplace_back(R"({"id":4,"any":[1,]})");
  const Decoded decoded = decode({kId, kAny}, documents);
  ASSERT_EQ(decoded.bad.size(), 1U);
  ASSERT_EQ(decoded.batch.length, static_cast<int64_t>(2 * values.size() + 1));
  const Column& texts = decoded.batch.column(1);
  for (size_t i = 0; i < 2 * values.size(); ++i) EXPECT_EQ(texts.string_at(static_cast<int64_t>(i)), values[i / 2]);
  EXPECT_TRUE(texts.is_null(static_cast<int64_t>(2 * values.size())));
}

TEST(JsonDecoderMake, RefusesWhatCannotBe) {
  EXPECT_FALSE(JsonDecoder::make(Schema({kId, kId})).ok());
  EXPECT_FALSE(JsonDecoder::make(Schema({{.name = "l", .type = Type::kList, .item = Type::kList}})).ok());
  EXPECT_FALSE(JsonDecoder::make(Schema({{.name = "l", .type = Type::kList}, {.name = "l.x"}})).ok());
  EXPECT_FALSE(JsonDecoder::make(Schema({{.name = "d", .type = Type::kDecimal}})).ok());
  EXPECT_FALSE(JsonDecoder::make(Schema({kId}), {.max_record_bytes = 0}).ok());
  EXPECT_FALSE(JsonDecoder::make(Schema({kId}), {.max_depth = 0}).ok());
  EXPECT_FALSE(JsonDecoder::make(Schema({kId}), {.used = {true, true}}).ok());
}

}  // namespace
}  // namespace wrackline
