// Rows into cells and pools.
#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>

#include "wrackline/core/extremes.h"
#include "wrackline/window/aggregate.h"
#include "wrackline/window/aggregate/changes.h"
#include "wrackline/window/aggregate/fused.h"
#include "wrackline/window/aggregate/numbers.h"
#include "wrackline/window/cells.h"

namespace wrackline {

// The least and the most of the numbers of one update, found once for `max` and the `arg_max` by the same column.
class Extremes {
 public:
  explicit Extremes(size_t count) : count_(count) {}
  int64_t least(const int64_t* words) {
    if (least_.words != words) least_ = {words, least_of(words, count_)};
    return least_.value;
  }
  int64_t most(const int64_t* words) {
    if (most_.words != words) most_ = {words, most_of(words, count_)};
    return most_.value;
  }

 private:
  struct Found {
    const int64_t* words = nullptr;
    int64_t value = 0;
  };
  size_t count_;
  Found least_;
  Found most_;
};

// Rows of one update, with where their cells are.
struct UpdateTarget {
  const uint32_t* rows;
  const uint32_t* ids;
  size_t count;
  uint8_t* const* cells;
  const Millis* times;
  bool one_entry;  // all cells are the same: the whole stream's, or those of a frequent key
  bool in_a_row;   // and the rows follow one another: rows[i] is rows[0] + i
  mutable Extremes extremes = Extremes(count);
};

namespace {

using Target = UpdateTarget;

// The values of all rows, if they are integers in a row.
const int64_t* words_in_a_row(const Target& target, const Column& column) {
  const bool integers = column.type() == Type::kInt64 || column.type() == Type::kTimestamp;
  return target.in_a_row && integers && column.null_count() == 0 ? column.int64s() + target.rows[0] : nullptr;
}

// f(i, row) for the rows whose value is not null.
template <typename F>
void each(const Target& target, const Column& column, F f) {
  if (column.null_count() == 0 && target.in_a_row) {  // several rows at once, where f allows it
    const int64_t first = target.rows[0];
    for (size_t i = 0; i < target.count; ++i) f(i, first + static_cast<int64_t>(i));
    return;
  }
  if (column.null_count() == 0) {
    for (size_t i = 0; i < target.count; ++i) f(i, int64_t{target.rows[i]});
    return;
  }
  for (size_t i = 0; i < target.count; ++i) {
    if (!column.is_null(target.rows[i])) f(i, int64_t{target.rows[i]});
  }
}

// f(i, row, value) for integers, timestamps and bools.
template <typename F>
void each_integer(const Target& target, const Column& column, F f) {
  if (column.type() == Type::kBool) {
    each(target, column, [&](size_t i, int64_t row) { f(i, row, int64_t{column.bool_at(row)}); });
  } else {
    const int64_t* values = column.int64s();
    each(target, column, [&](size_t i, int64_t row) { f(i, row, values[row]); });
  }
}

template <typename F>
void each_float(const Target& target, const Column& column, F f) {
  const double* values = column.float64s();
  each(target, column, [&](size_t i, int64_t row) { f(i, row, values[row]); });
}

// The 8 bytes of any fixed-width value.
template <typename F>
void each_word(const Target& target, const Column& column, F f) {
  if (column.type() == Type::kFloat64) {
    each_float(target, column, [&](size_t i, int64_t row, double value) { f(i, row, std::bit_cast<int64_t>(value)); });
  } else {
    each_integer(target, column, f);
  }
}

// held = f(held, value) for each value that `each_value` calls with, in order; `held` is the T in the row's cell.
template <typename T, typename EachValue, typename F>
void change_each(const Target& target, uint32_t at, EachValue each_value, F f) {
  if (target.one_entry) {
    T held = load_cell<T>(target.cells[0] + at);
    each_value([&](size_t, int64_t, auto... value) { held = f(held, value...); });
    store_cell(target.cells[0] + at, held);
    return;
  }
  each_value([&](size_t i, int64_t, auto... value) {
    change_cell<T>(target.cells[i] + at, [&](T held) { return f(held, value...); });
  });
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

void update_fixed(const Part& part, const Target& target, const Column& column) {
  const uint32_t at = part.offset;
  uint8_t* const* cells = target.cells;
  const int64_t* const words = words_in_a_row(target, column);
  const auto one = [&](auto f) { change_cell<int64_t>(cells[0] + at, f); };
  const auto rows = [&](auto f) { each(target, column, f); };
  const auto integers = [&](auto f) { each_integer(target, column, f); };
  const auto floats = [&](auto f) { each_float(target, column, f); };
  switch (part.kind) {
    case PartKind::kNonNull: return change_each<int64_t>(target, at, rows, [](int64_t count) { return count + 1; });
    case PartKind::kSumInteger:
      return change_each<__int128>(target, at, integers, [](__int128 sum, int64_t value) { return sum + value; });
    case PartKind::kSumFloat:
      return change_each<DoubleDouble>(target, at, floats,
                                       [](DoubleDouble sum, double value) { return add(sum, value); });
    case PartKind::kMinInteger:
      if (words != nullptr) return one([&](int64_t held) { return std::min(held, target.extremes.least(words)); });
      return change_each<int64_t>(target, at, integers, [](int64_t a, int64_t b) { return std::min(a, b); });
    case PartKind::kMaxInteger:
      if (words != nullptr) return one([&](int64_t held) { return std::max(held, target.extremes.most(words)); });
      return change_each<int64_t>(target, at, integers, [](int64_t a, int64_t b) { return std::max(a, b); });
    case PartKind::kMinFloat: return change_each<double>(target, at, floats, lower);
    case PartKind::kMaxFloat: return change_each<double>(target, at, floats, higher);
    case PartKind::kMoments: {
      const auto include = [&](size_t i, DoubleDouble value) {
        auto moments = load_cell<Moments>(cells[i] + at);
        moments.include(value);
        store_cell(cells[i] + at, moments);
      };
      if (column.type() == Type::kFloat64) {
        each_float(target, column, [&](size_t i, int64_t, double value) { include(i, {value, 0}); });
      } else {
        each_integer(target, column, [&](size_t i, int64_t, int64_t value) { include(i, DoubleDouble::of(value)); });
      }
      return;
    }
    case PartKind::kFirst:
      each_word(target, column, [&](size_t i, int64_t row, int64_t value) {
        if (target.times[row] >= load_cell<Millis>(cells[i] + at)) return;
        store_cell(cells[i] + at, target.times[row]);
        store_cell(cells[i] + at + 8, value);
      });
      return;
    case PartKind::kLast:
      each_word(target, column, [&](size_t i, int64_t row, int64_t value) {
        if (target.times[row] < load_cell<Millis>(cells[i] + at)) return;
        store_cell(cells[i] + at, target.times[row]);
        store_cell(cells[i] + at + 8, value);
      });
      return;
    default: WL_CHECK(false);
  }
}

void update_text(const Part& part, const Target& target, const Column& column, Pool& pool) {
  each(target, column, [&](size_t i, int64_t row) {
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

// f(object, text) for strings, f(object, word) for values of 8 bytes, as they are or ordered.
template <typename Objects, typename F>
void each_into(const Part& part, const Target& target, const Column& column, Pool& pool, Objects& objects, F f) {
  const auto put = [&](size_t i, auto value) {
    change(pool, objects[target.ids[i]], [&](auto& object) { f(object, target.rows[i], value); });
  };
  if (part.is_text()) {
    each(target, column, [&](size_t i, int64_t row) { put(i, column.string_at(row)); });
  } else {
    each_word(target, column, [&](size_t i, int64_t, int64_t word) { put(i, word); });
  }
}

void update_objects(const Part& part, const Target& target, const Column& column, Pool& pool) {
  const bool is_float = part.type == Type::kFloat64;
  const auto ordered = [is_float](int64_t word) { return is_float ? ordered_word(std::bit_cast<double>(word)) : word; };
  const auto each_in = [&](auto& objects, auto f) { each_into(part, target, column, pool, objects, f); };
  const auto words_into = [&](auto& objects, auto f) {
    each_word(target, column, [&](size_t i, int64_t, int64_t word) {
      change(pool, objects[target.ids[i]], [&](auto& object) { f(object, ordered(word)); });
    });
  };
  switch (part.kind) {
    case PartKind::kCollect:
      return each_in(pool.lists,
                     [&](Collected& list, uint32_t row, auto value) { list.append(target.times[row], value); });
    case PartKind::kDistinct:
      return each_in(pool.sets, [&](DistinctSet& set, uint32_t, auto value) {
        if constexpr (std::is_same_v<decltype(value), std::string_view>)
          set.insert(hash128(value));
        else
          set.insert(distinct_value(part.type, value));
      });
    case PartKind::kTextSet:
      return each(target, column, [&](size_t i, int64_t row) {
        change(pool, pool.text_sets[target.ids[i]], [&](TextSet& set) { set.insert(column.string_at(row)); });
      });
    case PartKind::kValues:
      return words_into(pool.values, [](Values& values, int64_t word) { values.words.push_back(word); });
    case PartKind::kTop:
      return words_into(pool.tops, [&](Top<int64_t>& top, int64_t word) { top.insert(word, part.k); });
    case PartKind::kTopText:
      return each(target, column, [&](size_t i, int64_t row) {
        change(pool, pool.top_texts[target.ids[i]],
               [&](Top<std::string>& top) { top.insert(column.string_at(row), part.k); });
      });
    case PartKind::kApproxDistinct:
      return each_in(pool.hyper_log_logs, [&](HyperLogLog& sketch, uint32_t, auto value) {
        if constexpr (std::is_same_v<decltype(value), std::string_view>)
          sketch.insert(value);
        else
          sketch.insert(ordered(value));
      });
    case PartKind::kApproxQuantile:
      return words_into(pool.klls, [](KllSketch& sketch, int64_t word) { sketch.insert(word); });
    case PartKind::kFrequent:
      return each_in(pool.frequents, [&](FrequentValues& values, uint32_t, auto value) {
        if constexpr (std::is_same_v<decltype(value), std::string_view>)
          values.insert(value, part.k);
        else
          values.insert(ordered(value), part.k);
      });
    default: WL_CHECK(false);
  }
}

int64_t word_at(const Column& column, int64_t row) {
  switch (column.type()) {
    case Type::kBool: return int64_t{column.bool_at(row)};
    case Type::kFloat64: return std::bit_cast<int64_t>(column.float64s()[row]);
    default: return column.int64s()[row];
  }
}

void update_arg(const Part& part, const Target& target, const Batch& batch, Pool* pool) {
  const Column& column = batch.column(part.column);
  const Column& by = batch.column(part.by);
  const bool text = part.is_text();
  const bool text_by = by.type() == Type::kString || by.type() == Type::kBytes;
  const auto put = [&](size_t i, int64_t row) {
    uint8_t* cell = target.cells[i] + part.offset;
    const bool null = column.is_null(row);
    ArgCell other{.mark = null ? ArgCell::kNull : ArgCell::kValue, .time = target.times[row]};
    if (!text && !null) other.value = word_at(column, row);
    if (by.type() == Type::kFloat64) {
      other.by = ordered_word(by.float64s()[row]);
      // NaN is chosen when there is nothing else.
      if (other.by == kOrderedNan && part.kind == PartKind::kArgMax) other.by = std::numeric_limits<int64_t>::min();
    } else if (!text_by) {
      other.by = word_at(by, row);
    }
    const std::string_view other_by = text_by ? by.string_at(row) : std::string_view();
    Chosen* chosen = pool == nullptr ? nullptr : &pool->chosen[target.ids[i]];
    const std::string_view held_by = chosen == nullptr ? std::string_view() : chosen->by;
    if (!chooses(part, load_cell<ArgCell>(cell), other, held_by, other_by)) return;
    store_cell(cell, other);
    if (chosen == nullptr) return;
    assign(chosen->by, other_by, *pool);
    assign(chosen->value, text && !null ? column.string_at(row) : std::string_view(), *pool);
  };
  if (by.type() != Type::kInt64) return each(target, by, put);
  // Most rows are no better than what is held: a look at two numbers.
  const int64_t* words = by.int64s();
  const bool low = part.kind == PartKind::kArgMin;
  if (const int64_t* const first = words_in_a_row(target, by)) {
    const auto held = load_cell<ArgCell>(target.cells[0] + part.offset);
    const bool worse = low ? target.extremes.least(first) > held.by : target.extremes.most(first) < held.by;
    if (worse && held.mark != ArgCell::kNone) return;
  }
  each(target, by, [&](size_t i, int64_t row) {
    const auto held = load_cell<ArgCell>(target.cells[i] + part.offset);
    const bool worse = low ? words[row] > held.by : words[row] < held.by;
    if (!worse || held.mark == ArgCell::kNone) [[unlikely]]
      put(i, row);
  });
}

}  // namespace

void Aggregates::put(const Batch& batch, const KeyPacker& keys, const uint32_t* rows, size_t count, KeyTable& table,
                     std::vector<Pool>& pools) const {
  if (count == 0) return;
  if (put_at_once(batch, [&](const auto& put_row) { table.each(keys, rows, count, put_row); })) return;
  std::array<uint32_t, KeyTable::kBlock> ids;
  const auto blocks = [&](auto put_block) {
    for (size_t begin = 0; begin < count; begin += KeyTable::kBlock)
      put_block(rows + begin, std::min(KeyTable::kBlock, count - begin));
  };
  if (!keys.columns().empty()) {
    return blocks([&](const uint32_t* block, size_t size) {
      table.resolve(keys, block, size, ids.data());
      update(batch, block, ids.data(), size, table, pools);
    });
  }
  // The whole stream is one key.
  table.resolve(keys, rows, std::min(KeyTable::kBlock, count), ids.data());
  std::array<uint8_t*, KeyTable::kBlock> cells;
  cells.fill(table.cells(ids[0]));
  blocks([&](const uint32_t* block, size_t size) {
    const bool in_a_row = block[size - 1] - block[0] == size - 1;
    update(batch, {block, ids.data(), size, cells.data(), batch.event_times.data(), true, in_a_row}, table, pools);
  });
}

void Aggregates::update(const Batch& batch, const uint32_t* rows, const uint32_t* ids, size_t count, KeyTable& table,
                        std::vector<Pool>& pools) const {
  if (count == 0) return;
  std::array<uint8_t*, KeyTable::kBlock> cells;
  uint32_t others = 0;
  uint32_t gaps = 0;
  for (size_t i = 0; i < count; ++i) {
    cells[i] = table.cells(ids[i]);
    others |= ids[i] ^ ids[0];
    gaps |= rows[i] ^ (rows[0] + static_cast<uint32_t>(i));
  }
  const bool one_entry = count > 1 && others == 0;
  update(batch, {rows, ids, count, cells.data(), batch.event_times.data(), one_entry, one_entry && gaps == 0}, table,
         pools);
}

void Aggregates::update(const Batch& batch, const UpdateTarget& target, KeyTable& table,
                        std::vector<Pool>& pools) const {
  const uint32_t* const rows = target.rows;
  const uint32_t* const ids = target.ids;
  const size_t count = target.count;
  uint8_t* const* const cells = target.cells;
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
    with_fused(batch.column(fused_.column), [&](const auto& put_row) {
      for (size_t i = 0; i < count; ++i) put_row(rows[i], cells[i]);
    });
  }
  for (const Part& part : other_parts_) {
    if (part.kind == PartKind::kRows) {
      for (size_t i = 0; i < count; ++i)
        store_cell(cells[i] + part.offset, load_cell<int64_t>(cells[i] + part.offset) + 1);
      continue;
    }
    Pool* pool = part.pool < 0 ? nullptr : &pools[static_cast<size_t>(part.pool)];
    if (part.kind == PartKind::kCustom) {
      update_custom(part, batch, rows, ids, count, *pool->custom);
      continue;
    }
    const Column& column = batch.column(part.column);
    if (part.kind == PartKind::kArgMin || part.kind == PartKind::kArgMax)
      update_arg(part, target, batch, pool);
    else if (pool == nullptr)
      update_fixed(part, target, column);
    else if (part.pool_kind == PoolKind::kTexts)
      update_text(part, target, column, *pool);
    else
      update_objects(part, target, column, *pool);
  }
}

void Aggregates::update_custom(const Part& part, const Batch& batch, const uint32_t* rows, const uint32_t* ids,
                               size_t count, CustomStates& states) const {
  if (!failure_.ok()) return;
  if (part.by < 0) return note(part, states.put(batch, rows, ids, count));
  const Column& takes = batch.column(part.by);
  std::array<uint32_t, KeyTable::kBlock> taken_rows;
  std::array<uint32_t, KeyTable::kBlock> taken_ids;
  size_t taken = 0;
  for (size_t i = 0; i < count; ++i) {
    if (takes.is_null(rows[i]) || !takes.bool_at(rows[i])) continue;
    taken_rows[taken] = rows[i];
    taken_ids[taken++] = ids[i];
  }
  note(part, states.put(batch, taken_rows.data(), taken_ids.data(), taken));
}

}  // namespace wrackline
