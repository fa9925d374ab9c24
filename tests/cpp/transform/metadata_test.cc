#include "wrackline/transform/metadata.h"

#include <memory>

#include <gtest/gtest.h>

namespace wrackline {
namespace {

Batch batch_of(std::shared_ptr<const Records> records, Buffer<uint32_t> record_of) {
  Batch batch;
  batch.length = static_cast<int64_t>(record_of.size());
  batch.records = std::move(records);
  batch.origin = std::make_shared<const TopicPartition>(TopicPartition{"in", 3});
  batch.record_of = std::move(record_of);
  return batch;
}

TEST(Metadata, SaysWhatTheRecordOfEachRowHas) {
  auto records = std::make_shared<Records>();
  records->add("k\xff", "{}", 10, 5, {{"a", "1"}, {"q\"", "\xc3\xa9"}, {"a", "2"}});
  records->add(std::nullopt, "{}", 20, 7);
  records->add("", "{}", 30, 9);
  const Batch batch = batch_of(records, {2, 0, 1, 0});
  const auto column = [&](std::string_view name) { return metadata_column(name, batch); };
  EXPECT_EQ("", column("_key")->string_at(0));
  EXPECT_FALSE(column("_key")->is_null(0));
  EXPECT_EQ("k\xef\xbf\xbd", column("_key")->string_at(1));
  EXPECT_TRUE(column("_key")->is_null(2));
  EXPECT_EQ(9, column("_offset")->int64s()[0]);
  EXPECT_EQ(5, column("_offset")->int64s()[3]);
  EXPECT_EQ(20, column("_timestamp")->int64s()[2]);
  EXPECT_EQ(3, column("_partition")->int64s()[1]);
  EXPECT_EQ("in", column("_topic")->string_at(1));
  EXPECT_EQ("{\"a\":\"2\",\"q\\\"\":\"\xc3\xa9\"}", column("_headers")->string_at(1));
  EXPECT_EQ("{}", column("_headers")->string_at(2));
}

TEST(Metadata, OfBoundedRowsIsTheirNumber) {
  const Batch batch = batch_of(nullptr, {4, 8});
  EXPECT_EQ(8, metadata_column("_offset", batch)->int64s()[1]);
  EXPECT_EQ(2, metadata_column("_key", batch)->null_count());
  EXPECT_FALSE(metadata_field("_ofset").has_value());
}

}  // namespace
}  // namespace wrackline
