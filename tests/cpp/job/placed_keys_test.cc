#include "wrackline/source/placed_keys.h"

#include <algorithm>
#include <map>
#include <random>
#include <thread>

#include <gtest/gtest.h>

namespace wrackline {
namespace {

const Schema& schema() {
  static const Schema made({{"k", Type::kString, true}, {"n", Type::kInt64, true}});
  return made;
}

Batch batch_of(const std::vector<std::optional<std::string>>& keys) {
  Column k(Type::kString), n(Type::kInt64);
  for (size_t i = 0; i < keys.size(); ++i) {
    keys[i] ? k.append_string(*keys[i]) : k.append_null();
    n.append_int64(static_cast<int64_t>(i % 3));
  }
  Batch batch;
  batch.schema = std::make_shared<const Schema>(schema());
  batch.length = static_cast<int64_t>(keys.size());
  batch.columns = {std::make_shared<const Column>(std::move(k)), std::make_shared<const Column>(std::move(n))};
  return batch;
}

PlacementCheck check_of(PlacedKeys& all, int32_t partition, const std::vector<std::string>& columns = {"k"},
                        bool with_nulls = false) {
  return PlacementCheck::make(schema(), columns, with_nulls, {"in", partition}, &all).value();
}

std::vector<std::optional<std::string>> keys(int from, int to) {
  std::vector<std::optional<std::string>> made;
  for (int i = from; i < to; ++i) made.emplace_back("key-" + std::to_string(i));
  return made;
}

TEST(PlacedKeys, KeysThatLieInOnePartitionEachAreFineInAnyOrder) {
  PlacedKeys all;
  PlacementCheck first = check_of(all, 0), second = check_of(all, 1);
  for (int round = 0; round < 3; ++round) {
    EXPECT_TRUE(first.check(batch_of(keys(0, 5'000))).ok());
    EXPECT_TRUE(second.check(batch_of(keys(5'000, 10'000))).ok());
  }
  // One in 64, give or take.
  EXPECT_GT(all.size(), 10'000 / 64 / 2);
  EXPECT_LT(all.size(), 10'000 / 64 * 2);
}

TEST(PlacedKeys, AKeyInTwoPartitionsIsNamedWithBoth) {
  PlacedKeys all;
  PlacementCheck first = check_of(all, 7), second = check_of(all, 2);
  ASSERT_TRUE(first.check(batch_of(keys(0, 2'000))).ok());
  const Status status = second.check(batch_of(keys(1'000, 3'000)));
  ASSERT_EQ(status.code(), Code::kInvalidArgument);
  EXPECT_NE(status.message().find("partitioned_by='k' does not hold: k='key-1"), std::string::npos) << status.message();
  EXPECT_NE(status.message().find("' is in partition 2 and in partition 7 of 'in'"), std::string::npos);
}

TEST(PlacedKeys, NullKeysHaveNoPartitionUnlessTheyAreAGroup) {
  PlacedKeys all;
  PlacementCheck first = check_of(all, 0), second = check_of(all, 1);
  EXPECT_TRUE(first.check(batch_of({std::nullopt})).ok());
  EXPECT_TRUE(second.check(batch_of({std::nullopt})).ok());
  PlacedKeys grouped;
  PlacementCheck third = check_of(grouped, 0, {"k"}, true), fourth = check_of(grouped, 1, {"k"}, true);
  EXPECT_TRUE(third.check(batch_of({std::nullopt})).ok());
  const Status status = fourth.check(batch_of({std::nullopt}));
  EXPECT_NE(status.message().find("k=null is in partition 0 and in partition 1"), std::string::npos)
      << status.message();
}

TEST(PlacedKeys, CompositeKeysAreWhole) {
  PlacedKeys all;
  PlacementCheck first = check_of(all, 0, {"k", "n"}), second = check_of(all, 1, {"k", "n"});
  std::vector<std::optional<std::string>> rotated = keys(0, 3'000);
  ASSERT_TRUE(first.check(batch_of(rotated)).ok());
  std::rotate(rotated.begin(), rotated.begin() + 1, rotated.end());  // the same k, another n
  EXPECT_TRUE(second.check(batch_of(rotated)).ok());
  EXPECT_FALSE(second.check(batch_of(keys(0, 3'000))).ok());
}

// However many keys: the memory is bounded, no key of one partition is ever refused, and one that has stayed in the
// sample is still found.
TEST(PlacedKeys, TheSampleOfManyKeysGrowsSparser) {
  PlacedKeys all;
  std::mt19937_64 random(1);
  std::map<Hash128, std::pair<uint64_t, int32_t>> placed;
  for (int64_t i = 0; i < 300'000; ++i) {
    const uint64_t hash = random() & ~(PlacedKeys::kOneOf - 1);
    ASSERT_TRUE(i > 100'000 || all.looks_at(hash) || all.size() > PlacedKeys::kMaxKeys / 4);
    if (!all.looks_at(hash)) continue;
    const Hash128 key{random(), random()};
    const auto partition = static_cast<int32_t>(i % 5);
    ASSERT_EQ(all.place(hash, key, partition), std::nullopt);
    placed[key] = {hash, partition};
    ASSERT_LE(all.size(), PlacedKeys::kMaxKeys);
  }
  size_t looked_at = 0;
  for (const auto& [key, where] : placed) {
    const auto& [hash, partition] = where;
    if (!all.looks_at(hash)) continue;
    ++looked_at;
    ASSERT_EQ(all.place(hash, key, partition), std::nullopt);
    ASSERT_EQ(all.place(hash, key, partition + 1), std::optional(partition));
  }
  EXPECT_EQ(looked_at, all.size());
  EXPECT_GT(looked_at, PlacedKeys::kMaxKeys / 4);
}

TEST(PlacedKeys, PartitionsMayBeReadBySeveralThreads) {
  PlacedKeys all;
  std::vector<Status> ends(4);
  std::vector<std::thread> threads;
  for (int32_t partition = 0; partition < 4; ++partition) {
    threads.emplace_back([&, partition] {
      PlacementCheck check = check_of(all, partition);
      for (int i = 0; i < 50; ++i) {
        if (Status status =
                check.check(batch_of(keys(partition * 100'000 + i * 1'000, partition * 100'000 + i * 1'000 + 1'000)));
            !status.ok())
          ends[static_cast<size_t>(partition)] = status;
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  for (const Status& status : ends) EXPECT_TRUE(status.ok()) << status.message();
  EXPECT_FALSE(check_of(all, 9).check(batch_of(keys(0, 5'000))).ok());
}

}  // namespace
}  // namespace wrackline
