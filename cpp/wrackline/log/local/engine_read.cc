#include <algorithm>

#include "wrackline/log/local/engine.h"
#include "wrackline/log/local/entry.h"

namespace wrackline::local {
namespace {

constexpr int64_t kMaxCutBytes = 1 << 20;  // a larger batch is fetched again for each part of it
constexpr int kAttempts = 3;
constexpr int64_t kMaxSkipped = 1024;  // aborted batches and markers passed in one read

std::string_view as_view(const Bytes& bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

std::string place(PartitionRef ref) {
  return "partition " + std::to_string(ref.number) + " of topic '" + ref.topic->info.name + "'";
}

Status out_of_range(PartitionRef ref, int64_t offset, int64_t start, int64_t end) {
  return Status::not_found("offset " + std::to_string(offset) + " is not in " + place(ref) + ", which goes from " +
                           std::to_string(start) + " to " + std::to_string(end) +
                           (offset < start ? "; older records were deleted" : ""));
}

}  // namespace

Result<ReadResult> Engine::read(PartitionRef ref, int64_t offset, ReadLimits limits, Isolation isolation,
                                CutEntry* cut) {
  // A reading process looks for news only where its view ends. A file that the writing one has dropped
  // meanwhile looks like a damaged log until it has.
  Result<ReadResult> result = read_once(ref, offset, limits, isolation, cut, false);
  for (int again = 1; !writable_ && again < kAttempts; ++again) {
    if (result.ok()) break;
    result = read_once(ref, offset, limits, isolation, cut, true);
  }
  return result;
}

Result<ReadResult> Engine::read_once(PartitionRef ref, int64_t offset, ReadLimits limits, Isolation isolation,
                                     CutEntry* cut, bool look) {
  limits.records = std::max<int64_t>(limits.records, 1);
  ReadResult result;
  auto records = std::make_shared<Records>();
  std::shared_ptr<const AbortedRanges> aborted;
  std::unique_ptr<Cursor> cursor;
  const uint32_t topic = ref.topic->number;
  bool at_cut = false;
  {
    std::lock_guard lock(mutex_);
    if (look) WL_RETURN_IF_ERROR(refresh());
    WL_ASSIGN_OR_RETURN(const Partition* state, state_of(ref));
    if (!writable_ && !look && offset >= state->visible_end(isolation)) {
      WL_RETURN_IF_ERROR(refresh());
      WL_ASSIGN_OR_RETURN(state, state_of(ref));
    }
    if (offset < state->start || offset > state->end) return out_of_range(ref, offset, state->start, state->end);
    result.visible_end = std::max(state->visible_end(isolation), offset);
    aborted = state->aborted;
    at_cut = cut != nullptr && cut->bytes != nullptr && cut->base <= offset &&
             offset < cut->base + Entry::trusted(as_view(*cut->bytes)).count();
    if (!at_cut && offset < result.visible_end) {
      cursor = storage_->cursor(entry_key(topic, ref.number, 0), entry_key(topic, ref.number, result.visible_end));
    }
  }
  result.polled.partition = {ref.topic->info.name, ref.number};
  result.polled.records = records;
  result.polled.next_offset = offset;
  if (at_cut) {
    const Entry entry = Entry::trusted(as_view(*cut->bytes));
    const int64_t begin = offset - cut->base;
    const int64_t end = begin + entry.fit(begin, limits.records, limits.bytes);
    WL_RETURN_IF_ERROR(entry.read(begin, end, cut->base, *records));
    result.polled.next_offset = cut->base + end;
    if (end == entry.count()) cut->bytes = nullptr;
    return result;
  }
  if (cursor == nullptr) return result;

  int64_t bytes = 0;
  int64_t skipped = 0;
  for (cursor->seek_floor(entry_key(topic, ref.number, offset)); offset < result.visible_end; cursor->next()) {
    if (records->size() >= limits.records || (bytes >= limits.bytes && !records->empty())) break;
    const int64_t base = cursor->valid() ? offset_in(cursor->key()) : -1;
    WL_RETURN_IF_ERROR(cursor->status().with_context(place(ref)));
    Entry entry;
    if (base >= 0) {
      WL_ASSIGN_OR_RETURN(entry, Entry::parse(cursor->key(), cursor->value()));
    }
    if (base < 0 || offset < base || offset >= base + entry.count()) {
      std::lock_guard lock(mutex_);  // trimmed meanwhile, or a hole?
      WL_ASSIGN_OR_RETURN(const Partition* const state, state_of(ref));
      if (offset < state->start) return out_of_range(ref, offset, state->start, state->end);
      return Status::corruption(place(ref) + ": offset " + std::to_string(offset) + " is missing");
    }
    const bool hidden = entry.kind() != EntryKind::kRecords ||
                        (isolation == Isolation::kReadCommitted && entry.producer() != kNoProducer &&
                         aborted->contains(entry.producer(), base));
    if (hidden) {
      offset = base + entry.count();
      result.polled.next_offset = offset;
      if (++skipped >= kMaxSkipped) break;
      continue;
    }
    const int64_t begin = offset - base;
    const int64_t fits = entry.fit(begin, limits.records - records->size(), limits.bytes - bytes);
    const int64_t size = entry.byte_size(begin, begin + fits);
    if (!records->empty() && bytes + size > limits.bytes) break;
    WL_RETURN_IF_ERROR(entry.read(begin, begin + fits, base, *records));
    bytes += size;
    offset = base + begin + fits;
    result.polled.next_offset = offset;
    if (begin + fits < entry.count()) {
      if (cut != nullptr && static_cast<int64_t>(cursor->value().size()) <= kMaxCutBytes) *cut = {base, cursor->pin()};
      break;
    }
  }
  return result;
}

}  // namespace wrackline::local
