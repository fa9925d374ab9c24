#include "log/conformance.h"

#include <algorithm>

namespace wrackline {
namespace {

using Strings = std::vector<std::string>;
using SeenAll = std::vector<Seen>;

constexpr Millis kLateTime = 1'600'000'000'000;

TEST_P(LogConformance, AppendedRecordsAreAtConsecutiveOffsetsAndVisibleAtOnce) {
  EXPECT_EQ(0, log_->append(partition_, values({"a", "b"})).value());
  EXPECT_EQ(2, log_->append(partition_, values({"c"})).value());
  EXPECT_SOON((SeenAll{{0, "a"}, {1, "b"}, {2, "c"}}), read_all(partition_, kCommitted));
  EXPECT_SOON(3, end(partition_, kCommitted));
  EXPECT_SOON(3, end(partition_, kUncommitted));
  EXPECT_EQ(0, log_->start_offset(partition_).value());
  EXPECT_EQ(0, end({topic_, 1}, kCommitted));
}

TEST_P(LogConformance, KeysNullsTimestampsAndHeadersComeBackAsTheyWere) {
  Records records;
  records.add("key", "value", 17);
  records.add(std::nullopt, std::nullopt, 1);
  records.add("", "", 2, 0, {{"name", std::string("\0\n", 2)}, {"name", ""}});
  records.add(std::string_view("k\0k", 3), std::string_view("v\nv\0", 4), kLateTime);
  ASSERT_TRUE(log_->append(partition_, records).ok());

  const auto polled = log_->read(partition_, 0, 1 << 20, kCommitted).value();
  const Records& got = *polled.records;
  ASSERT_EQ(4, got.size());
  EXPECT_EQ("key", got.key(0));
  EXPECT_EQ("value", got.value(0));
  EXPECT_EQ(17, got.timestamp(0));
  EXPECT_TRUE(got.headers(0).empty());
  EXPECT_FALSE(got.has_key(1));
  EXPECT_FALSE(got.has_value(1));
  EXPECT_EQ(1, got.timestamp(1));
  EXPECT_TRUE(got.has_key(2));
  EXPECT_TRUE(got.has_value(2));
  EXPECT_EQ("", got.key(2));
  EXPECT_EQ("", got.value(2));
  EXPECT_EQ((Headers{{"name", std::string("\0\n", 2)}, {"name", ""}}), got.headers(2));
  EXPECT_EQ(std::string_view("k\0k", 3), got.key(3));
  EXPECT_EQ(std::string_view("v\nv\0", 4), got.value(3));
  EXPECT_EQ(kLateTime, got.timestamp(3));
  EXPECT_EQ(4, polled.next_offset);
}

TEST_P(LogConformance, ReadingCutsInsideABatchAndGoesOnThere) {
  Records records;
  for (int i = 0; i < 10; ++i) {
    records.add("k" + std::to_string(i), "v" + std::to_string(i), 1 + i, 0,
                i % 3 == 0 ? Headers{{"h", std::to_string(i)}} : Headers{});
  }
  ASSERT_TRUE(log_->append(partition_, records).ok());
  ASSERT_TRUE(log_->append(partition_, records).ok());
  auto reader = client();
  reader->read_from(partition_, 3, kCommitted);
  int64_t expected = 3;
  while (expected < 20) {
    const auto polled = expect<event::Polled>(*reader, 4);
    ASSERT_TRUE(polled.records != nullptr);
    ASSERT_GE(4, polled.records->size());
    ASSERT_LE(1, polled.records->size());
    for (int64_t i = 0; i < polled.records->size(); ++i, ++expected) {
      const std::string n = std::to_string(expected % 10);
      ASSERT_EQ(expected, polled.records->offset(i));
      ASSERT_EQ("k" + n, polled.records->key(i));
      ASSERT_EQ("v" + n, polled.records->value(i));
      ASSERT_EQ(1 + expected % 10, polled.records->timestamp(i));
      ASSERT_EQ((expected % 10 % 3 == 0 ? Headers{{"h", n}} : Headers{}), polled.records->headers(i));
    }
    EXPECT_EQ(expected, polled.next_offset);
  }
  EXPECT_EQ(20, expect<event::AtEnd>(*reader).next_offset);
}

TEST_P(LogConformance, MaxBytesBoundsAReadButOneRecordAlwaysComes) {
  ASSERT_TRUE(log_->append(partition_, values({std::string(1000, 'a'), std::string(1000, 'b'), "c"})).ok());
  const auto one = log_->read(partition_, 0, 10, kCommitted).value();
  ASSERT_LE(1, one.records->size());
  EXPECT_EQ(std::string(1000, 'a'), one.records->value(0));
  EXPECT_EQ(3u, read_all(partition_, kCommitted, 0, 10).size());
  EXPECT_EQ(3u, read_all(partition_, kCommitted, 0, 1500).size());
}

TEST_P(LogConformance, ALargeBatchComesBackWhole) {
  Records records;
  for (int i = 0; i < 20'000; ++i)
    records.add(std::to_string(i), std::string(static_cast<size_t>(i % 300), 'x'), 1 + i);
  ASSERT_TRUE(log_->append(partition_, records).ok());
  int64_t i = 0;
  auto reader = client();
  reader->read_from(partition_, 0, kCommitted);
  while (i < 20'000) {
    const auto polled = expect<event::Polled>(*reader, 4096);
    ASSERT_TRUE(polled.records != nullptr);
    for (int64_t n = 0; n < polled.records->size(); ++n, ++i) {
      ASSERT_EQ(std::to_string(i), polled.records->key(n));
      ASSERT_EQ(static_cast<size_t>(i % 300), polled.records->value(n).size());
      ASSERT_EQ(1 + i, polled.records->timestamp(n));
    }
  }
}

TEST_P(LogConformance, RecordsOfATransactionAreInvisibleUntilItsCommit) {
  auto writer = producer("id");
  ASSERT_TRUE(writer->begin().ok());
  ASSERT_TRUE(append_all(*writer, partition_, values({"a", "b"})).ok());
  ASSERT_TRUE(append_all(*writer, {topic_, 1}, values({"c"})).ok());
  EXPECT_EQ(Strings(), read_values(partition_, kCommitted));
  EXPECT_EQ(Strings(), read_values({topic_, 1}, kCommitted));
  commit(*writer);
  EXPECT_SOON((Strings{"a", "b"}), read_values(partition_, kCommitted));
  EXPECT_SOON((Strings{"c"}), read_values({topic_, 1}, kCommitted));
}

TEST_P(LogConformance, ReadUncommittedSeesOpenAndAbortedRecords) {
  auto writer = producer("id");
  ASSERT_TRUE(writer->begin().ok());
  ASSERT_TRUE(append_all(*writer, partition_, values({"aborted"})).ok());
  EXPECT_SOON(1, end(partition_, kUncommitted));
  abort(*writer);
  ASSERT_TRUE(writer->begin().ok());
  ASSERT_TRUE(append_all(*writer, partition_, values({"committed"})).ok());
  commit(*writer);
  auto other = producer("other");
  ASSERT_TRUE(other->begin().ok());
  ASSERT_TRUE(append_all(*other, partition_, values({"open"})).ok());
  auto reader = client();  // an append may still be on its way to a broker
  reader->read_from(partition_, 0, kUncommitted);
  Strings seen;
  while (seen.size() < 3) {
    const auto polled = expect<event::Polled>(*reader);
    ASSERT_TRUE(polled.records != nullptr);
    for (const Seen& one : seen_of(*polled.records)) seen.push_back(one.value);
  }
  EXPECT_EQ((Strings{"aborted", "committed", "open"}), seen);
  EXPECT_SOON((Strings{"committed"}), read_values(partition_, kCommitted));
}

TEST_P(LogConformance, AMarkerTakesOneOffsetInEachPartitionWritten) {
  auto writer = producer("id");
  ASSERT_TRUE(writer->begin().ok());
  ASSERT_TRUE(append_all(*writer, partition_, values({"a", "b"})).ok());
  commit(*writer);
  EXPECT_SOON(3, end(partition_, kCommitted));
  EXPECT_EQ(0, end({topic_, 1}, kCommitted));
  EXPECT_EQ(3, log_->append(partition_, values({"c"})).value());
  EXPECT_SOON((SeenAll{{0, "a"}, {1, "b"}, {3, "c"}}), read_all(partition_, kCommitted));
}

TEST_P(LogConformance, NextOffsetLiesBehindMarkersAndAbortedRecords) {
  auto writer = producer("id");
  ASSERT_TRUE(writer->begin().ok());
  ASSERT_TRUE(append_all(*writer, partition_, values({"a"})).ok());
  commit(*writer);
  ASSERT_TRUE(writer->begin().ok());
  ASSERT_TRUE(append_all(*writer, partition_, values({"x", "y"})).ok());
  EXPECT_SOON(4, end(partition_, kUncommitted));
  abort(*writer);
  EXPECT_SOON(5, end(partition_, kCommitted));
  auto reader = client();
  reader->read_from(partition_, 0, kCommitted);
  const auto polled = expect<event::Polled>(*reader);
  ASSERT_TRUE(polled.records != nullptr);
  EXPECT_EQ((SeenAll{{0, "a"}}), seen_of(*polled.records));
  EXPECT_EQ(5, expect<event::AtEnd>(*reader).next_offset);
}

TEST_P(LogConformance, ReadCommittedStopsAtTheOldestOpenTransaction) {
  auto first = producer("first");
  auto second = producer("second");
  ASSERT_TRUE(log_->append(partition_, values({"before"})).ok());
  ASSERT_TRUE(first->begin().ok());
  ASSERT_TRUE(append_all(*first, partition_, values({"f"})).ok());
  auto look = client();
  look->read_from(partition_, 1, kUncommitted);  // until "f" has arrived
  (void)expect<event::Polled>(*look);
  ASSERT_TRUE(second->begin().ok());
  ASSERT_TRUE(append_all(*second, partition_, values({"s"})).ok());
  commit(*second);
  EXPECT_SOON(4, end(partition_, kUncommitted));  // its marker
  ASSERT_TRUE(log_->append(partition_, values({"plain"})).ok());
  EXPECT_SOON(1, end(partition_, kCommitted));
  EXPECT_SOON(5, end(partition_, kUncommitted));
  EXPECT_SOON((Strings{"before"}), read_values(partition_, kCommitted));
  commit(*first);
  EXPECT_SOON((SeenAll{{0, "before"}, {1, "f"}, {2, "s"}, {4, "plain"}}), read_all(partition_, kCommitted));
  EXPECT_SOON(6, end(partition_, kCommitted));
}

TEST_P(LogConformance, OnlyTheRecordsOfTheAbortedTransactionAreSkipped) {
  auto first = producer("first");
  auto second = producer("second");
  ASSERT_TRUE(first->begin().ok());
  ASSERT_TRUE(second->begin().ok());
  for (int i = 0; i < 5; ++i) {
    ASSERT_TRUE(append_all(*first, partition_, values({"drop"})).ok());
    ASSERT_TRUE(append_all(*second, partition_, values({"keep" + std::to_string(i)})).ok());
    ASSERT_TRUE(log_->append(partition_, values({"plain" + std::to_string(i)})).ok());
  }
  abort(*first);
  ASSERT_TRUE(first->begin().ok());
  ASSERT_TRUE(append_all(*first, partition_, values({"of the next"})).ok());
  commit(*second);
  commit(*first);
  Strings got = read_values(partition_, kCommitted);
  std::sort(got.begin(), got.end());
  EXPECT_EQ((Strings{"keep0", "keep1", "keep2", "keep3", "keep4", "of the next", "plain0", "plain1", "plain2", "plain3",
                     "plain4"}),
            got);
}

TEST_P(LogConformance, OffsetsAndMetadataBecomeVisibleWithTheRecords) {
  auto writer = producer("id");
  ASSERT_TRUE(writer->begin().ok());
  ASSERT_TRUE(append_all(*writer, partition_, values({"a"})).ok());
  ASSERT_TRUE(send_offsets_now(*writer, "group-" + topic_, {{partition_, {7, "meta"}}, {{topic_, 1}, {8, ""}}}).ok());
  ASSERT_TRUE(
      send_offsets_now(*writer, "group-" + topic_, {{partition_, {9, std::string(kMaxOffsetMetadata, 'm')}}}).ok());
  EXPECT_TRUE(log_->committed("group-" + topic_).value().empty());
  commit(*writer);
  const Offsets expected = {{partition_, {9, std::string(kMaxOffsetMetadata, 'm')}}, {{topic_, 1}, {8, ""}}};
  EXPECT_EQ(expected, log_->committed("group-" + topic_).value());
  EXPECT_SOON((Strings{"a"}), read_values(partition_, kCommitted));

  auto asks = client();
  asks->start_committed("group-" + topic_, {{topic_, 1}});
  EXPECT_EQ((Offsets{{{topic_, 1}, {8, ""}}}), expect<event::Committed>(*asks).offsets);
  asks->start_committed("nobody-" + topic_, {{topic_, 1}});
  EXPECT_TRUE(expect<event::Committed>(*asks).offsets.empty());
}

TEST_P(LogConformance, OffsetsOfAnAbortedTransactionAreForgotten) {
  auto writer = producer("id");
  ASSERT_TRUE(writer->begin().ok());
  ASSERT_TRUE(send_offsets_now(*writer, "group-" + topic_, {{partition_, {7, "old"}}}).ok());
  commit(*writer);
  ASSERT_TRUE(writer->begin().ok());
  ASSERT_TRUE(send_offsets_now(*writer, "group-" + topic_, {{partition_, {9, "new"}}}).ok());
  abort(*writer);
  EXPECT_EQ((Offsets{{partition_, {7, "old"}}}), log_->committed("group-" + topic_).value());
  ASSERT_TRUE(writer->begin().ok());
  commit(*writer);  // nothing of the aborted one is left in it
  EXPECT_EQ((Offsets{{partition_, {7, "old"}}}), log_->committed("group-" + topic_).value());
}

TEST_P(LogConformance, MetadataThatIsTooLongOrHasZeroBytesIsRefused) {
  auto writer = producer("id");
  ASSERT_TRUE(writer->begin().ok());
  const std::string too_long(kMaxOffsetMetadata + 1, 'm');
  EXPECT_EQ(Code::kInvalidArgument, send_offsets_now(*writer, "g", {{partition_, {7, too_long}}}).code());
  EXPECT_EQ(Code::kInvalidArgument, send_offsets_now(*writer, "g", {{partition_, {7, std::string("a\0b", 3)}}}).code());
}

TEST_P(LogConformance, InitAbortsTheOpenTransactionOfTheSameId) {
  auto former = producer("id-" + topic_);
  ASSERT_TRUE(former->begin().ok());
  ASSERT_TRUE(append_all(*former, partition_, values({"lost"})).ok());
  ASSERT_TRUE(send_offsets_now(*former, "group-" + topic_, {{partition_, {7, ""}}}).ok());
  auto look = client();
  look->read_from(partition_, 0, kUncommitted);
  (void)expect<event::Polled>(*look);
  auto owner = producer("id-" + topic_);
  EXPECT_SOON(2, end(partition_, kCommitted));
  EXPECT_EQ(Strings(), read_values(partition_, kCommitted));
  EXPECT_TRUE(log_->committed("group-" + topic_).value().empty());
  ASSERT_TRUE(owner->begin().ok());
  ASSERT_TRUE(append_all(*owner, partition_, values({"kept"})).ok());
  commit(*owner);
  EXPECT_SOON((Strings{"kept"}), read_values(partition_, kCommitted));
}

// At once, or at the end of its transaction: what it calls before may only be on its way when it is answered.
TEST_P(LogConformance, AFencedOwnerIsToldSoByWhateverItCalls) {
  for (int call = 0; call < 6; ++call) {
    SCOPED_TRACE("call " + std::to_string(call));
    const std::string id = "id-" + std::to_string(call);
    auto former = producer(id);
    if (call != 0) {
      ASSERT_TRUE(former->begin().ok());
      ASSERT_TRUE(append_all(*former, partition_, values({"lost"})).ok());
    }
    auto owner = producer(id);
    const auto made = [&](int which) {
      switch (which) {
        case 0: return former->begin().code();
        case 1: return append_all(*former, partition_, values({"x"})).code();
        case 2: return send_offsets_now(*former, "g", {{partition_, {1, ""}}}).code();
        case 3: former->start_commit(); return failure(*former);
        case 4: former->start_abort(); return failure(*former);
        default: former->start_init(id); return failure(*former);
      }
    };
    if (call == 5) (void)made(3);
    Code first = made(call);
    if (call < 2 && first == Code::kOk) {
      if (call == 0) (void)made(1);
      first = made(3);
    }
    EXPECT_EQ(Code::kFenced, first);
    for (int later = 0; later < 6; ++later) EXPECT_EQ(Code::kFenced, made(later)) << "then call " << later;
    ASSERT_TRUE(owner->begin().ok());
    abort(*owner);
  }
  EXPECT_EQ(Strings(), read_values(partition_, kCommitted));
}

TEST_P(LogConformance, OwnersOfDifferentIdsDoNotDisturbEachOther) {
  auto one = producer("one");
  ASSERT_TRUE(one->begin().ok());
  ASSERT_TRUE(append_all(*one, partition_, values({"1"})).ok());
  auto two = producer("two");
  commit(*one);
  ASSERT_TRUE(two->begin().ok());
  commit(*two);
  EXPECT_SOON((Strings{"1"}), read_values(partition_, kCommitted));
}

TEST_P(LogConformance, CallsInTheWrongOrderAreRefused) {
  auto fresh = client();
  EXPECT_EQ(Code::kInvalidArgument, fresh->begin().code());
  EXPECT_EQ(Code::kInvalidArgument, append_all(*fresh, partition_, values({"x"})).code());
  auto ready = producer("id");
  EXPECT_EQ(Code::kInvalidArgument, append_all(*ready, partition_, values({"x"})).code());
  EXPECT_EQ(Code::kInvalidArgument, send_offsets_now(*ready, "g", {}).code());
  ASSERT_TRUE(ready->begin().ok());
  EXPECT_EQ(Code::kInvalidArgument, ready->begin().code());
  commit(*ready);
  EXPECT_EQ(Strings(), read_values(partition_, kUncommitted));
}

TEST_P(LogConformance, SubscribingAssignsAllPartitionsOfTheTopics) {
  ASSERT_TRUE(log_->create_topic(topic_ + "-more", 1).ok());
  auto consumer = client();
  ASSERT_TRUE(consumer->subscribe("group-" + topic_, {topic_, topic_ + "-more"}).ok());
  auto assigned = expect<event::Assigned>(*consumer).partitions;
  std::sort(assigned.begin(), assigned.end());
  EXPECT_EQ((std::vector<TopicPartition>{{topic_, 0}, {topic_, 1}, {topic_ + "-more", 0}}), assigned);
}

TEST_P(LogConformance, EveryPartitionThatIsReadGetsItsTurn) {
  for (int32_t p = 0; p < 2; ++p) {
    for (int i = 0; i < 20; ++i) ASSERT_TRUE(log_->append({topic_, p}, values({"v"})).ok());
  }
  auto reader = client();
  reader->read_from({topic_, 0}, 0, kCommitted);
  reader->read_from({topic_, 1}, 0, kCommitted);
  int64_t seen[2] = {0, 0};
  int ends[2] = {0, 0};
  while (ends[0] + ends[1] < 2) {
    const Event event = next(*reader, 7);
    if (const auto* polled = std::get_if<event::Polled>(&event)) {
      seen[polled->partition.partition] += polled->records->size();
    } else if (const auto* at_end = std::get_if<event::AtEnd>(&event)) {
      ++ends[at_end->partition.partition];
    } else {
      FAIL() << "neither records nor an end";
    }
  }
  EXPECT_EQ(20, seen[0]);
  EXPECT_EQ(20, seen[1]);
  EXPECT_EQ(1, ends[0]);
  EXPECT_EQ(1, ends[1]);
}

TEST_P(LogConformance, AtEndIsToldOnceEachTimeTheReaderGetsThere) {
  auto reader = client();
  reader->read_from(partition_, 0, kCommitted);
  EXPECT_EQ(0, expect<event::AtEnd>(*reader).next_offset);
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(std::holds_alternative<std::monostate>(reader->poll(10)));
  ASSERT_TRUE(log_->append(partition_, values({"a"})).ok());
  EXPECT_EQ(1, expect<event::Polled>(*reader).next_offset);
  const auto at_end = expect<event::AtEnd>(*reader);
  EXPECT_EQ(1, at_end.next_offset);
  EXPECT_EQ(partition_, at_end.partition);
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(std::holds_alternative<std::monostate>(reader->poll(10)));
}

TEST_P(LogConformance, APausedPartitionDeliversNothingUntilItIsResumed) {
  ASSERT_TRUE(log_->append(partition_, values({"a", "b"})).ok());
  auto reader = client();
  reader->read_from(partition_, 0, kCommitted);
  EXPECT_EQ(1, expect<event::Polled>(*reader, 1).records->size());
  reader->pause(partition_);
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(std::holds_alternative<std::monostate>(reader->poll(10)));
  reader->resume(partition_);
  EXPECT_EQ((SeenAll{{1, "b"}}), seen_of(*expect<event::Polled>(*reader).records));
}

TEST_P(LogConformance, ReadFromMovesAndStopReadingEnds) {
  ASSERT_TRUE(log_->append(partition_, values({"a", "b", "c"})).ok());
  auto reader = client();
  reader->read_from(partition_, 2, kCommitted);
  EXPECT_EQ((SeenAll{{2, "c"}}), seen_of(*expect<event::Polled>(*reader).records));
  reader->read_from(partition_, 1, kCommitted);
  EXPECT_EQ((SeenAll{{1, "b"}}), seen_of(*expect<event::Polled>(*reader, 1).records));
  reader->stop_reading(partition_);
  for (int i = 0; i < 5; ++i) EXPECT_TRUE(std::holds_alternative<std::monostate>(reader->poll(10)));
}

TEST_P(LogConformance, AnOffsetOutsideThePartitionFailsNamingIt) {
  ASSERT_TRUE(log_->append(partition_, values({"a", "b", "c"})).ok());
  ASSERT_TRUE(log_->trim(partition_, 1).ok());
  auto reader = client();
  for (const int64_t wrong : {0, 4}) {
    reader->read_from(partition_, wrong, kCommitted);
    const Status status = expect<event::Failed>(*reader).status;
    EXPECT_EQ(Code::kNotFound, status.code());
    EXPECT_NE(std::string::npos, status.message().find("offset " + std::to_string(wrong))) << status.message();
    EXPECT_NE(std::string::npos, status.message().find("from 1 to 3")) << status.message();
    EXPECT_EQ(Code::kNotFound, log_->read(partition_, wrong, 100, kCommitted).status().code());
  }
  reader->read_from(partition_, 3, kCommitted);
  EXPECT_EQ(3, expect<event::AtEnd>(*reader).next_offset);
}

TEST_P(LogConformance, TrimDeletesRecordsBelowTheOffsetOnly) {
  ASSERT_TRUE(log_->append(partition_, values({"a", "b", "c"})).ok());
  ASSERT_TRUE(log_->append(partition_, values({"d", "e"})).ok());
  ASSERT_TRUE(log_->trim(partition_, 4).ok());
  EXPECT_EQ(4, log_->start_offset(partition_).value());
  EXPECT_SOON((SeenAll{{4, "e"}}), read_all(partition_, kCommitted, 4));
  ASSERT_TRUE(log_->trim(partition_, 2).ok());
  EXPECT_EQ(4, log_->start_offset(partition_).value());
  ASSERT_TRUE(log_->trim(partition_, 5).ok());
  EXPECT_EQ(5, log_->start_offset(partition_).value());
  EXPECT_EQ(5, log_->append(partition_, values({"f"})).value());
  EXPECT_SOON((SeenAll{{5, "f"}}), read_all(partition_, kCommitted, 5));
  EXPECT_EQ(Code::kNotFound, log_->trim(partition_, 7).code());
}

TEST_P(LogConformance, AbortedRecordsStaySkippedBehindATrim) {
  auto writer = producer("id");
  ASSERT_TRUE(log_->append(partition_, values({"a"})).ok());
  ASSERT_TRUE(writer->begin().ok());
  ASSERT_TRUE(append_all(*writer, partition_, values({"x", "y", "z"})).ok());
  EXPECT_SOON(4, end(partition_, kUncommitted));
  abort(*writer);
  EXPECT_SOON(5, end(partition_, kCommitted));
  ASSERT_TRUE(log_->append(partition_, values({"b"})).ok());
  ASSERT_TRUE(log_->trim(partition_, 2).ok());
  EXPECT_SOON((SeenAll{{5, "b"}}), read_all(partition_, kCommitted, 2));
}

TEST_P(LogConformance, TopicsAreListedWithPartitionsAndId) {
  const TopicInfo info = log_->topic(topic_).value();
  EXPECT_EQ(topic_, info.name);
  EXPECT_EQ(2, info.partitions);
  EXPECT_FALSE(info.id.empty());
  EXPECT_TRUE(log_->create_topic(topic_, 2).ok());
  EXPECT_EQ(info.id, log_->topic(topic_).value().id);
  EXPECT_EQ(Code::kAlreadyExists, log_->create_topic(topic_, 3).code());
  int found = 0;
  const std::vector<TopicInfo> all = log_->topics().value();
  for (const TopicInfo& one : all) found += one.name == topic_ ? 1 : 0;
  EXPECT_EQ(1, found);
  ASSERT_TRUE(log_->create_topic(topic_ + "-2", 2).ok());
  EXPECT_NE(info.id, log_->topic(topic_ + "-2").value().id);
}

TEST_P(LogConformance, AnUnknownTopicIsRefusedNamingTheNearest) {
  const std::string wrong = topic_.substr(0, topic_.size() - 1);
  const Status status = log_->topic(wrong).status();
  EXPECT_EQ(Code::kNotFound, status.code());
  EXPECT_NE(std::string::npos, status.message().find("'" + topic_ + "'")) << status.message();
  auto one = client();
  EXPECT_EQ(Code::kNotFound, one->subscribe("group-" + topic_, {wrong}).code());
  EXPECT_EQ(Code::kNotFound, log_->append({wrong, 0}, values({"x"})).status().code());
  EXPECT_EQ(Code::kNotFound, log_->read({topic_, 2}, 0, 10, kCommitted).status().code());
  EXPECT_EQ(Code::kNotFound, log_->end_offset({topic_, -1}, kCommitted).status().code());
  one->read_from({wrong, 0}, 0, kCommitted);
  EXPECT_EQ(Code::kNotFound, failure(*one));
}

TEST_P(LogConformance, BadTopicNamesAndPartitionCountsAreRefused) {
  for (const std::string& name : {std::string(), std::string("a b"), std::string("."), std::string(250, 'x')}) {
    EXPECT_EQ(Code::kInvalidArgument, log_->create_topic(name, 1).code()) << name;
  }
  EXPECT_EQ(Code::kInvalidArgument, log_->create_topic("zero-partitions", 0).code());
}

TEST_P(LogConformance, WaitReturnsAtOnceWhenThereIsSomething) {
  auto reader = client();
  reader->read_from(partition_, 0, kCommitted);
  (void)expect<event::AtEnd>(*reader);
  ASSERT_TRUE(log_->append(partition_, values({"a"})).ok());
  reader->wait(3'600'000);  // would outlast the test
  EXPECT_EQ(1, expect<event::Polled>(*reader).next_offset);
}

TEST_P(LogConformance, TheLogHasAnId) {
  EXPECT_FALSE(log_->id().empty());
  EXPECT_EQ(log_->id(), under_test_->log()->id());
}

}  // namespace
}  // namespace wrackline
