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

  // The columns as they lie in memory, or in bytes that were written from there (little-endian, unaligned):
  // for a log that stores whole batches. Null pointers: every value is there (value_null), no record has a
  // key (key_ends, key_null).
  struct Layout {
    int64_t size = 0;
    std::string_view values;  // each with its '\n'
    std::string_view keys;
    const uint8_t* timestamps = nullptr;  // int64 each
    const uint8_t* value_ends = nullptr;  // uint32 each
    const uint8_t* key_ends = nullptr;    // uint32 each
    const uint8_t* value_null = nullptr;
    const uint8_t* key_null = nullptr;
  };
  Layout layout() const;
  // Appends records [begin, end) of `from`, without headers, at offsets first_offset, first_offset + 1, ...
  // REQUIRES: what `from` views is not of this object.
  void append(const Layout& from, int64_t begin, int64_t end, int64_t first_offset);
  void set_headers(int64_t i, Headers headers);

  // Keeps the first `count` records.
  void truncate(int64_t count);
  void set_offset(int64_t i, int64_t offset) { offsets_[static_cast<size_t>(i)] = offset; }
  void set_timestamp(int64_t i, Millis t) { timestamps_[static_cast<size_t>(i)] = t; }

  class Writer;

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

// Appends records whose bytes are written in place (encoders). While one lives, nothing else may use its
// Records; they are whole again when it is gone. A record: key_room and set_key, unless its key is null;
// then value_room and end_record.
class Records::Writer {
 public:
  explicit Writer(Records& records) : records_(records), values_(records.values_.size()), keys_(records.keys_.size()) {}
  ~Writer() {
    records_.values_.resize(values_);
    records_.keys_.resize(keys_);
  }
  Writer(const Writer&) = delete;
  Writer& operator=(const Writer&) = delete;

  // So many records and bytes are about to come: room is made once. A guess is enough.
  void expect(size_t records, size_t key_bytes, size_t value_bytes) {
    grow(records_.keys_, keys_ + key_bytes);
    grow(records_.values_, values_ + value_bytes);
    const size_t total = records_.offsets_.size() + records;
    grow(records_.value_ends_, total);
    grow(records_.key_ends_, total);
    grow(records_.value_null_, total);
    grow(records_.key_null_, total);
    grow(records_.timestamps_, total);
    grow(records_.offsets_, total);
  }
  // Where up to `size` bytes may be written. Valid until the next call.
  char* key_room(size_t size) { return room(records_.keys_, keys_, size); }
  char* value_room(size_t size) { return room(records_.values_, values_, size + 1); }
  void set_key(size_t size) {
    keys_ += size;
    has_key_ = true;
  }
  // The record has the value whose `size` bytes are in the value room.
  void end_record(size_t size, Millis timestamp, int64_t offset = 0) {
    values_ += size;
    records_.value_ends_.push_back(static_cast<uint32_t>(values_));
    records_.values_[values_++] = '\n';
    records_.key_ends_.push_back(static_cast<uint32_t>(keys_));
    records_.value_null_.push_back(0);
    records_.key_null_.push_back(!has_key_);
    records_.timestamps_.push_back(timestamp);
    records_.offsets_.push_back(offset);
    if (!records_.headers_.empty()) records_.headers_.emplace_back();
    has_key_ = false;
  }
  // The record has no value.
  void end_tombstone(Millis timestamp, int64_t offset = 0) {
    value_room(0);
    end_record(0, timestamp, offset);
    records_.value_null_.back() = 1;
  }

 private:
  template <typename T>
  static void grow(Buffer<T>& buffer, size_t needed) {
    if (buffer.capacity() < needed) buffer.reserve(needed + buffer.capacity() / 2);
  }
  static char* room(Bytes& bytes, size_t used, size_t size) {
    if (bytes.size() < used + size) {
      grow(bytes, used + size);
      bytes.resize(bytes.capacity());
    }
    return reinterpret_cast<char*>(bytes.data()) + used;
  }

  Records& records_;
  size_t values_;  // bytes in use; the buffers are longer
  size_t keys_;
  bool has_key_ = false;
};

}  // namespace wrackline
