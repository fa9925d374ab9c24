// TaskTrace: writes down what becomes of each record of one task (core/trace.h). Only made when somebody wants it.
#pragma once

#include <cstdint>
#include <string_view>
#include <unordered_set>

#include "wrackline/core/batch.h"
#include "wrackline/core/trace.h"
#include "wrackline/job/plan.h"

namespace wrackline {

class TaskTrace {
 public:
  // Both outlive it.
  TaskTrace(const Plan& plan, int32_t partition, TraceSink* sink) : plan_(plan), partition_(partition), sink_(sink) {}

  // Rows that got an event time, with their moves.
  void accepted(const Batch& batch);
  void refused(int64_t offset, Millis arrival, Fate fate, std::string_view step);
  void fate(int64_t offset, Fate fate, std::string_view step) { sink_->fate(partition_, offset, fate, step); }
  // Around what a step makes of a batch.
  void taken(int node, const Batch& batch);
  void emitted(StreamRef stream, const Batch& batch);
  void through(int node);

  static int64_t offset_of(const Batch& batch, int64_t row);

 private:
  const Plan& plan_;
  int32_t partition_;
  TraceSink* sink_;
  int64_t set_by_ = -1;  // offset of the record that moved W to where it is
  Millis watermark_ = kMinusInfinity;
  std::unordered_set<int64_t> in_filter_;  // offsets that went in and have not come out
};

}  // namespace wrackline
