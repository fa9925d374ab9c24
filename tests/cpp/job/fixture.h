// What the tests of job/ share: a schema of meter readings, records of it, and a worker on a memory log.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "wrackline/job/run.h"
#include "wrackline/job/worker.h"

namespace wrackline {

inline SchemaPtr reading_schema() {
  return std::make_shared<const Schema>(std::vector<Field>{{"id", Type::kString, false},
                                                           {"meter", Type::kString, true},
                                                           {"value", Type::kFloat64, true},
                                                           {"ts", Type::kInt64, false}});
}

inline SourceSpec reading_source(Millis out_of_orderness = 0) {
  SourceSpec source;
  source.topic = "readings";
  source.schema = reading_schema();
  source.time.column = "ts";
  source.time.not_before = 0;
  source.watermark.out_of_orderness = out_of_orderness;
  return source;
}

inline std::string reading(const std::string& id, const std::string& meter, double value, Millis ts) {
  return R"({"id":")" + id + R"(","meter":")" + meter + R"(","value":)" + std::to_string(value) + R"(,"ts":)" +
         std::to_string(ts) + "}";
}

inline WindowSpec counting(Millis size, Millis allowed_lateness = 0) {
  WindowSpec spec = WindowSpec::tumbling(size);
  spec.key_columns = {"meter"};
  spec.allowed_lateness = allowed_lateness;
  spec.aggregates = {{"n", "count", ""}, {"total", "sum", "value"}};
  return spec;
}

// readings -> dedup(id) -> window -> results, late.
inline std::shared_ptr<const Plan> reading_plan(Millis size = 10, Millis out_of_orderness = 0,
                                                const std::string& job = "meters") {
  auto plan = std::make_shared<Plan>(job);
  const StreamRef read = *plan->read(reading_source(out_of_orderness));
  const StreamRef fresh = *plan->dedup(read, {.columns = {"id"}, .within = 100}, "");
  const StreamRef window = *plan->window(fresh, counting(size), true, "");
  EXPECT_TRUE(plan->write({.streams = {window}, .topic = "results"}).ok());
  EXPECT_TRUE(plan->write({.streams = plan->late_streams(), .topic = "late"}).ok());
  EXPECT_TRUE(plan->finish().ok());
  return plan;
}

inline void append_all(Log& log, const std::string& topic, const std::vector<std::string>& values,
                       int32_t partition = 0) {
  Records records;
  for (const std::string& value : values) records.add(std::nullopt, value, 1'000'000);
  ASSERT_TRUE(log.append({topic, partition}, records).ok());
}

inline std::vector<std::string> values_of(Log& log, const std::string& topic, int32_t partition = 0) {
  std::vector<std::string> values;
  const TopicPartition from{topic, partition};
  const Result<int64_t> end = log.end_offset(from, Isolation::kReadCommitted);
  if (!end.ok()) return values;
  for (int64_t offset = 0; offset < *end;) {
    const Result<event::Polled> polled = log.read(from, offset, 1 << 20, Isolation::kReadCommitted);
    EXPECT_TRUE(polled.ok()) << polled.status().to_string();
    if (!polled.ok()) break;
    for (int64_t i = 0; i < polled->records->size(); ++i) values.emplace_back(polled->records->value(i));
    if (polled->next_offset == offset) break;
    offset = polled->next_offset;
  }
  return values;
}

// Steps until done or a failure; time stands still unless the worker waits for it.
inline Status run_to_end(Worker& worker, ManualClock& clock) {
  for (int idle = 0; idle < 10'000;) {
    const Result<Progress> progress = worker.step();
    if (!progress.ok()) return progress.status();
    if (*progress == Progress::kDone) return {};
    if (*progress == Progress::kWorked) continue;
    ++idle;
    clock.advance(1);
  }
  return Status::fatal("the worker never ended");
}

}  // namespace wrackline
