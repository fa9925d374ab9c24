// Rows and other cells into cells.
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>

#include "wrackline/window/aggregate.h"
#include "wrackline/window/cells.h"
#include "wrackline/window/numbers.h"

namespace wrackline {
namespace {

// Rows of one update, with where their cells are.
struct Target {
  const uint32_t* rows;
  const uint32_t* ids;
  size_t count;
  uint8_t* const* cells;
  const Millis* times;
};

// f(i, row) for the rows whose value is not null.
template <typename F>
void each(const Target& target, const Column& column, F f) {
  if (column.null_count() == 0) {
    for (size_t i = 0; i < target.count; ++i) f(i, target.rows[i]);
    return;
  }
  for (size_t i = 0; i < target.count; ++i) {
    if (!column.is_null(target.rows[i])) f(i, target.rows[i]);
  }
}

// f(i, row, value) for integers, timestamps and bools.
template <typename F>
void each_integer(const Target& target, const Column& column, F f) {
  if (column.type() == Type::kBool) {
    each(target, column, [&](size_t i, uint32_t row) { f(i, row, int64_t{column.bool_at(row)}); });
  } else {
    const int64_t* values = column.int64s();
    each(target, column, [&](size_t i, uint32_t row) { f(i, row, values[row]); });
  }
}

template <typename F>
void each_float(const Target& target, const Column& column, F f) {
  const double* values = column.float64s();
  each(target, column, [&](size_t i, uint32_t row) { f(i, row, values[row]); });
}

// The 8 bytes of any fixed-width value.
template <typename F>
void each_word(const Target& target, const Column& column, F f) {
  if (column.type() == Type::kFloat64) {
    each_float(target, column, [&](size_t i, uint32_t row, double value) { f(i, row, std::bit_cast<int64_t>(value)); });
  } else {
    each_integer(target, column, f);
  }
}

void take_lower(uint8_t* cell, double value) {
  const auto old = load_cell<double>(cell);
  if (value < old || std::isnan(old)) store_cell(cell, value);
}

void take_higher(uint8_t* cell, double value) {
  const auto old = load_cell<double>(cell);
  if (value > old || std::isnan(old)) store_cell(cell, value);
}

// The usual four of one column, in one pass over the cells.
struct FusedFloats {
  const double* values;
  uint32_t rows, sum, low, high;
  void operator()(uint32_t row, uint8_t* cells) const {
    const double value = values[row];
    store_cell(cells + rows, load_cell<int64_t>(cells + rows) + 1);
    store_cell(cells + sum, add(load_cell<DoubleDouble>(cells + sum), value));
    // Mostly neither; NaN, here or there, takes the long way.
    if (!(value >= load_cell<double>(cells + low))) [[unlikely]]
      take_lower(cells + low, value);
    if (!(value <= load_cell<double>(cells + high))) [[unlikely]]
      take_higher(cells + high, value);
  }
};

struct FusedIntegers {
  const int64_t* values;
  uint32_t rows, sum, low, high;
  void operator()(uint32_t row, uint8_t* cells) const {
    const int64_t value = values[row];
    store_cell(cells + rows, load_cell<int64_t>(cells + rows) + 1);
    store_cell(cells + sum, load_cell<__int128>(cells + sum) + value);
    if (value < load_cell<int64_t>(cells + low)) store_cell(cells + low, value);
    if (value > load_cell<int64_t>(cells + high)) store_cell(cells + high, value);
  }
};

void assign(std::string& text, std::string_view value, Pool& pool) {
  const auto before = static_cast<int64_t>(text.capacity());
  text.assign(value);
  pool.bytes += static_cast<int64_t>(text.capacity()) - before;
}

Hash128 distinct_value(Type type, int64_t word) {
  if (type == Type::kFloat64) {
    const auto value = std::bit_cast<double>(word);
    if (std::isnan(value))
      word = 0x7ff8000000000000;
    else if (value == 0)
      word = 0;
  }
  return {static_cast<uint64_t>(word), 0};
}

void collect(Collected& list, Millis time, std::string_view text) {
  list.times.push_back(time);
  list.text.insert(list.text.end(), text.begin(), text.end());
  list.values.push_back(static_cast<int64_t>(list.text.size()));
}

template <typename T, typename F>
void change_cell(uint8_t* cell, F f) {
  store_cell(cell, f(load_cell<T>(cell)));
}

void update_fixed(const Part& part, const Target& target, const Column& column) {
  const uint32_t at = part.offset;
  uint8_t* const* cells = target.cells;
  switch (part.kind) {
    case PartKind::kNonNull:
      each(target, column,
           [&](size_t i, uint32_t) { change_cell<int64_t>(cells[i] + at, [](int64_t count) { return count + 1; }); });
      return;
    case PartKind::kSumInteger:
      each_integer(target, column, [&](size_t i, uint32_t, int64_t value) {
        change_cell<__int128>(cells[i] + at, [value](__int128 sum) { return sum + value; });
      });
      return;
    case PartKind::kSumFloat:
      each_float(target, column, [&](size_t i, uint32_t, double value) {
        change_cell<DoubleDouble>(cells[i] + at, [value](DoubleDouble sum) { return add(sum, value); });
      });
      return;
    case PartKind::kMinInteger:
      each_integer(target, column, [&](size_t i, uint32_t, int64_t value) {
        change_cell<int64_t>(cells[i] + at, [value](int64_t low) { return value < low ? value : low; });
      });
      return;
    case PartKind::kMaxInteger:
      each_integer(target, column, [&](size_t i, uint32_t, int64_t value) {
        change_cell<int64_t>(cells[i] + at, [value](int64_t high) { return value > high ? value : high; });
      });
      return;
    case PartKind::kMinFloat:
      each_float(target, column, [&](size_t i, uint32_t, double value) { take_lower(cells[i] + at, value); });
      return;
    case PartKind::kMaxFloat:
      each_float(target, column, [&](size_t i, uint32_t, double value) { take_higher(cells[i] + at, value); });
      return;
    case PartKind::kMoments: {
      const auto include = [&](size_t i, DoubleDouble value) {
        auto moments = load_cell<Moments>(cells[i] + at);
        moments.include(value);
        store_cell(cells[i] + at, moments);
      };
      if (column.type() == Type::kFloat64) {
        each_float(target, column, [&](size_t i, uint32_t, double value) { include(i, {value, 0}); });
      } else {
        each_integer(target, column, [&](size_t i, uint32_t, int64_t value) { include(i, DoubleDouble::of(value)); });
      }
      return;
    }
    case PartKind::kFirst:
      each_word(target, column, [&](size_t i, uint32_t row, int64_t value) {
        if (target.times[row] >= load_cell<Millis>(cells[i] + at)) return;
        store_cell(cells[i] + at, target.times[row]);
        store_cell(cells[i] + at + 8, value);
      });
      return;
    case PartKind::kLast:
      each_word(target, column, [&](size_t i, uint32_t row, int64_t value) {
        if (target.times[row] < load_cell<Millis>(cells[i] + at)) return;
        store_cell(cells[i] + at, target.times[row]);
        store_cell(cells[i] + at + 8, value);
      });
      return;
    default: WL_CHECK(false);
  }
}

void update_text(const Part& part, const Target& target, const Column& column, Pool& pool) {
  each(target, column, [&](size_t i, uint32_t row) {
    uint8_t* cell = target.cells[i] + part.offset;
    std::string& text = pool.texts[target.ids[i]];
    const std::string_view value = column.string_at(row);
    const auto mark = load_cell<int64_t>(cell);  // event time, or whether there is a value
    switch (part.kind) {
      case PartKind::kMinText:
        if (mark != 0 && value >= text) return;
        break;
      case PartKind::kMaxText:
        if (mark != 0 && value <= text) return;
        break;
      case PartKind::kFirstText:
        if (target.times[row] >= mark) return;
        break;
      default:
        if (target.times[row] < mark) return;
    }
    const bool timed = part.kind == PartKind::kFirstText || part.kind == PartKind::kLastText;
    store_cell(cell, timed ? target.times[row] : int64_t{1});
    assign(text, value, pool);
  });
}

void update_objects(const Part& part, const Target& target, const Column& column, Pool& pool) {
  const bool text = column.type() == Type::kString || column.type() == Type::kBytes;
  if (part.kind == PartKind::kDistinct) {
    const auto insert = [&](size_t i, Hash128 value) {
      DistinctSet& set = pool.sets[target.ids[i]];
      const int64_t before = set.allocated_bytes();
      set.insert(value);
      pool.bytes += set.allocated_bytes() - before;
    };
    if (text) {
      each(target, column, [&](size_t i, uint32_t row) { insert(i, hash128(column.string_at(row))); });
    } else {
      each_word(target, column, [&](size_t i, uint32_t, int64_t word) { insert(i, distinct_value(part.type, word)); });
    }
    return;
  }
  const auto append = [&](size_t i, auto f) {
    Collected& list = pool.lists[target.ids[i]];
    const int64_t before = list.allocated_bytes();
    f(list);
    pool.bytes += list.allocated_bytes() - before;
  };
  if (text) {
    each(target, column, [&](size_t i, uint32_t row) {
      append(i, [&](Collected& list) { collect(list, target.times[row], column.string_at(row)); });
    });
  } else {
    each_word(target, column, [&](size_t i, uint32_t row, int64_t word) {
      append(i, [&](Collected& list) {
        list.times.push_back(target.times[row]);
        list.values.push_back(word);
      });
    });
  }
}

}  // namespace

void Aggregates::put(const Batch& batch, const KeyPacker& keys, const uint32_t* rows, size_t count, KeyTable& table,
                     std::vector<Pool>& pools) const {
  if (fused_.column >= 0 && other_parts_.empty() && !with_head_) {
    const Column& column = batch.column(fused_.column);
    if (fused_.is_float) {
      table.each(keys, rows, count, FusedFloats{column.float64s(), fused_.rows, fused_.sum, fused_.low, fused_.high});
    } else {
      table.each(keys, rows, count, FusedIntegers{column.int64s(), fused_.rows, fused_.sum, fused_.low, fused_.high});
    }
    return;
  }
  std::array<uint32_t, KeyTable::kBlock> ids;
  for (size_t begin = 0; begin < count; begin += KeyTable::kBlock) {
    const size_t size = std::min(KeyTable::kBlock, count - begin);
    table.resolve(keys, rows + begin, size, ids.data());
    update(batch, rows + begin, ids.data(), size, table, pools);
  }
}

void Aggregates::update(const Batch& batch, const uint32_t* rows, const uint32_t* ids, size_t count, KeyTable& table,
                        std::vector<Pool>& pools) const {
  std::array<uint8_t*, KeyTable::kBlock> cells;
  for (size_t i = 0; i < count; ++i) cells[i] = table.cells(ids[i]);
  const Target target{rows, ids, count, cells.data(), batch.event_times.data()};
  if (pool_count_ > 0) grow_pools(pools, table.count());
  if (with_head_) {
    for (size_t i = 0; i < count; ++i) {
      auto head = load_cell<EntryHead>(cells[i]);
      ++head.rows;
      head.first = std::min(head.first, target.times[rows[i]]);
      head.last = std::max(head.last, target.times[rows[i]]);
      store_cell(cells[i], head);
    }
  }
  if (fused_.column >= 0) {
    const Column& column = batch.column(fused_.column);
    const auto each_with = [&](const auto& put_value) {
      for (size_t i = 0; i < count; ++i) put_value(rows[i], cells[i]);
    };
    if (fused_.is_float)
      each_with(FusedFloats{column.float64s(), fused_.rows, fused_.sum, fused_.low, fused_.high});
    else
      each_with(FusedIntegers{column.int64s(), fused_.rows, fused_.sum, fused_.low, fused_.high});
  }
  for (const Part& part : other_parts_) {
    if (part.kind == PartKind::kRows) {
      for (size_t i = 0; i < count; ++i)
        store_cell(cells[i] + part.offset, load_cell<int64_t>(cells[i] + part.offset) + 1);
      continue;
    }
    const Column& column = batch.column(part.column);
    if (part.pool < 0)
      update_fixed(part, target, column);
    else if (part.kind == PartKind::kDistinct || part.kind == PartKind::kCollect)
      update_objects(part, target, column, pools[static_cast<size_t>(part.pool)]);
    else
      update_text(part, target, column, pools[static_cast<size_t>(part.pool)]);
  }
}

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
    uint8_t* cell = cells + part.offset;
    const uint8_t* other = other_cells + part.offset;
    switch (part.kind) {
      case PartKind::kRows:
      case PartKind::kNonNull: store_cell(cell, load_cell<int64_t>(cell) + load_cell<int64_t>(other)); continue;
      case PartKind::kSumInteger: store_cell(cell, load_cell<__int128>(cell) + load_cell<__int128>(other)); continue;
      case PartKind::kSumFloat:
        store_cell(cell, wrackline::add(load_cell<DoubleDouble>(cell), load_cell<DoubleDouble>(other)));
        continue;
      case PartKind::kMinInteger:
        store_cell(cell, std::min(load_cell<int64_t>(cell), load_cell<int64_t>(other)));
        continue;
      case PartKind::kMaxInteger:
        store_cell(cell, std::max(load_cell<int64_t>(cell), load_cell<int64_t>(other)));
        continue;
      case PartKind::kMinFloat: take_lower(cell, load_cell<double>(other)); continue;
      case PartKind::kMaxFloat: take_higher(cell, load_cell<double>(other)); continue;
      case PartKind::kMoments: {
        auto moments = load_cell<Moments>(cell);
        moments.merge(load_cell<Moments>(other));
        store_cell(cell, moments);
        continue;
      }
      case PartKind::kFirst:
        if (load_cell<Millis>(other) < load_cell<Millis>(cell)) std::memcpy(cell, other, 16);
        continue;
      case PartKind::kLast:
        if (load_cell<Millis>(other) >= load_cell<Millis>(cell)) std::memcpy(cell, other, 16);
        continue;
      default: break;
    }
    Pool& pool = pools[static_cast<size_t>(part.pool)];
    const Pool& from_pool = from_pools[static_cast<size_t>(part.pool)];
    if (part.kind == PartKind::kDistinct) {
      const int64_t before = pool.sets[id].allocated_bytes();
      pool.sets[id].merge(from_pool.sets[from_id]);
      pool.bytes += pool.sets[id].allocated_bytes() - before;
      continue;
    }
    if (part.kind == PartKind::kCollect) {
      Collected& list = pool.lists[id];
      const Collected& more = from_pool.lists[from_id];
      const int64_t before = list.allocated_bytes();
      const auto shift = static_cast<int64_t>(list.text.size());  // ends of texts move by it
      list.times.insert(list.times.end(), more.times.begin(), more.times.end());
      const bool text = part.type == Type::kString || part.type == Type::kBytes;
      for (const int64_t value : more.values) list.values.push_back(text ? value + shift : value);
      list.text.insert(list.text.end(), more.text.begin(), more.text.end());
      pool.bytes += list.allocated_bytes() - before;
      continue;
    }
    const auto mark = load_cell<int64_t>(cell);
    const auto other_mark = load_cell<int64_t>(other);
    std::string& text = pool.texts[id];
    const std::string& value = from_pool.texts[from_id];
    bool replace = false;
    switch (part.kind) {
      case PartKind::kMinText: replace = other_mark != 0 && (mark == 0 || value < text); break;
      case PartKind::kMaxText: replace = other_mark != 0 && (mark == 0 || value > text); break;
      case PartKind::kFirstText: replace = other_mark < mark; break;
      default: replace = other_mark >= mark;
    }
    if (!replace) continue;
    store_cell(cell, other_mark);
    assign(text, value, pool);
  }
}

}  // namespace wrackline
