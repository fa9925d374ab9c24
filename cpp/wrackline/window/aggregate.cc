#include "wrackline/window/aggregate.h"

#include <algorithm>
#include <cstring>

#include "wrackline/window/aggregate/functions.h"
#include "wrackline/window/cells.h"

namespace wrackline {

Result<Aggregates> Aggregates::make(const std::vector<AggregateSpec>& specs, const Schema& input, bool with_head) {
  Aggregates aggregates;
  aggregates.with_head_ = with_head;
  if (with_head) {
    aggregates.initial_.resize(sizeof(EntryHead));
    store_cell(aggregates.initial_.data(), EntryHead());
  }
  for (const AggregateSpec& spec : specs) WL_RETURN_IF_ERROR(Layout(aggregates, spec, input).add());
  aggregates.find_fused();
  return aggregates;
}

void Aggregates::find_fused() {
  const auto find = [&](PartKind kind, int column) {
    const auto it =
        std::find_if(parts_.begin(), parts_.end(), [&](const Part& p) { return p.kind == kind && p.column == column; });
    return it == parts_.end() ? nullptr : &*it;
  };
  other_parts_ = parts_;
  const Part* rows = find(PartKind::kRows, -1);
  for (const Part& part : parts_) {
    const bool is_float = part.kind == PartKind::kSumFloat;
    if (!is_float && part.kind != PartKind::kSumInteger) continue;
    const Part* low = find(is_float ? PartKind::kMinFloat : PartKind::kMinInteger, part.column);
    const Part* high = find(is_float ? PartKind::kMaxFloat : PartKind::kMaxInteger, part.column);
    if (rows == nullptr || low == nullptr || high == nullptr || part.type == Type::kBool) continue;
    fused_ = {part.column, is_float, rows->offset, part.offset, low->offset, high->offset, std::nullopt};
    if (part.nullable) fused_.filled = find(PartKind::kNonNull, part.column)->offset;  // min and max count them
    std::erase_if(other_parts_, [&](const Part& p) {
      return p.kind == PartKind::kRows ||
             (p.column == fused_.column &&
              (p.kind == part.kind || p.kind == low->kind || p.kind == high->kind || p.kind == PartKind::kNonNull));
    });
    return;
  }
}

std::vector<Pool> Aggregates::make_pools() const {
  std::vector<Pool> pools(static_cast<size_t>(pool_count_));
  for (const Part& part : parts_) {
    if (part.kind == PartKind::kCustom)
      pools[static_cast<size_t>(part.pool)].custom =
          std::make_unique<CustomStates>(part.custom, part.columns, part.rows);
  }
  return pools;
}

const std::string* Aggregates::not_mergeable() const {
  for (const Part& part : parts_) {
    if (part.kind == PartKind::kCustom && !part.custom->mergeable()) return &part.custom->name();
  }
  return nullptr;
}

void Aggregates::note(const Part& part, const Status& status) const {
  if (!status.ok() && failure_.ok()) failure_ = status.with_context(part.custom->name());
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
  for (const Part& part : parts_) {
    if (part.pool >= 0) wrackline::reset(pools[static_cast<size_t>(part.pool)], part.pool_kind, id);
  }
}

void Aggregates::move(KeyTable& table, std::vector<Pool>& pools, uint32_t from, uint32_t to) const {
  if (!initial_.empty()) std::memcpy(table.cells(to), table.cells(from), initial_.size());
  for (const Part& part : parts_) {
    if (part.pool < 0) continue;
    if (const Status status = wrackline::move(pools[static_cast<size_t>(part.pool)], part.pool_kind, from, to);
        !status.ok())
      note(part, status);
  }
  reset(table, pools, from);
}

void Aggregates::grow_pools(std::vector<Pool>& pools, uint32_t count) const {
  for (const Part& part : parts_) {
    if (part.pool >= 0) grow(pools[static_cast<size_t>(part.pool)], part.pool_kind, count);
  }
}

void Aggregates::clear_pools(std::vector<Pool>& pools, uint32_t count) const {
  for (const Part& part : parts_) {
    if (part.pool >= 0) clear(pools[static_cast<size_t>(part.pool)], part.pool_kind, count);
  }
}

namespace {

// How much one object of a pool takes.
std::string growth_of(const Part& part) {
  const std::string text = part.is_text() ? " and its text" : "";
  switch (part.pool_kind) {
    case PoolKind::kTexts: return "its text";
    case PoolKind::kLists: return "16 bytes a value" + text;
    case PoolKind::kSets: return "about 22 bytes a different value";
    case PoolKind::kTextSets: return "about 30 bytes a different value and its text";
    case PoolKind::kValues: return "8 bytes a value";
    case PoolKind::kTops: return "8 bytes a value, of at most " + std::to_string(2 * part.k);
    case PoolKind::kTopTexts: return "32 bytes and its text a value, of at most " + std::to_string(2 * part.k);
    case PoolKind::kChosen: return "its texts";
    case PoolKind::kHyperLogLogs:
      return "8 bytes a value, at most " + std::to_string(HyperLogLog::kRegisters) + " in all";
    case PoolKind::kKlls: return "8 bytes a value, at most about 5,000 in all";
    case PoolKind::kFrequents:
      return "about 40 bytes a different value" + text + ", of at most " +
             std::to_string(2 * FrequentValues::counters(part.k));
    case PoolKind::kCustom: return "its state, and rows that wait to be added";
  }
  return {};
}

}  // namespace

std::string Aggregates::describe_pools() const {
  std::string all;
  for (size_t part = 0; part < parts_.size(); ++part) {
    if (parts_[part].pool < 0) continue;
    std::string names;
    for (size_t i = 0; i < outputs_.size(); ++i) {
      if (outputs_[i].part == static_cast<int>(part)) names += (names.empty() ? "" : ", ") + fields_[i].name;
    }
    all += (all.empty() ? "" : "; ") + names + ": " + growth_of(parts_[part]);
  }
  return all;
}

void Aggregates::write_pools(const std::vector<Pool>& pools, uint32_t id, ByteWriter& out) const {
  for (const Part& part : parts_) {
    if (part.pool < 0) continue;
    const Pool& pool = pools[static_cast<size_t>(part.pool)];
    if (part.kind == PartKind::kCustom)
      note(part, pool.custom->write(id, out));
    else
      write(pool, part.pool_kind, id, out);
  }
}

Status Aggregates::read_pools(std::vector<Pool>& pools, uint32_t id, ByteReader& in) const {
  grow_pools(pools, id + 1);
  for (const Part& part : parts_) {
    if (part.pool >= 0 && !read(pools[static_cast<size_t>(part.pool)], part.pool_kind, id, in))
      return Status::corruption("window state: a variable part that does not fit");
  }
  return {};
}

}  // namespace wrackline
