#include "wrackline/source/rows.h"

#include <algorithm>

#include "wrackline/core/hash.h"

namespace wrackline {

Status RowsSource::append(Batch batch) {
  if (closed_) return Status::invalid("rows: the input has ended, nothing may be appended");
  if (!(*batch.schema == *schema_)) return Status::invalid("rows: columns are not those of the schema");
  if (batch.length == 0) return {};
  const int64_t length = batch.length;
  pieces_.push_back({size_, std::move(batch)});
  size_ += length;
  return {};
}

void RowsSource::append_tombstone() {
  WL_CHECK(!closed_);
  pieces_.push_back({size_, Batch{}});
  ++size_;
}

Batch RowsSource::read(int64_t offset, int64_t max_rows, bool& tombstone) const {
  tombstone = false;
  // The last piece that starts at or before `offset`.
  auto piece = std::upper_bound(pieces_.begin(), pieces_.end(), offset,
                                [](int64_t wanted, const Piece& p) { return wanted < p.first; });
  if (offset >= size_ || piece == pieces_.begin()) return {};
  --piece;
  if (piece->rows.schema == nullptr) {
    tombstone = true;
    return {};
  }
  const int64_t begin = offset - piece->first;
  const int64_t end = std::min(piece->rows.length, begin + max_rows);
  if (begin == 0 && end == piece->rows.length) return piece->rows;
  return slice_rows(piece->rows, begin, end);
}

uint64_t RowsSource::fingerprint(int64_t end) const {
  uint64_t hash = 0;
  for (const Field& field : schema_->fields()) hash = hash64(field.name, hash + static_cast<uint64_t>(field.type) + 1);
  for (const Piece& piece : pieces_) {
    if (piece.first >= end) break;
    if (piece.rows.schema == nullptr) {
      hash = mix64(hash + 1);
      continue;
    }
    // Whole pieces only when they lie before `end`: a piece's columns are hashed up to the row that counts.
    const int64_t rows = std::min(piece.rows.length, end - piece.first);
    for (const ColumnPtr& column : piece.rows.columns) {
      for (int64_t row = 0; row < rows; ++row) {
        uint64_t value = 0;
        if (!column->is_null(row)) {
          switch (column->type()) {
            case Type::kBool: value = column->bool_at(row) ? 2 : 1; break;
            case Type::kString:
            case Type::kBytes: value = hash64(column->string_at(row)); break;
            case Type::kFloat64:
            case Type::kInt64:
            case Type::kTimestamp: value = mix64(static_cast<uint64_t>(column->int64s()[row])); break;
            case Type::kDecimal:
            case Type::kList: break;
          }
        }
        // A sum over rows would not notice swapped ones.
        hash = mix64(hash * 31 + value + (column->is_null(row) ? 7 : 0) + static_cast<uint64_t>(piece.first + row));
      }
    }
  }
  return hash;
}

}  // namespace wrackline
