// The variable-width parts of aggregates.
#include <algorithm>
#include <cstring>

#include "wrackline/window/aggregate.h"
#include "wrackline/window/cells.h"

namespace wrackline {

void Collected::clear() {
  times.clear();
  values.clear();
  text.clear();
}

int64_t Collected::allocated_bytes() const {
  return static_cast<int64_t>(times.capacity() * sizeof(Millis) + values.capacity() * sizeof(int64_t) +
                              text.capacity());
}

void DistinctSet::index_item(uint32_t item) {
  const size_t mask = slots_.size() - 1;
  size_t slot = mix64(items_[item].low ^ items_[item].high) & mask;
  while (slots_[slot] != 0) slot = (slot + 1) & mask;
  slots_[slot] = item + 1;
}

void DistinctSet::insert(Hash128 value) {
  if (slots_.empty()) {
    if (std::find(items_.begin(), items_.end(), value) != items_.end()) return;
  } else {
    const size_t mask = slots_.size() - 1;
    for (size_t slot = mix64(value.low ^ value.high) & mask; slots_[slot] != 0; slot = (slot + 1) & mask) {
      if (items_[slots_[slot] - 1] == value) return;
    }
  }
  items_.push_back(value);
  if (items_.size() <= kScanned) return;
  if (items_.size() * 4 > slots_.size() * 3) {
    slots_.assign(std::max<size_t>(4 * kScanned, slots_.size() * 2), 0);
    for (uint32_t item = 0; item < items_.size(); ++item) index_item(item);
  } else {
    index_item(static_cast<uint32_t>(items_.size() - 1));
  }
}

void DistinctSet::merge(const DistinctSet& other) {
  for (const Hash128 value : other.items_) insert(value);
}

void DistinctSet::clear() {
  items_.clear();
  slots_.clear();
}

int64_t DistinctSet::allocated_bytes() const {
  return static_cast<int64_t>(items_.capacity() * sizeof(Hash128) + slots_.capacity() * sizeof(uint32_t));
}

void Aggregates::grow_pools(std::vector<Pool>& pools, uint32_t count) const {
  for (const Part& part : parts_) {
    if (part.pool < 0) continue;
    Pool& pool = pools[static_cast<size_t>(part.pool)];
    if (part.kind == PartKind::kCollect) {
      if (pool.lists.size() < count) pool.lists.resize(count);
    } else if (part.kind == PartKind::kDistinct) {
      if (pool.sets.size() < count) pool.sets.resize(count);
    } else if (pool.texts.size() < count) {
      pool.texts.resize(count);
    }
  }
}

void Aggregates::reset(KeyTable& table, std::vector<Pool>& pools, uint32_t id) const {
  uint8_t* cells = table.cells(id);
  const int64_t number = with_head_ ? load_cell<EntryHead>(cells).number : 0;
  if (!initial_.empty()) std::memcpy(cells, initial_.data(), initial_.size());
  if (with_head_) {
    auto head = load_cell<EntryHead>(cells);
    head.number = number;
    store_cell(cells, head);
  }
  table.mark_dirty(id);
  for (Pool& pool : pools) {
    if (id < pool.texts.size()) pool.texts[id].clear();
    if (id < pool.lists.size()) pool.lists[id].clear();
    if (id < pool.sets.size()) pool.sets[id].clear();
  }
}

void Aggregates::clear_pools(std::vector<Pool>& pools, uint32_t count) const {
  for (Pool& pool : pools) {
    for (size_t i = 0; i < std::min<size_t>(count, pool.texts.size()); ++i) pool.texts[i].clear();
    for (size_t i = 0; i < std::min<size_t>(count, pool.lists.size()); ++i) pool.lists[i].clear();
    for (size_t i = 0; i < std::min<size_t>(count, pool.sets.size()); ++i) pool.sets[i].clear();
  }
}

void Aggregates::write_pools(const std::vector<Pool>& pools, uint32_t id, ByteWriter& out) const {
  for (const Part& part : parts_) {
    if (part.pool < 0) continue;
    const Pool& pool = pools[static_cast<size_t>(part.pool)];
    if (part.kind == PartKind::kCollect) {
      const Collected& list = pool.lists[id];
      out.put(static_cast<uint32_t>(list.times.size()));
      out.put_bytes(list.times.data(), list.times.size() * sizeof(Millis));
      out.put_bytes(list.values.data(), list.values.size() * sizeof(int64_t));
      out.put_string({reinterpret_cast<const char*>(list.text.data()), list.text.size()});
    } else if (part.kind == PartKind::kDistinct) {
      const Buffer<Hash128>& items = pool.sets[id].items();
      out.put(static_cast<uint32_t>(items.size()));
      out.put_bytes(items.data(), items.size() * sizeof(Hash128));
    } else {
      out.put_string(pool.texts[id]);
    }
  }
}

Status Aggregates::read_pools(std::vector<Pool>& pools, uint32_t id, ByteReader& in) const {
  grow_pools(pools, id + 1);
  for (const Part& part : parts_) {
    if (part.pool < 0) continue;
    Pool& pool = pools[static_cast<size_t>(part.pool)];
    if (part.kind == PartKind::kCollect) {
      Collected& list = pool.lists[id];
      pool.bytes -= list.allocated_bytes();
      const size_t count = in.get<uint32_t>();
      if (count > in.left() / (sizeof(Millis) + sizeof(int64_t)))
        return Status::corruption("window state: a list that does not fit");
      list.times.resize(count);
      list.values.resize(count);
      const std::string_view times = in.get_bytes(count * sizeof(Millis));
      const std::string_view values = in.get_bytes(count * sizeof(int64_t));
      const std::string_view text = in.get_string();
      if (in.failed()) return Status::corruption("window state: a list that does not fit");
      if (count > 0) {
        std::memcpy(list.times.data(), times.data(), times.size());
        std::memcpy(list.values.data(), values.data(), values.size());
      }
      list.text.assign(text.begin(), text.end());
      pool.bytes += list.allocated_bytes();
    } else if (part.kind == PartKind::kDistinct) {
      DistinctSet& set = pool.sets[id];
      pool.bytes -= set.allocated_bytes();
      set.clear();
      const size_t count = in.get<uint32_t>();
      if (count > in.left() / sizeof(Hash128)) return Status::corruption("window state: a set that does not fit");
      for (size_t i = 0; i < count; ++i) {
        Hash128 item;
        item.low = in.get<uint64_t>();
        item.high = in.get<uint64_t>();
        set.insert(item);
      }
      pool.bytes += set.allocated_bytes();
    } else {
      std::string& text = pool.texts[id];
      const auto before = static_cast<int64_t>(text.capacity());
      text = in.get_string();
      pool.bytes += static_cast<int64_t>(text.capacity()) - before;
    }
  }
  return in.failed() ? Status::corruption("window state: truncated") : Status();
}

}  // namespace wrackline
