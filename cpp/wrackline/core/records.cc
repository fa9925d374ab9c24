#include "wrackline/core/records.h"

#include <cstring>

namespace wrackline {
namespace {

uint32_t load_end(const uint8_t* ends, int64_t i) {
  uint32_t end;
  std::memcpy(&end, ends + 4 * i, sizeof end);
  return end;
}

void append_bytes(Bytes& bytes, std::string_view text) {
  const size_t at = bytes.size();
  bytes.resize(at + text.size());
  if (!text.empty()) std::memcpy(bytes.data() + at, text.data(), text.size());
}

// Ends that counted from `from` count from `to` in `out`.
void append_ends(Buffer<uint32_t>& out, const uint8_t* ends, int64_t begin, int64_t end, uint32_t from, uint32_t to) {
  const size_t at = out.size();
  const auto count = static_cast<size_t>(end - begin);
  out.resize(at + count);
  std::memcpy(out.data() + at, ends + 4 * begin, 4 * count);
  const uint32_t shift = to - from;
  for (size_t i = at; i < at + count; ++i) out[i] += shift;
}

void append_flags(Buffer<uint8_t>& out, const uint8_t* flags, int64_t begin, int64_t end, uint8_t otherwise) {
  const size_t at = out.size();
  const auto count = static_cast<size_t>(end - begin);
  out.resize(at + count);
  if (flags != nullptr) {
    std::memcpy(out.data() + at, flags + begin, count);
  } else {
    std::memset(out.data() + at, otherwise, count);
  }
}

}  // namespace

void Records::add(std::optional<std::string_view> key, std::optional<std::string_view> value, Millis timestamp,
                  int64_t offset, Headers headers) {
  if (!headers.empty() || !headers_.empty()) {
    headers_.resize(value_ends_.size());
    headers_.push_back(std::move(headers));
  }
  append_bytes(values_, value.value_or(std::string_view()));
  value_ends_.push_back(static_cast<uint32_t>(values_.size()));
  values_.push_back('\n');
  append_bytes(keys_, key.value_or(std::string_view()));
  key_ends_.push_back(static_cast<uint32_t>(keys_.size()));
  value_null_.push_back(!value.has_value());
  key_null_.push_back(!key.has_value());
  timestamps_.push_back(timestamp);
  offsets_.push_back(offset);
}

const Headers& Records::headers(int64_t i) const {
  static const Headers none;
  return headers_.empty() ? none : headers_[static_cast<size_t>(i)];
}

int64_t Records::value_begin(int64_t i) const {
  return i == 0 ? 0 : static_cast<int64_t>(value_ends_[static_cast<size_t>(i - 1)]) + 1;
}

int64_t Records::value_end(int64_t i) const { return value_ends_[static_cast<size_t>(i)]; }

Records::Layout Records::layout() const {
  const auto raw = [](const auto& column) { return reinterpret_cast<const uint8_t*>(column.data()); };
  const auto text = [](const Bytes& bytes) {
    return std::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  };
  return {.size = size(),
          .values = text(values_),
          .keys = text(keys_),
          .timestamps = raw(timestamps_),
          .value_ends = raw(value_ends_),
          .key_ends = raw(key_ends_),
          .value_null = raw(value_null_),
          .key_null = raw(key_null_)};
}

void Records::append(const Layout& from, int64_t begin, int64_t end, int64_t first_offset) {
  if (begin >= end) return;
  const auto count = static_cast<size_t>(end - begin);
  const size_t at = offsets_.size();

  const uint32_t value_from = begin == 0 ? 0 : load_end(from.value_ends, begin - 1) + 1;
  const uint32_t value_to = load_end(from.value_ends, end - 1) + 1;
  append_ends(value_ends_, from.value_ends, begin, end, value_from, static_cast<uint32_t>(values_.size()));
  append_bytes(values_, from.values.substr(value_from, value_to - value_from));
  append_flags(value_null_, from.value_null, begin, end, 0);

  if (from.key_ends != nullptr) {
    const uint32_t key_from = begin == 0 ? 0 : load_end(from.key_ends, begin - 1);
    const uint32_t key_to = load_end(from.key_ends, end - 1);
    append_ends(key_ends_, from.key_ends, begin, end, key_from, static_cast<uint32_t>(keys_.size()));
    append_bytes(keys_, from.keys.substr(key_from, key_to - key_from));
  } else {
    key_ends_.resize(at + count, static_cast<uint32_t>(keys_.size()));
  }
  append_flags(key_null_, from.key_null, begin, end, 1);

  timestamps_.resize(at + count);
  std::memcpy(timestamps_.data() + at, from.timestamps + 8 * begin, 8 * count);
  offsets_.resize(at + count);
  for (size_t i = 0; i < count; ++i) offsets_[at + i] = first_offset + static_cast<int64_t>(i);
  if (!headers_.empty()) headers_.resize(at + count);
}

void Records::set_headers(int64_t i, Headers headers) {
  if (headers_.empty()) {
    if (headers.empty()) return;
    headers_.resize(static_cast<size_t>(size()));
  }
  headers_[static_cast<size_t>(i)] = std::move(headers);
}

void Records::truncate(int64_t count) {
  if (count >= size()) return;
  const auto n = static_cast<size_t>(count);
  values_.resize(n == 0 ? 0 : value_ends_[n - 1] + 1);
  keys_.resize(n == 0 ? 0 : key_ends_[n - 1]);
  value_ends_.resize(n);
  key_ends_.resize(n);
  value_null_.resize(n);
  key_null_.resize(n);
  timestamps_.resize(n);
  offsets_.resize(n);
  if (!headers_.empty()) headers_.resize(n);
}

std::string_view Records::piece(const Bytes& bytes, const Buffer<uint32_t>& ends, int64_t i) const {
  const auto index = static_cast<size_t>(i);
  const bool values = &bytes == &values_;
  const size_t begin = index == 0 ? 0 : ends[index - 1] + (values ? 1 : 0);
  return {reinterpret_cast<const char*>(bytes.data()) + begin, ends[index] - begin};
}

}  // namespace wrackline
