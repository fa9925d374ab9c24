#include "wrackline/window/aggregate/custom.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace wrackline {
namespace {

constexpr double kGroupGrowth = 8;         // a group is so many roots of what came before
constexpr uint32_t kLeastGroup = 32;       // rows
constexpr uint32_t kMostGroup = 8192;      // rows
constexpr size_t kWorthACall = 16 * 1024;  // rows, or entries to merge

}  // namespace

CustomStates::CustomStates(std::shared_ptr<const CustomAggregate> aggregate, std::vector<int> columns, SchemaPtr rows)
    : aggregate_(std::move(aggregate)),
      columns_(std::move(columns)),
      states_(aggregate_->initial()->schema),
      rows_(std::move(rows)) {}

uint32_t CustomStates::group_size(int64_t taken) {
  const double size = kGroupGrowth * std::sqrt(static_cast<double>(taken));
  return static_cast<uint32_t>(std::clamp(size, double{kLeastGroup}, double{kMostGroup}));
}

void CustomStates::grow(uint32_t count) {
  while (states_.size() < count) {
    states_.append(aggregate_->initial()->columns, 0);
    taken_.push_back(0);
    group_.push_back(group_size(0));
    waiting_.push_back(0);
    indexed_ = false;
  }
}

void CustomStates::clear() {
  states_.clear();
  taken_.clear();
  group_.clear();
  waiting_.clear();
  rows_.clear();
  row_ids_.clear();
  replaced_.clear();
  ripe_ = 0;
  indexed_ = false;
  targets_.clear();
  if (merges_) merges_->clear();
}

void CustomStates::set_taken(uint32_t id, int64_t taken) {
  taken_[id] = taken;
  group_[id] = group_size(taken);
}

// One row more waits for `id`.
void CustomStates::count_waiting(uint32_t id) {
  row_ids_.push_back(id);
  indexed_ = false;
  const uint32_t waiting = ++waiting_[id];
  if (waiting == group_[id])
    ripe_ += waiting;
  else if (waiting > group_[id])
    ++ripe_;
}

Status CustomStates::put(const Batch& batch, const uint32_t* rows, const uint32_t* ids, size_t count) {
  WL_RETURN_IF_ERROR(flush_merges());
  rows_.append(batch, columns_, rows, count);
  for (size_t i = 0; i < count; ++i) count_waiting(ids[i]);
  // settle() looks at every entry.
  return ripe_ < std::max(kWorthACall, states_.size() / 4) ? Status() : settle({});
}

void CustomStates::index_rows() {
  if (indexed_) return;
  if (!replaced_.empty()) drop_replaced();
  begin_.resize(waiting_.size() + 1);
  begin_[0] = 0;
  for (size_t id = 0; id < waiting_.size(); ++id) begin_[id + 1] = begin_[id] + waiting_[id];
  order_.resize(row_ids_.size());
  Ids next(begin_.begin(), begin_.end());
  for (uint32_t row = 0; row < row_ids_.size(); ++row) order_[next[row_ids_[row]]++] = row;
  indexed_ = true;
}

// Keeps the rows with kept[row] != 0.
void CustomStates::keep_rows(const Bytes& kept) {
  Ids rows;
  for (uint32_t row = 0; row < kept.size(); ++row) {
    if (kept[row] == 0) continue;
    row_ids_[rows.size()] = row_ids_[row];
    rows.push_back(row);
  }
  rows_.keep(rows);
  row_ids_.resize(rows.size());
  indexed_ = false;
}

void CustomStates::drop_replaced() {
  Bytes kept(row_ids_.size(), 1);
  for (uint32_t row = 0; row < kept.size(); ++row) {
    if (row_ids_[row] < replaced_.size() && row < replaced_[row_ids_[row]]) kept[row] = 0;
  }
  replaced_.clear();
  keep_rows(kept);
}

