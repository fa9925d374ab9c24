// Jobs under a load that does not wait for them: bids are stamped when they are due, in 4 partitions by bidder.
//
//   bench_open_loop latency NAME kafka|local PER_SECOND SECONDS BOUND_MS
//                      window end to row visible read_committed, without the out-of-orderness: tumbling windows of
//                      10 s over 100 K bidders, a commit each 100 ms
//   bench_open_loop feed TOPIC PER_SECOND AHEAD    bids of 1,000 bidders until killed; AHEAD of them at once
//   bench_open_loop watch TOPIC                    a line whenever rows become visible: now, newest timestamp (ms)
//
// Kafka is that of WRACKLINE_TEST_BROKER.
#include <atomic>
#include <charconv>
#include <thread>

#include "bids.h"
#include "pairs.h"
#include "raw_kafka.h"

namespace {

using namespace wrackline;

constexpr int32_t kPartitions = 4;
constexpr Millis kWindow = 10'000;
constexpr Millis kOutOfOrderness = 1'000;
constexpr Millis kTick = 5;

// Appends to a topic without waiting for more than room.
class Feeder {
 public:
  Feeder(std::shared_ptr<Log> log, std::string topic) : log_(std::move(log)), topic_(std::move(topic)) {
    if (log_->uri().starts_with("local:")) return;
    client_ = bench::must(log_->client({.guarantee = Guarantee::kAtLeastOnce}));
    client_->start_init("");
    for (Event event; !std::holds_alternative<event::Initialised>(event); event = client_->poll(1)) {
      if (const auto* failed = std::get_if<event::Failed>(&event)) bench::must(failed->status);
      client_->wait(10);
    }
    bench::must(client_->begin());
  }
  void append(const Records& bids) {
    const std::vector<Records> parts = bench::by_partition(bids, kPartitions, clock_.now());
    for (int32_t partition = 0; partition < kPartitions; ++partition) {
      const Records& part = parts[static_cast<size_t>(partition)];
      if (part.empty()) continue;
      if (client_ == nullptr) {
        bench::must(log_->append({topic_, partition}, part).status());
        continue;
      }
      for (;;) {
        const Status status = client_->append({topic_, partition}, part);
        serve();
        if (status.ok()) break;
        if (status.code() != Code::kRetriable) bench::must(status);
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
    }
  }

  // Until told to stop. The first `ahead` bids at once: they are of the time before.
  void feed(const bench::BidShape& shape, int64_t ahead, const std::atomic<bool>& stop) {
    std::mt19937_64 random(static_cast<uint64_t>(clock_.now()));
    const Millis begin = clock_.now() - static_cast<Millis>(static_cast<double>(ahead) * 1000 / shape.per_second);
    int64_t next = 0;
    while (!stop) {
      const auto due = static_cast<int64_t>(static_cast<double>(clock_.now() - begin) * shape.per_second / 1000);
      constexpr int64_t kMost = 20'000;
      if (const int64_t count = std::min(kMost, due - next); count > 0) {
        append(*bench::make_bids(random, shape, next, count, begin));
        next += count;
      }
      if (due - next <= 0) std::this_thread::sleep_for(std::chrono::milliseconds(kTick));
    }
  }

 private:
  void serve() {
    const Event event = client_->poll(1);
    if (const auto* failed = std::get_if<event::Failed>(&event)) bench::must(failed->status);
  }

  const std::shared_ptr<Log> log_;
  const std::string topic_;
  const SystemClock clock_;
  std::unique_ptr<LogClient> client_;
};

// `each` gets what becomes visible, and when (ms).
void watch(Log& log, const std::string& topic, const std::atomic<bool>& stop, auto&& each) {
  const SystemClock clock;
  const auto client = bench::must(log.client());
  const int32_t partitions = bench::must(log.topic(topic)).partitions;
  for (int32_t partition = 0; partition < partitions; ++partition) {
    const TopicPartition from{topic, partition};
    client->read_from(from, bench::must(log.end_offset(from, Isolation::kReadCommitted)), Isolation::kReadCommitted);
  }
  while (!stop) {
    const Event event = client->poll(10'000);
    if (const auto* polled = std::get_if<event::Polled>(&event)) each(*polled->records, clock.now());
    if (const auto* failed = std::get_if<event::Failed>(&event)) bench::must(failed->status);
    if (std::holds_alternative<std::monostate>(event)) client->wait(20);
  }
}

Millis window_end_of(std::string_view row) {
  constexpr std::string_view kName = R"("window_end":)";
  const size_t at = row.find(kName) + kName.size();
  Millis end = 0;
  std::from_chars(row.data() + at, row.data() + row.size(), end);
  return end;
}

int latency(const std::string& name, const std::string& kind, double per_second, int seconds, double bound) {
  const bench::Folder folder;
  const auto clock = std::make_shared<SystemClock>();
  const std::shared_ptr<Log> log =
      kind == "local" ? bench::must(open_log("local:" + folder / "log", clock)) : bench::open_broker();
  const std::string job = "latency-" + std::to_string(clock->now());
  bench::must(log->create_topic(job, kPartitions));
  bench::must(log->create_topic(job + "-sums", kPartitions));
  const auto run =
      bench::must(Run::open(bench::bid_plan(job, kWindow, job), {.commit_interval = 100, .state_dir = folder / "state"},
                            {.log = log, .clock = clock}));
  std::atomic<bool> stop = false;
  std::vector<double> late;
  const Millis warm = clock->now() + kWindow;
  std::thread feeder([&] { Feeder(log, job).feed({.bidders = 100'000, .per_second = per_second}, 0, stop); });
  std::thread watcher([&] {
    watch(*log, job + "-sums", stop, [&](const Records& rows, Millis now) {
      for (int64_t i = 0; i < rows.size(); ++i) {
        const Millis end = window_end_of(rows.value(i));
        if (end - kWindow >= warm) late.push_back(static_cast<double>(now - end - kOutOfOrderness));
      }
    });
  });
  const auto until = std::chrono::steady_clock::now() + std::chrono::seconds(seconds);
  bench::must(run->loop([&](const WorkerStats&) { return std::chrono::steady_clock::now() < until; }, 100));
  stop = true;
  feeder.join();
  watcher.join();
  if (late.empty()) return 1;
  std::sort(late.begin(), late.end());
  const auto at = [&](double part) { return late[static_cast<size_t>(part * static_cast<double>(late.size() - 1))]; };
  std::printf(
      "{\"name\": \"%s\", \"ratio\": %.3f, \"low\": %.3f, \"high\": %.3f, \"p50\": %.0f, \"p90\": %.0f, \"p99\": %.0f, "
      "\"most\": %.0f, \"rows\": %zu}\n",
      name.c_str(), bound / at(0.99), bound / late.back(), bound / at(0.5), at(0.5), at(0.9), at(0.99), late.back(),
      late.size());
  return 0;
}

int feed(const std::string& topic, double per_second, int64_t ahead) {
  const std::atomic<bool> stop = false;
  const std::shared_ptr<Log> log = bench::open_broker();
  Feeder(log, topic).feed({.bidders = 1'000, .per_second = per_second, .disorder = 0}, ahead, stop);
  return 0;
}

int watch(const std::string& topic) {
  const std::atomic<bool> stop = false;
  const std::shared_ptr<Log> log = bench::open_broker();
  watch(*log, topic, stop, [](const Records& rows, Millis now) {
    Millis newest = 0;
    for (int64_t i = 0; i < rows.size(); ++i) newest = std::max(newest, rows.timestamp(i));
    std::printf("%lld %lld\n", static_cast<long long>(now), static_cast<long long>(newest));
    std::fflush(stdout);
  });
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  bench::show_log_lines();
  const std::string what = argc > 1 ? argv[1] : "";
  if (what == "latency" && argc == 7)
    return latency(argv[2], argv[3], std::atof(argv[4]), std::atoi(argv[5]), std::atof(argv[6]));
  if (what == "feed" && argc == 5) return feed(argv[2], std::atof(argv[3]), std::atoll(argv[4]));
  if (what == "watch" && argc == 3) return watch(argv[2]);
  std::fprintf(stderr, "see the head of benchmarks/open_loop.cc\n");
  return 2;
}
