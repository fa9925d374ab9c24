// KeyPacker: the key columns of a batch as bytes, one key a row, and back.
//
// Equal keys have equal bytes and different keys different ones: every NaN is one key, -0.0 is 0.0.
// One string or bytes column packs to its own bytes, one int64, timestamp or float64 column to 8
// bytes; neither is copied (but for float64). Several columns: fixed ones in 8 bytes (bool in 1),
// strings after a uint32 length, the last one without it. With `null_group` a nullable part has a
// byte before it, 0 for null and 1 for a value. These bytes are what state on disk holds.
//
// Used by one thread; the views are valid until the next pack() and while the batch lives.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "wrackline/core/batch.h"
#include "wrackline/core/status.h"

namespace wrackline {

class KeyPacker {
 public:
  // Fails when a column does not exist (naming the nearest), is given twice or is a list.
  static Result<KeyPacker> make(const Schema& schema, const std::vector<std::string>& columns, bool null_group);

  // Packs all rows. Without `null_group` a row with a null part has a null key.
  void pack(const Batch& batch);

  // True when keys are exactly 8 bytes wide: then fixed() has them as integers.
  bool is_fixed() const { return fixed_form_; }
  const int64_t* fixed() const { return fixed_; }
  // Otherwise row i is bytes()[offsets()[i] .. offsets()[i + 1]).
  const char* bytes() const { return bytes_; }
  const int32_t* offsets() const { return offsets_; }

  bool any_null() const { return null_rows_ > 0; }
  bool is_null(int64_t row) const { return null_rows_ > 0 && nulls_[static_cast<size_t>(row)] != 0; }
  std::string_view key(int64_t row) const {
    if (fixed_form_) return {reinterpret_cast<const char*>(fixed_ + row), sizeof(int64_t)};
    return {bytes_ + offsets_[row], static_cast<size_t>(offsets_[row + 1] - offsets_[row])};
  }

  // The key columns as a result has them: nullable only with `null_group`.
  const std::vector<Field>& fields() const { return fields_; }
  const std::vector<int>& columns() const { return columns_; }
  // Appends the parts of a packed key to one column each. REQUIRES: `key` was made by a packer of the
  // same columns.
  void unpack(std::string_view key, std::vector<Column>& columns) const;
  // For messages: "truck='t1', lane=3".
  std::string describe(std::string_view key) const;
  // Names, types and null rule, for a step's fingerprint.
  std::string fingerprint() const;

 private:
  KeyPacker() = default;
  void pack_parts(const Batch& batch);

  std::vector<int> columns_;
  std::vector<Field> fields_;
  bool null_group_ = false;
  bool single_ = false;      // one part without a null byte
  bool fixed_form_ = false;  // single and 8 bytes wide

  const int64_t* fixed_ = nullptr;
  const char* bytes_ = nullptr;
  const int32_t* offsets_ = nullptr;
  int64_t null_rows_ = 0;
  Buffer<int64_t> own_fixed_;
  Bytes own_bytes_;
  Buffer<int32_t> own_offsets_;
  Buffer<uint8_t> nulls_;
};

}  // namespace wrackline
