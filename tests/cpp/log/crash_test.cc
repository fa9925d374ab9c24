// kill -9 of a process that writes a log, at instants it does not choose.
#include <random>

#include "log/conformance.h"
#include "log/process.h"
#include "log/temporary_directory.h"
#include <gtest/gtest.h>

namespace wrackline {
namespace {

constexpr uint32_t kSeed = 20'180'704;
constexpr int kKills = 25;

std::vector<Seen> read_all(Log& log, const TopicPartition& partition) {
  std::vector<Seen> all;
  const int64_t end = log.end_offset(partition, Isolation::kReadCommitted).value();
  for (int64_t offset = 0; offset < end;) {
    const auto polled = log.read(partition, offset, 4 << 20, Isolation::kReadCommitted);
    EXPECT_TRUE(polled.ok()) << polled.status().to_string();
    if (!polled.ok()) break;
    for (Seen& seen : seen_of(*polled->records)) all.push_back(std::move(seen));
    offset = polled->next_offset;
  }
  return all;
}

int64_t number_of(const std::string& value) { return std::stoll(value); }

TEST(LocalLogCrash, WhatWasAcknowledgedIsThereWholeAndNothingByHalves) {
  std::mt19937 random(kSeed);
  SCOPED_TRACE("seed " + std::to_string(kSeed));
  TemporaryDirectory directory;
  int64_t appended = 0;     // values acknowledged: 0 .. appended - 1
  int64_t next_number = 0;  // of transactions
  for (int round = 0; round < kKills; ++round) {
    SCOPED_TRACE("kill " + std::to_string(round));
    int64_t committed = next_number - 1;
    {
      LogProcess process(directory.path());
      ASSERT_EQ("ready", process.line());
      process.send("flood " + std::to_string(appended) + " " + std::to_string(next_number));
      const auto lines = static_cast<uint32_t>(1 + random() % 400);
      const auto note = [&](const std::string& line) {
        if (line.starts_with("appended ")) appended = std::max(appended, number_of(line.substr(9)));
        if (line.starts_with("committed ")) committed = std::max(committed, number_of(line.substr(10)));
      };
      for (uint32_t i = 0; i < lines; ++i) note(process.line());
      volatile auto spin = static_cast<uint32_t>(random() % 200'000);  // into the middle of something
      while (spin > 0) spin = spin - 1;
      process.kill_now();
      for (std::string line = process.line(); !line.empty(); line = process.line()) note(line);
    }
    auto opened = open_log("local:" + directory.path(), std::make_shared<ManualClock>());
    ASSERT_TRUE(opened.ok()) << opened.status().to_string();
    Log& log = **opened;

    const std::vector<Seen> plain = read_all(log, {"t", 0});
    ASSERT_LE(appended, static_cast<int64_t>(plain.size()));
    int64_t whole = 0;  // ends of batches are where the child would have cut them
    for (size_t i = 0; i < plain.size(); ++i) ASSERT_EQ(static_cast<int64_t>(i), number_of(plain[i].value));
    while (whole < static_cast<int64_t>(plain.size())) whole += 1 + whole % 97;
    ASSERT_EQ(whole, static_cast<int64_t>(plain.size()));

    const Offsets offsets = log.committed("g").value();
    const int64_t last = offsets.empty() ? -1 : offsets.at({"t", 1}).offset;
    ASSERT_LE(committed, last);
    std::vector<int64_t> expected;
    for (int64_t number = 0; number <= last; ++number) {
      for (int64_t i = 0; number % 4 != 3 && i < 1 + number % 5; ++i) expected.push_back(number * 1000 + i);
    }
    std::vector<int64_t> got;
    for (const Seen& seen : read_all(log, {"t", 1})) got.push_back(number_of(seen.value));
    ASSERT_EQ(expected, got);
    ASSERT_EQ(log.end_offset({"t", 1}, Isolation::kReadUncommitted).value(),
              log.end_offset({"t", 1}, Isolation::kReadCommitted).value());
    appended = static_cast<int64_t>(plain.size());
    next_number = last + 1;
  }
}

}  // namespace
}  // namespace wrackline
