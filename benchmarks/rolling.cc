// rolling("5m"), sum and max per string key, without building rows (the input's columns are hidden), against a bare
// loop: two stacks a key in one flat table, over rows that are in order. Then the same with 5 % of the rows out of
// order within 256, against in order.
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "pairs.h"
#include "rows.h"

#include "wrackline/core/hash.h"

namespace {

using namespace wrackline;

constexpr int64_t kRows = 4'000'000;
constexpr uint64_t kKeys = 10'000;
constexpr int64_t kRowsPerMs = 5;  // a key has a record each two seconds, a window 150
constexpr Millis kWindow = 300'000;
constexpr size_t kNear = 256;

const SchemaPtr kInput = bench::key_and_value();

// `disorder`: of 100 rows; each comes up to 256 rows late.
std::vector<Batch> make_input(int disorder) {
  std::mt19937_64 random(42);
  std::vector<std::pair<uint64_t, double>> rows;
  for (int64_t i = 0; i < kRows; ++i)
    rows.emplace_back(random() % kKeys, static_cast<double>(random() % 100'000) / 100);
  std::vector<int64_t> order(kRows);
  for (int64_t i = 0; i < kRows; ++i) order[static_cast<size_t>(i)] = i;
  if (disorder > 0) {
    std::vector<std::pair<int64_t, int64_t>> places;
    for (int64_t i = 0; i < kRows; ++i) {
      const bool late = static_cast<int>(random() % 100) < disorder;
      places.emplace_back(i + (late ? static_cast<int64_t>(1 + random() % kNear) : 0), i);
    }
    std::sort(places.begin(), places.end());
    for (size_t i = 0; i < order.size(); ++i) order[i] = places[i].second;
  }
  constexpr Millis kBound = kNear / kRowsPerMs + 2;
  return bench::make_batches(kInput, kRows, [&](int64_t i) {
    const int64_t number = order[static_cast<size_t>(i)];
    const auto& [key, value] = rows[static_cast<size_t>(number)];
    const Millis time = number / kRowsPerMs;
    return bench::Row{key, value, time, time - (disorder > 0 ? kBound : 0)};
  });
}

class SummingEmitter : public Emitter {
 public:
  void emit(Port port, Batch batch) override {
    if (port == Port::kLate) std::abort();
    rows += batch.length;
    const double* sums = batch.columns[0]->float64s();
    const double* highs = batch.columns[1]->float64s();
    for (int64_t i = 0; i < batch.length; ++i) total += sums[i] + highs[i];
  }
  void dead_letter(const Batch&, int64_t, std::string_view, std::string) override {}
  void dead_pane(Millis, std::string_view, std::string) override {}
  int64_t rows = 0;
  double total = 0;
};

SummingEmitter run(const std::vector<Batch>& input) {
  WindowSpec spec = WindowSpec::of(RollingWindow{kWindow});
  spec.key_columns = {"key"};
  spec.aggregates = {{"sum", "sum", "value"}, {"high", "max", "value"}};
  spec.hidden = 2;
  const auto step = make_window_step("w", spec, kInput).value();
  SummingEmitter out;
  for (const Batch& batch : input) bench::push(*step, batch, out);
  Batch end;
  end.schema = kInput;
  end.columns = {std::make_shared<Column>(Type::kString), std::make_shared<Column>(Type::kFloat64)};
  end.watermark = input.back().watermark_after();
  end.moves.push_back({0, kPlusInfinity});
  bench::push(*step, std::move(end), out);
  return out;
}

// The limit: two stacks a key, plain doubles, inline keys in a flat table, prefetch 16 ahead, a result a row.
class BareStacks {
 public:
  BareStacks() : slots_(size_t{1} << 15) {}

  double add(const Batch& batch) {
    const auto count = static_cast<size_t>(batch.length);
    const Column& keys = batch.column(0);
    const char* bytes = reinterpret_cast<const char*>(keys.values().data());
    const int32_t* offsets = keys.offsets();
    const double* values = batch.column(1).float64s();
    rows_.resize(count);
    hashes_.resize(count);
    for (size_t i = 0; i < count; ++i) rows_[i] = static_cast<uint32_t>(i);
    hash64_each(bytes, offsets, rows_.data(), count, hashes_.data());
    const size_t mask = slots_.size() - 1;
    double total = 0;
    for (size_t i = 0; i < count; ++i) {
      if (i + kAhead < count) __builtin_prefetch(&slots_[hashes_[i + kAhead] & mask]);
      Stacks& stacks = find(bytes + offsets[i], static_cast<uint32_t>(offsets[i + 1] - offsets[i]), hashes_[i] & mask);
      const Millis gone = batch.event_times[i] - kWindow;
      while (stacks.first < stacks.front.size() && stacks.front[stacks.first].time <= gone) ++stacks.first;
      if (stacks.first == stacks.front.size()) {
        size_t begin = 0;
        while (begin < stacks.back.size() && stacks.back[begin].time <= gone) ++begin;
        if (begin > 0 || stacks.back.size() >= 64) {  // turned over when something has gone
          stacks.front.assign(stacks.back.begin() + static_cast<ptrdiff_t>(begin), stacks.back.end());
          for (size_t at = stacks.front.size(); at-- > 1;) {
            stacks.front[at - 1].sum += stacks.front[at].sum;
            stacks.front[at - 1].high = std::max(stacks.front[at - 1].high, stacks.front[at].high);
          }
          stacks.first = 0;
          stacks.back.clear();
          stacks.sum = 0;
          stacks.high = -HUGE_VAL;
        }
      }
      stacks.back.push_back({batch.event_times[i], values[i], values[i]});
      stacks.sum += values[i];
      stacks.high = std::max(stacks.high, values[i]);
      double sum = stacks.sum;
      double high = stacks.high;
      if (stacks.first < stacks.front.size()) {
        sum += stacks.front[stacks.first].sum;
        high = std::max(high, stacks.front[stacks.first].high);
      }
      total += sum + high;
    }
    return total;
  }

 private:
  static constexpr size_t kAhead = 16;
  struct One {
    Millis time;
    double sum;
    double high;
  };
  struct Stacks {
    std::vector<One> front, back;
    size_t first = 0;
    double sum = 0;
    double high = -HUGE_VAL;
  };
  struct Slot {
    char key[24];
    uint32_t id = 0;  // + 1
    uint32_t length = 0;
  };

  Stacks& find(const char* key, uint32_t length, size_t slot) {
    for (;; slot = (slot + 1) & (slots_.size() - 1)) {
      Slot& there = slots_[slot];
      if (there.id == 0) {
        std::memcpy(there.key, key, length);
        there.length = length;
        stacks_.emplace_back();
        there.id = static_cast<uint32_t>(stacks_.size());
        return stacks_.back();
      }
      if (there.length == length && std::memcmp(there.key, key, length) == 0) return stacks_[there.id - 1];
    }
  }

  std::vector<Slot> slots_;
  std::vector<uint32_t> rows_;
  std::vector<uint64_t> hashes_;
  std::vector<Stacks> stacks_;
};

void check(const SummingEmitter& got, double expected) {
  // Records of one time see one another here, and not in the bare loop: few of one key.
  if (got.rows == kRows && std::fabs(got.total - expected) <= 1e-4 * std::fabs(expected)) return;
  std::fprintf(stderr, "rolling: %lld rows, total %.3f, not %.3f\n", static_cast<long long>(got.rows), got.total,
               expected);
  std::exit(1);
}

}  // namespace

int main(int argc, char** argv) {
  const int pairs = argc > 1 ? std::atoi(argv[1]) : 5;
  const std::vector<Batch> input = make_input(0);
  SummingEmitter in_order;
  double expected = 0;
  bench::compare(
      "rolling 5 min, in order, against two stacks", pairs, static_cast<double>(kRows), [&] { in_order = run(input); },
      [&] {
        BareStacks stacks;
        expected = 0;
        for (const Batch& batch : input) expected += stacks.add(batch);
      });
  check(in_order, expected);
  const std::vector<Batch> shuffled = make_input(5);
  SummingEmitter out_of_order;
  bench::compare(
      "rolling, 5 % out of order within 256, against in order", pairs, static_cast<double>(kRows),
      [&] { out_of_order = run(shuffled); }, [&] { in_order = run(input); });
  check(out_of_order, in_order.total);
}
