// Hopping windows.
//
// First what a record costs on its way in, at windows of 6, 60 and 600 slides, against tumbling windows of one slide,
// once the first 600 slides are there: moves of the watermark come by themselves, between the rows, and their time is
// not in it; it is printed as rows that come out per second. Then the whole of 60 s by 1 s, 50,000 keys with about a
// record a second each, against the same by putting each record into all of its 60 windows.
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <map>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "pairs.h"
#include "rows.h"

#include "wrackline/core/hash.h"

namespace {

using namespace wrackline;

constexpr Millis kSlide = 1'000;

WindowSpec with(WindowSpec spec, std::vector<AggregateSpec> aggregates) {
  spec.key_columns = {"key"};
  spec.aggregates = std::move(aggregates);
  return spec;
}

const std::vector<AggregateSpec> kCountSum = {{"n", "count", ""}, {"sum", "sum", "value"}};
const std::vector<AggregateSpec> kMinMax = {{"low", "min", "value"}, {"high", "max", "value"}};

// One slide of rows after the other, without moves of the watermark.
std::vector<std::vector<Batch>> make_slides(const SchemaPtr& schema, uint64_t keys, int slides, int64_t rows) {
  std::mt19937_64 random(42);
  std::vector<std::vector<Batch>> input;
  for (int slide = 0; slide < slides; ++slide) {
    input.push_back(bench::make_batches(schema, rows, [&](int64_t i) {
      return bench::Row{random() % keys, static_cast<double>(random() % 100'000), slide * kSlide + i * kSlide / rows,
                        kMinusInfinity};
    }));
    for (Batch& batch : input.back()) batch.watermark = slide == 0 ? kMinusInfinity : slide * kSlide;
  }
  return input;
}

struct Times {
  double rows = 0;
  double moves = 0;
  int64_t rows_out = 0;
  int64_t rows_before = 0;
};

// Without the times of the first `unmeasured` slides.
Times run(const WindowSpec& spec, const SchemaPtr& schema, const std::vector<std::vector<Batch>>& slides,
          size_t unmeasured = 0) {
  const auto step = make_window_step("w", spec, schema).value();
  bench::CountingEmitter out;
  Times times;
  Millis watermark = kMinusInfinity;
  for (size_t slide = 0; slide < slides.size(); ++slide) {
    if (slide == unmeasured) times = {.rows_before = out.rows};
    times.rows += bench::seconds_of([&] {
      for (const Batch& batch : slides[slide]) bench::push(*step, batch, out);
    });
    Batch move;
    move.schema = schema;
    move.columns = {std::make_shared<Column>(Type::kString), std::make_shared<Column>(schema->field(1).type)};
    move.watermark = watermark;
    watermark = (watermark == kMinusInfinity ? 0 : watermark) + kSlide;
    move.moves.push_back({0, watermark});
    times.moves += bench::seconds_of([&] { bench::push(*step, std::move(move), out); });
  }
  times.rows_out = out.rows - times.rows_before;
  return times;
}

void compare_input(int pairs, const char* what, const std::vector<AggregateSpec>& aggregates) {
  constexpr int kFirst = 600;
  constexpr int kSlides = 1'200;
  constexpr int64_t kRows = 5'000;  // of a slide
  const SchemaPtr schema = bench::key_and_value(Type::kInt64);
  const std::vector<std::vector<Batch>> input = make_slides(schema, 2'000, kSlides, kRows);
  for (const Millis slides : {6, 60, 600}) {
    std::vector<double> ratios, rates, out_rates;
    for (int i = 0; i < pairs + 1; ++i) {
      const Times limit = run(with(WindowSpec::tumbling(kSlide), aggregates), schema, input, kFirst);
      const Times ours = run(with(WindowSpec::hopping(slides * kSlide, kSlide), aggregates), schema, input, kFirst);
      if (i == 0) continue;
      ratios.push_back(limit.rows / ours.rows);
      rates.push_back((kSlides - kFirst) * static_cast<double>(kRows) / ours.rows);
      out_rates.push_back(static_cast<double>(ours.rows_out) / ours.moves);
    }
    std::printf(
        "{\"name\": \"hopping, %d slides, %s, rows in against tumbling\", \"ratio\": %.3f, \"low\": %.3f, \"high\": "
        "%.3f, "
        "\"ours\": %.0f, \"rows out per second\": %.0f}\n",
        static_cast<int>(slides), what, bench::median(ratios), *std::min_element(ratios.begin(), ratios.end()),
        *std::max_element(ratios.begin(), ratios.end()), bench::median(rates), bench::median(out_rates));
    std::fflush(stdout);
  }
}

// The limit of doing without slices: each window a flat table of inline keys and dense sums; a batch goes into one
// window after the other, so that one table at a time is in the cache.
class Replicated {
 public:
  explicit Replicated(Millis size) : size_(size) {}

  void add(const Batch& batch) {
    const auto count = static_cast<size_t>(batch.length);
    const Column& keys = batch.column(0);
    const char* bytes = reinterpret_cast<const char*>(keys.values().data());
    const int32_t* offsets = keys.offsets();
    rows_.resize(count);
    hashes_.resize(count);
    for (size_t i = 0; i < count; ++i) rows_[i] = static_cast<uint32_t>(i);
    hash64_each(bytes, offsets, rows_.data(), count, hashes_.data());
    // All rows of a batch are of one slide.
    const Millis slide = batch.event_times[0] / kSlide * kSlide;
    for (Millis start = slide - size_ + kSlide; start <= slide; start += kSlide) {
      Table& table = windows_[start];
      for (size_t i = 0; i < count; ++i) {
        if (i + 16 < count) __builtin_prefetch(&table.slots[hashes_[i + 16] & table.mask()]);
        const uint32_t id =
            table.find(bytes + offsets[i], static_cast<uint32_t>(offsets[i + 1] - offsets[i]), hashes_[i]);
        ++table.counts[id];
        table.sums[id] += batch.column(1).int64s()[i];
      }
    }
  }
  // Windows that end at `t` or before come out as columns.
  void fire(Millis t) {
    while (!windows_.empty() && windows_.begin()->first + size_ <= t) {
      const Table& table = windows_.begin()->second;
      std::vector<std::string> keys(table.counts.size());
      for (const Table::Slot& slot : table.slots) {
        if (slot.id > 0) keys[slot.id - 1].assign(slot.key, slot.length);
      }
      rows_out += static_cast<int64_t>(keys.size());
      windows_.erase(windows_.begin());
    }
  }
  int64_t rows_out = 0;

 private:
  struct Table {
    struct Slot {
      char key[24];
      uint32_t id = 0;  // + 1
      uint32_t length = 0;
    };
    size_t mask() const { return slots.size() - 1; }
    uint32_t find(const char* key, uint32_t length, uint64_t hash) {
      for (size_t at = hash & mask();; at = (at + 1) & mask()) {
        Slot& slot = slots[at];
        if (slot.id == 0) {
          std::memcpy(slot.key, key, length);
          slot.length = length;
          counts.push_back(0);
          sums.push_back(0);
          slot.id = static_cast<uint32_t>(counts.size());
          return slot.id - 1;
        }
        if (slot.length == length && std::memcmp(slot.key, key, length) == 0) return slot.id - 1;
      }
    }
    std::vector<Slot> slots = std::vector<Slot>(size_t{1} << 17);
    std::vector<int64_t> counts, sums;
  };

  const Millis size_;
  std::map<Millis, Table> windows_;
  std::vector<uint32_t> rows_;
  std::vector<uint64_t> hashes_;
};

void compare_whole(int pairs) {
  constexpr int kSlides = 90;
  constexpr int64_t kRows = 50'000;  // of a slide
  constexpr Millis kSize = 60 * kSlide;
  const SchemaPtr schema = bench::key_and_value(Type::kInt64);
  const std::vector<std::vector<Batch>> input = make_slides(schema, 50'000, kSlides, kRows);
  int64_t rows_out = 0;
  int64_t expected = 0;
  bench::compare(
      "hopping 60 s by 1 s, against records put into all windows", pairs, static_cast<double>(kSlides * kRows),
      [&] { rows_out = run(with(WindowSpec::hopping(kSize, kSlide), kCountSum), schema, input).rows_out; },
      [&] {
        Replicated windows(kSize);
        Millis watermark = 0;
        for (const std::vector<Batch>& batches : input) {
          for (const Batch& batch : batches) windows.add(batch);
          windows.fire(watermark += kSlide);
        }
        expected = windows.rows_out;
      });
  if (rows_out == expected) return;
  std::fprintf(stderr, "hopping: %lld rows came out, not %lld\n", static_cast<long long>(rows_out),
               static_cast<long long>(expected));
  std::exit(1);
}

}  // namespace

int main(int argc, char** argv) {
  const int pairs = argc > 1 ? std::atoi(argv[1]) : 5;
  compare_input(pairs, "count and sum", kCountSum);
  compare_input(pairs, "min and max", kMinMax);
  compare_whole(std::min(pairs, 3));
}
