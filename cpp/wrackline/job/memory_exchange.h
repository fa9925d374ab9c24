// MemoryExchange: the repartition topics of a run with a tap (throw-away copies, the test driver), in a memory log of
// its own. Nothing is committed there; all stages are stepped by one thread.
#pragma once

#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "wrackline/core/clock.h"
#include "wrackline/job/stages.h"
#include "wrackline/job/worker.h"
#include "wrackline/log/log.h"
#include "wrackline/sink/exchange_sink.h"

namespace wrackline {

class MemoryExchange final : public ExchangeTap {
 public:
  static Result<std::unique_ptr<MemoryExchange>> make(const std::vector<Stage>& stages,
                                                      std::shared_ptr<const Clock> clock);

  // Holds the repartition topics.
  const std::shared_ptr<Log>& log() const { return log_; }

  Status write(const SinkSpec& sink, int32_t partition, const Batch& batch) override;
  Status mark(const SinkSpec& sink, int32_t partition, const UpstreamMark& mark) override;

 private:
  MemoryExchange() = default;
  ExchangeSink& sink_of(const SinkSpec& sink) { return sinks_.at({sink.topic, sink.exchange->source}); }
  Status append(const std::string& topic, const std::map<int32_t, Records>& records);

  std::shared_ptr<const Clock> clock_;
  std::shared_ptr<Log> log_;
  std::map<std::pair<std::string, uint32_t>, ExchangeSink> sinks_;  // by topic and source
};

}  // namespace wrackline
