// The bids that benchmarks read: 94-byte JSON objects, a job that sums them per bidder and 10 s window, and a
// local log that holds them.
#pragma once

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <memory>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <unistd.h>

#include "wrackline/core/logging.h"
#include "wrackline/job/run.h"

namespace wrackline::bench {

inline void must(const Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s\n", status.to_string().c_str());
  std::abort();
}

template <typename T>
T must(Result<T> result) {
  must(result.status());
  return std::move(result).value();
}

// Warnings of the core, on stderr.
inline void show_log_lines() {
  set_log_hook([](LogLevel level, std::string_view line) {
    if (level >= LogLevel::kWarning) std::fprintf(stderr, "  %.*s\n", static_cast<int>(line.size()), line.data());
  });
}

struct BidShape {
  int64_t bids = 0;
  int64_t bidders = 1000;
  double per_second = 20'000;  // event time
  Millis disorder = 500;
};

inline std::string bidder_name(uint64_t number) {
  char text[32];
  std::snprintf(text, sizeof text, "bidder%010llu", static_cast<unsigned long long>(number));  // 16 characters
  return text;
}

// Writes the bid of a moment into `text`.
inline std::string_view write_bid(std::mt19937_64& random, const BidShape& shape, Millis time, char (&text)[192]) {
  const int size = std::snprintf(
      text, sizeof text, R"({"auction":%d,"bidder":"%s","price":%d,"channel":"%c","dateTime":%lld})",
      static_cast<int>(1000 + random() % 900), bidder_name(random() % static_cast<uint64_t>(shape.bidders)).c_str(),
      static_cast<int>(100 + random() % 9'900), static_cast<char>('a' + random() % 4), static_cast<long long>(time));
  return {text, static_cast<size_t>(size)};
}

inline std::string_view bidder_of(std::string_view bid) {
  constexpr std::string_view kBefore = R"({"auction":1234,"bidder":")";
  return bid.substr(kBefore.size(), 16);
}

// One batch of bids, from number `first` on, at the times of `shape` after `begin`.
inline std::shared_ptr<Records> make_bids(std::mt19937_64& random, const BidShape& shape, int64_t first, int64_t count,
                                          Millis begin = 1'700'000'000'000LL) {
  auto records = std::make_shared<Records>();
  char text[192];
  for (int64_t i = first; i < first + count; ++i) {
    const auto time = begin + static_cast<int64_t>(static_cast<double>(i) * 1000 / shape.per_second) -
                      static_cast<int64_t>(random() % static_cast<uint64_t>(shape.disorder + 1));
    records->add(std::nullopt, write_bid(random, shape, time, text), begin, i);
  }
  records->pad();
  return records;
}

// The same, by the partitions of their bidders, stamped with a log's time.
inline std::vector<Records> by_partition(const Records& bids, int32_t partitions, Millis now) {
  std::vector<Records> parts(static_cast<size_t>(partitions));
  for (int64_t i = 0; i < bids.size(); ++i) {
    const int32_t partition = partition_of(bidder_of(bids.value(i)), partitions);
    parts[static_cast<size_t>(partition)].add(std::nullopt, bids.value(i), now);
  }
  return parts;
}

inline SchemaPtr bid_schema() {
  return std::make_shared<const Schema>(std::vector<Field>{{.name = "auction", .type = Type::kInt64},
                                                           {.name = "bidder", .type = Type::kString},
                                                           {.name = "price", .type = Type::kInt64},
                                                           {.name = "channel", .type = Type::kString},
                                                           {.name = "dateTime", .type = Type::kInt64}});
}

inline std::shared_ptr<const Plan> bid_plan(const std::string& job, Millis size, const std::string& topic = "bids") {
  auto plan = std::make_shared<Plan>(job);
  SourceSpec source;
  source.topic = topic;
  source.partitioned_by = {"bidder"};
  source.schema = bid_schema();
  source.time.column = "dateTime";
  source.time.max_future = kMaxDuration;
  source.watermark.out_of_orderness = 1000;
  const StreamRef bids = must(plan->read(source));
  WindowSpec window = WindowSpec::tumbling(size);
  window.key_columns = {"bidder"};
  window.aggregates = {
      {"n", "count", ""}, {"total", "sum", "price"}, {"low", "min", "price"}, {"high", "max", "price"}};
  const StreamRef sums = must(plan->window(bids, window, true, ""));
  must(plan->write({.streams = {sums}, .topic = job + "-sums"}));
  must(plan->finish());
  return plan;
}

// A folder that is removed at the end.
class Folder {
 public:
  Folder() : path_(std::filesystem::temp_directory_path() / ("wrackline-bench-" + std::to_string(getpid()))) {
    std::filesystem::create_directories(path_);
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  std::string operator/(const std::string& name) const { return (path_ / name).string(); }

 private:
  std::filesystem::path path_;
};

}  // namespace wrackline::bench
