#include "wrackline/window/aggregate/cell_rows.h"

#include <bit>
#include <cstring>

namespace wrackline {
namespace {

bool is_text(Type type) { return type == Type::kString || type == Type::kBytes; }

int64_t word_at(const Column& column, int64_t row) {
  switch (column.type()) {
    case Type::kBool: return int64_t{column.bool_at(row)};
    case Type::kFloat64: return std::bit_cast<int64_t>(column.float64s()[row]);
    default: return column.int64s()[row];
  }
}

void append_word(Column& column, int64_t word) {
  switch (column.type()) {
    case Type::kBool: return column.append_bool(word != 0);
    case Type::kFloat64: return column.append_float64(std::bit_cast<double>(word));
    default: return column.append_int64(word);
  }
}

// A list as bytes: of each item 1 and the value, or 0.
std::string list_at(const Column& column, int64_t row) {
  const Column& items = column.items();
  ByteWriter out;
  for (int64_t i = column.offsets()[row]; i < column.offsets()[row + 1]; ++i) {
    out.put(static_cast<uint8_t>(!items.is_null(i)));
    if (items.is_null(i)) continue;
    if (is_text(items.type()))
      out.put_string(items.string_at(i));
    else
      out.put(word_at(items, i));
  }
  return std::string(out.view());
}

void append_list(Column& column, std::string_view bytes) {
  Column& items = column.mutable_items();
  ByteReader in(bytes);
  while (in.left() > 0) {
    if (in.get<uint8_t>() == 0)
      items.append_null();
    else if (is_text(items.type()))
      items.append_string(in.get_string());
    else
      append_word(items, in.get<int64_t>());
  }
  column.append_list_end();
}

}  // namespace

bool CellRows::Cells::is_fixed() const { return !is_text(field.type) && field.type != Type::kList; }

CellRows::CellRows(SchemaPtr schema) : schema_(std::move(schema)) {
  for (const Field& field : schema_->fields())
    columns_.push_back({.field = field, .valid = {}, .words = {}, .texts = {}});
}

void CellRows::set_text(Cells& cells, size_t row, std::string_view text) {
  std::string& place = cells.texts[row];
  text_bytes_ -= static_cast<int64_t>(place.capacity());
  place.assign(text);
  text_bytes_ += static_cast<int64_t>(place.capacity());
}

void CellRows::set(Cells& cells, size_t row, const Column& column, int64_t from) {
  cells.valid[row] = column.is_null(from) ? 0 : 1;
  if (cells.is_fixed()) {
    cells.words[row] = cells.valid[row] != 0 ? word_at(column, from) : 0;
  } else if (cells.valid[row] == 0) {
    set_text(cells, row, {});
  } else if (cells.field.type == Type::kList) {
    set_text(cells, row, list_at(column, from));
  } else {
    set_text(cells, row, column.string_at(from));
  }
}

void CellRows::append_empty() {
  ++size_;
  for (Cells& cells : columns_) {
    cells.valid.resize(size_);
    if (cells.is_fixed())
      cells.words.resize(size_);
    else
      cells.texts.resize(size_);
  }
}

void CellRows::append(const Batch& batch, const std::vector<int>& columns, const uint32_t* rows, size_t count) {
  const size_t first = size_;
  size_ += count;
  for (size_t c = 0; c < columns_.size(); ++c) {
    Cells& cells = columns_[c];
    const Column& column = batch.column(columns[c]);
    cells.valid.resize(size_);
    if (!cells.is_fixed()) {
      cells.texts.resize(size_);
      for (size_t i = 0; i < count; ++i) set(cells, first + i, column, rows[i]);
      continue;
    }
    cells.words.resize(size_);
    if (column.null_count() != 0 || column.type() == Type::kBool) {
      for (size_t i = 0; i < count; ++i) set(cells, first + i, column, rows[i]);
      continue;
    }
    if (count > 0) std::memset(cells.valid.data() + first, 1, count);
    const auto* words = reinterpret_cast<const int64_t*>(column.values().data());
    for (size_t i = 0; i < count; ++i) cells.words[first + i] = words[rows[i]];
  }
}

void CellRows::append(const std::vector<ColumnPtr>& columns, int64_t row) {
  append_empty();
  set(size_ - 1, columns, row);
}

void CellRows::append(const CellRows& other, size_t row) {
  append_empty();
  set(size_ - 1, other, row);
}

void CellRows::set(size_t row, const std::vector<ColumnPtr>& columns, int64_t from) {
  for (size_t c = 0; c < columns_.size(); ++c) set(columns_[c], row, *columns[c], from);
}

void CellRows::set(size_t row, const CellRows& other, size_t from) {
  for (size_t c = 0; c < columns_.size(); ++c) {
    Cells& cells = columns_[c];
    const Cells& others = other.columns_[c];
    cells.valid[row] = others.valid[from];
    if (cells.is_fixed())
      cells.words[row] = others.words[from];
    else
      set_text(cells, row, others.texts[from]);
  }
}

void CellRows::keep(const Buffer<uint32_t>& rows) {
  for (Cells& cells : columns_) {
    for (size_t i = 0; i < rows.size(); ++i) {
      cells.valid[i] = cells.valid[rows[i]];
      if (cells.is_fixed())
        cells.words[i] = cells.words[rows[i]];
      else if (rows[i] != i)
        cells.texts[i].swap(cells.texts[rows[i]]);
    }
    cells.valid.resize(rows.size());
    if (cells.is_fixed()) {
      cells.words.resize(rows.size());
      continue;
    }
    for (size_t i = rows.size(); i < cells.texts.size(); ++i)
      text_bytes_ -= static_cast<int64_t>(cells.texts[i].capacity());
    cells.texts.resize(rows.size());
  }
  size_ = rows.size();
}

std::shared_ptr<const Batch> CellRows::gather(const uint32_t* rows, size_t count) const {
  auto batch = std::make_shared<Batch>();
  batch->schema = schema_;
  batch->length = static_cast<int64_t>(count);
  for (const Cells& cells : columns_) {
    auto column = std::make_shared<Column>(cells.field.type, cells.field.item);
    bool any_null = false;
    for (size_t i = 0; i < count; ++i) any_null = any_null || cells.valid[rows[i]] == 0;
    if (!any_null && cells.is_fixed() && cells.field.type != Type::kBool) {
      Bytes& values = column->mutable_values();
      values.resize(count * sizeof(int64_t));
      for (size_t i = 0; i < count; ++i)
        std::memcpy(values.data() + i * sizeof(int64_t), &cells.words[rows[i]], sizeof(int64_t));
      column->set_length(batch->length, 0);
    } else {
      for (size_t i = 0; i < count; ++i) {
        const uint32_t row = rows[i];
        if (cells.valid[row] == 0)
          column->append_null();
        else if (cells.is_fixed())
          append_word(*column, cells.words[row]);
        else if (cells.field.type == Type::kList)
          append_list(*column, cells.texts[row]);
        else
          column->append_string(cells.texts[row]);
      }
    }
    batch->columns.push_back(std::move(column));
  }
  return batch;
}

void CellRows::clear() { keep({}); }

void CellRows::write(size_t row, ByteWriter& out) const {
  for (const Cells& cells : columns_) {
    out.put(cells.valid[row]);
    if (cells.is_fixed())
      out.put(cells.words[row]);
    else
      out.put_string(cells.texts[row]);
  }
}

bool CellRows::read(size_t row, ByteReader& in) {
  for (Cells& cells : columns_) {
    cells.valid[row] = in.get<uint8_t>();
    if (cells.is_fixed())
      cells.words[row] = in.get<int64_t>();
    else
      set_text(cells, row, in.get_string());
  }
  return !in.failed();
}

int64_t CellRows::allocated_bytes() const {
  int64_t bytes = text_bytes_;
  for (const Cells& cells : columns_) {
    bytes += static_cast<int64_t>(cells.valid.capacity() + cells.words.capacity() * sizeof(int64_t) +
                                  cells.texts.capacity() * sizeof(std::string));
  }
  return bytes;
}

}  // namespace wrackline
