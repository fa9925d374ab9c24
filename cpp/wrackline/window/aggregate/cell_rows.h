// Rows of columns that can be changed in place: what a user's aggregate keeps.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "wrackline/core/batch.h"
#include "wrackline/core/bytes.h"

namespace wrackline {

class CellRows {
 public:
  explicit CellRows(SchemaPtr schema);

  const SchemaPtr& schema() const { return schema_; }
  size_t size() const { return size_; }

  void append(const Batch& batch, const std::vector<int>& columns, const uint32_t* rows, size_t count);
  void append(const std::vector<ColumnPtr>& columns, int64_t row);
  void append(const CellRows& other, size_t row);
  void set(size_t row, const std::vector<ColumnPtr>& columns, int64_t from);
  void set(size_t row, const CellRows& other, size_t from);
  // Keeps these rows, which ascend.
  void keep(const Buffer<uint32_t>& rows);
  std::shared_ptr<const Batch> gather(const uint32_t* rows, size_t count) const;
  void clear();

  void write(size_t row, ByteWriter& out) const;
  bool read(size_t row, ByteReader& in);
  void append_empty();
  int64_t allocated_bytes() const;

 private:
  struct Cells {
    Field field;
    Bytes valid;                     // a byte each
    Buffer<int64_t> words;           // fixed-width values
    std::vector<std::string> texts;  // others; of a list its items, encoded
    bool is_fixed() const;
  };
  void set(Cells& cells, size_t row, const Column& column, int64_t from);
  void set_text(Cells& cells, size_t row, std::string_view text);

  SchemaPtr schema_;
  std::vector<Cells> columns_;
  size_t size_ = 0;
  int64_t text_bytes_ = 0;
};

}  // namespace wrackline