// The states of `ids` with rows added go to `places` of `into`.
Status CustomStates::add(const Ids& ids, const Ids& rows, const Ids& groups, CellRows& into, const Ids& places) const {
  auto group = std::make_shared<Column>(Type::kInt64);
  group->reserve(static_cast<int64_t>(groups.size()));
  for (const uint32_t one : groups) group->append_int64(one);
  WL_ASSIGN_OR_RETURN(
      const CustomAggregate::Columns columns,
      aggregate_->add(states_.gather(ids.data(), ids.size()), rows_.gather(rows.data(), rows.size()), group));
  for (size_t i = 0; i < places.size(); ++i) into.set(places[i], columns, static_cast<int64_t>(i));
  return {};
}

Status CustomStates::settle(const Ids& finished) {
  if (row_ids_.empty()) return {};
  index_rows();
  Bytes whole(states_.size(), 0);
  for (const uint32_t id : finished) whole[id] = 1;
  struct Cursor {
    uint32_t id;
    uint32_t at;  // in order_
  };
  std::vector<Cursor> cursors;
  for (uint32_t id = 0; id < waiting_.size(); ++id) {
    if (waiting_[id] >= group_[id] || (whole[id] != 0 && waiting_[id] > 0)) cursors.push_back({id, begin_[id]});
  }
  Bytes kept(row_ids_.size(), 1);
  while (!cursors.empty()) {
    Ids ids;
    Ids rows;
    Ids groups;
    for (Cursor& cursor : cursors) {
      const uint32_t size = std::min(group_[cursor.id], begin_[cursor.id + 1] - cursor.at);
      for (const uint32_t stop = cursor.at + size; cursor.at < stop; ++cursor.at) {
        rows.push_back(order_[cursor.at]);
        groups.push_back(static_cast<uint32_t>(ids.size()));
        kept[order_[cursor.at]] = 0;
      }
      ids.push_back(cursor.id);
      set_taken(cursor.id, taken_[cursor.id] + size);
      waiting_[cursor.id] -= size;
    }
    WL_RETURN_IF_ERROR(add(ids, rows, groups, states_, ids));
    std::erase_if(cursors, [&](const Cursor& cursor) {
      const uint32_t id = cursor.id;
      return waiting_[id] < group_[id] && (whole[id] == 0 || waiting_[id] == 0);
    });
  }
  keep_rows(kept);
  ripe_ = 0;
  return {};
}

// Entry `id`, which is fresh, becomes what `from_id` is.
void CustomStates::copy(uint32_t id, CustomStates& from, uint32_t from_id) {
  states_.set(id, from.states_, from_id);
  set_taken(id, from.taken_[from_id]);
  if (from.waiting_[from_id] == 0) return;
  from.index_rows();
  const Ids rows(from.order_.begin() + from.begin_[from_id], from.order_.begin() + from.begin_[from_id + 1]);
  for (const uint32_t row : rows) {
    rows_.append(from.rows_, row);
    count_waiting(id);
  }
}

Status CustomStates::merge(uint32_t id, CustomStates& from, uint32_t from_id) {
  WL_RETURN_IF_ERROR(from.flush_merges());
  if (from.fresh(from_id)) return {};
  if (fresh(id)) {
    copy(id, from, from_id);
    return {};
  }
  if (!merges_) merges_ = std::make_unique<CustomStates>(aggregate_, columns_, rows_.schema());
  const auto place = static_cast<uint32_t>(targets_.size());
  merges_->grow(place + 1);
  merges_->copy(place, from, from_id);
  targets_.push_back(id);
  return targets_.size() < kWorthACall ? Status() : flush_merges();
}

