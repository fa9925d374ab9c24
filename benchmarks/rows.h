// What the benchmarks of steps are fed with, and what takes what comes out.
#pragma once

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "wrackline/core/step.h"
#include "wrackline/window/window.h"

namespace wrackline::bench {

inline constexpr int64_t kBatchRows = 4096;

inline SchemaPtr key_and_value(Type value = Type::kFloat64) {
  return std::make_shared<const Schema>(std::vector<Field>{{"key", Type::kString, false}, {"value", value, false}});
}

inline std::string key_text(uint64_t key) {
  char text[32];
  std::snprintf(text, sizeof text, "truck-%010llu", static_cast<unsigned long long>(key));
  return text;
}

struct Row {
  uint64_t key = 0;
  double value = 0;
  Millis time = 0;
  Millis watermark = 0;  // that it moves the watermark to, if that is later
};

// Rows next(0), next(1) ... next(rows - 1). The value's type is that of the schema's second column.
template <typename Next>
std::vector<Batch> make_batches(const SchemaPtr& schema, int64_t rows, Next next) {
  std::vector<Batch> batches;
  Millis watermark = kMinusInfinity;
  for (int64_t first = 0; first < rows; first += kBatchRows) {
    Batch batch;
    batch.schema = schema;
    batch.length = std::min(kBatchRows, rows - first);
    batch.watermark = watermark;
    auto keys = std::make_shared<Column>(Type::kString);
    auto values = std::make_shared<Column>(schema->field(1).type);
    for (int64_t i = 0; i < batch.length; ++i) {
      const Row row = next(first + i);
      keys->append_string(key_text(row.key));
      if (schema->field(1).type == Type::kFloat64)
        values->append_float64(row.value);
      else
        values->append_int64(static_cast<int64_t>(row.value));
      batch.event_times.push_back(row.time);
      if (row.watermark <= watermark) continue;
      watermark = row.watermark;
      batch.moves.push_back({i + 1, watermark});
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

inline void push(Step& step, Batch batch, Emitter& out) {
  step.take(std::move(batch));
  while (step.busy()) {
    if (!step.advance(out).ok()) std::abort();
  }
}

}  // namespace wrackline::bench
