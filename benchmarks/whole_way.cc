// The whole way on the local log - JSON in, tumbling windows, JSON out, exactly once with a commit each 100 ms -
// against decoding the same records alone. One worker, 1,000 keys.
#include "bids.h"
#include "pairs.h"

#include "wrackline/codec/json_decoder.h"

int main(int argc, char** argv) {
  using namespace wrackline;
  const int pairs = argc > 1 ? std::atoi(argv[1]) : 5;
  constexpr int64_t kBids = 2'000'000;
  constexpr int64_t kBatch = 4096;
  const bench::BidShape shape{.bids = kBids};

  const bench::Folder folder;
  const auto clock = std::make_shared<SystemClock>();
  const std::shared_ptr<Log> log = bench::must(open_log("local:" + folder / "log", clock));
  bench::must(log->create_topic("bids", 1));
  std::mt19937_64 random(1);
  std::vector<std::shared_ptr<const Records>> batches;
  for (int64_t i = 0; i < kBids; i += kBatch) {
    batches.push_back(bench::make_bids(random, shape, i, std::min(kBatch, kBids - i)));
    bench::must(log->append({"bids", 0}, *batches.back()).status());
  }

  JsonDecoder decoder = bench::must(JsonDecoder::make(*bench::bid_schema()));
  int job = 0;
  bench::compare(
      "whole way, local log", pairs, static_cast<double>(kBids),
      [&] {
        const auto plan = bench::bid_plan("whole-" + std::to_string(job++), 10'000);
        const auto run = bench::must(
            Run::open(plan, {.state_dir = folder / "state", .until_now = true}, {.log = log, .clock = clock}));
        bench::must(run->loop(nullptr, 1000));
        if (run->worker().stats().rows_taken != kBids) std::abort();
      },
      [&] {
        int64_t rows = 0;
        for (const auto& batch : batches) rows += decoder.decode(batch).batch.length;
        if (rows != kBids) std::abort();
      });
}
