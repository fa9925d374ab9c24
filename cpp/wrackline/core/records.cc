#include "wrackline/core/records.h"

namespace wrackline {
namespace {

void append(Bytes& bytes, std::string_view text) {
  bytes.insert(bytes.end(), text.begin(), text.end());
}

}  // namespace

void Records::add(std::optional<std::string_view> key, std::optional<std::string_view> value,
                  Millis timestamp, int64_t offset, Headers headers) {
  if (!headers.empty() || !headers_.empty()) {
    headers_.resize(value_ends_.size());
    headers_.push_back(std::move(headers));
  }
  append(values_, value.value_or(std::string_view()));
  value_ends_.push_back(static_cast<uint32_t>(values_.size()));
  values_.push_back('\n');
  append(keys_, key.value_or(std::string_view()));
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
