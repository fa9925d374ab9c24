// RowsSource: a bounded input of typed rows (from_records, from_arrow). Read by row number, so that a run that
// crashed goes on where it was. Filled before or while a job reads it (the test driver feeds rows one by one);
// used by one thread at a time.
#pragma once

#include <cstdint>
#include <utility>
#include <vector>

#include "wrackline/core/batch.h"
#include "wrackline/core/status.h"

namespace wrackline {

class RowsSource {
 public:
  explicit RowsSource(SchemaPtr schema) : schema_(std::move(schema)) {}

  const SchemaPtr& schema() const { return schema_; }
  // Columns of `batch` must be those of the schema. Nothing may be appended after close().
  Status append(Batch batch);
  // A row without value: skipped, as a tombstone in a topic.
  void append_tombstone();
  void close() { closed_ = true; }
  bool closed() const { return closed_; }

  int64_t size() const { return size_; }
  // Up to `max_rows` rows from row `offset` on (fewer at the end of a batch); empty: none there yet.
  // `tombstone`: that one row is a tombstone instead.
  Batch read(int64_t offset, int64_t max_rows, bool& tombstone) const;
  // A hash over schema and the rows [0, end), so that a resumed run notices another input.
  uint64_t fingerprint(int64_t end) const;

 private:
  struct Piece {
    int64_t first = 0;
    Batch rows;  // length 0: one tombstone
  };
  SchemaPtr schema_;
  std::vector<Piece> pieces_;
  int64_t size_ = 0;
  bool closed_ = false;
};

}  // namespace wrackline
