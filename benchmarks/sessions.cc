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
#include "rows.h"

namespace {

using namespace wrackline;

constexpr int64_t kRows = 4'000'000;
constexpr uint64_t kKeys = 100'000;
constexpr int64_t kRowsPerMs = 500;
constexpr Millis kWindow = 2'000;
constexpr Millis kGap = 460;
constexpr size_t kVisits = 12'500;  // at once, of ten records: one each 25 ms. A key comes about each two seconds
constexpr Millis kBehind = 50;

const SchemaPtr kInput = bench::key_and_value();

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
  return bench::make_batches(kInput, kRows, [&](int64_t i) {
    const uint64_t key = next_key();
    const double value = static_cast<double>(random() % 100'000) / 100;
    Millis time = i / kRowsPerMs;
    if (static_cast<int>(random() % 100) < behind_of_100) time -= static_cast<Millis>(random() % kBehind);
    return bench::Row{key, value, time, time};
  });
}

bench::CountingEmitter run(const WindowSpec& spec, const std::vector<Batch>& input) {
  const auto step = make_window_step("w", spec, kInput).value();
  bench::CountingEmitter out;
  for (const Batch& batch : input) bench::push(*step, batch, out);
  if (!step->counts().balances()) std::abort();
  return out;
}

void compare(const char* name, int pairs, Keys kind, int behind_of_100, Millis allowed_lateness) {
  const std::vector<Batch> input = make_input(kind, behind_of_100);
  const WindowSpec session = with(WindowSpec::of(SessionWindow{kGap}), allowed_lateness);
  const WindowSpec tumbling = with(WindowSpec::tumbling(kWindow), allowed_lateness);
  bench::CountingEmitter ours;
  bench::CountingEmitter limit;
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
