// Hopping windows whose slices are added up by two stacks, against the same windows with an aggregate that lies in a
// pool: those add up each window's slices anew (window_oracle_test.cc says that this is right). And what the way of
// adding must not show: restarts, and where a sum overflows.
#include <cmath>
#include <limits>
#include <random>

#include "step_harness.h"
#include "window/stream_run.h"
#include <gtest/gtest.h>

namespace wrackline::testing {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();
constexpr int kFirst = 5;  // aggregate of a row, behind key, bounds, revision and pane

SchemaPtr input_schema() {
  return std::make_shared<const Schema>(
      std::vector<Field>{{"k", Type::kString, false}, {"n", Type::kInt64, true}, {"x", Type::kFloat64, true}});
}

struct Record {
  Millis time = 0;
  Row row;
};
struct Item {
  enum Kind { kRecord, kMove, kCommit } kind = kRecord;
  Record record;
  Millis watermark = 0;
};
struct Stream {
  WindowSpec spec;
  std::vector<Item> items;
};

Row row_of(const Record& record) { return record.row; }

Answer run(const Stream& stream, uint64_t seed, int cut_every, bool restore) {
  return run_stream(stream, input_schema(), row_of, seed, cut_every, restore);
}

Stream random_stream(std::mt19937_64& random) {
  const auto below = [&](int64_t n) { return static_cast<int64_t>(random() % static_cast<uint64_t>(n)); };
  Stream stream;
  WindowSpec& spec = stream.spec;
  FixedWindow window;
  window.slide = 1 + below(8);
  window.size = window.slide + 1 + below(40);
  window.offset = below(2 * window.slide - 1) - (window.slide - 1);
  spec.kind = window;
  spec.key_columns = {"k"};
  spec.allowed_lateness = below(3) == 0 ? 0 : below(60);
  spec.emit = static_cast<EmitMode>(below(3));
  spec.emit_late_each = below(2) == 0;
  spec.aggregates = {{"rows", "count", ""},   {"n_sum", "sum", "n"},     {"n_min", "min", "n"},
                     {"n_max", "max", "n"},   {"x_sum", "sum", "x"},     {"x_mean", "mean", "x"},
                     {"x_min", "min", "x"},   {"x_var", "var", "x"},     {"n_first", "first", "n"},
                     {"n_last", "last", "n"}, {"n_by_x", "arg_max", "n"}};
  spec.aggregates.back().by = "x";
  const int64_t keys = 1 + below(12);
  const Millis bound = below(20);
  const int64_t behind = below(30);  // of 100 records, by more than the bound
  Millis now = below(200) - 100;
  Millis watermark = kMinusInfinity;
  for (int64_t i = 0; i < 300; ++i) {
    now += below(30) == 0 ? below(150) : below(4);
    Record record;
    record.time = now - (below(100) < behind ? below(80) : below(1 + bound));
    const Scalar n = below(5) == 0 ? Scalar() : Scalar(below(2001) - 1000);
    const Scalar x = below(5) == 0 ? Scalar() : Scalar(static_cast<double>(below(2001) - 1000) / 7.0);
    record.row = {(below(2) ? "k" : "a key longer than sixteen bytes ") + std::to_string(below(keys)), n, x};
    stream.items.push_back({Item::kRecord, record, 0});
    if (now - bound > watermark && below(5) != 0) {
      watermark = now - bound;
      stream.items.push_back({Item::kMove, {}, watermark});
    }
    if (below(25) == 0) stream.items.push_back({Item::kCommit, {}, 0});
  }
  if (below(2)) stream.items.push_back({Item::kMove, {}, kPlusInfinity});
  stream.items.push_back({Item::kCommit, {}, 0});
  return stream;
}

std::string text_of(const Scalar& value) {
  if (const auto* s = std::get_if<std::string>(&value)) return *s;
  if (const auto* n = std::get_if<int64_t>(&value)) return std::to_string(*n);
  if (const auto* t = std::get_if<Timestamp>(&value)) return "@" + std::to_string(t->millis);
  if (const auto* d = std::get_if<double>(&value)) return std::to_string(*d);
  return "null";
}

// Rows by window, key, revision and pane: those of one window may come in another order.
std::map<std::string, Row> by_name(const std::vector<Output>& rows, size_t aggregates) {
  std::map<std::string, Row> named;
  for (const Output& output : rows) {
    std::string name;
    for (const size_t i : {1u, 2u, 0u, 3u, 4u}) name += text_of(output.row[i]) + " ";
    const Row values(output.row.begin() + kFirst, output.row.begin() + kFirst + static_cast<ptrdiff_t>(aggregates));
    EXPECT_TRUE(named.emplace(name, values).second) << name << "came twice";
  }
  return named;
}

bool close(const Scalar& a, const Scalar& b) {
  const auto* x = std::get_if<double>(&a);
  const auto* y = std::get_if<double>(&b);
  return x && y ? std::fabs(*x - *y) <= 1e-12 * std::max(1.0, std::fabs(*x)) : a == b;
}

TEST(TwoStacks, SameRowsAsAddingUpEachWindowAnew) {
  std::mt19937_64 random(1);
  int64_t rows = 0;
  for (int round = 0; round < 200; ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    const Stream stream = random_stream(random);
    Stream anew = stream;
    anew.spec.aggregates.push_back({"list", "collect", "n"});
    const size_t aggregates = stream.spec.aggregates.size();
    const Answer got = run(stream, 1, 0, false);
    const Answer expected = run(anew, 1, 0, false);
    const std::map<std::string, Row> left = by_name(expected.out.main, aggregates);
    const std::map<std::string, Row> right = by_name(got.out.main, aggregates);
    rows += static_cast<int64_t>(left.size());
    ASSERT_EQ(left.size(), right.size());
    for (const auto& [name, values] : left) {
      ASSERT_TRUE(right.contains(name)) << name;
      for (size_t i = 0; i < aggregates; ++i) {
        EXPECT_TRUE(close(values[i], right.at(name)[i]))
            << name << stream.spec.aggregates[i].name << " " << text_of(values[i]) << " " << text_of(right.at(name)[i]);
      }
    }
    EXPECT_EQ(expected.out.late.size(), got.out.late.size());
    EXPECT_EQ(expected.out.moves, got.out.moves);
    if (HasFailure()) return;
  }
  EXPECT_GT(rows, 30'000);
}

TEST(TwoStacks, CutsAndRestartsShowInNoBitAndNoOrder) {
  std::mt19937_64 random(2);
  for (int round = 0; round < 200; ++round) {
    SCOPED_TRACE("round " + std::to_string(round));
    const Stream stream = random_stream(random);
    const Answer expected = run(stream, 1, 0, false);
    for (const int cut_every : {0, 3}) {
      const Answer got = run(stream, static_cast<uint64_t>(round), cut_every, true);
      ASSERT_EQ(expected.out.main.size(), got.out.main.size());
      for (size_t i = 0; i < got.out.main.size(); ++i) {
        const Output& left = expected.out.main[i];
        const Output& right = got.out.main[i];
        EXPECT_EQ(left.event_time, right.event_time);
        EXPECT_EQ(left.watermark, right.watermark);
        for (size_t j = 0; j < left.row.size(); ++j)
          EXPECT_TRUE(same(left.row[j], right.row[j])) << "row " << i << ", column " << j;
        if (HasFailure()) return;
      }
    }
  }
}

// The sums of windows over one key with a value each millisecond, from `start` on.
std::vector<double> sums_of(const std::vector<double>& values, Millis slices, Millis start) {
  Stream stream;
  FixedWindow window;
  window.size = slices;
  window.slide = 1;
  stream.spec.kind = window;
  stream.spec.key_columns = {"k"};
  stream.spec.aggregates = {{"sum", "sum", "x"}, {"mean", "mean", "x"}};
  for (size_t i = 0; i < values.size(); ++i) {
    Item item;
    item.record = {start + static_cast<Millis>(i), {std::string("k"), Scalar(), values[i]}};
    stream.items.push_back(item);
  }
  stream.items.push_back({Item::kMove, {}, kPlusInfinity});
  stream.items.push_back({Item::kCommit, {}, 0});
  std::vector<double> sums;
  const Answer answer = run(stream, 1, 0, false);
  for (const Output& output : answer.out.main) sums.push_back(std::get<double>(output.row[kFirst]));
  return sums;
}

// semantics.md 7: a partial sum overflows slice by slice, in time order.
TEST(TwoStacks, SumsOverflowInTheOrderOfTheirSlices) {
  const double big = 1e308;
  const std::vector<std::vector<double>> streams = {{big, big, -big, 1, 2, big, -big, -big, big, 3},
                                                    {-big, big, big, -big, -big, big, 1, big, -big},
                                                    {1, kInfinity, 2, -kInfinity, 5, 6, 7, 8, big, big, -big, 1}};
  for (const std::vector<double>& values : streams) {
    for (const Millis slices : {2, 3, 4, 5}) {
      for (Millis start = 0; start < slices; ++start) {
        const std::vector<double> sums = sums_of(values, slices, start);
        const auto count = static_cast<Millis>(values.size());
        ASSERT_EQ(sums.size(), static_cast<size_t>(count + slices - 1));
        for (Millis end = 1; end < count + slices; ++end) {
          double sum = 0;
          for (Millis i = std::max<Millis>(0, end - slices); i < std::min(end, count); ++i)
            sum += values[static_cast<size_t>(i)];
          const double got = sums[static_cast<size_t>(end - 1)];
          EXPECT_TRUE(std::isnan(sum)   ? std::isnan(got)
                      : std::isinf(sum) ? got == sum
                                        : std::fabs(got - sum) < 1e293)
              << slices << " slices from " << start << ", end " << end << ": " << got << ", not " << sum;
        }
      }
    }
  }
}

}  // namespace
}  // namespace wrackline::testing
