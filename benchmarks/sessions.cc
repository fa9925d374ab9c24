// Sessions of 100,000 string keys, count, sum, min and max, against tumbling windows over the same rows: ten records in
// a session and about as many in a window. In order, and with one record in a hundred behind the watermark. Then
// records that come evenly, so that a session goes on for several gaps: the hardest case, since its end is looked at
// each gap.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <random>
#include <string>
#include <vector>

#include "pairs.h"

#include "wrackline/window/window.h"

namespace {

using namespace wrackline;

constexpr int64_t kRows = 4'000'000;
constexpr int64_t kBatch = 4096;
constexpr uint64_t kKeys = 100'000;
constexpr int64_t kRowsPerMs = 500;
constexpr Millis kWindow = 2'000;
constexpr Millis kGap = 460;
constexpr size_t kVisits = 12'500;  // at once, of ten records: one each 25 ms. A key comes about each two seconds
constexpr Millis kBehind = 50;

const SchemaPtr kInput =
    std::make_shared<const Schema>(std::vector<Field>{{"key", Type::kString, false}, {"value", Type::kFloat64, false}});

WindowSpec with(WindowSpec spec, Millis allowed_lateness) {
  spec.key_columns = {"key"};
  spec.allowed_lateness = allowed_lateness;
  spec.aggregates = {{"n", "count", ""}, {"sum", "sum", "value"}, {"low", "min", "value"}, {"high", "max", "value"}};
  return spec;
}

enum class Keys { kVisits, kEven };

std::vector<Batch> make_input(Keys kind, int behind_of_100) {
  std::mt19937_64 random(42);
  struct Visit {
    uint64_t key;
    int left;
  };
  std::vector<Visit> visits(kVisits, {0, 0});
  const auto next_key = [&] {
    if (kind == Keys::kEven) return random() % kKeys;
    Visit& visit = visits[random() % kVisits];
    if (visit.left-- == 0) visit = {random() % kKeys, 9};
    return visit.key;
  };
  std::vector<Batch> batches;
  Millis watermark = kMinusInfinity;
  for (int64_t first = 0; first < kRows; first += kBatch) {
    Batch batch;
    batch.schema = kInput;
    batch.length = std::min(kBatch, kRows - first);
    batch.watermark = watermark;
    auto keys = std::make_shared<Column>(Type::kString);
    auto values = std::make_shared<Column>(Type::kFloat64);
    for (int64_t i = 0; i < batch.length; ++i) {
      char text[17];
      std::snprintf(text, sizeof text, "truck-%010llu", static_cast<unsigned long long>(next_key()));
      keys->append_string(text);
      values->append_float64(static_cast<double>(random() % 100'000) / 100);
      Millis time = (first + i) / kRowsPerMs;
      if (static_cast<int>(random() % 100) < behind_of_100) time -= static_cast<Millis>(random() % kBehind);
      batch.event_times.push_back(time);
      if (time > watermark) {
        watermark = time;
        batch.moves.push_back({i + 1, time});
      }
    }
    batch.columns = {keys, values};
    batches.push_back(std::move(batch));
  }
  return batches;
}

class CountingEmitter : public Emitter {
 public:
  void emit(Port port, Batch batch) override { (port == Port::kMain ? rows : late) += batch.length; }
  void dead_letter(const Batch&, int64_t, std::string_view, std::string) override {}
  void dead_pane(Millis, std::string_view, std::string) override {}
  int64_t rows = 0;
  int64_t late = 0;
};

CountingEmitter run(const WindowSpec& spec, const std::vector<Batch>& input) {
  const auto step = make_window_step("w", spec, kInput).value();
  CountingEmitter out;
  for (const Batch& batch : input) {
    step->take(batch);
    while (step->busy()) {
      if (!step->advance(out).ok()) std::abort();
    }
  }
  if (!step->counts().balances()) std::abort();
  return out;
}

void compare(const char* name, int pairs, Keys kind, int behind_of_100, Millis allowed_lateness) {
  const std::vector<Batch> input = make_input(kind, behind_of_100);
  const WindowSpec session = with(WindowSpec::of(SessionWindow{kGap}), allowed_lateness);
  const WindowSpec tumbling = with(WindowSpec::tumbling(kWindow), allowed_lateness);
  CountingEmitter ours;
  CountingEmitter limit;
  bench::compare(
      name, pairs, static_cast<double>(kRows), [&] { ours = run(session, input); },
      [&] { limit = run(tumbling, input); });
  std::fprintf(stderr, "%s: %lld rows of sessions, %lld of windows\n", name, static_cast<long long>(ours.rows),
               static_cast<long long>(limit.rows));
  if (ours.late + limit.late > 0 || ours.rows < kRows / 20) std::exit(1);
}

}  // namespace

int main(int argc, char** argv) {
  const int pairs = argc > 1 ? std::atoi(argv[1]) : 5;
  compare("sessions, in order, against tumbling", pairs, Keys::kVisits, 0, 0);
  compare("sessions, 1 % behind, against tumbling", pairs, Keys::kVisits, 1, kBehind);
  compare("sessions of even records, against tumbling", pairs, Keys::kEven, 0, 0);
}
