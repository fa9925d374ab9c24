// Records: raw bytes of records of one partition, as a poll returns them and as an append takes
// them. Columns of bytes, no object per record.
#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "wrackline/core/buffer.h"
#include "wrackline/core/types.h"

namespace wrackline {

using Header = std::pair<std::string, std::string>;
using Headers = std::vector<Header>;

struct TopicPartition {
  std::string topic;
  int32_t partition = 0;
  friend auto operator<=>(const TopicPartition&, const TopicPartition&) = default;
};

class Records {
 public:
  // Readable bytes behind the last value, so that a SIMD parser may read past it.
  static constexpr size_t kPadding = 64;

  int64_t size() const { return static_cast<int64_t>(value_ends_.size()); }
  bool empty() const { return value_ends_.empty(); }
  size_t byte_size() const { return values_.size() + keys_.size(); }

  // A null key or value is std::nullopt: a record without value is a tombstone.
  void add(std::optional<std::string_view> key, std::optional<std::string_view> value, Millis timestamp,
           int64_t offset = 0, Headers headers = {});

  bool has_value(int64_t i) const { return !value_null_[static_cast<size_t>(i)]; }
  bool has_key(int64_t i) const { return !key_null_[static_cast<size_t>(i)]; }
  // REQUIRES: has_value(i) / has_key(i), else empty. Valid while this object is unchanged.
  std::string_view value(int64_t i) const { return piece(values_, value_ends_, i); }
  std::string_view key(int64_t i) const { return piece(keys_, key_ends_, i); }
  Millis timestamp(int64_t i) const { return timestamps_[static_cast<size_t>(i)]; }
  int64_t offset(int64_t i) const { return offsets_[static_cast<size_t>(i)]; }  // gaps are normal
  const Headers& headers(int64_t i) const;
  bool any_headers() const { return !headers_.empty(); }

  // All values one after the other, each followed by one '\n' that belongs to none of them.
  const Bytes& value_bytes() const { return values_; }
  int64_t value_begin(int64_t i) const;
  int64_t value_end(int64_t i) const;
  // Makes kPadding bytes behind the last value readable (they are not part of value_bytes()).
  void pad() { values_.reserve(values_.size() + kPadding); }

  // Keeps the first `count` records.
  void truncate(int64_t count);
  void set_offset(int64_t i, int64_t offset) { offsets_[static_cast<size_t>(i)] = offset; }
  void set_timestamp(int64_t i, Millis t) { timestamps_[static_cast<size_t>(i)] = t; }

 private:
  std::string_view piece(const Bytes& bytes, const Buffer<uint32_t>& ends, int64_t i) const;

  Bytes values_;
  Bytes keys_;
  Buffer<uint32_t> value_ends_;  // in values_, before the '\n'
  Buffer<uint32_t> key_ends_;
  Buffer<uint8_t> value_null_;
  Buffer<uint8_t> key_null_;
  Buffer<Millis> timestamps_;
  Buffer<int64_t> offsets_;
  std::vector<Headers> headers_;  // empty, or one per record
};

}  // namespace wrackline
