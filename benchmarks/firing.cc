// 100,000 keys of one window fire in a partition, again and again, while a record a millisecond comes into another one
// of the same worker: how long these wait from the append until the job's first step has them.
#include <atomic>
#include <mutex>
#include <thread>

#include "bids.h"
#include "pairs.h"

#include "wrackline/job/memory_stores.h"

namespace {

using namespace wrackline;

constexpr int64_t kKeys = 100'000;
constexpr double kBoundMs = 20;

int64_t now_us() {
  return std::chrono::duration_cast<std::chrono::microseconds>(std::chrono::steady_clock::now().time_since_epoch())
      .count();
}

// Passes rows on, and notes how old the marked ones are.
class Waits final : public Transform {
 public:
  Result<Transformed> apply(const std::shared_ptr<const Batch>& batch) const override {
    const int64_t now = now_us();
    const int64_t* sent = batch->column(0).int64s();
    const std::lock_guard lock(mutex_);
    for (int64_t i = 0; i < batch->length; ++i) {
      if (sent[i] > 0) waits_.push_back(static_cast<double>(now - sent[i]) / 1000);
    }
    return Transformed{.length = batch->length};
  }
  std::vector<double> take() const {
    const std::lock_guard lock(mutex_);
    return std::exchange(waits_, {});
  }

 private:
  mutable std::mutex mutex_;
  mutable std::vector<double> waits_;
};

std::shared_ptr<const Plan> make_plan(const std::shared_ptr<Waits>& waits) {
  auto plan = std::make_shared<Plan>("firing");
  SourceSpec source;
  source.topic = "events";
  source.schema = std::make_shared<const Schema>(std::vector<Field>{{"key", Type::kString, false},
                                                                    {"value", Type::kInt64, false},
                                                                    {"sent", Type::kInt64, false},
                                                                    {"ts", Type::kInt64, false}});
  source.time.column = "ts";
  source.time.not_before = 0;
  source.watermark.out_of_orderness = 0;
  TransformSpec looks{.kind = "with_columns", .reads = {"sent"}, .passes = true, .function = waits};
  const StreamRef read = bench::must(plan->read(source));
  const StreamRef looked = bench::must(plan->transform(read, looks, ""));
  WindowSpec window = WindowSpec::tumbling(1'000);
  window.key_columns = {"key"};
  window.aggregates = {{"n", "count", ""}, {"sum", "sum", "value"}};
  bench::must(plan->write({.streams = {bench::must(plan->window(looked, window, true, ""))}, .topic = "sums"}));
  bench::must(plan->finish());
  return plan;
}

std::string one_event(const std::string& key, int64_t sent, Millis ts) {
  return R"({"key":")" + key + R"(","value":1,"sent":)" + std::to_string(sent) + R"(,"ts":)" + std::to_string(ts) + "}";
}

}  // namespace

int main(int argc, char** argv) {
  const int rounds = 4 * (argc > 1 ? std::atoi(argv[1]) : 5);
  const auto clock = std::make_shared<SystemClock>();
  const std::shared_ptr<Log> log = bench::must(open_log("memory:", clock));
  bench::must(log->create_topic("events", 2));
  bench::must(log->create_topic("sums", 2));
  const auto waits = std::make_shared<Waits>();
  const bench::Folder folder;
  const auto run = bench::must(Run::open(make_plan(waits), {.commit_interval = 100, .state_dir = folder / "state"},
                                         {.log = log, .clock = clock}));
  std::atomic<bool> stop = false;
  std::thread heavy([&] {
    for (int round = 0; round < rounds; ++round) {
      Records records;
      for (int64_t i = 0; i < kKeys; ++i)
        records.add(std::nullopt, one_event(bench::bidder_name(static_cast<uint64_t>(i)), 0, round * 1'000 + i / kKeys),
                    0);
      records.add(std::nullopt, one_event("last", 0, round * 1'000 + 1'000), 0);
      bench::must(log->append({"events", 0}, records).status());
      std::this_thread::sleep_for(std::chrono::milliseconds(300));
    }
    stop = true;
  });
  std::thread light([&] {
    for (int64_t i = 0; !stop; ++i) {
      Records records;
      records.add(std::nullopt, one_event("light", now_us(), i), 0);
      bench::must(log->append({"events", 1}, records).status());
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  });
  bench::must(run->loop([&](const WorkerStats&) { return !stop; }, 100));
  heavy.join();
  light.join();
  std::vector<double> all = waits->take();
  if (all.size() < 100) return 1;
  std::sort(all.begin(), all.end());
  const auto at = [&](double part) { return all[static_cast<size_t>(part * static_cast<double>(all.size() - 1))]; };
  std::printf(
      "{\"name\": \"a record beside a firing of 100 K keys waits, p99\", \"ratio\": %.3f, \"low\": %.3f, \"high\": "
      "%.3f, "
      "\"p50\": %.2f, \"p90\": %.2f, \"p99\": %.2f, \"most\": %.2f, \"records\": %zu}\n",
      kBoundMs / at(0.99), kBoundMs / all.back(), kBoundMs / at(0.5), at(0.5), at(0.9), at(0.99), all.back(),
      all.size());
  return 0;
}
