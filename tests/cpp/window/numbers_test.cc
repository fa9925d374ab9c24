#include "wrackline/window/aggregate/numbers.h"

#include <random>
#include <vector>

#include "window/window_oracle.h"
#include <gtest/gtest.h>

namespace wrackline::testing {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

DoubleDouble sum_of(const std::vector<double>& values) {
  DoubleDouble sum;
  for (const double value : values) sum = add(sum, value);
  return sum;
}

// rule: 7.9
TEST(NumbersTest, SumsThatCancelKeepWhatIsLeft) {
  EXPECT_EQ(2.0, sum_of({1.0, 1e100, 1.0, -1e100}).value());
  EXPECT_EQ(0x1p-60, sum_of({1.0, 0x1p-60, -1.0}).value());
}

// rule: 7.3
TEST(NumbersTest, InfinityStaysInfinityAndOppositesAreNan) {
  EXPECT_EQ(kInfinity, sum_of({kInfinity, 1.0, -5.0}).value());
  EXPECT_EQ(-kInfinity, sum_of({1.0, -kInfinity, 1e300}).value());
  EXPECT_TRUE(std::isnan(sum_of({kInfinity, -kInfinity}).value()));
  EXPECT_EQ(kInfinity, sum_of({1.7e308, 1.7e308, 1.0}).value()) << "an overflow";
  EXPECT_EQ(kInfinity, add(DoubleDouble{kInfinity, 0}, DoubleDouble{1, 1e-20}).value());
  EXPECT_TRUE(std::isnan(add(DoubleDouble{kInfinity, 0}, DoubleDouble{-kInfinity, 0}).value()));
}

// rule: 7.9
TEST(NumbersTest, RandomSumsInAnySlicesAreWithinTheBound) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    std::mt19937_64 random(seed);
    std::vector<double> values(1 + random() % 3000);
    for (double& value : values) {
      const int exponent = static_cast<int>(random() % 80) - 40;
      value = std::ldexp(static_cast<double>(static_cast<int64_t>(random())), exponent - 63);
    }
    Quad exact = 0;
    double size = 0;
    DoubleDouble sum;
    DoubleDouble slice;
    for (const double value : values) {
      exact += value;
      size += std::fabs(value);
      slice = add(slice, value);
      if (random() % 50 == 0) {
        sum = add(sum, slice);
        slice = {};
      }
    }
    const double got = add(sum, slice).value();
    const auto right = static_cast<double>(exact);
    EXPECT_LE(std::fabs(got - right), ulp(right) + static_cast<double>(values.size()) * 0x1p-100 * size)
        << "seed " << seed;
  }
}

TEST(NumbersTest, VarianceFarFromZeroHasNineDigits) {
  for (const double far : {0.0, 1e9, -1e12, 1e15}) {
    Moments all;
    Moments left;
    Moments right;
    Quad mean = 0;
    std::vector<double> values;
    std::mt19937_64 random(7);
    for (int i = 0; i < 1000; ++i) values.push_back(far + static_cast<double>(random() % 1000) / 8);
    for (const double value : values) mean += value;
    mean /= 1000;
    Quad squares = 0;
    for (const double value : values) squares += (value - mean) * (value - mean);
    const auto exact = static_cast<double>(squares / 999);
    for (size_t i = 0; i < values.size(); ++i) {
      all.include({values[i], 0});
      (i < 300 ? left : right).include({values[i], 0});
    }
    left.merge(right);
    EXPECT_NEAR(exact, all.variance(), 1e-9 * exact) << far;
    EXPECT_NEAR(exact, left.variance(), 1e-9 * exact) << far;
  }
}

// rule: 7.8
TEST(NumbersTest, MeanOfWideIntegerSumsIsExactToTheLastPlaces) {
  const __int128 sum = static_cast<__int128>(std::numeric_limits<int64_t>::max()) * 5 + 3;
  EXPECT_EQ(static_cast<double>(sum) / 4, mean_of(sum, 4));
  EXPECT_DOUBLE_EQ(-1.0 / 3, mean_of(__int128{-1}, 3));
  EXPECT_EQ(static_cast<double>(std::numeric_limits<int64_t>::max()),
            DoubleDouble::of(std::numeric_limits<int64_t>::max()).value());
  EXPECT_EQ(-1.0, DoubleDouble::of(std::numeric_limits<int64_t>::max()).low) << "2^63 - 1 in full";
}

}  // namespace
}  // namespace wrackline::testing
