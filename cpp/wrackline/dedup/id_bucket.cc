#include "wrackline/dedup/id_bucket.h"

#include <algorithm>
#include <cstring>

namespace wrackline {
namespace {

constexpr uint64_t kMinSize = 8;

uint64_t tail_of(uint64_t size) { return std::min<uint64_t>(256, size / 4 + 4); }

}  // namespace

Hash128 IdBucket::id_at(const uint8_t* slot) const {
  Hash128 id;
  std::memcpy(&id.low, slot, 8);
  std::memcpy(&id.high, slot + 8, 8);
  return id;
}

uint64_t IdBucket::time_at(const uint8_t* slot) const {
  if (wide_) {
    uint64_t time;
    std::memcpy(&time, slot + 16, sizeof(time));
    return time;
  }
  uint32_t time;
  std::memcpy(&time, slot + 16, sizeof(time));
  return time;
}

void IdBucket::write_slot(uint8_t* slot, Hash128 id, uint64_t time) const {
  std::memcpy(slot, &id.low, 8);
  std::memcpy(slot + 8, &id.high, 8);
  std::memcpy(slot + 16, &time, width() - 16);
}

int64_t IdBucket::find(Hash128 id) const {
  if (shards_.empty()) return kNone;
  const Shard& shard = shard_of(id);
  if (shard.size == 0) return kNone;
  const uint8_t* slot = shard.slots.data() + home(shard, id) * width();
  const uint8_t* const end = shard.slots.data() + shard.total * width();
  for (; slot < end; slot += width()) {
    const uint64_t time = time_at(slot);
    if (time == free_mark()) return kNone;
    const Hash128 there = id_at(slot);
    if (there == id) return static_cast<int64_t>(time);
    if (there > id) return kNone;
  }
  return kNone;
}

void IdBucket::prefetch(Hash128 id) const {
  if (shards_.empty()) return;
  const Shard& shard = shard_of(id);
  if (shard.size == 0) return;
  const uint8_t* slot = shard.slots.data() + home(shard, id) * width();
  __builtin_prefetch(slot);
  __builtin_prefetch(slot + 64);
}

void IdBucket::allocate(Shard& shard, uint64_t size, uint64_t tail) const {
  shard.size = size;
  shard.total = size + tail;
  shard.count = 0;
  shard.slots = Bytes();
  shard.slots.resize(shard.total * width());
  std::memset(shard.slots.data(), 0xff, shard.slots.size());
}

// Puts an id in at its place in order; false when there is no room behind it.
bool IdBucket::place(Shard& shard, Hash128 id, uint64_t time) const {
  const size_t width = this->width();
  uint8_t* const end = shard.slots.data() + shard.total * width;
  uint8_t* slot = shard.slots.data() + home(shard, id) * width;
  while (slot < end && time_at(slot) != free_mark() && id_at(slot) < id) slot += width;
  uint8_t* hole = slot;
  while (hole < end && time_at(hole) != free_mark()) hole += width;
  if (hole >= end) return false;
  std::memmove(slot + width, slot, static_cast<size_t>(hole - slot));
  write_slot(slot, id, time);
  ++shard.count;
  return true;
}

void IdBucket::grow(Shard& shard) const {
  const Shard old = std::move(shard);
  uint64_t size = old.size;
  uint64_t tail = old.total - old.size;
  // Mostly free and yet no room: many hashes begin alike. Only a longer tail helps.
  const bool alike = size > kMinSize && old.count * 2 < size;
  if (!alike) size = std::max(kMinSize, size + (size < 4096 ? size / 2 : size / 10));
  for (;;) {
    tail = std::max(alike ? tail * 2 : tail, tail_of(size));
    allocate(shard, size, tail);
    // In order, so that each goes behind the one before.
    uint64_t next = 0;
    uint64_t i = 0;
    for (; i < old.total; ++i) {
      const uint8_t* from = old.slots.data() + i * width();
      if (time_at(from) == free_mark()) continue;
      const uint64_t at = std::max(next, home(shard, id_at(from)));
      if (at >= shard.total) break;
      std::memcpy(shard.slots.data() + at * width(), from, width());
      next = at + 1;
      ++shard.count;
    }
    if (i == old.total) return;
    tail *= 2;
  }
}

void IdBucket::insert_into(Shard& shard, Hash128 id, uint64_t time) const {
  // 92 % of the homes; small shards stay emptier.
  if (shard.size == 0 || (shard.count + 1) * 100 > shard.size * 92) grow(shard);
  while (!place(shard, id, time)) grow(shard);
}

void IdBucket::insert(Hash128 id, int64_t time) {
  if (shards_.empty()) shards_.resize(1);
  if (shards_.size() == 1 && count_ == kShardedAbove) split();
  insert_into(shard_of(id), id, static_cast<uint64_t>(time));
  ++count_;
  if (log_lost_) return;
  if (count_ - frozen_count_ > std::max(kMinLog, count_ / 8)) {
    log_lost_ = true;
    log_ = Bytes();
    return;
  }
  const size_t at = log_.size();
  log_.resize(at + width());
  write_slot(log_.data() + at, id, static_cast<uint64_t>(time));
}

void IdBucket::split() {
  const Shard old = std::move(shards_[0]);
  shards_.assign(kShards, Shard());
  for (uint64_t i = 0; i < old.total; ++i) {
    const uint8_t* slot = old.slots.data() + i * width();
    if (time_at(slot) != free_mark()) insert_into(shard_of(id_at(slot)), id_at(slot), time_at(slot));
  }
}

int64_t IdBucket::allocated_bytes() const {
  size_t bytes = sizeof(IdBucket) + log_.capacity() + shards_.capacity() * sizeof(Shard);
  for (const Shard& shard : shards_) bytes += shard.slots.capacity();
  return static_cast<int64_t>(bytes);
}

Bytes IdBucket::freeze(bool& whole) {
  whole = whole || log_lost_;
  Bytes entries;
  if (whole) {
    entries.resize(static_cast<size_t>(count_) * width());
    uint8_t* to = entries.data();
    for (const Shard& shard : shards_) {
      for (uint64_t i = 0; i < shard.total; ++i) {
        const uint8_t* slot = shard.slots.data() + i * width();
        if (time_at(slot) == free_mark()) continue;
        std::memcpy(to, slot, width());
        to += width();
      }
    }
  } else {
    entries = std::move(log_);
  }
  log_ = Bytes();
  log_lost_ = false;
  frozen_count_ = count_;
  return entries;
}

Status IdBucket::restore(std::string_view entries) {
  if (entries.size() % width() != 0) return Status::corruption("dedup state: a block that does not fit");
  for (size_t at = 0; at < entries.size(); at += width()) {
    const auto* slot = reinterpret_cast<const uint8_t*>(entries.data()) + at;
    if (time_at(slot) == free_mark() || find(id_at(slot)) != kNone) {
      return Status::corruption("dedup state: an entry that cannot be");
    }
    insert(id_at(slot), static_cast<int64_t>(time_at(slot)));
  }
  log_ = Bytes();
  log_lost_ = false;
  frozen_count_ = count_;
  return {};
}

}  // namespace wrackline
