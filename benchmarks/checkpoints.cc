// What checkpoints cost: a job with 1 M live (key, window) pairs, with a checkpoint each `interval` against none, and
// how long the input stands still while 1 M changed entries are frozen.
#include "bids.h"
#include "pairs.h"

int main(int argc, char** argv) {
  using namespace wrackline;
  const int pairs = argc > 1 ? std::atoi(argv[1]) : 5;
  constexpr int64_t kKeys = 1'000'000;
  constexpr int64_t kBids = 8'000'000;
  constexpr int64_t kBatch = 4096;
  constexpr Millis kWindow = 86'400'000;  // all in one window: every key is live and changes

  const bench::Folder folder;
  const auto clock = std::make_shared<SystemClock>();
  const std::shared_ptr<Log> log = bench::must(open_log("local:" + folder / "log", clock));
  bench::must(log->create_topic("bids", 1));
  std::mt19937_64 random(1);
  for (int64_t i = 0; i < kBids; i += kBatch) {
    bench::must(log->append({"bids", 0}, *bench::make_bids(random, {.bidders = kKeys}, i, std::min(kBatch, kBids - i)))
                    .status());
  }
  int job = 0;
  std::vector<double> stalls;
  struct Timed {
    double seconds = 0;
    int64_t checkpoints = 0;
  };
  const auto run = [&](Millis interval) {
    const auto plan = bench::bid_plan("checkpoints-" + std::to_string(job++), kWindow);
    const auto running =
        bench::must(Run::open(plan, {.checkpoint_interval = interval, .state_dir = folder / "state", .until_now = true},
                              {.log = log, .clock = clock}));
    // The checkpoint of the end is the same for both, so only the rows before it are timed.
    Timed timed;
    timed.seconds = bench::seconds_of([&] {
      while (running->worker().stats().rows_taken < kBids) {
        if (bench::must(running->worker().step()) == Progress::kIdle) running->worker().wait(1);
      }
    });
    timed.checkpoints = running->worker().stats().checkpoints;
    bench::must(running->loop(nullptr, 1000));
    if (timed.checkpoints > 0)
      stalls.push_back(static_cast<double>(running->worker().stats().longest_freeze_us) / 1000);
    std::fprintf(stderr, "%lld checkpoints in %.2f s, longest freeze %.1f ms\n",
                 static_cast<long long>(timed.checkpoints), timed.seconds,
                 static_cast<double>(running->worker().stats().longest_freeze_us) / 1000);
    return timed;
  };
  constexpr Millis kNever = kMaxDuration / 1000;
  run(kNever);
  std::vector<double> ratios;
  for (int i = 0; i < pairs; ++i) {
    const Timed with = run(250);
    const Timed without = run(kNever);
    if (with.checkpoints == 0 || without.checkpoints > 0) return 1;
    // What one checkpoint costs the input, as a share of the 10 s that lie between two.
    const double each = (with.seconds - without.seconds) / static_cast<double>(with.checkpoints);
    ratios.push_back(1 / (1 + each / 10));
  }
  std::sort(ratios.begin(), ratios.end());
  std::printf("{\"name\": \"checkpoints each 10 s, 1 M live pairs\", \"ratio\": %.3f, \"low\": %.3f, \"high\": %.3f}\n",
              bench::median(ratios), ratios.front(), ratios.back());
  std::sort(stalls.begin(), stalls.end());
  const double worst = stalls.back();
  std::printf(
      "{\"name\": \"input stalled by a checkpoint of 1 M entries\", \"ratio\": %.3f, \"low\": %.3f, \"high\": %.3f, "
      "\"ms\": %.1f}\n",
      50 / worst, 50 / worst, 50 / stalls.front(), worst);
}
