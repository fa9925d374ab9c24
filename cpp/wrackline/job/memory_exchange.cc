#include "wrackline/job/memory_exchange.h"

namespace wrackline {

Result<std::unique_ptr<MemoryExchange>> MemoryExchange::make(const std::vector<Stage>& stages,
                                                             std::shared_ptr<const Clock> clock) {
  auto exchange = std::unique_ptr<MemoryExchange>(new MemoryExchange);
  exchange->clock_ = clock;
  WL_ASSIGN_OR_RETURN(exchange->log_, open_log("memory:", std::move(clock)));
  for (const Stage& stage : stages) {
    for (const SinkSpec& sink : stage.plan->sinks()) {
      if (!sink.exchange) continue;
      const ExchangeTo& to = *sink.exchange;
      WL_RETURN_IF_ERROR(exchange->log_->create_topic(sink.topic, to.partitions, TopicUse::kInternal));
      exchange->sinks_.emplace(std::pair(sink.topic, to.source), ExchangeSink({.topic = sink.topic,
                                                                               .partitions = to.partitions,
                                                                               .source = to.source,
                                                                               .source_partitions = stage.partitions,
                                                                               .key_columns = to.key_columns}));
    }
  }
  return exchange;
}

Status MemoryExchange::append(const std::string& topic, const std::map<int32_t, Records>& records) {
  for (const auto& [partition, rows] : records) WL_RETURN_IF_ERROR(log_->append({topic, partition}, rows).status());
  return {};
}

Status MemoryExchange::write(const SinkSpec& sink, int32_t partition, const Batch& batch) {
  std::map<int32_t, Records> records;
  WL_RETURN_IF_ERROR(sink_of(sink).write(batch, partition, clock_->now(), records));
  return append(sink.topic, records);
}

Status MemoryExchange::mark(const SinkSpec& sink, int32_t partition, const UpstreamMark& mark) {
  std::map<int32_t, Records> records;
  sink_of(sink).mark(mark, partition, clock_->now(), records);
  return append(sink.topic, records);
}

}  // namespace wrackline
