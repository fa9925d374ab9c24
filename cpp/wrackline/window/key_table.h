// KeyTable: from packed keys to rows of cells of one fixed width; the state of one slice.
//
// Entry = [key 24 bytes][cells], row-major, numbered 0, 1, 2 ... in order of insertion, in chunks of
// 1024 that never move once full. Key = 16 bytes inline, or for longer keys {64-bit hash, offset in
// the arena}; then length and 32 bits of the hash. The index is an open-addressing array of 4-byte slots
// with linear probing, filled to a half: of a slot as many low bits as the array has are entry + 1, the
// others are those of the hash, so that nearly no wrong entry is looked at. It grows from the hashes
// in the entries.
//
// Keys can be erased from a table that was made for it: a freed entry's id goes to a later key, and so does its place
// in the arena, where such a table rounds lengths up to powers of two. It has no freeze() and restore().
//
// Not thread-safe. Pointers to entries are valid until the next insertion.
#pragma once

#include <algorithm>
#include <array>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

#include "wrackline/core/buffer.h"
#include "wrackline/core/bytes.h"
#include "wrackline/core/hash.h"
#include "wrackline/core/key.h"
#include "wrackline/core/status.h"

namespace wrackline {

// A key as the table compares it.
struct TableKey {
  uint64_t word0;  // bytes 0-7; of a long key its hash
  uint64_t word1;  // bytes 8-15; 0 for a long key
  uint32_t length;
  uint32_t tag;
  const char* bytes;
};

namespace table_key {

inline constexpr size_t kInlineKeyBytes = 16;

inline uint64_t load64(const char* bytes) {
  uint64_t word;
  std::memcpy(&word, bytes, sizeof(word));
  return word;
}

// Up to 8 bytes, zeros above, never reading past the end.
inline uint64_t load_up_to_8(const char* bytes, size_t size) {
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

inline TableKey with_hash(const char* bytes, size_t size, uint64_t hash) {
  TableKey key{};
  key.length = static_cast<uint32_t>(size);
  key.tag = static_cast<uint32_t>(hash >> 32);
  key.bytes = bytes;
  if (size > kInlineKeyBytes) {
    key.word0 = hash;
  } else if (size > 8) {
    key.word0 = load64(bytes);
    key.word1 = load64(bytes + size - 8) >> (8 * (16 - size));
  } else {
    key.word0 = load_up_to_8(bytes, size);
  }
  return key;
}

inline TableKey fixed_key(const int64_t* value) {
  const auto word = static_cast<uint64_t>(*value);
  return {word, 0, sizeof(word), static_cast<uint32_t>(mix64(word) >> 32), reinterpret_cast<const char*>(value)};
}

}  // namespace table_key

// The key of one row. REQUIRES: it is not null.
TableKey row_key(const KeyPacker& keys, int64_t row);
// A packed key by itself, of 8 bytes if the packer's keys are. It must outlive the result.
TableKey bytes_key(const KeyPacker& keys, std::string_view key);

class KeyTable {
 public:
  static constexpr uint32_t kNone = ~uint32_t{0};
  static constexpr size_t kKeyBytes = 24;
  static constexpr size_t kIndexBytes = 8;  // of an entry, at the least
  static constexpr size_t kInlineBytes = table_key::kInlineKeyBytes;
  static constexpr uint32_t kChunkRows = 1024;
  static constexpr size_t kBlock = 128;  // rows that resolve() takes at once
  static constexpr size_t kAhead = 16;
  static constexpr size_t kLine = 64;  // of the cache; chunks begin with one

  enum class Keys : uint8_t { kStay, kGo };

  // New entries start with a copy of `initial` as their cells.
  explicit KeyTable(Buffer<uint8_t> initial, Keys keys = Keys::kStay);

  uint32_t count() const { return count_; }
  size_t cell_bytes() const { return initial_.size(); }

  uint32_t find(const TableKey& key) const;  // kNone: not there
  uint32_t find_or_insert(const TableKey& key);
  // find_or_insert for the keys of rows[0 .. count), count <= kBlock, overlapping their cache misses.
  void resolve(const KeyPacker& keys, const uint32_t* rows, size_t count, uint32_t* ids);
  // The same for the keys of entries first .. first + count of another table.
  void resolve(const KeyTable& from, uint32_t first, size_t count, uint32_t* ids);
  // The same for any count, calling f(row, cells) in order: the cells are in the cache.
  template <typename F>
  void each(const KeyPacker& keys, const uint32_t* rows, size_t count, F f);

