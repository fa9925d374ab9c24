// What the sketches say of their errors, measured; and that neither slices nor a restore show in an answer more than
// they may.
#include <algorithm>
#include <cmath>
#include <map>
#include <random>
#include <set>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "wrackline/window/aggregate/frequent.h"
#include "wrackline/window/aggregate/hyper_log_log.h"
#include "wrackline/window/aggregate/kll.h"
#include "wrackline/window/aggregate/sets.h"

namespace wrackline::testing {
namespace {

template <typename Sketch>
Sketch restored(const Sketch& sketch) {
  ByteWriter out;
  sketch.write(out);
  const Bytes bytes = out.take();
  Sketch result;
  ByteReader in(bytes);
  EXPECT_TRUE(result.read(in));
  EXPECT_TRUE(in.finish("sketch").ok());
  return result;
}

template <typename Sketch>
std::string bytes_of(const Sketch& sketch) {
  ByteWriter out;
  sketch.write(out);
  return std::string(out.view());
}

// HyperLogLog -------------------------------------------------------------------------------------------------------

HyperLogLog counted(uint64_t first, uint64_t count) {
  HyperLogLog sketch;
  for (uint64_t i = 0; i < count; ++i) sketch.insert(static_cast<int64_t>(first + i));
  return sketch;
}

TEST(HyperLogLogTest, FewValuesAreCountedExactlyHoweverOftenTheyCome) {
  for (const uint64_t count : {0, 1, 7, 255, 256}) {
    HyperLogLog sketch;
    for (int times = 0; times < 20; ++times) {
      for (uint64_t i = 0; i < count; ++i) sketch.insert(static_cast<int64_t>(i));
    }
    EXPECT_EQ(static_cast<int64_t>(count), sketch.estimate());
  }
}

// rule: 7.11
TEST(HyperLogLogTest, TheErrorsOfManySketchesHaveTheStatedSpread) {
  for (const uint64_t count : {300, 1'000, 5'000, 20'000, 300'000}) {
    const int sketches = count > 100'000 ? 60 : 300;
    double squares = 0;
    double sum = 0;
    int beyond = 0;
    for (int i = 0; i < sketches; ++i) {
      const HyperLogLog sketch = counted(static_cast<uint64_t>(i) << 40, count);
      const double error = static_cast<double>(sketch.estimate()) / static_cast<double>(count) - 1;
      squares += error * error;
      sum += error;
      beyond += std::fabs(error) > 2.576 * 0.01625 ? 1 : 0;
    }
    EXPECT_LE(std::sqrt(squares / sketches), 0.01625 * 1.15) << count;
    EXPECT_LE(std::fabs(sum / sketches), 0.006) << count << ": biased";
    EXPECT_LE(beyond, sketches / 33) << count << ": of a hundred one lies outside, here " << beyond;
  }
}

TEST(HyperLogLogTest, SlicesCountValuesThatTheyShareOnce) {
  for (const uint64_t count : {200, 3'000}) {
    HyperLogLog whole = counted(0, count);
    HyperLogLog merged;
    for (uint64_t first = 0; first < count; first += count / 4) merged.merge(counted(first / 2, count / 2));
    merged.merge(counted(0, count));
    EXPECT_EQ(whole.estimate(), merged.estimate());
    EXPECT_EQ(whole.estimate(), restored(merged).estimate());
  }
}

TEST(HyperLogLogTest, ASmallSliceCountsBesideALargeOneInEitherOrder) {
  HyperLogLog whole = counted(0, 5'250);
  for (const bool small_first : {true, false}) {
    HyperLogLog merged = small_first ? counted(5'000, 250) : counted(0, 5'000);
    merged.merge(small_first ? counted(0, 5'000) : counted(5'000, 250));
    EXPECT_EQ(whole.estimate(), merged.estimate());
  }
  EXPECT_NE(whole.estimate(), counted(0, 5'000).estimate());
}

TEST(HyperLogLogTest, IsAtMostAFewKibibytes) {
  EXPECT_LE(counted(0, 100'000).allocated_bytes(), 4096);
  EXPECT_LE(counted(0, 300).allocated_bytes(), 8192);
}

// KLL ---------------------------------------------------------------------------------------------------------------

std::vector<int64_t> numbers(uint64_t seed, size_t count) {
  std::mt19937_64 random(seed);
  std::vector<int64_t> values(count);
  int64_t at = 0;
  const uint64_t shape = random() % 4;
  for (int64_t& value : values) {
    const auto drawn = static_cast<int64_t>(random() % 1'000'000'007);
    value = shape == 0 ? drawn : shape == 1 ? ++at : shape == 2 ? --at : drawn * drawn % 1000;
  }
  return values;
}

// By how much of the count the rank of the answer is off; 0 where equal values reach over the right rank.
double rank_error(const std::vector<int64_t>& sorted, double q, int64_t answer) {
  const double rank = std::round(q * static_cast<double>(sorted.size() - 1));
  const auto low = static_cast<double>(std::lower_bound(sorted.begin(), sorted.end(), answer) - sorted.begin());
  const auto high = static_cast<double>(std::upper_bound(sorted.begin(), sorted.end(), answer) - sorted.begin()) - 1;
  return std::max({0.0, low - rank, rank - high}) / static_cast<double>(sorted.size());
}

// rule: 7.11
TEST(KllTest, NinetyNineOfAHundredAnswersAreWithinTheStatedRank) {
  int answers = 0;
  int beyond = 0;
  double worst = 0;
  for (uint64_t seed = 1; seed <= 400; ++seed) {
    const std::vector<int64_t> values = numbers(seed, 1000 + seed * 150);
    KllSketch sketch;
    const size_t slices = 1 + seed % 7;  // merged in order, as windows do
    for (size_t slice = 0; slice < slices; ++slice) {
      KllSketch part;
      for (size_t i = values.size() * slice / slices; i < values.size() * (slice + 1) / slices; ++i)
        part.insert(values[i]);
      sketch.merge(part);
    }
    ASSERT_EQ(static_cast<int64_t>(values.size()), sketch.count());
    std::vector<int64_t> sorted = values;
    std::sort(sorted.begin(), sorted.end());
    EXPECT_EQ(sorted.front(), sketch.quantile(0));
    EXPECT_EQ(sorted.back(), sketch.quantile(1));
    for (const double q : {0.01, 0.05, 0.25, 0.5, 0.9, 0.99}) {
      const int64_t answer = sketch.quantile(q);
      EXPECT_TRUE(std::binary_search(sorted.begin(), sorted.end(), answer)) << "no value that came";
      const double error = rank_error(sorted, q, answer);
      worst = std::max(worst, error);
      beyond += error > KllSketch::kRankError ? 1 : 0;
      ++answers;
    }
    EXPECT_LE(sketch.allocated_bytes(), 16 * 1024);
  }
  EXPECT_LE(beyond * 100, answers) << "of " << answers << ", worst " << worst;
  EXPECT_LE(worst, 2 * KllSketch::kRankError);
  RecordProperty("worst_rank_error", std::to_string(worst));
  RecordProperty("beyond", beyond);
}

TEST(KllTest, IsExactWhileFewValuesCame) {
  for (uint64_t seed = 1; seed <= 50; ++seed) {
    std::vector<int64_t> values = numbers(seed, seed * 199 / 50);
    KllSketch sketch;
    for (const int64_t value : values) sketch.insert(value);
    std::sort(values.begin(), values.end());
    for (double q = 0; q <= 1; q += 0.01) EXPECT_EQ(0, rank_error(values, q, sketch.quantile(q))) << seed << " " << q;
  }
}

TEST(KllTest, GoesOnAfterARestoreAsIfThereHadBeenNone) {
  const std::vector<int64_t> values = numbers(4, 50'000);
  KllSketch straight;
  KllSketch stopped;
  for (size_t i = 0; i < values.size(); ++i) {
    straight.insert(values[i]);
    stopped.insert(values[i]);
    if (i % 9'973 == 0) stopped = restored(stopped);
  }
  EXPECT_EQ(bytes_of(straight), bytes_of(stopped));
}

// Frequent values ---------------------------------------------------------------------------------------------------

// rule: 7.11
TEST(FrequentTest, WhatIsLeftOutCameHardlyMoreOften) {
  for (uint64_t seed = 1; seed <= 60; ++seed) {
    std::mt19937_64 random(seed);
    const size_t k = 1 + random() % 20;
    const bool as_text = random() % 2 == 0;
    const double bend = 0.2 + static_cast<double>(random() % 30) / 10;
    std::map<int64_t, int64_t> counts;
    FrequentValues whole;
    FrequentValues slice;
    const int64_t n = 60'000;
    for (int64_t i = 0; i < n; ++i) {
      const double u = static_cast<double>(random() % 1'000'000 + 1) / 1e6;
      const auto value = static_cast<int64_t>(std::pow(u, bend) * 5'000);
      ++counts[value];
      if (as_text)
        slice.insert(std::string_view("v" + std::to_string(value)), k);
      else
        slice.insert(value, k);
      if (random() % 9'000 == 0) {
        whole.merge(slice, k);
        slice.clear();
      }
      if (random() % 20'000 == 0) whole = restored(whole);
    }
    whole.merge(slice, k);
    const auto bound = n / static_cast<int64_t>(FrequentValues::counters(k) + 1);
    const auto most = whole.most(k);
    ASSERT_EQ(k, most.size());
    std::set<int64_t> listed;
    int64_t least = n;
    for (const auto& counted : most) {
      const int64_t value = as_text ? std::stoll(std::string(counted.text.substr(1))) : counted.word;
      listed.insert(value);
      least = std::min(least, counts[value]);
      EXPECT_LE(counted.count, counts[value]);
      EXPECT_GE(counted.count, counts[value] - bound);
    }
    for (const auto& [value, count] : counts) {
      if (listed.contains(value)) continue;
      EXPECT_LE(count, least + bound) << "seed " << seed << ", value " << value;
    }
  }
}

TEST(FrequentTest, ManyValuesTakeNoMoreThanItsCounters) {
  FrequentValues values;
  for (int64_t i = 0; i < 100'000; ++i) values.insert(i / 3, 2);
  EXPECT_LE(values.most(100'000).size(), 2 * FrequentValues::counters(2));
  EXPECT_LE(values.allocated_bytes(), 64 * 1024);
}

TEST(FrequentTest, AnEmptyTextIsAValue) {
  FrequentValues values;
  values.insert(std::string_view("a"), 2);
  values.insert(std::string_view(), 2);
  values.insert(std::string_view(), 2);
  const FrequentValues kept = restored(values);  // what most() says are views of it
  const auto most = kept.most(2);
  ASSERT_EQ(2, most.size());
  EXPECT_EQ("", most[0].text);
  EXPECT_EQ(2, most[0].count);
  EXPECT_EQ("a", most[1].text);
}

// The largest -------------------------------------------------------------------------------------------------------

TEST(TopTest, HoldsTheLargestInAnySlicesAndAcrossRestores) {
  for (uint64_t seed = 1; seed <= 100; ++seed) {
    std::mt19937_64 random(seed);
    const size_t k = 1 + random() % 9;
    std::vector<int64_t> values;
    std::vector<std::string> texts;
    Top<int64_t> whole;
    Top<int64_t> slice;
    Top<std::string> top_texts;
    for (size_t i = 0; i < 3 * k + random() % 200; ++i) {
      values.push_back(static_cast<int64_t>(random() % 50) - 25);
      texts.push_back(std::to_string(values.back()));
      slice.insert(values.back(), k);
      top_texts.insert(std::string_view(texts.back()), k);
      if (random() % 20 == 0) {
        whole.merge(slice, k);
        slice.clear();
        whole = restored(whole);
        top_texts = restored(top_texts);
      }
    }
    whole.merge(slice, k);
    std::sort(values.rbegin(), values.rend());
    std::sort(texts.rbegin(), texts.rend());
    values.resize(k);
    texts.resize(k);
    EXPECT_EQ(values, whole.sorted(k)) << "seed " << seed;
    EXPECT_EQ(texts, top_texts.sorted(k)) << "seed " << seed;
  }
}

}  // namespace
}  // namespace wrackline::testing