Status CustomStates::flush_merges() {
  if (targets_.empty()) return {};
  const Ids targets = std::move(targets_);
  targets_ = {};
  Ids order(targets.size());
  std::iota(order.begin(), order.end(), 0U);
  WL_RETURN_IF_ERROR(merges_->settle(order));
  WL_RETURN_IF_ERROR(settle(targets));
  // One merge of each entry a round, in the order in which they came.
  std::stable_sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) { return targets[a] < targets[b]; });
  while (!order.empty()) {
    Ids ids;
    Ids others;
    Ids left;
    for (const uint32_t other : order) {
      if (!ids.empty() && ids.back() == targets[other]) {
        left.push_back(other);
        continue;
      }
      ids.push_back(targets[other]);
      others.push_back(other);
    }
    WL_ASSIGN_OR_RETURN(const CustomAggregate::Columns columns,
                        aggregate_->merge(states_.gather(ids.data(), ids.size()),
                                          merges_->states_.gather(others.data(), others.size())));
    for (size_t i = 0; i < ids.size(); ++i) {
      states_.set(ids[i], columns, static_cast<int64_t>(i));
      set_taken(ids[i], taken_[ids[i]] + merges_->taken_[others[i]]);
    }
    order = std::move(left);
  }
  merges_->clear();
  return {};
}

Result<ColumnPtr> CustomStates::results(const uint32_t* ids, size_t count) {
  WL_RETURN_IF_ERROR(flush_merges());
  if (ripe_ > 0) WL_RETURN_IF_ERROR(settle({}));
  index_rows();
  Ids some;  // entries with rows that wait
  Ids places;
  Ids rows;
  Ids groups;
  for (size_t i = 0; i < count; ++i) {
    const uint32_t id = ids[i];
    if (waiting_[id] == 0) continue;
    for (uint32_t at = begin_[id]; at < begin_[id + 1]; ++at) {
      rows.push_back(order_[at]);
      groups.push_back(static_cast<uint32_t>(some.size()));
    }
    some.push_back(id);
    places.push_back(static_cast<uint32_t>(i));
  }
  if (some.empty()) return aggregate_->finish(states_.gather(ids, count));
  CellRows copies(states_.schema());
  for (size_t i = 0; i < count; ++i) copies.append(states_, ids[i]);
  WL_RETURN_IF_ERROR(add(some, rows, groups, copies, places));
  Ids all(count);
  std::iota(all.begin(), all.end(), 0U);
  return aggregate_->finish(copies.gather(all.data(), count));
}

Status CustomStates::write(uint32_t id, ByteWriter& out) {
  WL_RETURN_IF_ERROR(flush_merges());
  index_rows();
  states_.write(id, out);
  out.put(taken_[id]);
  out.put(waiting_[id]);
  for (uint32_t at = begin_[id]; at < begin_[id + 1]; ++at) rows_.write(order_[at], out);
  return {};
}

// Those that wait.
void CustomStates::forget_rows(uint32_t id) {
  if (waiting_[id] == 0) return;
  replaced_.resize(waiting_.size(), 0);
  replaced_[id] = static_cast<uint32_t>(row_ids_.size());
  waiting_[id] = 0;
  indexed_ = false;
}

void CustomStates::reset(uint32_t id) {
  forget_rows(id);
  states_.set(id, aggregate_->initial()->columns, 0);
  set_taken(id, 0);
}

bool CustomStates::read(uint32_t id, ByteReader& in) {
  forget_rows(id);
  if (!states_.read(id, in)) return false;
  const auto taken = in.get<int64_t>();
  const auto waiting = in.get<uint32_t>();
  if (taken < 0) return false;
  set_taken(id, taken);
  for (uint32_t i = 0; i < waiting && !in.failed(); ++i) {
    rows_.append_empty();
    count_waiting(id);
    if (!rows_.read(rows_.size() - 1, in)) return false;
  }
  return !in.failed();
}

int64_t CustomStates::allocated_bytes() const {
  const size_t words = group_.capacity() + waiting_.capacity() + row_ids_.capacity() + order_.capacity() +
                       begin_.capacity() + targets_.capacity() + replaced_.capacity();
  return states_.allocated_bytes() + rows_.allocated_bytes() +
         static_cast<int64_t>(taken_.capacity() * sizeof(int64_t) + words * sizeof(uint32_t)) +
         (merges_ ? merges_->allocated_bytes() : 0);
}

}  // namespace wrackline
