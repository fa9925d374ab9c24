// Jobs on a Kafka broker against plain loops over the same client with the same settings, one worker each.
//
//   bench_kafka load TOPIC BIDDERS BIDS     a backlog of bids in 4 partitions by bidder
//   bench_kafka rates NAME TOPIC BIDS PAIRS [rows]
//                                           the job against the loops; with `rows` the loop produces as many as the job
//   bench_kafka workers NAME TOPIC BIDS PAIRS
//                                           two workers against one
//   bench_kafka job TOPIC BIDS exactly|least RUNS
//                                           the job alone, for a profiler
//   bench_kafka dump TOPIC FILE             the values of a topic, read_committed, one a line
//
// The broker is the one of WRACKLINE_TEST_BROKER. A rate counts from the first record to the last, and for a job to
// its last commit. kafka.py runs all of this and compares each result with a group-by of the same bids.
#include <cstring>
#include <optional>
#include <thread>

#include "bids.h"
#include "pairs.h"
#include "raw_kafka.h"
#include <sys/resource.h>

namespace {

using namespace wrackline;

constexpr int32_t kPartitions = 4;
constexpr Millis kWindow = 10'000;
constexpr Millis kCommit = 100;

struct Rate {
  double per_second = 0;
  double cpu_per_million = 0;  // seconds of this process
  double start = 0;            // seconds to the first record
};

double cpu_seconds() {
  rusage used{};
  getrusage(RUSAGE_SELF, &used);
  const auto seconds = [](const timeval& t) {
    return static_cast<double>(t.tv_sec) + static_cast<double>(t.tv_usec) / 1e6;
  };
  return seconds(used.ru_utime) + seconds(used.ru_stime);
}

// Measures from the first record on.
class Meter {
 public:
  void passed(int64_t records) {
    if (records_ == 0 && records > 0) first_ = std::chrono::steady_clock::now(), at_first_ = records;
    records_ += records;
  }
  void committed() { last_ = std::chrono::steady_clock::now(); }
  Rate end() {
    if (last_ < first_) committed();
    return {
        .per_second = static_cast<double>(records_ - at_first_) / std::chrono::duration<double>(last_ - first_).count(),
        .cpu_per_million = (cpu_seconds() - cpu_) * 1e6 / static_cast<double>(records_),
        .start = std::chrono::duration<double>(first_ - begin_).count()};
  }
  int64_t records() const { return records_; }

 private:
  const double cpu_ = cpu_seconds();
  const std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  std::chrono::steady_clock::time_point first_;
  std::chrono::steady_clock::time_point last_;
  int64_t at_first_ = 0;
  int64_t records_ = 0;
};

int load(const std::string& topic, int64_t bidders, int64_t bids) {
  constexpr int64_t kBatch = 40'000;
  const bench::BidShape shape{.bids = bids, .bidders = bidders};
  const std::shared_ptr<Log> log = bench::open_broker();
  bench::must(log->create_topic(topic, kPartitions));
  std::mt19937_64 random(1);
  for (int64_t i = 0; i < bids; i += kBatch) {
    // Of now: what is older than a topic's retention would be deleted.
    const auto parts = bench::by_partition(*bench::make_bids(random, shape, i, std::min(kBatch, bids - i)), kPartitions,
                                           SystemClock().now());
    for (int32_t partition = 0; partition < kPartitions; ++partition)
      bench::must(log->append({topic, partition}, parts[static_cast<size_t>(partition)]).status());
  }
  bench::RawOffsets(*bench::broker_config(), "raw-" + topic, topic, kPartitions).commit();  // wakes the coordinator
  return 0;
}

int dump(const std::string& topic, const char* file) {
  const std::shared_ptr<Log> log = bench::open_broker();
  bench::RawReader reader(*bench::broker_config(), topic, bench::must(log->topic(topic)).partitions);
  std::FILE* out = std::fopen(file, "w");
  if (out == nullptr) return 1;
  while (!reader.at_end()) {
    reader.poll(100, [&](const rd_kafka_message_t& message) {
      std::fwrite(message.payload, 1, message.len, out);
      std::fputc('\n', out);
    });
  }
  return std::fclose(out);
}

struct Job {
  std::string topic;
  int64_t bids = 0;
  int number = 0;
  std::string output;
  int64_t rows_out = 0;

