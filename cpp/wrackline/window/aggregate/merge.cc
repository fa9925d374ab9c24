// Entries of later slices into entries.
#include <algorithm>
#include <cmath>
#include <cstring>

#include "wrackline/window/aggregate.h"
#include "wrackline/window/aggregate/changes.h"
#include "wrackline/window/aggregate/numbers.h"

namespace wrackline {
namespace {

void merge_text(const Part& part, uint8_t* cell, const uint8_t* other, std::string& text, const std::string& value,
                Pool& pool) {
  const auto mark = load_cell<int64_t>(cell);
  const auto other_mark = load_cell<int64_t>(other);
  bool replace = false;
  switch (part.kind) {
    case PartKind::kMinText: replace = other_mark != 0 && (mark == 0 || value < text); break;
    case PartKind::kMaxText: replace = other_mark != 0 && (mark == 0 || value > text); break;
    case PartKind::kFirstText: replace = other_mark < mark; break;
    default: replace = other_mark >= mark;
  }
  if (!replace) return;
  store_cell(cell, other_mark);
  assign(text, value, pool);
}

// Calls f(merge) with what merges the cell of a later slice into a cell, of a part without a pool.
template <typename F>
void with_cell_merge(const Part& part, F f) {
  const auto changed = [&]<typename T>(auto merged) {
    f([merged](uint8_t* cell, const uint8_t* other) {
      store_cell(cell, merged(load_cell<T>(cell), load_cell<T>(other)));
    });
  };
  switch (part.kind) {
    case PartKind::kRows:
    case PartKind::kNonNull: return changed.template operator()<int64_t>([](auto a, auto b) { return a + b; });
    case PartKind::kSumInteger: return changed.template operator()<__int128>([](auto a, auto b) { return a + b; });
    case PartKind::kSumFloat:
      return changed.template operator()<DoubleDouble>([](auto a, auto b) { return add(a, b); });
    case PartKind::kMinInteger:
      return changed.template operator()<int64_t>([](auto a, auto b) { return std::min(a, b); });
    case PartKind::kMaxInteger:
      return changed.template operator()<int64_t>([](auto a, auto b) { return std::max(a, b); });
    case PartKind::kMinFloat:
      return changed.template operator()<double>([](double a, double b) { return lower(a, b); });
    case PartKind::kMaxFloat:
      return changed.template operator()<double>([](double a, double b) { return higher(a, b); });
    case PartKind::kMoments:
      return changed.template operator()<Moments>([](Moments a, const Moments& b) {
        a.merge(b);
        return a;
      });
    case PartKind::kFirst:
      return f([](uint8_t* cell, const uint8_t* other) {
        if (load_cell<Millis>(other) < load_cell<Millis>(cell)) std::memcpy(cell, other, 16);
      });
    case PartKind::kLast:
      return f([](uint8_t* cell, const uint8_t* other) {
        if (load_cell<Millis>(other) >= load_cell<Millis>(cell)) std::memcpy(cell, other, 16);
      });
    case PartKind::kArgMin:
    case PartKind::kArgMax:
      return f([&part](uint8_t* cell, const uint8_t* other) {
        if (chooses(part, load_cell<ArgCell>(cell), load_cell<ArgCell>(other), {}, {}))
          std::memcpy(cell, other, sizeof(ArgCell));
      });
    default: return;  // in a pool
  }
}

}  // namespace

void Aggregates::merge(KeyTable& table, std::vector<Pool>& pools, uint32_t id, const KeyTable& from,
                       const std::vector<Pool>& from_pools, uint32_t from_id) const {
  uint8_t* cells = table.cells(id);
  const uint8_t* other_cells = from.cells(from_id);
  if (with_head_) {
    auto head = load_cell<EntryHead>(cells);
    const auto other = load_cell<EntryHead>(other_cells);
    head.rows += other.rows;
    head.first = std::min(head.first, other.first);
    head.last = std::max(head.last, other.last);
    store_cell(cells, head);
  }
  for (const Part& part : parts_) {
    const bool pooled = part.pool >= 0;
    merge_part(part, cells + part.offset, other_cells + part.offset,
               pooled ? &pools[static_cast<size_t>(part.pool)] : nullptr, id,
               pooled ? &from_pools[static_cast<size_t>(part.pool)] : nullptr, from_id);
  }
}

void Aggregates::merge_cells(uint8_t* cells, const uint8_t* later) const {
  for (const Part& part : parts_) merge_part(part, cells + part.offset, later + part.offset, nullptr, 0, nullptr, 0);
}

void Aggregates::merge_cells(uint8_t* const* cells, const uint8_t* const* later, size_t count) const {
  for (const Part& part : parts_) {
    with_cell_merge(part, [&](auto merge) {
      for (size_t i = 0; i < count; ++i) merge(cells[i] + part.offset, later[i] + part.offset);
    });
  }
}

bool Aggregates::holds_huge_sum(const uint8_t* const* cells, size_t count) const {
  constexpr double kHuge = 1e300;  // 100,000 slices (the most of a window) of it can be added up in any order
  bool huge = false;
  for (const Part& part : parts_) {
    if (part.kind != PartKind::kSumFloat) continue;
    for (size_t i = 0; i < count; ++i) {
      const double sum = std::fabs(load_cell<DoubleDouble>(cells[i] + part.offset).high);
      huge = huge || (sum > kHuge && std::isfinite(sum));
    }
  }
  return huge;
}

void Aggregates::merge_part(const Part& part, uint8_t* cell, const uint8_t* other, Pool* pool, uint32_t id,
                            const Pool* from_pool, uint32_t from_id) const {
  const auto merge_objects = [&](auto& objects, const auto& others, auto... more) {
    change(*pool, objects[id], [&](auto& object) { object.merge(others[from_id], more...); });
  };
  if (pool == nullptr) return with_cell_merge(part, [&](auto merge) { merge(cell, other); });
  switch (part.kind) {
    case PartKind::kArgMin:
    case PartKind::kArgMax: {
      const Chosen& chosen = from_pool->chosen[from_id];
      if (!chooses(part, load_cell<ArgCell>(cell), load_cell<ArgCell>(other), pool->chosen[id].by, chosen.by)) return;
      std::memcpy(cell, other, sizeof(ArgCell));
      assign(pool->chosen[id].by, chosen.by, *pool);
      assign(pool->chosen[id].value, chosen.value, *pool);
      return;
    }
    case PartKind::kMinText:
    case PartKind::kMaxText:
    case PartKind::kFirstText:
    case PartKind::kLastText: return merge_text(part, cell, other, pool->texts[id], from_pool->texts[from_id], *pool);
    case PartKind::kCollect: return merge_objects(pool->lists, from_pool->lists, part.is_text());
    case PartKind::kDistinct: return merge_objects(pool->sets, from_pool->sets);
    case PartKind::kTextSet: return merge_objects(pool->text_sets, from_pool->text_sets);
    case PartKind::kValues: return merge_objects(pool->values, from_pool->values);
    case PartKind::kTop: return merge_objects(pool->tops, from_pool->tops, part.k);
    case PartKind::kTopText: return merge_objects(pool->top_texts, from_pool->top_texts, part.k);
    case PartKind::kApproxDistinct: return merge_objects(pool->hyper_log_logs, from_pool->hyper_log_logs);
    case PartKind::kApproxQuantile: return merge_objects(pool->klls, from_pool->klls);
    case PartKind::kCustom:
      if (failure_.ok()) note(part, pool->custom->merge(id, *from_pool->custom, from_id));
      return;
    case PartKind::kFrequent: return merge_objects(pool->frequents, from_pool->frequents, part.k);
    default: return;  // in no pool
  }
}

}  // namespace wrackline
