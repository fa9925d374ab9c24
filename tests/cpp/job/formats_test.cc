#include "wrackline/job/formats.h"

#include <cstring>

#include <gtest/gtest.h>

#include "wrackline/core/base64.h"
#include "wrackline/core/hash.h"

namespace wrackline {
namespace {

CommitMetadata some_metadata() {
  return {.job_hash = 7,
          .commit_seq = 12,
          .checkpoint = "fleet-0-0-2-10",
          .watermark = -5,
          .ledger_hash = 99,
          .rows_hash = 1234567,
          .transactional_id = "fleet-0123456789abcdef-0-0",
          .recovery_count = 3,
          .start_offset = 100,
          .journal_offset = 40,
          .read_to = 77};
}

TEST(CommitMetadata, ReadsBackWhatWasWritten) {
  const Result<CommitMetadata> read = CommitMetadata::decode(some_metadata().encode());
  ASSERT_TRUE(read.ok()) << read.status().to_string();
  EXPECT_EQ(*read, some_metadata());
}

TEST(CommitMetadata, IsTextWithoutZeroBytes) {
  for (const char c : some_metadata().encode()) EXPECT_TRUE(c > ' ' && c < 127);
}

TEST(CommitMetadata, AnyChangedByteIsRefused) {
  const std::string text = some_metadata().encode();
  std::string bytes = *decode_base64(text);
  for (char& byte : bytes) {
    byte = static_cast<char>(byte ^ 0x10);
    EXPECT_EQ(CommitMetadata::decode(encode_base64(bytes)).status().code(), Code::kCorruption);
    byte = static_cast<char>(byte ^ 0x10);
  }
  EXPECT_EQ(CommitMetadata::decode(text.substr(0, text.size() - 4)).status().code(), Code::kCorruption);
  EXPECT_EQ(CommitMetadata::decode("not base64").status().code(), Code::kCorruption);
  EXPECT_EQ(CommitMetadata::decode("").status().code(), Code::kCorruption);
}

TEST(CommitMetadata, NewerVersionIsRefusedByItsNumber) {
  std::string bytes = *decode_base64(some_metadata().encode());
  bytes[0] = 3;
  const uint64_t checksum = hash64(std::string_view(bytes).substr(0, bytes.size() - 8));
  std::memcpy(bytes.data() + bytes.size() - 8, &checksum, 8);
  const Status status = CommitMetadata::decode(encode_base64(bytes)).status();
  EXPECT_EQ(status.code(), Code::kCorruption);
  EXPECT_NE(status.message().find("version 3"), std::string::npos) << status.message();
}

TEST(CommitMetadata, VersionOneIsStillRead) {
  CommitMetadata metadata = some_metadata();
  std::string bytes = *decode_base64(metadata.encode());
  bytes[0] = 1;
  bytes.resize(bytes.size() - 16);  // read_to, checksum
  const uint64_t checksum = hash64(bytes);
  bytes.append(reinterpret_cast<const char*>(&checksum), 8);
  const Result<CommitMetadata> read = CommitMetadata::decode(encode_base64(bytes));
  ASSERT_TRUE(read.ok()) << read.status().to_string();
  metadata.read_to = 0;
  EXPECT_EQ(*read, metadata);
}

TEST(JournalRow, IsTheBytesOfTheWorkedExample) {
  // docs/formats.md, "Journal row".
  JournalRow row;
  row.job_hash = 0x1122334455667788;
  row.commit_seq = 1;
  row.offset = 3;
  row.watermark = 5;
  row.ledger = {{"read", {.in = 3, .out = 3}}};
  row.metadata = {
      .job_hash = 0x1122334455667788, .commit_seq = 1, .watermark = 5, .transactional_id = "meters-0-0", .read_to = 3};
  std::string expected("\x02\x88\x77\x66\x55\x44\x33\x22\x11", 9);
  const auto number = [&](uint64_t value, size_t size) {
    expected.append(reinterpret_cast<const char*>(&value), size);
  };
  for (const uint64_t value : {1, 3, 5}) number(value, 8);
  number(0, 1);
  number(0, 8);
  number(0, 8);
  number(1, 4);
  number(4, 4);
  expected += "read";
  for (const uint64_t value : {3, 3, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0}) number(value, 8);
  number(0, 4);
  number(8 + 8 + 4 + 8 + 8 + 8 + 4 + 10 + 8 + 8 + 8 + 8, 4);
  for (const uint64_t value : {uint64_t{0x1122334455667788}, uint64_t{1}}) number(value, 8);
  number(0, 4);
  for (const uint64_t value : {5, 0, 0}) number(value, 8);
  number(10, 4);
  expected += "meters-0-0";
  for (const uint64_t value : {0, 0, 0, 3}) number(value, 8);
  number(0, 4);
  number(hash64(expected), 8);
  const Bytes bytes = row.encode();
  EXPECT_EQ(std::string(bytes.begin(), bytes.end()), expected);
}

TEST(JournalRow, RowsOfVersionOneAreStillRead) {
  JournalRow row;
  row.job_hash = 5;
  row.commit_seq = 9;
  const Bytes bytes = row.encode();
  CommitMetadata none;
  std::string old(bytes.begin(), bytes.end());
  old.resize(old.size() - 8 - 4 - 4 - 80);  // checksum, time state, metadata
  old[0] = 1;
  const uint64_t checksum = hash64(old);
  old.append(reinterpret_cast<const char*>(&checksum), 8);
  const Result<JournalRow> read = JournalRow::decode(old);
  ASSERT_TRUE(read.ok()) << read.status().to_string();
  row.metadata.job_hash = 5;
  row.metadata.commit_seq = 9;
  EXPECT_EQ(*read, row);
}

TEST(JournalRow, ReadsBackDecisionsLedgerAndCut) {
  JournalRow row;
  row.metadata = some_metadata();
  row.time_state = "time";
  row.commit_seq = 4;
  row.auto_unit = 2;
  row.input_hash = 17;
  row.ledger = {{"read", {.in = 9, .out = 8, .dead_lettered = 1}},
                {"window", {.in = 8, .late = 2, .held = 6, .windows_missed = 1}}};
  row.decisions = {{Decision::Kind::kIdle, 7, 1000, 2000}, {Decision::Kind::kEnded, 9, kMinusInfinity, -1}};
  row.cut = {.end = 12, .trigger = row.decisions.back(), .rows = {{3, 4096}, {17, 1}}};
  const Bytes bytes = row.encode();
  const Result<JournalRow> read = JournalRow::decode({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
  ASSERT_TRUE(read.ok()) << read.status().to_string();
  EXPECT_EQ(*read, row);
  for (size_t size = 0; size < bytes.size(); ++size) {
    EXPECT_FALSE(JournalRow::decode({reinterpret_cast<const char*>(bytes.data()), size}).ok()) << size;
  }
}

TEST(JournalRow, OnlyThatOfACutIsOfVersionThree) {
  JournalRow row;
  EXPECT_EQ(row.encode()[0], 2);
  row.cut.emplace();
  EXPECT_EQ(row.encode()[0], 3);
}

}  // namespace
}  // namespace wrackline