  Rate run(const std::string& name, Guarantee guarantee, int64_t workers = 1) {
    const bench::Folder folder;
    const std::shared_ptr<Log> log = bench::open_broker();
    const std::string job = name + "-" + std::to_string(number++);
    Meter meter;
    const auto run = bench::must(Run::open(bench::bid_plan(job, kWindow, topic),
                                           {.commit_interval = kCommit,
                                            .state_dir = folder / "state",
                                            .guarantee = guarantee,
                                            .workers = workers,
                                            .until_now = true,
                                            .close = true},
                                           {.log = log, .clock = std::make_shared<SystemClock>()}));
    int64_t commits = 0;
    const auto count = [&](const WorkerStats& stats) {
      meter.passed(stats.rows_taken - meter.records());
      if (std::exchange(commits, stats.commits) != stats.commits) meter.committed();
      rows_out = stats.rows_out;
      return true;
    };
    bench::must(run->loop(count, 5));
    static_cast<void>(count(run->stats()));
    const Rate rate = meter.end();
    if (meter.records() != bids) {
      std::fprintf(stderr, "%s took %lld records, not %lld; %lld recoveries\n", job.c_str(),
                   static_cast<long long>(meter.records()), static_cast<long long>(bids),
                   static_cast<long long>(run->stats().recoveries));
      for (const auto& [partition, ledger] : run->ledger()) {
        const int64_t end = bench::must(log->end_offset({topic, partition}, Isolation::kReadCommitted));
        std::fprintf(stderr, "  partition %d: %lld records to offset %lld\n", partition,
                     static_cast<long long>(ledger.empty() ? -1 : ledger.front().counts.in),
                     static_cast<long long>(end));
      }
      std::abort();
    }
    output = job + "-sums";
    std::printf("{\"output\": \"%s\"}\n", output.c_str());
    std::fflush(stdout);
    return rate;
  }
};

struct Loop {
  std::string topic;
  int64_t bids = 0;
  std::string output;
  bench::ReadyRows* rows = nullptr;  // to produce
  double rows_per_bid = 0;

  Rate run(Millis commit) {
    const auto config = bench::broker_config();
    Meter meter;
    std::optional<bench::RawProducer> producer;
    if (rows != nullptr) producer.emplace(*config, output, *rows);
    std::optional<bench::RawOffsets> offsets;
    if (commit > 0) offsets.emplace(*config, "raw-" + topic, topic, kPartitions);
    bench::RawReader reader(*config, topic, kPartitions);
    auto committed = std::chrono::steady_clock::now();
    size_t bytes = 0;
    int64_t produced = 0;
    const auto commit_now = [&] {
      if (producer) producer->flush();
      if (offsets) offsets->commit();
      committed = std::chrono::steady_clock::now();
    };
    while (meter.records() < bids) {
      meter.passed(reader.poll(100, [&](const rd_kafka_message_t& message) {
        bytes += bench::value_of(message).size();
        if (offsets) offsets->passed(message);
      }));
      if (producer) {
        const auto due = static_cast<int64_t>(rows_per_bid * static_cast<double>(meter.records()));
        producer->produce(due - std::exchange(produced, due));
      }
      if (offsets && std::chrono::steady_clock::now() - committed >= std::chrono::milliseconds(commit)) commit_now();
    }
    commit_now();
    if (bytes < static_cast<size_t>(bids)) std::abort();
    return meter.end();
  }
};

// Ratios of rounds, and both rates.
struct Comparison {
  std::string name;
  std::vector<double> ratios, ours, limits;

