#include "wrackline/log/local/entry.h"

#include <algorithm>
#include <cstring>

#include "wrackline/core/bytes.h"
#include "wrackline/core/hash.h"

namespace wrackline::local {
namespace {

constexpr char kMagic[4] = {'W', 'L', 'E', 'N'};
constexpr uint8_t kVersion = 1;
constexpr uint8_t kHasValueNulls = 1;
constexpr uint8_t kHasKeys = 2;
constexpr uint8_t kHasHeaders = 4;

struct Head {
  char magic[4];
  uint8_t version;
  uint8_t kind;
  uint8_t flags;
  uint8_t zero;
  uint64_t checksum;
  uint64_t producer;
  uint32_t epoch;
  uint32_t count;
  uint32_t value_bytes;
  uint32_t key_bytes;
  uint32_t header_bytes;
  uint32_t zero2;
};
static_assert(sizeof(Head) == 48);
constexpr size_t kUnchecked = 16;  // magic to checksum

uint64_t checksum_of(std::string_view entry) {
  uint64_t seed;
  std::memcpy(&seed, entry.data(), sizeof seed);
  return hash64(entry.substr(kUnchecked), seed);
}

std::string_view as_view(const Bytes& bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

Bytes finish(Head head, Bytes bytes) {
  std::memcpy(bytes.data(), &head, sizeof head);
  head.checksum = checksum_of(as_view(bytes));
  std::memcpy(bytes.data(), &head, sizeof head);
  return bytes;
}

Head make_head(EntryKind kind, uint64_t producer, uint32_t epoch, uint32_t count) {
  Head head{};
  std::memcpy(head.magic, kMagic, sizeof kMagic);
  head.version = kVersion;
  head.kind = static_cast<uint8_t>(kind);
  head.producer = producer;
  head.epoch = epoch;
  head.count = count;
  return head;
}

// Per record: the number of headers, then name and value of each.
Bytes encode_headers(const Records& records) {
  ByteWriter writer;
  for (int64_t i = 0; i < records.size(); ++i) {
    const Headers& headers = records.headers(i);
    writer.put(static_cast<uint32_t>(headers.size()));
    for (const auto& [name, value] : headers) {
      writer.put_string(name);
      writer.put_string(value);
    }
  }
  return writer.take();
}

uint32_t load_end(const uint8_t* ends, int64_t i) {
  uint32_t end;
  std::memcpy(&end, ends + 4 * i, sizeof end);
  return end;
}

Status damaged(std::string_view why) { return Status::corruption("a stored batch is damaged: " + std::string(why)); }

}  // namespace

Result<Bytes> encode_records(const Records& records, uint64_t producer, uint32_t epoch) {
  if (records.empty()) return Status::invalid("an append without records");
  const Records::Layout layout = records.layout();
  const Bytes headers = records.any_headers() ? encode_headers(records) : Bytes();
  const auto n = static_cast<size_t>(layout.size);
  uint8_t flags = headers.empty() ? 0 : kHasHeaders;
  if (std::memchr(layout.value_null, 1, n) != nullptr) flags |= kHasValueNulls;
  if (std::memchr(layout.key_null, 0, n) != nullptr) flags |= kHasKeys;

  const size_t size = sizeof(Head) + n * 12 + ((flags & kHasKeys) != 0 ? n * 5 : 0) +
                      ((flags & kHasValueNulls) != 0 ? n : 0) + layout.keys.size() + headers.size() +
                      layout.values.size();
  if (size > static_cast<size_t>(kMaxEntryBytes)) {
    return Status::invalid("an append of " + std::to_string(size) + " bytes is larger than " +
                           std::to_string(kMaxEntryBytes) + "; append in several parts");
  }
  Head head = make_head(EntryKind::kRecords, producer, epoch, static_cast<uint32_t>(n));
  head.flags = flags;
  head.value_bytes = static_cast<uint32_t>(layout.values.size());
  head.key_bytes = static_cast<uint32_t>(layout.keys.size());
  head.header_bytes = static_cast<uint32_t>(headers.size());

  Bytes bytes(size);
  uint8_t* at = bytes.data() + sizeof(Head);
  const auto put = [&at](const void* data, size_t length) {
    if (length > 0) std::memcpy(at, data, length);
    at += length;
  };
  put(layout.timestamps, 8 * n);
  put(layout.value_ends, 4 * n);
  if ((flags & kHasValueNulls) != 0) put(layout.value_null, n);
  if ((flags & kHasKeys) != 0) {
    put(layout.key_ends, 4 * n);
    put(layout.key_null, n);
  }
  put(layout.keys.data(), layout.keys.size());
  put(headers.data(), headers.size());
  put(layout.values.data(), layout.values.size());
  return finish(head, std::move(bytes));
}

Bytes encode_marker(EntryKind kind, uint64_t producer, uint32_t epoch) {
  return finish(make_head(kind, producer, epoch, 1), Bytes(sizeof(Head)));
}

void seal_entry(Bytes& entry, std::string_view key) {
  uint64_t checksum;
  std::memcpy(&checksum, entry.data() + 8, sizeof checksum);
  checksum ^= hash64(key);
  std::memcpy(entry.data() + 8, &checksum, sizeof checksum);
}

bool Entry::lay_out(std::string_view bytes) {
  Head head;
  std::memcpy(&head, bytes.data(), sizeof head);
  kind_ = static_cast<EntryKind>(head.kind);
  producer_ = head.producer;
  layout_.size = head.count;
  if (head.count == 0 || kind_ > EntryKind::kAbortMarker) return false;
  if (kind_ != EntryKind::kRecords) return bytes.size() == sizeof(Head) && head.count == 1;

  const size_t n = head.count;
  const bool keys = (head.flags & kHasKeys) != 0;
  const bool nulls = (head.flags & kHasValueNulls) != 0;
  const size_t size = sizeof(Head) + n * 12 + (keys ? n * 5 : 0) + (nulls ? n : 0) + size_t{head.key_bytes} +
                      head.header_bytes + head.value_bytes;
  if (size != bytes.size()) return false;
  const auto* at = reinterpret_cast<const uint8_t*>(bytes.data()) + sizeof(Head);
  const auto take = [&at](size_t length) {
    const uint8_t* begin = at;
    at += length;
    return begin;
  };
  const auto text = [&](size_t length) {
    return std::string_view(reinterpret_cast<const char*>(take(length)), length);
  };
  layout_.timestamps = take(8 * n);
  layout_.value_ends = take(4 * n);
  if (nulls) layout_.value_null = take(n);
  if (keys) {
    layout_.key_ends = take(4 * n);
    layout_.key_null = take(n);
  }
  layout_.keys = text(head.key_bytes);
  headers_ = text(head.header_bytes);
  layout_.values = text(head.value_bytes);
  return load_end(layout_.value_ends, layout_.size - 1) + 1 == head.value_bytes;
}

Result<Entry> Entry::parse(std::string_view key, std::string_view bytes) {
  if (bytes.size() < sizeof(Head) || std::memcmp(bytes.data(), kMagic, sizeof kMagic) != 0) return damaged("no batch");
  Head head;
  std::memcpy(&head, bytes.data(), sizeof head);
  if (head.version > kVersion) {
    return Status::corruption("a stored batch has version " + std::to_string(head.version) +
                              "; this program reads up to " + std::to_string(kVersion));
  }
  if ((checksum_of(bytes) ^ hash64(key)) != head.checksum) return damaged("its checksum is wrong");
  Entry entry;
  if (!entry.lay_out(bytes)) return damaged("its sizes do not add up");
  return entry;
}

Entry Entry::trusted(std::string_view bytes) {
  Entry entry;
  WL_CHECK(entry.lay_out(bytes));
  return entry;
}

int64_t Entry::byte_size(int64_t begin, int64_t end) const {
  if (begin >= end) return 0;
  const auto span = [&](const uint8_t* ends) {
    return int64_t{load_end(ends, end - 1)} - (begin == 0 ? 0 : int64_t{load_end(ends, begin - 1)});
  };
  return span(layout_.value_ends) + (layout_.key_ends != nullptr ? span(layout_.key_ends) : 0);
}

int64_t Entry::fit(int64_t begin, int64_t records, int64_t bytes) const {
  int64_t least = 1;
  int64_t most = std::min(records, count() - begin);
  if (byte_size(begin, begin + most) <= bytes) return most;
  while (least < most) {
    const int64_t middle = (least + most + 1) / 2;
    if (byte_size(begin, begin + middle) <= bytes) {
      least = middle;
    } else {
      most = middle - 1;
    }
  }
  return least;
}

Status Entry::read(int64_t begin, int64_t end, int64_t base, Records& out) const {
  const int64_t at = out.size();
  out.append(layout_, begin, end, base + begin);
  if (headers_.empty()) return {};
  ByteReader reader(headers_);
  for (int64_t i = 0; i < end; ++i) {
    const auto count = reader.get<uint32_t>();
    Headers headers;
    for (uint32_t h = 0; h < count && !reader.failed(); ++h) {
      const std::string_view name = reader.get_string();
      const std::string_view value = reader.get_string();
      if (i >= begin) headers.emplace_back(name, value);
    }
    if (i >= begin) out.set_headers(at + i - begin, std::move(headers));
  }
  return reader.failed() ? damaged("its headers are cut") : Status();
}

}  // namespace wrackline::local
