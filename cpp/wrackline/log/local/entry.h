// Entry: what one append, or the end of one transaction, leaves in a partition: one value of the storage
// (docs/formats.md, "The embedded log", has its bytes).
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "wrackline/core/records.h"
#include "wrackline/core/status.h"

namespace wrackline::local {

enum class EntryKind : uint8_t { kRecords = 0, kCommitMarker = 1, kAbortMarker = 2 };

inline constexpr uint64_t kNoProducer = 0;  // outside any transaction
inline constexpr int64_t kMaxEntryBytes = 256 << 20;

// kInvalidArgument: nothing in it or larger than kMaxEntryBytes. The bytes fit no key yet: see seal_entry().
Result<Bytes> encode_records(const Records& records, uint64_t producer, uint32_t epoch);
Bytes encode_marker(EntryKind kind, uint64_t producer, uint32_t epoch);
// Ties an encoded entry to `key`: under any other one its checksum is wrong.
void seal_entry(Bytes& entry, std::string_view key);

// A view of a stored entry. Cheap to make; lives as long as the bytes.
class Entry {
 public:
  // kCorruption unless these are the bytes that were stored under `key`.
  static Result<Entry> parse(std::string_view key, std::string_view bytes);
  // Of bytes that parse() accepted before.
  static Entry trusted(std::string_view bytes);

  EntryKind kind() const { return kind_; }
  uint64_t producer() const { return producer_; }
  int64_t count() const { return layout_.size; }  // offsets it takes; 1 for a marker
  // How many records from `begin` on fit into `records` and `bytes` (of keys and values); at least one.
  int64_t fit(int64_t begin, int64_t records, int64_t bytes) const;
  int64_t byte_size(int64_t begin, int64_t end) const;
  // Appends records [begin, end) to `out`; `base` is the offset of record 0.
  Status read(int64_t begin, int64_t end, int64_t base, Records& out) const;

 private:
  bool lay_out(std::string_view bytes);  // false: sizes do not add up

  EntryKind kind_ = EntryKind::kRecords;
  uint64_t producer_ = kNoProducer;
  std::string_view headers_;
  Records::Layout layout_;
};

}  // namespace wrackline::local
