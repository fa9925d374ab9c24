#include "wrackline/window/aggregate/sets.h"

namespace wrackline {

void DistinctSet::index_item(uint32_t item) {
  const size_t mask = slots_.size() - 1;
  size_t slot = mix64(items_[item].low ^ items_[item].high) & mask;
  while (slots_[slot] != 0) slot = (slot + 1) & mask;
  slots_[slot] = item + 1;
}

uint32_t DistinctSet::insert(Hash128 value) {
  if (slots_.empty()) {
    const auto found = std::find(items_.begin(), items_.end(), value);
    if (found != items_.end()) return static_cast<uint32_t>(found - items_.begin());
  } else {
    const size_t mask = slots_.size() - 1;
    for (size_t slot = mix64(value.low ^ value.high) & mask; slots_[slot] != 0; slot = (slot + 1) & mask) {
      if (items_[slots_[slot] - 1] == value) return slots_[slot] - 1;
    }
  }
  const auto added = static_cast<uint32_t>(items_.size());
  items_.push_back(value);
  if (items_.size() <= kScanned) return added;
  if (items_.size() * 4 > slots_.size() * 3) {
    slots_.assign(std::max<size_t>(4 * kScanned, slots_.size() * 2), 0);
    for (uint32_t item = 0; item < items_.size(); ++item) index_item(item);
  } else {
    index_item(added);
  }
  return added;
}

void DistinctSet::merge(const DistinctSet& later) {
  for (const Hash128 value : later.items_) insert(value);
}

void DistinctSet::clear() {
  items_.clear();
  slots_.clear();
}

int64_t DistinctSet::allocated_bytes() const {
  return static_cast<int64_t>(items_.capacity() * sizeof(Hash128) + slots_.capacity() * sizeof(uint32_t));
}

void DistinctSet::write(ByteWriter& out) const {
  out.put(static_cast<uint32_t>(items_.size()));
  out.put_bytes(items_.data(), items_.size() * sizeof(Hash128));
}

bool DistinctSet::read(ByteReader& in) {
  clear();
  const size_t count = in.get<uint32_t>();
  if (count > in.left() / sizeof(Hash128)) return false;
  for (size_t i = 0; i < count; ++i) {
    Hash128 item;
    item.low = in.get<uint64_t>();
    item.high = in.get<uint64_t>();
    if (insert(item) != i) return false;
  }
  return true;
}

void TextSet::insert(std::string_view text) {
  if (hashes_.insert(hash128(text)) < ends_.size()) return;
  text_.insert(text_.end(), text.begin(), text.end());
  ends_.push_back(static_cast<int64_t>(text_.size()));
}

std::vector<std::string_view> TextSet::sorted() const {
  std::vector<std::string_view> texts;
  for (size_t i = 0; i < ends_.size(); ++i) texts.push_back(text_at(i));
  std::sort(texts.begin(), texts.end());
  return texts;
}

void TextSet::clear() {
  hashes_.clear();
  ends_.clear();
  text_.clear();
}

void TextSet::merge(const TextSet& later) {
  for (size_t i = 0; i < later.ends_.size(); ++i) insert(later.text_at(i));
}

int64_t TextSet::allocated_bytes() const {
  return hashes_.allocated_bytes() + static_cast<int64_t>(ends_.capacity() * sizeof(int64_t) + text_.capacity());
}

void TextSet::write(ByteWriter& out) const {
  out.put(static_cast<uint32_t>(ends_.size()));
  for (size_t i = 0; i < ends_.size(); ++i) out.put_string(text_at(i));
}

bool TextSet::read(ByteReader& in) {
  clear();
  const size_t count = in.get<uint32_t>();
  for (size_t i = 0; i < count && !in.failed(); ++i) insert(in.get_string());
  return !in.failed();
}

}  // namespace wrackline
