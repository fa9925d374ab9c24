// ByteWriter and ByteReader: the one way in which we write bytes that outlive the process
// (docs/formats.md). Integers are little-endian; strings have a uint32 length before them.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>
#include <span>
#include <string>
#include <string_view>

#include "wrackline/core/buffer.h"
#include "wrackline/core/status.h"

namespace wrackline {

static_assert(std::endian::native == std::endian::little, "formats are written as they lie in memory");

class ByteWriter {
 public:
  template <typename T>
    requires std::is_arithmetic_v<T> || std::is_enum_v<T>
  void put(T value) {
    put_bytes(&value, sizeof(T));
  }
  void put_bytes(const void* data, size_t size);
  void put_string(std::string_view text) {
    put(static_cast<uint32_t>(text.size()));
    put_bytes(text.data(), text.size());
  }
  void reserve(size_t size) { bytes_.reserve(size); }
  size_t size() const { return bytes_.size(); }
  Bytes take() { return std::move(bytes_); }
  std::string_view view() const { return {reinterpret_cast<const char*>(bytes_.data()), bytes_.size()}; }

 private:
  Bytes bytes_;
};

// Reads what ByteWriter wrote. Reading past the end sets failed() and yields zeros and empty
// strings from then on, so that a decoder checks once, at its end. Views point into the input.
class ByteReader {
 public:
  explicit ByteReader(std::string_view bytes) : bytes_(bytes) {}
  explicit ByteReader(std::span<const uint8_t> bytes)
      : bytes_(reinterpret_cast<const char*>(bytes.data()), bytes.size()) {}

  template <typename T>
    requires std::is_arithmetic_v<T> || std::is_enum_v<T>
  T get() {
    T value{};
    if (const char* at = take(sizeof(T))) std::memcpy(&value, at, sizeof(T));
    return value;
  }
  std::string_view get_bytes(size_t size) {
    const char* at = take(size);
    return at ? std::string_view(at, size) : std::string_view();
  }
  std::string_view get_string() { return get_bytes(get<uint32_t>()); }
  size_t left() const { return failed_ ? 0 : bytes_.size() - position_; }
  bool failed() const { return failed_; }
  // Ok iff nothing was read past the end and nothing is left.
  Status finish(std::string_view what) const {
    if (failed_) return Status::corruption(std::string(what) + ": truncated");
    if (position_ != bytes_.size()) return Status::corruption(std::string(what) + ": bytes left over");
    return {};
  }

 private:
  const char* take(size_t size) {
    if (failed_ || size > bytes_.size() - position_) {
      failed_ = true;
      return nullptr;
    }
    const char* at = bytes_.data() + position_;
    position_ += size;
    return at;
  }
  std::string_view bytes_;
  size_t position_ = 0;
  bool failed_ = false;
};

}  // namespace wrackline
