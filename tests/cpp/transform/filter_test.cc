#include "wrackline/transform/filter.h"

#include <limits>

#include "step_harness.h"
#include <gtest/gtest.h>

namespace wrackline::testing {
namespace {

constexpr double kNan = std::numeric_limits<double>::quiet_NaN();

// Indices of the values that pass.
std::vector<int64_t> passing(Type type, const std::vector<Scalar>& values, Compare compare, const Scalar& value) {
  const auto schema = std::make_shared<const Schema>(std::vector<Field>{{"v", type, true}, {"i", Type::kInt64, false}});
  auto step = make_filter_step("f", {"v", compare, value}, schema).value();
  BatchMaker maker(schema);
  for (size_t i = 0; i < values.size(); ++i) maker.add(static_cast<Millis>(i), {values[i], static_cast<int64_t>(i)});
  CollectingEmitter out;
  push(*step, maker.take(), out);
  std::vector<int64_t> result;
  for (const Output& output : out.main) result.push_back(std::get<int64_t>(output.row[1]));
  EXPECT_TRUE(step->counts().balances());
  EXPECT_EQ(static_cast<int64_t>(values.size()), step->counts().in);
  EXPECT_EQ(static_cast<int64_t>(result.size()), step->counts().out);
  return result;
}

using Indices = std::vector<int64_t>;

TEST(FilterTest, ComparesNumbersExactlyAcrossTypes) {
  const int64_t big = (int64_t{1} << 53) + 1;
  EXPECT_EQ(Indices({1}), passing(Type::kInt64, {big - 1, big}, Compare::kGreater, 0x1p53));
  EXPECT_EQ(Indices({0}), passing(Type::kInt64, {big - 1, big}, Compare::kEqual, 0x1p53));
  EXPECT_EQ(Indices({0, 1}), passing(Type::kInt64, {int64_t{2}, int64_t{3}, int64_t{4}}, Compare::kLess, 3.5));
  EXPECT_EQ(Indices({1, 2}), passing(Type::kFloat64, {1.5, 2.0, 2.5}, Compare::kGreaterEqual, int64_t{2}));
  EXPECT_EQ(Indices({0}), passing(Type::kInt64, {std::numeric_limits<int64_t>::max()}, Compare::kLess, 0x1p63));
}

TEST(FilterTest, NullNeverPasses) {
  for (const Compare compare : {Compare::kEqual, Compare::kNotEqual, Compare::kLess, Compare::kGreaterEqual}) {
    for (const int64_t index : passing(Type::kInt64, {Scalar(), int64_t{1}}, compare, int64_t{1})) EXPECT_EQ(1, index);
  }
}

TEST(FilterTest, NanEqualsItselfAndIsAboveEveryNumber) {
  EXPECT_EQ(Indices({1}), passing(Type::kFloat64, {1.0, kNan}, Compare::kEqual, kNan));
  EXPECT_EQ(Indices({1}), passing(Type::kFloat64, {1.0, kNan}, Compare::kGreater, 5.0));
  EXPECT_EQ(Indices({0}), passing(Type::kFloat64, {1.0, kNan}, Compare::kLess, kNan));
}

TEST(FilterTest, ComparesTextBoolsAndTimes) {
  EXPECT_EQ(Indices({1, 2}), passing(Type::kString, {std::string("a"), std::string("b"), std::string("\xc3\xa4")},
                                     Compare::kGreater, std::string("a")));
  EXPECT_EQ(Indices({0}), passing(Type::kBool, {true, false}, Compare::kEqual, true));
  EXPECT_EQ(Indices({1}), passing(Type::kTimestamp, {Timestamp{5}, Timestamp{6}}, Compare::kGreater, Timestamp{5}));
  EXPECT_EQ(Indices({1}), passing(Type::kTimestamp, {Timestamp{5}, Timestamp{6}}, Compare::kGreaterEqual, int64_t{6}));
}

TEST(FilterTest, MovesPassWithTheRowsTheyCameAfter) {
  const auto schema = std::make_shared<const Schema>(std::vector<Field>{{"v", Type::kInt64, false}});
  auto step = make_filter_step("f", {"v", Compare::kGreater, int64_t{0}}, schema).value();
  BatchMaker maker(schema);
  maker.add(10, {int64_t{0}});
  maker.move(10);
  maker.add(20, {int64_t{1}});
  maker.move(20);
  CollectingEmitter out;
  push(*step, maker.take(), out);
  ASSERT_EQ(1U, out.main.size());
  EXPECT_EQ(10, out.main[0].watermark) << "a dropped row still moves the watermark";
  EXPECT_EQ((std::vector<Millis>{10, 20}), out.moves);
}

TEST(FilterTest, RefusesWhatDoesNotCompare) {
  const auto schema = std::make_shared<const Schema>(
      std::vector<Field>{{"speed", Type::kFloat64, false}, {"name", Type::kString, true}});
  EXPECT_FALSE(make_filter_step("f", {"name", Compare::kEqual, int64_t{1}}, schema).ok());
  EXPECT_FALSE(make_filter_step("f", {"speed", Compare::kEqual, Scalar()}, schema).ok());
  const Status status = make_filter_step("f", {"sped", Compare::kEqual, 1.0}, schema).status();
  EXPECT_NE(std::string::npos, status.message().find("'speed'")) << status.message();
  EXPECT_FALSE(parse_compare("=").ok());
  EXPECT_EQ(Compare::kLessEqual, parse_compare("<=").value());
}

}  // namespace
}  // namespace wrackline::testing
