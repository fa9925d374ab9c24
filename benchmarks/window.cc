// Tumbling count, sum, min and max per string key from columns to result columns, against a bare loop that
// puts the same rows into one flat table and does nothing else. Then what state takes in memory, and how long
// a freeze of a million changed entries stops the input.
#include "wrackline/window/window.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "pairs.h"
#include "rows.h"

#include "wrackline/core/hash.h"
#include "wrackline/dedup/id_bucket.h"
#include "wrackline/window/slices/slice_step.h"

namespace {

using namespace wrackline;

constexpr int64_t kRows = 4'000'000;
constexpr uint64_t kKeys = 100'000;
constexpr int64_t kRowsPerMs = 500;
constexpr Millis kWindow = 2'000;  // a million rows

const SchemaPtr kInput = bench::key_and_value();

WindowSpec spec() {
  WindowSpec spec = WindowSpec::tumbling(kWindow);
  spec.key_columns = {"key"};
  spec.aggregates = {{"n", "count", ""}, {"sum", "sum", "value"}, {"low", "min", "value"}, {"high", "max", "value"}};
  return spec;
}

std::vector<Batch> make_input() {
  std::mt19937_64 random(42);
  return bench::make_batches(kInput, kRows, [&](int64_t i) {
    const uint64_t key = random() % kKeys;
    return bench::Row{key, static_cast<double>(random() % 100'000) / 100, i / kRowsPerMs, i / kRowsPerMs};
  });
}

// The limit: inline keys in slots of 32 bytes, dense arrays of aggregates, a plain sum, prefetch 16 ahead.
class BareTable {
 public:
  BareTable() : slots_(size_t{1} << 18) {}

  void add(const Batch& batch) {
    const auto count = static_cast<size_t>(batch.length);
    const Column& keys = batch.column(0);
    const char* bytes = reinterpret_cast<const char*>(keys.values().data());
    const int32_t* offsets = keys.offsets();
    const double* values = batch.column(1).float64s();
    if (rows_.size() < count) {
      rows_.resize(count);
      hashes_.resize(count);
      for (size_t i = 0; i < count; ++i) rows_[i] = static_cast<uint32_t>(i);
    }
    hash64_each(bytes, offsets, rows_.data(), count, hashes_.data());
    const size_t mask = slots_.size() - 1;
    for (size_t i = 0; i < count; ++i) {
      if (i + kAhead < count) __builtin_prefetch(&slots_[hashes_[i + kAhead] & mask]);
      const uint32_t id =
          find(bytes + offsets[i], static_cast<uint32_t>(offsets[i + 1] - offsets[i]), hashes_[i] & mask);
      const double value = values[i];
      ++counts_[id];
      sums_[id] += value;
      lows_[id] = std::min(lows_[id], value);
      highs_[id] = std::max(highs_[id], value);
    }
  }
  size_t size() const { return counts_.size(); }

 private:
  static constexpr size_t kAhead = 16;
  struct Slot {
    char key[24];
    uint32_t id = 0;  // + 1
    uint32_t length = 0;
  };

  uint32_t find(const char* key, uint32_t length, size_t slot) {
    for (;; slot = (slot + 1) & (slots_.size() - 1)) {
      Slot& there = slots_[slot];
      if (there.id == 0) {
        std::memcpy(there.key, key, length);
        there.length = length;
        there.id = static_cast<uint32_t>(counts_.size()) + 1;
        counts_.push_back(0);
        sums_.push_back(0);
        lows_.push_back(1e300);
        highs_.push_back(-1e300);
        return there.id - 1;
      }
      if (there.length == length && std::memcmp(there.key, key, length) == 0) return there.id - 1;
    }
  }

  std::vector<Slot> slots_;
  std::vector<uint32_t> rows_;
  std::vector<uint64_t> hashes_;
  std::vector<int64_t> counts_;
  std::vector<double> sums_, lows_, highs_;
};

void compare_speed(int pairs) {
  const std::vector<Batch> input = make_input();
  int64_t rows_out = 0;
  size_t keys = 0;
  bench::compare(
      "window", pairs, static_cast<double>(kRows),
      [&] {
        const auto step = make_window_step("w", spec(), kInput).value();
        bench::CountingEmitter out;
        for (const Batch& batch : input) bench::push(*step, batch, out);
        rows_out = out.rows;
      },
      [&] {
        BareTable table;
        for (const Batch& batch : input) table.add(batch);
        keys = table.size();
      });
  // The last window does not fire.
  const int64_t expected = static_cast<int64_t>(keys) * (kRows / kRowsPerMs / kWindow - 1);
  if (rows_out < expected * 99 / 100 || rows_out > expected) {
    std::fprintf(stderr, "window: %lld rows came out, not about %lld\n", static_cast<long long>(rows_out),
                 static_cast<long long>(expected));
    std::exit(1);
  }
}

void print_size(const char* name, double bound, double measured, const char* rest) {
  std::printf("{\"name\": \"%s\", \"ratio\": %.3f, \"low\": %.3f, \"high\": %.3f, \"bytes\": %.1f%s}\n", name,
              bound / measured, bound / measured, bound / measured, measured, rest);
  std::fflush(stdout);
}

class Discard : public FreezeSink {
 public:
  void live(std::string) override {}
  void block(std::string, bool, Bytes block) override { blocks.push_back(std::move(block)); }
  std::vector<Bytes> blocks;
};

void measure_state(int pairs) {
  constexpr int64_t kEntries = 1'000'000;
  const auto step = make_window_step("w", spec(), kInput).value();
  bench::CountingEmitter out;
  const auto touch_all = [&] {
    for (int64_t first = 0; first < kEntries; first += bench::kBatchRows) {
      Batch batch;
      batch.schema = kInput;
      batch.length = std::min(bench::kBatchRows, kEntries - first);
      auto keys = std::make_shared<Column>(Type::kString);
      auto values = std::make_shared<Column>(Type::kFloat64);
      for (int64_t i = 0; i < batch.length; ++i) {
        keys->append_string(bench::key_text(static_cast<uint64_t>(first + i)));
        values->append_float64(1.5);
        batch.event_times.push_back(5);
      }
      batch.columns = {keys, values};
      bench::push(*step, std::move(batch), out);
    }
  };
  touch_all();
  const Aggregates aggregates = Aggregates::make(spec().aggregates, *kInput).value();
  print_size("state bytes per live (key, slice)", 64, static_cast<double>(aggregates.initial().size()), "");
  print_size("state bytes with the key table", 128, static_cast<double>(step->state_bytes()) / kEntries, "");
  std::vector<double> times;
  for (int i = 0; i < pairs + 1; ++i) {
    touch_all();
    Discard sink;
    times.push_back(bench::seconds_of([&] { step->freeze(sink); }));
  }
  std::sort(times.begin(), times.end());
  std::printf(
      "{\"name\": \"freeze of 1 M changed entries\", \"ratio\": %.3f, \"low\": %.3f, \"high\": %.3f, \"ms\": %.2f}\n",
      0.050 / bench::median(times), 0.050 / times.back(), 0.050 / times.front(), bench::median(times) * 1000);
}

void measure_dedup() {
  constexpr int64_t kIds = 10'000'000;
  IdBucket bucket(false);
  int64_t peak = 0;
  const double seconds = bench::seconds_of([&] {
    for (int64_t i = 0; i < kIds; ++i) {
      const Hash128 id = hash128(&i, sizeof(i));
      if (bucket.find(id) == IdBucket::kNone) bucket.insert(id, i % 1000);
      if (i % 65'536 == 0) peak = std::max(peak, bucket.allocated_bytes());
    }
  });
  const double bytes = static_cast<double>(bucket.allocated_bytes());
  char rest[160];
  std::snprintf(rest, sizeof rest, ", \"peak\": %.1f, \"rows per second\": %.0f",
                static_cast<double>(std::max(peak, bucket.allocated_bytes())) / kIds, kIds / seconds);
  print_size("dedup bytes per id", 40, bytes / kIds, rest);
}

}  // namespace

int main(int argc, char** argv) {
  const int pairs = argc > 1 ? std::atoi(argv[1]) : 5;
  compare_speed(pairs);
  measure_state(pairs);
  measure_dedup();
}
