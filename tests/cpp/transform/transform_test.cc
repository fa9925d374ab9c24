#include "wrackline/transform/transform.h"

#include <functional>
#include <random>

#include "step_harness.h"
#include <gtest/gtest.h>

namespace wrackline::testing {
namespace {

using Function = std::function<Result<Transformed>(const Batch&)>;

class Calls final : public Transform {
 public:
  explicit Calls(Function function) : function_(std::move(function)) {}
  Result<Transformed> apply(const std::shared_ptr<const Batch>& batch) const override {
    ++calls;
    return function_(*batch);
  }
  mutable int calls = 0;

 private:
  Function function_;
};

SchemaPtr numbers() {
  return std::make_shared<const Schema>(std::vector<Field>{{"v", Type::kInt64, false}, {"other", Type::kInt64, false}});
}

// v * 10, as often as `times(v)` says; fails as a whole if any v is negative.
Result<Transformed> tenfold(const Batch& batch, const std::function<int64_t(int64_t)>& times) {
  const int64_t* v = batch.column(0).int64s();
  auto made = std::make_shared<Column>(Type::kInt64);
  Buffer<int64_t> from;
  for (int64_t i = 0; i < batch.length; ++i) {
    if (v[i] < 0) return Status::invalid("a negative number");
    for (int64_t n = 0; n < times(v[i]); ++n) {
      made->append_int64(v[i] * 10);
      from.push_back(i);
    }
  }
  const int64_t length = made->length();
  return Transformed{.columns = {made}, .length = length, .from = std::move(from), .failed = {}};
}

std::unique_ptr<Step> tenfold_step(std::function<int64_t(int64_t)> times, OnError on_error = OnError::kDeadLetter) {
  TransformSpec spec{.kind = "map", .reads = {"v"}, .passes = true, .makes = {{"w", Type::kInt64, false}}};
  spec.on_error = on_error;
  spec.function = std::make_shared<Calls>([times](const Batch& batch) { return tenfold(batch, times); });
  return make_transform_step("t", spec, numbers()).value();
}

struct Expected {
  std::vector<std::vector<int64_t>> rows;  // time, watermark before it, v, other, w
  std::vector<int64_t> dead;
};

// Any batch: each row stands alone, whatever else is in its batch, and keeps what it is judged by.
TEST(TransformTest, RowsStandAloneHoweverTheirBatchFails) {
  std::mt19937_64 random(7);
  const auto below = [&](int64_t n) { return static_cast<int64_t>(random() % static_cast<uint64_t>(n)); };
  for (int round = 0; round < 300; ++round) {
    const auto times = [](int64_t v) { return v % 4; };
    const auto step = tenfold_step(times);
    CollectingEmitter out;
    BatchMaker maker(numbers());
    Expected expected;
    std::vector<Millis> moves;
    Millis watermark = kMinusInfinity;
    int64_t filtered = 0;
    for (int64_t batches = below(3); batches >= 0; --batches) {
      int64_t bad = below(4);  // few enough to be found in 64 calls
      for (int64_t i = 0, rows = below(40); i < rows; ++i) {
        if (below(4) == 0) {
          watermark = std::max<Millis>(watermark, 0) + below(5);
          maker.move(watermark);
          moves.push_back(watermark);
        }
        int64_t v = below(20);
        if (bad > 0 && below(10) == 0) v = -v - 1, --bad;
        maker.add(100 + i, {v, i});
        if (v < 0) {
          expected.dead.push_back(v);
          continue;
        }
        if (times(v) == 0) ++filtered;
        for (int64_t n = 0; n < times(v); ++n) expected.rows.push_back({100 + i, watermark, v, i, v * 10});
      }
      push(*step, maker.take(), out);
    }
    std::vector<std::vector<int64_t>> rows;
    for (const Output& output : out.main) {
      rows.push_back({output.event_time, output.watermark});
      for (const Scalar& value : output.row) rows.back().push_back(std::get<int64_t>(value));
    }
    EXPECT_EQ(expected.rows, rows);
    EXPECT_EQ(moves, out.moves);
    std::vector<int64_t> dead;
    for (const Output& output : out.dead) {
      EXPECT_EQ(Scalar(std::string("function")), output.row[0]);
      dead.push_back(std::get<int64_t>(output.row[1]));
    }
    EXPECT_EQ(expected.dead, dead);
    EXPECT_TRUE(step->counts().balances());
    EXPECT_EQ(static_cast<int64_t>(dead.size()), step->counts().dead_lettered);
    EXPECT_EQ(filtered, step->counts().filtered);
  }
}

Batch some(int64_t rows, int64_t bad_every) {
  BatchMaker maker(numbers());
  for (int64_t i = 0; i < rows; ++i) maker.add(i, {bad_every > 0 && i % bad_every == 0 ? -1 : i, i});
  return maker.take();
}

Status result_of(Step& step, Batch batch) {
  CollectingEmitter out;
  step.take(std::move(batch));
  while (step.busy()) WL_RETURN_IF_ERROR(step.advance(out));
  return {};
}

TEST(TransformTest, StopsWhenTooManyRowsFail) {
  const auto once = [](int64_t) -> int64_t { return 1; };
  const Status status = result_of(*tenfold_step(once), some(4'096, 3));
  EXPECT_EQ(Code::kFatal, status.code());
  EXPECT_NE(std::string::npos, status.message().find("a negative number")) << status.message();
  EXPECT_NE(std::string::npos, status.message().find("64 calls")) << status.message();
  EXPECT_TRUE(result_of(*tenfold_step(once), some(4'096, 2'048)).ok());
}

TEST(TransformTest, OnErrorSkipsOrFails) {
  const auto once = [](int64_t) -> int64_t { return 1; };
  const auto skips = tenfold_step(once, OnError::kSkip);
  CollectingEmitter out;
  push(*skips, some(100, 50), out);
  EXPECT_TRUE(out.dead.empty());
  EXPECT_EQ(2, skips->counts().skipped);
  EXPECT_EQ(98, skips->counts().out);
  EXPECT_TRUE(skips->counts().balances());
  EXPECT_EQ(Code::kFatal, result_of(*tenfold_step(once, OnError::kFail), some(100, 50)).code());
}

TEST(TransformTest, AWrongNumberOfRowsEndsTheRun) {
  TransformSpec spec{.kind = "map_batches", .reads = {"v"}, .makes = {{"w", Type::kInt64, false}}};
  spec.function = std::make_shared<Calls>([](const Batch&) {
    auto column = std::make_shared<Column>(Type::kInt64);
    column->append_int64(1);
    return Transformed{.columns = {column}, .length = 1, .from = std::nullopt, .failed = {}};
  });
  const auto step = make_transform_step("t", spec, numbers()).value();
  const Status status = result_of(*step, some(5, 0));
  EXPECT_EQ(Code::kFatal, status.code());
  EXPECT_NE(std::string::npos, status.message().find("1 row for 5 rows")) << status.message();
}

TEST(TransformTest, ColumnsAreReplacedInPlaceOrAddedBehind) {
  TransformSpec spec{.kind = "map", .reads = {"v"}, .passes = true};
  spec.makes = {{"new", Type::kInt64, true}, {"v", Type::kFloat64, false}};
  EXPECT_EQ((std::vector<std::string>{"v", "other", "new"}), transform_output(spec, *numbers()).value()->names());
  EXPECT_EQ(Type::kFloat64, transform_output(spec, *numbers()).value()->field(0).type);
  spec.reads = {"othr"};
  EXPECT_NE(std::string::npos, transform_output(spec, *numbers()).status().message().find("'other'"));
  spec.reads = {};
  spec.makes = {{"a", Type::kInt64, true}, {"a", Type::kInt64, true}};
  EXPECT_FALSE(transform_output(spec, *numbers()).ok());
  EXPECT_FALSE(parse_on_error("ignore").ok());
}

}  // namespace
}  // namespace wrackline::testing
