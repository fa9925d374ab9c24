#include "wrackline/window/key_table.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <new>

#include "wrackline/core/hash.h"

namespace wrackline {
namespace {

constexpr size_t kMinSlots = 64;
constexpr uint32_t kMinRows = 16;

// Allocates 64-byte aligned, so that an entry of 64 bytes lies in one cache line.
uint8_t* allocate(size_t size) {
  void* memory = std::aligned_alloc(64, (size + 63) / 64 * 64);
  if (memory == nullptr) throw std::bad_alloc();
  return static_cast<uint8_t*>(memory);
}

}  // namespace

TableKey row_key(const KeyPacker& keys, int64_t row) {
  if (keys.is_fixed()) return table_key::fixed_key(keys.fixed() + row);
  const std::string_view key = keys.key(row);
  return table_key::with_hash(key.data(), key.size(), hash64(key));
}

TableKey bytes_key(const KeyPacker& keys, std::string_view key) {
  if (!keys.is_fixed()) return table_key::with_hash(key.data(), key.size(), hash64(key));
  int64_t value;
  WL_CHECK(key.size() == sizeof(value));
  std::memcpy(&value, key.data(), sizeof(value));
  TableKey result = table_key::fixed_key(&value);
  result.bytes = key.data();
  return result;
}

KeyTable::KeyTable(Buffer<uint8_t> initial, Keys keys)
    : initial_(std::move(initial)), stride_(kKeyBytes + initial_.size()), erases_(keys == Keys::kGo) {
  if (erases_) free_places_.resize(33);
}

uint32_t KeyTable::find(const TableKey& key) const {
  if (slots_.empty()) return kNone;
  for (uint32_t slot = key.tag & mask_;; slot = (slot + 1) & mask_) {
    const uint32_t value = slots_[slot];
    if (value == 0) return kNone;
    if (((value ^ key.tag) & ~mask_) != 0) continue;
    const uint32_t id = (value & mask_) - 1;
    if (equals(entry(id), key)) return id;
  }
}

uint32_t KeyTable::find_or_insert(const TableKey& key) {
  if (slots_.empty()) grow_index();
  for (uint32_t slot = key.tag & mask_;; slot = (slot + 1) & mask_) {
    const uint32_t value = slots_[slot];
    if (value == 0) return insert(key, slot);
    if (((value ^ key.tag) & ~mask_) != 0) continue;
    const uint32_t id = (value & mask_) - 1;
    if (equals(entry(id), key)) return id;
  }
}

void KeyTable::resolve(const KeyPacker& keys, const uint32_t* rows, size_t count, uint32_t* ids) {
  each_in_blocks(keys, rows, count, [&](size_t i, uint32_t id) { ids[i] = id; });
}

void KeyTable::resolve(const KeyTable& from, uint32_t first, size_t count, uint32_t* ids) {
  each_of_block(
      count, [&](size_t i) { return from.table_key(first + static_cast<uint32_t>(i)); },
      [&](size_t i, uint32_t id) { ids[i] = id; });
}

uint32_t KeyTable::insert(const TableKey& key, uint32_t slot) {
  const uint32_t id = new_entry(Use::kKey);
  uint8_t* place = entry(id);
  std::memcpy(place, &key.word0, 8);
  uint64_t word1 = key.word1;
  if (key.length > kInlineBytes) {
    word1 = new_arena_place(key);
    std::memcpy(arena_.data() + word1, key.bytes, key.length);
  }
  std::memcpy(place + 8, &word1, 8);
  std::memcpy(place + 16, &key.length, 4);
  std::memcpy(place + 20, &key.tag, 4);
  if (erases_) tags_[id] = key.tag;
  if (!initial_.empty()) std::memcpy(place + kKeyBytes, initial_.data(), initial_.size());
  slots_[slot] = slot_value(key.tag, id);
  if (size_t{count_} * 2 > size_t{mask_} + 1) grow_index();
  return id;
}

uint64_t KeyTable::new_arena_place(const TableKey& key) {
  const uint64_t end = arena_.size();
  if (!erases_) {
    arena_.resize(end + key.length);
    return end;
  }
  std::vector<uint64_t>& free = free_places_[static_cast<size_t>(std::bit_width(key.length - 1))];
  if (free.empty()) {
    arena_.resize(end + std::bit_ceil(uint64_t{key.length}));
    return end;
  }
  const uint64_t place = free.back();
  free.pop_back();
  return place;
}

uint32_t KeyTable::new_entry(Use use) {
  uint32_t id = count_;
  if (!free_.empty()) {
    id = free_.back();
    free_.pop_back();
  } else {
    append_entry();
    if (erases_) {
      uses_.push_back(0);
      tags_.push_back(0);
    }
  }
  if (erases_) uses_[id] = static_cast<uint8_t>(use);
  return id;
}

uint32_t KeyTable::insert_hidden(uint32_t id) {
  const uint32_t hidden = new_entry(Use::kHidden);
  std::memcpy(entry(hidden), entry(id), kKeyBytes);
  if (!initial_.empty()) std::memcpy(cells(hidden), initial_.data(), initial_.size());
  // Slots have room for the largest id, whether it is that of a key or not.
  if (size_t{count_} * 2 > size_t{mask_} + 1) grow_index();
  return hidden;
}

void KeyTable::free_entry(uint32_t id) {
  uses_[id] = static_cast<uint8_t>(Use::kFree);
  free_.push_back(id);
}

void KeyTable::release_hidden(uint32_t id) {
  WL_CHECK(use(id) == Use::kHidden);
  free_entry(id);
}

void KeyTable::erase(uint32_t id) {
  WL_CHECK(use(id) == Use::kKey);
  uint32_t hole = tag_at(entry(id)) & mask_;
  while ((slots_[hole] & mask_) != id + 1) hole = (hole + 1) & mask_;
  // What probed past the hole moves into it.
  for (uint32_t slot = (hole + 1) & mask_; slots_[slot] != 0; slot = (slot + 1) & mask_) {
    const uint32_t home = tags_[(slots_[slot] & mask_) - 1] & mask_;
    if (((slot - home) & mask_) < ((slot - hole) & mask_)) continue;
    slots_[hole] = slots_[slot];
    hole = slot;
  }
  slots_[hole] = 0;
  if (const uint32_t length = length_at(entry(id)); length > kInlineBytes)
    free_places_[static_cast<size_t>(std::bit_width(length - 1))].push_back(arena_offset_at(entry(id)));
  free_entry(id);
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
  WL_CHECK(size <= size_t{1} << 31);
  slots_ = Buffer<uint32_t>();
  slots_.assign(size, 0);
  mask_ = static_cast<uint32_t>(size - 1);
  for (uint32_t id = 0; id < count_; ++id) {
    if (!erases_ || use(id) == Use::kKey) place(tag_at(entry(id)), id);
  }
}

void KeyTable::place(uint32_t tag, uint32_t id) {
  uint32_t slot = tag & mask_;
  while (slots_[slot] != 0) slot = (slot + 1) & mask_;
  slots_[slot] = slot_value(tag, id);
}

void KeyTable::index_last() {
  if (slots_.empty() || size_t{count_} * 2 > size_t{mask_} + 1)
    grow_index();
  else
    place(tag_at(entry(count_ - 1)), count_ - 1);
}

TableKey KeyTable::table_key(uint32_t id) const {
  const uint8_t* from = entry(id);
  TableKey key{};
  std::memcpy(&key.word0, from, 8);
  std::memcpy(&key.word1, from + 8, 8);
  key.length = length_at(from);
  key.tag = tag_at(from);
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
  uses_.clear();
  tags_.clear();
  free_.clear();
  for (std::vector<uint64_t>& places : free_places_) places.clear();
  arena_.clear();
  arena_frozen_ = 0;
  std::fill(slots_.begin(), slots_.end(), uint32_t{0});
  mark_all_dirty();
}

int64_t KeyTable::allocated_bytes() const {
  size_t bytes =
      slots_.capacity() * sizeof(uint32_t) + arena_.capacity() + dirty_.capacity() + chunks_.capacity() * sizeof(Chunk);
  bytes += uses_.capacity() + (tags_.capacity() + free_.capacity()) * sizeof(uint32_t);
  for (const std::vector<uint64_t>& places : free_places_) bytes += places.capacity() * sizeof(uint64_t);
  if (!chunks_.empty()) bytes += (first_chunk_rows_ + (chunks_.size() - 1) * kChunkRows) * stride_;
  return static_cast<int64_t>(bytes);
}

}  // namespace wrackline
