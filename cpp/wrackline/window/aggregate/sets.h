// Different values and largest values of one entry.
#pragma once

#include <algorithm>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

#include "wrackline/core/buffer.h"
#include "wrackline/core/bytes.h"
#include "wrackline/core/hash.h"

namespace wrackline {

// Distinct values: 8-byte values as they are, strings by a 128-bit hash. Numbered in order of insertion.
class DistinctSet {
 public:
  // The number of the value; it is new iff that was size().
  uint32_t insert(Hash128 value);
  int64_t size() const { return static_cast<int64_t>(items_.size()); }
  const Buffer<Hash128>& items() const { return items_; }

  void clear();
  void merge(const DistinctSet& later);
  int64_t allocated_bytes() const;
  void write(ByteWriter& out) const;
  bool read(ByteReader& in);

 private:
  static constexpr size_t kScanned = 8;  // so few are searched one by one
  void index_item(uint32_t item);
  Buffer<Hash128> items_;
  Buffer<uint32_t> slots_;  // item + 1; 0: free
};

// Distinct strings.
class TextSet {
 public:
  void insert(std::string_view text);
  std::vector<std::string_view> sorted() const;

  void clear();
  void merge(const TextSet& later);
  int64_t allocated_bytes() const;
  void write(ByteWriter& out) const;
  bool read(ByteReader& in);

 private:
  std::string_view text_at(size_t i) const {
    const int64_t begin = i == 0 ? 0 : ends_[i - 1];
    return {reinterpret_cast<const char*>(text_.data()) + begin, static_cast<size_t>(ends_[i] - begin)};
  }
  DistinctSet hashes_;
  Buffer<int64_t> ends_;  // in text_
  Bytes text_;
};

// The k largest of all values, equal ones each for itself. T: int64_t (ordered words) or std::string.
template <typename T>
class Top {
 public:
  template <typename Value>
  void insert(const Value& value, size_t k) {
    if (has_floor_ && value <= floor_) return;
    text_bytes_ += bytes_of(values_.emplace_back(value));
    if (values_.size() >= 2 * k) cut(k);
  }
  // The largest first.
  std::vector<T> sorted(size_t k) const {
    std::vector<T> values(values_.begin(), values_.end());
    std::sort(values.begin(), values.end(), std::greater<>());
    values.resize(std::min(values.size(), k));
    return values;
  }

  void clear() {
    values_.clear();
    has_floor_ = false;
    floor_ = T();
    text_bytes_ = 0;
  }
  void merge(const Top& later, size_t k) {
    for (const T& value : later.values_) insert(value, k);
  }
  int64_t allocated_bytes() const {
    return static_cast<int64_t>(values_.capacity() * sizeof(T)) + text_bytes_ + bytes_of(floor_);
  }
  void write(ByteWriter& out) const {
    out.put(static_cast<uint32_t>(values_.size()));
    for (const T& value : values_) put(out, value);
  }
  // What was cut off is not looked for again: the values that are left decide the same.
  bool read(ByteReader& in) {
    clear();
    const size_t count = in.get<uint32_t>();
    for (size_t i = 0; i < count && !in.failed(); ++i) text_bytes_ += bytes_of(values_.emplace_back(get(in)));
    return !in.failed();
  }

 private:
  static int64_t bytes_of(const int64_t&) { return 0; }
  static int64_t bytes_of(const std::string& text) { return static_cast<int64_t>(text.capacity()); }
  static void put(ByteWriter& out, int64_t value) { out.put(value); }
  static void put(ByteWriter& out, const std::string& text) { out.put_string(text); }
  static T get(ByteReader& in) {
    if constexpr (std::is_same_v<T, std::string>)
      return std::string(in.get_string());
    else
      return in.get<int64_t>();
  }
  void cut(size_t k) {
    std::nth_element(values_.begin(), values_.begin() + static_cast<std::ptrdiff_t>(k) - 1, values_.end(),
                     std::greater<>());
    values_.resize(k);
    floor_ = values_[k - 1];
    has_floor_ = true;
    text_bytes_ = 0;
    for (const T& value : values_) text_bytes_ += bytes_of(value);
  }

  std::vector<T> values_;  // fewer than 2 k
  bool has_floor_ = false;
  T floor_{};  // k values are at least this
  int64_t text_bytes_ = 0;
};

}  // namespace wrackline
