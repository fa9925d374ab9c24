// RowsHandle and Tap: rows into a job and out of it without topics.
#pragma once

#include <atomic>
#include <map>
#include <memory>
#include <mutex>
#include <string>
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
  // `max_bytes`: beyond it further rows are dropped, and check() fails. 0: no bound.
  explicit Tap(int64_t max_rows = 0, int64_t max_bytes = 0) : max_rows_(max_rows), max_bytes_(max_bytes) {}
  bool full() const override { return over_ || (max_rows_ > 0 && count_ >= max_rows_); }
  Status check() const {
    if (!over_) return {};
    return Status::unavailable(
        "the rows take more than memory_limit=" + std::to_string(max_bytes_) + " bytes (" + std::to_string(count_) +
        " of them so far): take them one batch after the other, for batch in stream.batches(): ..., keep fewer with "
        ".filter() and .select(), or raise memory_limit");
  }

  void watch(int sink) { kept_[sink]; }
  void rows(int sink, const Batch& batch) override {
    const std::lock_guard lock(mutex_);
    const auto at = kept_.find(sink);
    if (at == kept_.end() || over_) return;
    Batch rows;  // the columns alone: raw records need not be kept
    rows.schema = batch.schema;
    rows.columns = batch.columns;
    rows.length = batch.length;
    count_ += rows.length;
    for (const ColumnPtr& column : rows.columns) bytes_ += column->byte_size();
    over_ = max_bytes_ > 0 && bytes_ > max_bytes_;
    at->second.push_back(std::move(rows));
  }
  std::vector<Batch> take(int sink) {
    const std::lock_guard lock(mutex_);
    count_ = bytes_ = 0;
    return std::exchange(kept_[sink], {});
  }

 private:
  const int64_t max_rows_;
  const int64_t max_bytes_;
  std::atomic<int64_t> count_ = 0;
  std::atomic<bool> over_ = false;
  int64_t bytes_ = 0;
  std::mutex mutex_;
  std::map<int, std::vector<Batch>> kept_;
};

}  // namespace wrackline::bindings