  uint8_t* entry(uint32_t id) { return chunks_[id / kChunkRows].get() + size_t{id % kChunkRows} * stride_; }
  const uint8_t* entry(uint32_t id) const { return chunks_[id / kChunkRows].get() + size_t{id % kChunkRows} * stride_; }
  void prefetch(uint32_t id) const {
    __builtin_prefetch(entry(id), 1);
    if (stride_ > kLine) __builtin_prefetch(entry(id) + kLine, 1);
  }
  uint8_t* cells(uint32_t id) { return entry(id) + kKeyBytes; }
  const uint8_t* cells(uint32_t id) const { return entry(id) + kKeyBytes; }
  std::string_view key(uint32_t id) const { return key_at(entry(id)); }
  std::string_view key_at(const uint8_t* entry) const {
    const uint32_t length = length_at(entry);
    if (length <= kInlineBytes) return {reinterpret_cast<const char*>(entry), length};
    return {reinterpret_cast<const char*>(arena_.data()) + arena_offset_at(entry), length};
  }
  static uint32_t length_at(const uint8_t* entry) {
    uint32_t length;
    std::memcpy(&length, entry + 16, sizeof(length));
    return length;
  }
  static uint32_t tag_at(const uint8_t* entry) {
    uint32_t tag;
    std::memcpy(&tag, entry + 20, sizeof(tag));
    return tag;
  }
  // The key of an entry of this or another table, without hashing it again.
  TableKey table_key(uint32_t id) const;

  // Only with Keys::kGo. Entries from 0 to count() are keys, hidden entries and free ones.
  enum class Use : uint8_t { kKey, kHidden, kFree };
  Use use(uint32_t id) const { return static_cast<Use>(uses_[id]); }
  uint32_t in_use() const { return count_ - static_cast<uint32_t>(free_.size()); }
  // Another entry with the key of entry `id`, that is not found by it. It must be released before the key is erased.
  uint32_t insert_hidden(uint32_t id);
  void release_hidden(uint32_t id);
  void erase(uint32_t id);
  void prefetch_index(uint32_t id) const { __builtin_prefetch(&slots_[tag_at(entry(id)) & mask_], 1); }

  // Entries of a dirty chunk go into the next freeze().
  void mark_dirty(uint32_t id) { dirty_[id / kChunkRows] = 1; }
  void mark_all_dirty();
  bool dirty() const;
  // Appends what changed since the last freeze (or all), in chunks, and forgets that it changed. Calls
  // extra(id, writer) for each entry written if `with_extra`. docs/formats.md, "Window state".
  template <typename Extra>
  void freeze(bool whole, bool with_extra, ByteWriter& out, Extra extra);
  // True when so much is dirty that a whole copy costs no more.
  bool mostly_dirty() const;
  // Takes what freeze() wrote; calls extra(id, reader) -> Status for each entry. `more`: cells that were written had
  // so many bytes more at their start than these (which are dropped), or fewer (which are as in a new entry).
  template <typename Extra>
  Status restore(ByteReader& in, Extra extra, int64_t more = 0);

  // Empties it, keeping memory for as many entries again.
  void clear();
  int64_t allocated_bytes() const;

 private:
  struct Free {
    void operator()(uint8_t* memory) const { std::free(memory); }
  };
  using Chunk = std::unique_ptr<uint8_t, Free>;

  static uint64_t arena_offset_at(const uint8_t* entry) {
    uint64_t offset;
    std::memcpy(&offset, entry + 8, sizeof(offset));
    return offset;
  }
  bool equals(const uint8_t* entry, const TableKey& key) const {
    uint64_t word0;
    uint64_t word1;
    std::memcpy(&word0, entry, 8);
    std::memcpy(&word1, entry + 8, 8);
    if (word0 != key.word0 || length_at(entry) != key.length) return false;
    if (key.length <= kInlineBytes) return word1 == key.word1;
    return std::memcmp(arena_.data() + word1, key.bytes, key.length) == 0;
  }
  // One block of rows, keys made by make_key(i); calls f(i, id).
  template <typename MakeKey, typename F>
  void each_of_block(size_t count, MakeKey make_key, F f);
  template <typename F>
  void each_in_blocks(const KeyPacker& keys, const uint32_t* rows, size_t count, F f);
  uint32_t insert(const TableKey& key, uint32_t slot);
  uint32_t new_entry(Use use);
  void free_entry(uint32_t id);
  uint64_t new_arena_place(const TableKey& key);
  void append_entry();
  void ensure_chunk();
  void grow_index();
  // The slot of a new entry; 0 is never one.
  uint32_t slot_value(uint32_t tag, uint32_t id) const { return (tag & ~mask_) | (id + 1); }
  void place(uint32_t tag, uint32_t id);
  void index_last();  // puts the entry that was appended last into the index