  void add(double ours_now, double limit_now) {
    ratios.push_back(ours_now / limit_now);
    ours.push_back(ours_now);
    limits.push_back(limit_now);
  }
  void print() const {
    std::printf("{\"name\": \"%s\", \"ratio\": %.3f, \"low\": %.3f, \"high\": %.3f, \"ours\": %.0f, \"limit\": %.0f}\n",
                name.c_str(), bench::median(ratios), *std::min_element(ratios.begin(), ratios.end()),
                *std::max_element(ratios.begin(), ratios.end()), bench::median(ours), bench::median(limits));
    std::fflush(stdout);
  }
};

void say(const char* what, const Rate& rate) {
  std::fprintf(stderr, "  %-28s %6.3f M/s, %5.2f CPU-s a million, first record after %.2f s\n", what,
               rate.per_second / 1e6, rate.cpu_per_million, rate.start);
}

int rates(const std::string& name, const std::string& topic, int64_t bids, int pairs, bool with_rows) {
  Job job{.topic = topic, .bids = bids};
  job.run(topic + "-first", Guarantee::kAtLeastOnce);  // warms up, and gives the rows that the loop produces
  std::optional<bench::ReadyRows> rows;
  Loop loop{.topic = topic, .bids = bids};
  if (with_rows) {
    rows.emplace(*bench::broker_config(), job.output, kPartitions);
    loop.output = topic + "-raw";
    loop.rows = &*rows;
    loop.rows_per_bid = static_cast<double>(job.rows_out) / static_cast<double>(bids);
    bench::must(bench::open_broker()->create_topic(loop.output, kPartitions));
    std::fprintf(stderr, "  %.3f rows a record, %.0f bytes each\n", loop.rows_per_bid, rows->mean_bytes());
  }
  loop.run(0);

  Comparison least{.name = name + ", at least once, against the plain loop"};
  Comparison exactly{.name = name + ", exactly once against at least once"};
  Comparison plain{.name = name + ", exactly once against the plain loop with commits"};
  Comparison cpu{.name = name + ", exactly once, CPU-seconds per million"};
  for (int i = 0; i < pairs; ++i) {
    const Rate limit = loop.run(0);
    const Rate at_least_once = job.run(topic + "-least", Guarantee::kAtLeastOnce);
    const Rate exactly_once = job.run(topic + "-exactly", Guarantee::kExactlyOnce);
    const Rate limit_with_commits = loop.run(kCommit);
    say("plain loop", limit);
    say("plain loop, with commits", limit_with_commits);
    say("job, at least once", at_least_once);
    say("job, exactly once", exactly_once);
    least.add(at_least_once.per_second, limit.per_second);
    exactly.add(exactly_once.per_second, at_least_once.per_second);
    plain.add(exactly_once.per_second, limit_with_commits.per_second);
    cpu.add(1.5, exactly_once.cpu_per_million);
  }
  least.print();
  exactly.print();
  plain.print();
  std::printf("{\"name\": \"%s\", \"ratio\": %.3f, \"low\": %.3f, \"high\": %.3f, \"seconds\": %.3f}\n",
              cpu.name.c_str(), bench::median(cpu.ratios), *std::min_element(cpu.ratios.begin(), cpu.ratios.end()),
              *std::max_element(cpu.ratios.begin(), cpu.ratios.end()), bench::median(cpu.limits));
  return 0;
}

int two_workers(const std::string& name, const std::string& topic, int64_t bids, int pairs) {
  Job job{.topic = topic, .bids = bids};
  Comparison two{.name = name + ", exactly once, two workers against one"};
  for (int i = 0; i < pairs; ++i) {
    const Rate one = job.run(topic + "-one", Guarantee::kExactlyOnce);
    const Rate both = job.run(topic + "-two", Guarantee::kExactlyOnce, 2);
    say("one worker", one);
    say("two workers", both);
    two.add(both.per_second, one.per_second);
  }
  two.print();
  return 0;
}

int profile(const std::string& topic, int64_t bids, bool exactly, int runs) {
  Job job{.topic = topic, .bids = bids};
  const std::string name = topic + "-alone-" + std::to_string(getpid());
  for (int i = 0; i < runs; ++i) say("job", job.run(name, exactly ? Guarantee::kExactlyOnce : Guarantee::kAtLeastOnce));
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  bench::show_log_lines();
  const std::string what = argc > 1 ? argv[1] : "";
  const auto number = [&](int i) { return std::atoll(argv[i]); };
  if (what == "load" && argc == 5) return load(argv[2], number(3), number(4));
  if (what == "dump" && argc == 4) return dump(argv[2], argv[3]);
  if (what == "rates" && argc >= 6)
    return rates(argv[2], argv[3], number(4), static_cast<int>(number(5)), argc > 6 && std::string(argv[6]) == "rows");
  if (what == "job" && argc == 6)
    return profile(argv[2], number(3), std::string(argv[4]) == "exactly", static_cast<int>(number(5)));
  if (what == "workers" && argc == 6) return two_workers(argv[2], argv[3], number(4), static_cast<int>(number(5)));
  std::fprintf(stderr, "see the head of benchmarks/kafka.cc\n");
  return 2;
}
