// ColumnFiller: a column that a decoder writes row by row, at an index, into memory sized before. A
// row may be written again until the next one is begun (a record that turns out bad leaves nothing).
#pragma once

#include <cstdint>
#include <cstring>
#include <memory>
#include <string_view>
#include <utility>

#include "wrackline/codec/json_text.h"
#include "wrackline/core/batch.h"

namespace wrackline {

class ColumnFiller {
 public:
  ColumnFiller() : ColumnFiller(Type::kInt64, false) {}
  // Not stored: takes everything, keeps nothing.
  ColumnFiller(Type type, bool stored, Type item = Type::kInt64)
      : type_(type), item_(item), stored_(stored), row_mask_(stored ? ~int64_t{0} : 0) {}

  // A new column of at most `rows` rows.
  void start(int64_t rows) {
    column_ = std::make_shared<Column>(type_, item_);
    nulls_.clear();
    const auto n = static_cast<size_t>(stored_ ? rows : 1);
    if (has_text()) {
      Buffer<int32_t>& offsets = column_->mutable_offsets();
      offsets.resize(n + 1);
      offsets[0] = 0;
      offsets_ = offsets.data();
      grow_text(stored_ ? static_cast<int64_t>(text_per_row_ * static_cast<double>(rows) * 1.1) + 64 : 64);
    } else if (type_ == Type::kList) {
      column_->mutable_offsets().resize(n + 1);
      offsets_ = column_->mutable_offsets().data();
      offsets_[0] = 0;
    } else if (type_ == Type::kBool) {
      bools_.resize(n);
    } else {
      column_->mutable_values().resize(n * sizeof(int64_t));
      fixed_ = column_->mutable_values().data();
    }
  }

  void set_int64(int64_t row, int64_t value) { put(row, &value); }
  void set_float64(int64_t row, double value) { put(row, &value); }
  void set_bool(int64_t row, bool value) { bools_[static_cast<size_t>(row & row_mask_)] = value; }
  void set_text(int64_t row, std::string_view text) {
    row &= row_mask_;
    const int64_t begin = offsets_[row];
    const int64_t end = begin + static_cast<int64_t>(text.size());
    if (end > text_capacity_) grow_text(end);
    if (!text.empty()) std::memcpy(text_ + begin, text.data(), text.size());
    if (stored_) offsets_[row + 1] = static_cast<int32_t>(end);
  }
  // The string whose opening quote is at `open`, if it has no escapes; `bound` >= its length.
  bool set_plain_string(int64_t row, const uint8_t* open, uint32_t bound) {
    row &= row_mask_;
    const int64_t begin = offsets_[row];
    if (begin + bound + kSlack > text_capacity_) grow_text(begin + bound + kSlack);
    const int64_t size = json::copy_plain(open, text_ + begin);
    if (size < 0) return false;
    if (stored_) offsets_[row + 1] = static_cast<int32_t>(begin + size);
    return true;
  }
  // The items of the list of `row`, to be appended to until end_list.
  Column& begin_list(int64_t row) {
    const int32_t begin = offsets_[row & row_mask_];
    Column& items = column_->mutable_items();
    if (items.length() > begin) items = *slice(items, 0, begin);  // of a row that was dropped, or is not stored
    return items;
  }
  void end_list(int64_t row) {
    if (stored_) offsets_[row + 1] = static_cast<int32_t>(column_->items().length());
  }
  void set_null(int64_t row) {
    if (!stored_) return;
    nulls_.push_back(static_cast<uint32_t>(row));
    switch (type_) {
      case Type::kBool: set_bool(row, false); break;
      case Type::kString:
      case Type::kBytes: set_text(row, {}); break;
      case Type::kList:
        begin_list(row);
        end_list(row);
        break;
      default: set_int64(row, 0);
    }
  }
  // Row `row`, the newest, is not to be; it will be written again.
  void drop_row(int64_t row) {
    if (!nulls_.empty() && nulls_.back() == static_cast<uint32_t>(row)) nulls_.pop_back();
  }

  // The column, of the first `rows` rows. REQUIRES: stored.
  ColumnPtr finish(int64_t rows) {
    const auto n = static_cast<size_t>(rows);
    if (has_text()) {
      const auto size = static_cast<size_t>(offsets_[rows]);
      column_->mutable_offsets().resize(n + 1);
      column_->mutable_values().resize(size);
      if (rows > 0) text_per_row_ = static_cast<double>(size) / static_cast<double>(rows);
    } else if (type_ == Type::kList) {
      begin_list(rows);
      column_->mutable_offsets().resize(n + 1);
    } else if (type_ == Type::kBool) {
      Bytes& bits = column_->mutable_values();
      bits.resize((n + 7) / 8);
      for (size_t byte = 0; byte < bits.size(); ++byte) {
        unsigned packed = 0;
        for (size_t i = byte * 8; i < n && i < byte * 8 + 8; ++i) packed |= static_cast<unsigned>(bools_[i]) << (i & 7);
        bits[byte] = static_cast<uint8_t>(packed);
      }
    } else {
      column_->mutable_values().resize(n * sizeof(int64_t));
    }
    if (!nulls_.empty()) {
      Bytes& validity = column_->mutable_validity();
      validity.assign((n + 7) / 8, 0xff);
      if ((n & 7) != 0) validity.back() = static_cast<uint8_t>((1U << (n & 7)) - 1);
      for (const uint32_t row : nulls_)
        validity[row >> 3] = static_cast<uint8_t>(validity[row >> 3] & ~(1U << (row & 7)));
    }
    column_->set_length(rows, static_cast<int64_t>(nulls_.size()));
    return std::exchange(column_, nullptr);
  }

 private:
  static constexpr int64_t kSlack = 16;  // copy_plain writes so far behind a string

  bool has_text() const { return type_ == Type::kString || type_ == Type::kBytes; }
  void put(int64_t row, const void* eight_bytes) { std::memcpy(fixed_ + (row & row_mask_) * 8, eight_bytes, 8); }
  void grow_text(int64_t needed) {
    Bytes& values = column_->mutable_values();
    values.resize(static_cast<size_t>(needed + needed / 2));
    text_ = values.data();
    text_capacity_ = static_cast<int64_t>(values.size());
  }

  Type type_;
  Type item_;
  bool stored_;
  int64_t row_mask_;  // 0: every row is the first one
  std::shared_ptr<Column> column_;
  uint8_t* fixed_ = nullptr;
  int32_t* offsets_ = nullptr;
  uint8_t* text_ = nullptr;
  int64_t text_capacity_ = 0;
  Buffer<uint8_t> bools_;
  Buffer<uint32_t> nulls_;   // ascending
  double text_per_row_ = 8;  // of the column before
};

}  // namespace wrackline
