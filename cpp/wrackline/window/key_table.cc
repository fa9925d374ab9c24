#include "wrackline/window/key_table.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <new>

#include "wrackline/core/hash.h"

namespace wrackline {
namespace {

constexpr size_t kMinSlots = 64;
constexpr uint32_t kMinRows = 16;

uint64_t load64(const char* bytes) {
  uint64_t word;
  std::memcpy(&word, bytes, sizeof(word));
  return word;
}

// Up to 8 bytes, zeros above, never reading past the end.
uint64_t load_up_to_8(const char* bytes, size_t size) {
  if (size == 8) return load64(bytes);
  uint64_t word = 0;
  if (size >= 4) {
    uint32_t low;
    uint32_t high;
    std::memcpy(&low, bytes, 4);
    std::memcpy(&high, bytes + size - 4, 4);
    return low | uint64_t{high} << (8 * (size - 4));
  }
  if (size > 0) {
    word = static_cast<uint8_t>(bytes[0]);
    word |= uint64_t{static_cast<uint8_t>(bytes[size / 2])} << (8 * (size / 2));
    word |= uint64_t{static_cast<uint8_t>(bytes[size - 1])} << (8 * (size - 1));
  }
  return word;
}

TableKey with_hash(const char* bytes, size_t size, uint64_t hash) {
  TableKey key;
  key.length = static_cast<uint32_t>(size);
  key.tag = static_cast<uint32_t>(hash >> 32);
  key.bytes = bytes;
  if (size > KeyTable::kInlineBytes) {
    key.word0 = hash;
  } else if (size > 8) {
    key.word0 = load64(bytes);
    key.word1 = load64(bytes + size - 8) >> (8 * (16 - size));
  } else {
    key.word0 = load_up_to_8(bytes, size);
  }
  return key;
}

TableKey fixed_key(const int64_t* value) {
  const auto word = static_cast<uint64_t>(*value);
  return {word, 0, sizeof(word), static_cast<uint32_t>(mix64(word) >> 32), reinterpret_cast<const char*>(value)};
}

// Allocates 64-byte aligned, so that an entry of 64 bytes lies in one cache line.
uint8_t* allocate(size_t size) {
  void* memory = std::aligned_alloc(64, (size + 63) / 64 * 64);
  if (memory == nullptr) throw std::bad_alloc();
  return static_cast<uint8_t*>(memory);
}

}  // namespace

TableKey row_key(const KeyPacker& keys, int64_t row) {
  if (keys.is_fixed()) return fixed_key(keys.fixed() + row);
  const std::string_view key = keys.key(row);
  return with_hash(key.data(), key.size(), hash64(key));
}

KeyTable::KeyTable(Buffer<uint8_t> initial) : initial_(std::move(initial)), stride_(kKeyBytes + initial_.size()) {}

bool KeyTable::equals(const uint8_t* entry, const TableKey& key) const {
  uint64_t word0;
  uint64_t word1;
  std::memcpy(&word0, entry, 8);
  std::memcpy(&word1, entry + 8, 8);
  if (word0 != key.word0 || length_at(entry) != key.length) return false;
  if (key.length <= kInlineBytes) return word1 == key.word1;
  return std::memcmp(arena_.data() + word1, key.bytes, key.length) == 0;
}

uint32_t KeyTable::find(const TableKey& key) const {
  if (slots_.empty()) return kNone;
  for (size_t slot = key.tag & mask_;; slot = (slot + 1) & mask_) {
    const uint64_t value = slots_[slot];
    if (value == 0) return kNone;
    if (static_cast<uint32_t>(value) != key.tag) continue;
    const auto id = static_cast<uint32_t>(value >> 32) - 1;
    if (equals(entry(id), key)) return id;
  }
}

uint32_t KeyTable::find_or_insert(const TableKey& key) {
  if (slots_.empty()) grow_index();
  for (size_t slot = key.tag & mask_;; slot = (slot + 1) & mask_) {
    const uint64_t value = slots_[slot];
    if (value == 0) return insert(key, slot);
    if (static_cast<uint32_t>(value) != key.tag) continue;
    const auto id = static_cast<uint32_t>(value >> 32) - 1;
    if (equals(entry(id), key)) return id;
  }
}

void KeyTable::resolve(const KeyPacker& keys, const uint32_t* rows, size_t count, uint32_t* ids) {
  std::array<TableKey, kBlock> block;
  if (keys.is_fixed()) {
    for (size_t i = 0; i < count; ++i) block[i] = fixed_key(keys.fixed() + rows[i]);
  } else {
    std::array<uint64_t, kBlock> hashes;
    const char* bytes = keys.bytes();
    const int32_t* offsets = keys.offsets();
    hash64_each(bytes, offsets, rows, count, hashes.data());
    for (size_t i = 0; i < count; ++i) {
      const int32_t begin = offsets[rows[i]];
      block[i] = with_hash(bytes + begin, static_cast<size_t>(offsets[rows[i] + 1] - begin), hashes[i]);
    }
  }
  if (slots_.empty()) grow_index();
  for (size_t i = 0; i < count; ++i) __builtin_prefetch(&slots_[block[i].tag & mask_]);
  // The first slot is nearly always the right one: have its entry on the way.
  for (size_t i = 0; i < count; ++i) {
    const uint64_t value = slots_[block[i].tag & mask_];
    ids[i] = static_cast<uint32_t>(value >> 32) - 1;
    if (value != 0) __builtin_prefetch(entry(ids[i]), 1);
  }
  for (size_t i = 0; i < count; ++i) {
    if (ids[i] == kNone || !equals(entry(ids[i]), block[i])) ids[i] = find_or_insert(block[i]);
    dirty_[ids[i] / kChunkRows] = 1;
  }
}

uint32_t KeyTable::insert(const TableKey& key, size_t slot) {
  const uint32_t id = count_;
  append_entry();
  uint8_t* place = entry(id);
  std::memcpy(place, &key.word0, 8);
  uint64_t word1 = key.word1;
  if (key.length > kInlineBytes) {
    word1 = arena_.size();
    arena_.insert(arena_.end(), key.bytes, key.bytes + key.length);
  }
  std::memcpy(place + 8, &word1, 8);
  std::memcpy(place + 16, &key.length, 4);
  std::memcpy(place + 20, &key.tag, 4);
  std::memcpy(place + kKeyBytes, initial_.data(), initial_.size());
  slots_[slot] = uint64_t{id + 1} << 32 | key.tag;
  if (size_t{count_} * 4 > (mask_ + 1) * 3) grow_index();
  return id;
}

void KeyTable::append_entry() {
  const uint32_t id = count_;
  if (id < kChunkRows) {
    if (id == first_chunk_rows_) {
      const uint32_t rows = first_chunk_rows_ == 0 ? kMinRows : first_chunk_rows_ * 4;
      Chunk grown(allocate(rows * stride_));
      if (id > 0) std::memcpy(grown.get(), chunks_[0].get(), id * stride_);
      if (chunks_.empty()) {
        chunks_.push_back(std::move(grown));
        dirty_.push_back(1);
      } else {
        chunks_[0] = std::move(grown);
      }
      first_chunk_rows_ = rows;
    }
  } else if (id / kChunkRows == chunks_.size()) {
    chunks_.emplace_back(allocate(kChunkRows * stride_));
    dirty_.push_back(1);
  }
  ++count_;
  dirty_[id / kChunkRows] = 1;
}

void KeyTable::grow_index() {
  const size_t size = slots_.empty() ? kMinSlots : slots_.size() * 2;
  Buffer<uint64_t> old = std::move(slots_);
  slots_.assign(size, 0);
  mask_ = size - 1;
  for (const uint64_t value : old) {
    if (value == 0) continue;
    size_t slot = static_cast<uint32_t>(value) & mask_;
    while (slots_[slot] != 0) slot = (slot + 1) & mask_;
    slots_[slot] = value;
  }
}

void KeyTable::place(uint32_t tag, uint32_t id) {
  if (slots_.empty() || size_t{count_} * 4 > (mask_ + 1) * 3) grow_index();
  size_t slot = tag & mask_;
  while (slots_[slot] != 0) slot = (slot + 1) & mask_;
  slots_[slot] = uint64_t{id + 1} << 32 | tag;
}

TableKey KeyTable::table_key(uint32_t id) const {
  const uint8_t* from = entry(id);
  TableKey key;
  std::memcpy(&key.word0, from, 8);
  std::memcpy(&key.word1, from + 8, 8);
  key.length = length_at(from);
  std::memcpy(&key.tag, from + 20, 4);
  key.bytes = this->key(id).data();
  return key;
}

void KeyTable::mark_all_dirty() { std::fill(dirty_.begin(), dirty_.end(), uint8_t{1}); }

bool KeyTable::dirty() const {
  const size_t used = (count_ + kChunkRows - 1) / kChunkRows;
  return std::find(dirty_.begin(), dirty_.begin() + static_cast<ptrdiff_t>(used), 1) !=
         dirty_.begin() + static_cast<ptrdiff_t>(used);
}

bool KeyTable::mostly_dirty() const {
  const size_t used = (count_ + kChunkRows - 1) / kChunkRows;
  size_t dirty = 0;
  for (size_t chunk = 0; chunk < used; ++chunk) dirty += dirty_[chunk];
  return dirty * 4 > used * 3;
}

void KeyTable::clear() {
  count_ = 0;
  arena_.clear();
  arena_frozen_ = 0;
  std::fill(slots_.begin(), slots_.end(), uint64_t{0});
  mark_all_dirty();
}

int64_t KeyTable::allocated_bytes() const {
  size_t bytes = slots_.capacity() * sizeof(uint64_t) + arena_.capacity() + dirty_.capacity() +
                 chunks_.capacity() * sizeof(Chunk);
  if (!chunks_.empty()) bytes += (first_chunk_rows_ + (chunks_.size() - 1) * kChunkRows) * stride_;
  return static_cast<int64_t>(bytes);
}

}  // namespace wrackline
