// Dead letters that are larger than a log takes.
#include "wrackline/sink/topic_sink.h"

#include <gtest/gtest.h>

#include "wrackline/core/sha256.h"
#include "wrackline/job/plan.h"

namespace wrackline {
namespace {

Batch letter(const std::string& value) {
  Batch batch;
  batch.schema = dead_letter_schema();
  for (const Field& field : batch.schema->fields()) batch.columns.push_back(null_column(field, 1));
  Column bytes(Type::kBytes);
  bytes.append_string(value);
  batch.columns[static_cast<size_t>(batch.schema->index_of("value"))] = std::make_shared<Column>(std::move(bytes));
  batch.length = 1;
  return batch;
}

std::string header(const Records& records, std::string_view name) {
  for (const auto& [known, value] : records.headers(0)) {
    if (known == name) return value;
  }
  return "none";
}

Records written(const std::string& value, int64_t limit) {
  TopicSink sink({.topic = "dead", .job = "j", .dead_letters = true, .max_record_bytes = limit});
  std::map<int32_t, Records> out;
  EXPECT_TRUE(sink.write(letter(value), 0, 1000, out).ok());
  return std::move(out[0]);
}

size_t size_of(const Records& records) {
  size_t size = records.value(0).size() + records.key(0).size();
  for (const auto& [name, value] : records.headers(0)) size += name.size() + value.size();
  return size;
}

TEST(TopicSink, ALetterThatFitsIsTheOriginal) {
  const std::string value(5'000, 'x');
  const Records records = written(value, 10'000);
  EXPECT_EQ(value, records.value(0));
  EXPECT_EQ("none", header(records, "wl.truncated"));
}

TEST(TopicSink, ALargerOneIsCutAndSaysWhatItWas) {
  const std::string value(50'000, 'x');
  const Records records = written(value, 10'000);
  EXPECT_LE(size_of(records), 10'000u);
  EXPECT_GT(records.value(0).size(), 5'000u);
  EXPECT_TRUE(value.starts_with(records.value(0)));
  EXPECT_EQ("50000", header(records, "wl.truncated"));
  EXPECT_EQ(sha256(value), header(records, "wl.sha256"));
}

TEST(TopicSink, OneThatIsWrittenAsARowIsCutAndSaysSoInItsMessage) {
  TopicSink sink({.topic = "files", .job = "j", .letter_columns = true, .max_record_bytes = 10'000});
  const std::string value(50'000, 'x');
  std::map<int32_t, Records> out;
  ASSERT_TRUE(sink.write(letter(value), 0, 1000, out).ok());
  ASSERT_TRUE(sink.write(letter("short"), 0, 1000, out).ok());
  ASSERT_EQ(2, out[0].size());
  EXPECT_LE(out[0].value(0).size(), 10'000u);
  EXPECT_GT(out[0].value(0).size(), 7'000u);
  EXPECT_NE(std::string_view::npos, out[0].value(0).find("bytes of 50000, sha256 " + sha256(value)));
  EXPECT_NE(std::string_view::npos, out[0].value(1).find("\"value\":\"c2hvcnQ=\""));
  EXPECT_EQ(std::string_view::npos, out[0].value(1).find("sha256"));
}

TEST(Sha256, IsThatOfTheStandard) {  // FIPS 180-4, examples
  EXPECT_EQ("ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad", sha256("abc"));
  EXPECT_EQ("e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855", sha256(""));
}

}  // namespace
}  // namespace wrackline