  Buffer<uint8_t> initial_;
  size_t stride_;
  bool erases_;
  // One per entry, if keys are erased; their tags once more, close together.
  Bytes uses_;
  Buffer<uint32_t> tags_;
  Buffer<uint32_t> free_;                           // entries
  std::vector<std::vector<uint64_t>> free_places_;  // [n]: of 2^n bytes in the arena
  uint32_t count_ = 0;
  uint32_t first_chunk_rows_ = 0;  // what chunk 0 holds: it grows, so that small slices stay small
  std::vector<Chunk> chunks_;
  Bytes dirty_;  // one per chunk
  Bytes arena_;
  size_t arena_frozen_ = 0;  // bytes of it that the last freeze had
  Buffer<uint32_t> slots_;   // hash bits above mask_, entry + 1 below; 0: free
  uint32_t mask_ = 0;
};

// Three stages, kAhead rows apart: the slot's line is on the way before the slot is read, and the entry's
// before the key is compared.
template <typename MakeKey, typename F>
void KeyTable::each_of_block(size_t count, MakeKey make_key, F f) {
  std::array<TableKey, kBlock> keys;
  std::array<uint32_t, kBlock> ids;
  const auto begin = [&](size_t i) {
    keys[i] = make_key(i);
    __builtin_prefetch(&slots_[keys[i].tag & mask_]);
  };
  const auto probe = [&](size_t i) {
    const uint32_t tag = keys[i].tag;
    uint32_t slot = tag & mask_;
    uint32_t value = slots_[slot];
    while (value != 0 && ((value ^ tag) & ~mask_) != 0) {
      slot = (slot + 1) & mask_;
      value = slots_[slot];
    }
    // Equal bits are nearly always those of the right entry.
    ids[i] = value == 0 ? kNone : (value & mask_) - 1;
    if (value != 0) prefetch(ids[i]);
  };
  const auto finish = [&](size_t i) {
    uint32_t id = ids[i];
    if (id == kNone || !equals(entry(id), keys[i])) id = find_or_insert(keys[i]);
    dirty_[id / kChunkRows] = 1;
    f(i, id);
  };
  if (slots_.empty()) grow_index();
  for (size_t i = 0; i < count + 2 * kAhead; ++i) {
    if (i < count) begin(i);
    if (i >= kAhead && i - kAhead < count) probe(i - kAhead);
    if (i >= 2 * kAhead) finish(i - 2 * kAhead);
  }
}

// f(i, id) with i counted over all rows.
template <typename F>
void KeyTable::each_in_blocks(const KeyPacker& keys, const uint32_t* rows, size_t count, F f) {
  if (keys.columns().empty()) {  // the whole stream is one key
    if (count == 0) return;
    const uint32_t id = find_or_insert(bytes_key(keys, {}));
    dirty_[id / kChunkRows] = 1;
    for (size_t i = 0; i < count; ++i) f(i, id);
    return;
  }
  std::array<uint64_t, kBlock> hashes;
  for (size_t first = 0; first < count; first += kBlock) {
    const size_t size = std::min(kBlock, count - first);
    const uint32_t* block = rows + first;
    const auto put = [&](size_t i, uint32_t id) { f(first + i, id); };
    if (keys.is_fixed()) {
      each_of_block(size, [&](size_t i) { return table_key::fixed_key(keys.fixed() + block[i]); }, put);
      continue;
    }
    const char* bytes = keys.bytes();
    const int32_t* offsets = keys.offsets();
    hash64_each(bytes, offsets, block, size, hashes.data());
    each_of_block(
        size,
        [&](size_t i) {
          const int32_t begin = offsets[block[i]];
          return table_key::with_hash(bytes + begin, static_cast<size_t>(offsets[block[i] + 1] - begin), hashes[i]);
        },
        put);
  }
}

template <typename F>
void KeyTable::each(const KeyPacker& keys, const uint32_t* rows, size_t count, F f) {
  each_in_blocks(keys, rows, count, [&](size_t i, uint32_t id) { f(rows[i], cells(id)); });
}

template <typename Extra>
void KeyTable::freeze(bool whole, bool with_extra, ByteWriter& out, Extra extra) {
  if (whole) {
    mark_all_dirty();
    arena_frozen_ = 0;
  }
  uint32_t dirty_chunks = 0;
  const uint32_t used = (count_ + kChunkRows - 1) / kChunkRows;
  for (uint32_t chunk = 0; chunk < used; ++chunk) dirty_chunks += dirty_[chunk];
  out.reserve(out.size() + 64 + (arena_.size() - arena_frozen_) + dirty_chunks * (kChunkRows * stride_ + 4));
  out.put(static_cast<uint32_t>(stride_));
  out.put(count_);
  out.put(static_cast<uint64_t>(arena_frozen_));
  out.put(static_cast<uint64_t>(arena_.size() - arena_frozen_));
  out.put_bytes(arena_.data() + arena_frozen_, arena_.size() - arena_frozen_);
  out.put(dirty_chunks);
  for (uint32_t chunk = 0; chunk < used; ++chunk) {
    if (!dirty_[chunk]) continue;
    dirty_[chunk] = 0;
    const uint32_t first = chunk * kChunkRows;
    const uint32_t rows = std::min(kChunkRows, count_ - first);
    out.put(chunk);
    out.put_bytes(chunks_[chunk].get(), rows * stride_);
    if (!with_extra) continue;
    for (uint32_t id = first; id < first + rows; ++id) extra(id, out);
  }
  arena_frozen_ = arena_.size();
}

template <typename Extra>
Status KeyTable::restore(ByteReader& in, Extra extra, int64_t more) {
  const auto bad = [] { return Status::corruption("window state: a block that does not fit"); };
  const auto written = static_cast<size_t>(static_cast<int64_t>(stride_) + more);  // bytes of an entry
  if (in.get<uint32_t>() != written) return bad();
  const size_t skipped = more > 0 ? static_cast<size_t>(more) : 0;
  const size_t missing = more < 0 ? static_cast<size_t>(-more) : 0;
  const auto count = in.get<uint32_t>();
  const auto arena_from = in.get<uint64_t>();
  const auto arena_size = in.get<uint64_t>();
  if (in.failed() || count < count_ || arena_from != arena_.size() || arena_size > in.left()) return bad();
  const std::string_view arena = in.get_bytes(arena_size);
  arena_.insert(arena_.end(), arena.begin(), arena.end());
  arena_frozen_ = arena_.size();
  const auto chunks = in.get<uint32_t>();
  for (uint32_t i = 0; i < chunks; ++i) {
    const auto chunk = in.get<uint32_t>();
    const uint64_t first = uint64_t{chunk} * kChunkRows;
    if (in.failed() || first >= count || first > count_) return bad();
    const auto rows = static_cast<uint32_t>(std::min<uint64_t>(kChunkRows, count - first));
    const std::string_view bytes = in.get_bytes(rows * written);
    if (in.failed()) return bad();
    for (uint32_t row = 0; row < rows; ++row) {
      const auto id = static_cast<uint32_t>(first) + row;
      const bool is_new = id >= count_;
      if (is_new) append_entry();
      const char* from = bytes.data() + row * written;
      uint8_t* to = entry(id);
      std::memcpy(to, from, kKeyBytes);
      if (missing > 0 && is_new) std::memcpy(to + kKeyBytes, initial_.data(), missing);
      const size_t rest = stride_ - kKeyBytes - missing;
      if (rest > 0) std::memcpy(to + kKeyBytes + missing, from + kKeyBytes + skipped, rest);
      if (length_at(entry(id)) > kInlineBytes && arena_offset_at(entry(id)) + length_at(entry(id)) > arena_.size()) {
        return bad();
      }
      if (is_new) index_last();
      WL_RETURN_IF_ERROR(extra(id, in));
    }
    dirty_[chunk] = 0;
  }
  return count_ == count && !in.failed() ? Status() : bad();
}

}  // namespace wrackline
