// KeyTable: from packed keys to rows of cells of one fixed width; the state of one slice.
//
// Entry = [key 24 bytes][cells], row-major, numbered 0, 1, 2 ... in order of insertion, in chunks of
// 1024 that never move once full. Key = 16 bytes inline, or for longer keys {64-bit hash, offset in
// the arena}; then length and 32 bits of the hash. The index is an open-addressing array of 8-byte
// slots {hash bits, entry + 1} with linear probing, filled to 3/4, so that it grows without looking
// at keys.
//
// Not thread-safe. Pointers to entries are valid until the next insertion.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string_view>
#include <vector>

#include "wrackline/core/buffer.h"
#include "wrackline/core/bytes.h"
#include "wrackline/core/key.h"
#include "wrackline/core/status.h"

namespace wrackline {

// A key as the table compares it.
struct TableKey {
  uint64_t word0 = 0;  // bytes 0-7; of a long key its hash
  uint64_t word1 = 0;  // bytes 8-15; unused for a long key
  uint32_t length = 0;
  uint32_t tag = 0;
  const char* bytes = nullptr;
};

// The key of one row. REQUIRES: it is not null.
TableKey row_key(const KeyPacker& keys, int64_t row);

class KeyTable {
 public:
  static constexpr uint32_t kNone = ~uint32_t{0};
  static constexpr size_t kKeyBytes = 24;
  static constexpr size_t kInlineBytes = 16;
  static constexpr uint32_t kChunkRows = 1024;
  static constexpr size_t kBlock = 128;  // rows that resolve() takes at once

  // New entries start with a copy of `initial` as their cells.
  explicit KeyTable(Buffer<uint8_t> initial);

  uint32_t count() const { return count_; }
  size_t cell_bytes() const { return initial_.size(); }

  uint32_t find(const TableKey& key) const;  // kNone: not there
  uint32_t find_or_insert(const TableKey& key);
  // find_or_insert for the keys of rows[0 .. count), count <= kBlock, overlapping their cache misses.
  void resolve(const KeyPacker& keys, const uint32_t* rows, size_t count, uint32_t* ids);

  uint8_t* entry(uint32_t id) { return chunks_[id / kChunkRows].get() + size_t{id % kChunkRows} * stride_; }
  const uint8_t* entry(uint32_t id) const {
    return chunks_[id / kChunkRows].get() + size_t{id % kChunkRows} * stride_;
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
  // The key of an entry of this or another table, without hashing it again.
  TableKey table_key(uint32_t id) const;

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
  // Takes what freeze() wrote; calls extra(id, reader) -> Status for each entry.
  template <typename Extra>
  Status restore(ByteReader& in, Extra extra);

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
  bool equals(const uint8_t* entry, const TableKey& key) const;
  uint32_t insert(const TableKey& key, size_t slot);
  void append_entry();
  void ensure_chunk();
  void grow_index();
  void place(uint32_t tag, uint32_t id);

  Buffer<uint8_t> initial_;
  size_t stride_;
  uint32_t count_ = 0;
  uint32_t first_chunk_rows_ = 0;  // what chunk 0 holds: it grows, so that small slices stay small
  std::vector<Chunk> chunks_;
  Bytes dirty_;                    // one per chunk
  Bytes arena_;
  size_t arena_frozen_ = 0;        // bytes of it that the last freeze had
  Buffer<uint64_t> slots_;         // (entry + 1) << 32 | tag; 0: free
  size_t mask_ = 0;
};

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
Status KeyTable::restore(ByteReader& in, Extra extra) {
  const auto bad = [] { return Status::corruption("window state: a block that does not fit"); };
  if (in.get<uint32_t>() != stride_) return bad();
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
    const std::string_view bytes = in.get_bytes(rows * stride_);
    if (in.failed()) return bad();
    for (uint32_t row = 0; row < rows; ++row) {
      const auto id = static_cast<uint32_t>(first) + row;
      const bool is_new = id >= count_;
      if (is_new) append_entry();
      std::memcpy(entry(id), bytes.data() + row * stride_, stride_);
      if (length_at(entry(id)) > kInlineBytes &&
          arena_offset_at(entry(id)) + length_at(entry(id)) > arena_.size()) {
        return bad();
      }
      if (is_new) {
        uint32_t tag;
        std::memcpy(&tag, entry(id) + 20, sizeof(tag));
        place(tag, id);
      }
      WL_RETURN_IF_ERROR(extra(id, in));
    }
    dirty_[chunk] = 0;
  }
  return count_ == count && !in.failed() ? Status() : bad();
}

}  // namespace wrackline
