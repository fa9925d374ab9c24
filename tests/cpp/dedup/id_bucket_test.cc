#include "wrackline/dedup/id_bucket.h"

#include <map>
#include <random>

#include <gtest/gtest.h>

namespace wrackline::testing {
namespace {

std::string_view text(const Bytes& bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

Hash128 id_of(uint64_t n) { return hash128(&n, sizeof(n)); }

// rule: 6.6
TEST(IdBucketTest, FindsWhatWasPutInAndNothingElse) {
  for (const bool wide : {false, true}) {
    IdBucket bucket(wide);
    std::map<uint64_t, int64_t> known;
    std::mt19937_64 random(11);
    for (int i = 0; i < 120'000; ++i) {
      const uint64_t n = random() % 200'000;
      const auto it = known.find(n);
      ASSERT_EQ(it == known.end() ? IdBucket::kNone : it->second, bucket.find(id_of(n)));
      if (it != known.end()) continue;
      const auto time = static_cast<int64_t>(random() % (wide ? uint64_t{1} << 40 : 1000));
      bucket.insert(id_of(n), time);
      known[n] = time;
    }
    EXPECT_EQ(static_cast<int64_t>(known.size()), bucket.count());
    for (const auto& [n, time] : known) ASSERT_EQ(time, bucket.find(id_of(n)));
  }
}

// rule: 6.6
TEST(IdBucketTest, IdsWhoseHashesAreNextToEachOtherStayApart) {
  IdBucket bucket(false);
  for (uint64_t high = 0; high < 3000; ++high) bucket.insert({~uint64_t{0}, high}, static_cast<int64_t>(high));
  for (uint64_t high = 0; high < 3000; ++high) EXPECT_EQ(static_cast<int64_t>(high), bucket.find({~uint64_t{0}, high}));
  EXPECT_EQ(IdBucket::kNone, bucket.find({~uint64_t{0}, 3000}));
}

TEST(IdBucketTest, BlocksOfNewEntriesAddUpToTheWhole) {
  IdBucket bucket(false);
  IdBucket copy(false);
  uint64_t next = 0;
  for (const int step : {10, 0, 1, 20'000, 5000}) {
    for (int i = 0; i < step; ++i, ++next) bucket.insert(id_of(next), static_cast<int64_t>(next % 77));
    EXPECT_EQ(step > 0, bucket.changed());
    bool whole = false;
    const Bytes block = bucket.freeze(whole);
    EXPECT_FALSE(whole);
    ASSERT_TRUE(copy.restore(text(block)).ok());
  }
  bool whole = true;
  IdBucket from_whole(false);
  ASSERT_TRUE(from_whole.restore(text(bucket.freeze(whole))).ok());
  for (uint64_t n = 0; n < next; ++n) {
    ASSERT_EQ(static_cast<int64_t>(n % 77), copy.find(id_of(n)));
    ASSERT_EQ(static_cast<int64_t>(n % 77), from_whole.find(id_of(n)));
  }
  EXPECT_EQ(Code::kCorruption, copy.restore("abc").code());
}

TEST(IdBucketTest, MillionsOfIdsTakeLittleMoreThanTheirBytes) {
  IdBucket bucket(false);
  int64_t peak = 0;
  for (uint64_t n = 0; n < 2'000'000; ++n) {
    bucket.insert(id_of(n), 0);
    if (n % 4096 == 0) {
      bool whole = false;
      bucket.freeze(whole);
      if (n > 500'000) peak = std::max(peak, bucket.allocated_bytes() / static_cast<int64_t>(n));
    }
  }
  EXPECT_LE(peak, 25);
}

}  // namespace
}  // namespace wrackline::testing
