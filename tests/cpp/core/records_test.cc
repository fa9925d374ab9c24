#include "wrackline/core/records.h"

#include <string>

#include <gtest/gtest.h>

namespace wrackline {
namespace {

Records three() {
  Records records;
  records.add("k0", "first", 100, 7);
  records.add(std::nullopt, std::nullopt, 200, 9);
  records.add("", "", 300, 10, {{"h", "v"}});
  return records;
}

TEST(Records, KeepKeyValueTimestampOffsetAndHeaders) {
  const Records records = three();
  ASSERT_EQ(3, records.size());
  EXPECT_EQ("k0", records.key(0));
  EXPECT_EQ("first", records.value(0));
  EXPECT_EQ(100, records.timestamp(0));
  EXPECT_EQ(7, records.offset(0));
  EXPECT_EQ(9, records.offset(1));
  EXPECT_TRUE(records.headers(0).empty());
  EXPECT_EQ((Headers{{"h", "v"}}), records.headers(2));
}

TEST(Records, NullAndEmptyAreNotTheSame) {
  const Records records = three();
  EXPECT_FALSE(records.has_value(1));
  EXPECT_FALSE(records.has_key(1));
  EXPECT_EQ("", records.value(1));
  EXPECT_TRUE(records.has_value(2));
  EXPECT_TRUE(records.has_key(2));
  EXPECT_EQ("", records.value(2));
}

TEST(Records, ValuesLieOneAfterTheOtherEachWithANewline) {
  const Records records = three();
  const Bytes& bytes = records.value_bytes();
  EXPECT_EQ("first\n\n\n", std::string(bytes.begin(), bytes.end()));
  EXPECT_EQ(0, records.value_begin(0));
  EXPECT_EQ(5, records.value_end(0));
  EXPECT_EQ(6, records.value_begin(1));
  EXPECT_EQ(7, records.value_begin(2));
}

TEST(Records, TruncateKeepsTheFirst) {
  Records records = three();
  records.truncate(1);
  ASSERT_EQ(1, records.size());
  EXPECT_EQ("first", records.value(0));
  EXPECT_EQ(6U, records.value_bytes().size());
  records.add("k", "again", 1, 20);
  EXPECT_EQ("again", records.value(1));
  EXPECT_TRUE(records.headers(1).empty());
  records.truncate(0);
  EXPECT_TRUE(records.empty());
  EXPECT_EQ(0U, records.byte_size());
}

TEST(Records, HeadersOfALaterRecordLeaveTheEarlierOnesWithout) {
  Records records;
  records.add("a", "1", 0);
  EXPECT_FALSE(records.any_headers());
  records.add("b", "2", 0, 0, {{"x", "y"}});
  records.add("c", "3", 0);
  EXPECT_TRUE(records.any_headers());
  EXPECT_TRUE(records.headers(0).empty());
  EXPECT_EQ(1U, records.headers(1).size());
  EXPECT_TRUE(records.headers(2).empty());
}

}  // namespace
}  // namespace wrackline
