// RowsHandle and Tap: rows into a job and out of it without topics.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <utility>
#include <vector>

#include "table.h"

#include "wrackline/job/worker.h"
#include "wrackline/source/rows.h"

namespace wrackline::bindings {

// A bounded input that is filled from Python.
class RowsHandle {
 public:
  explicit RowsHandle(SchemaPtr schema) : rows_(std::make_shared<RowsSource>(std::move(schema))) {}
  const std::shared_ptr<RowsSource>& get() const { return rows_; }

 private:
  std::shared_ptr<RowsSource> rows_;  // shared with the run that reads it
};

// Keeps the rows of some sinks, until they are taken. Filled by a run's thread, emptied by Python's.
class Tap final : public RowTap {
 public:
  // `max_rows`: so many and it is full(): whoever takes them is called at once. 0: never.
  explicit Tap(int64_t max_rows = 0) : max_rows_(max_rows) {}
  bool full() const override { return max_rows_ > 0 && count_ >= max_rows_; }

  void watch(int sink) { kept_[sink]; }
  void rows(int sink, const Batch& batch) override {
    const std::lock_guard lock(mutex_);
    const auto at = kept_.find(sink);
    if (at == kept_.end()) return;
    Batch rows;  // the columns alone: raw records need not be kept
    rows.schema = batch.schema;
    rows.columns = batch.columns;
    rows.length = batch.length;
    count_ += rows.length;
    at->second.push_back(std::move(rows));
  }
  std::vector<Batch> take(int sink) {
    const std::lock_guard lock(mutex_);
    count_ = 0;
    return std::exchange(kept_[sink], {});
  }

 private:
  const int64_t max_rows_;
  std::atomic<int64_t> count_ = 0;
  std::mutex mutex_;
  std::map<int, std::vector<Batch>> kept_;
};

}  // namespace wrackline::bindings
