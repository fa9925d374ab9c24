// Cells into result columns.
#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>

#include "wrackline/window/aggregate.h"
#include "wrackline/window/cells.h"
#include "wrackline/window/numbers.h"

namespace wrackline {
namespace {

constexpr Millis kNoFirst = std::numeric_limits<int64_t>::max();
constexpr Millis kNoLast = std::numeric_limits<int64_t>::min();

bool fits_int64(__int128 value) {
  return value >= std::numeric_limits<int64_t>::min() && value <= std::numeric_limits<int64_t>::max();
}

// Appends `count` values of 8 bytes, value(i) each, none null.
template <typename F>
void append_words(Column& column, size_t count, F value) {
  using T = decltype(value(size_t{0}));
  static_assert(sizeof(T) == 8);
  if (column.null_count() != 0) {
    for (size_t i = 0; i < count; ++i) {
      if constexpr (std::is_same_v<T, double>)
        column.append_float64(value(i));
      else
        column.append_int64(value(i));
    }
    return;
  }
  Bytes& values = column.mutable_values();
  const size_t at = values.size();
  values.resize(at + count * sizeof(T));
  uint8_t* place = values.data() + at;
  for (size_t i = 0; i < count; ++i) store_cell(place + i * sizeof(T), value(i));
  column.set_length(column.length() + static_cast<int64_t>(count), 0);
}

void append_word(Column& column, int64_t word) {
  switch (column.type()) {
    case Type::kBool: return column.append_bool(word != 0);
    case Type::kFloat64: {
      double value;
      std::memcpy(&value, &word, sizeof(value));
      return column.append_float64(value);
    }
    default: return column.append_int64(word);
  }
}

// By event time, ties in partition order.
void append_list(const Collected& list, Column& column) {
  std::vector<uint32_t> order(list.times.size());
  std::iota(order.begin(), order.end(), 0U);
  if (!std::is_sorted(list.times.begin(), list.times.end())) {
    std::stable_sort(order.begin(), order.end(), [&](uint32_t a, uint32_t b) { return list.times[a] < list.times[b]; });
  }
  Column& items = column.mutable_items();
  const bool text = items.type() == Type::kString || items.type() == Type::kBytes;
  for (const uint32_t i : order) {
    if (!text) {
      append_word(items, list.values[i]);
      continue;
    }
    const int64_t begin = i == 0 ? 0 : list.values[i - 1];
    items.append_string(
        {reinterpret_cast<const char*>(list.text.data()) + begin, static_cast<size_t>(list.values[i] - begin)});
  }
  column.append_list_end();
}

}  // namespace

const std::string* Aggregates::overflow(const uint8_t* cells) const {
  for (const int index : checked_sums_) {
    const Output& output = outputs_[static_cast<size_t>(index)];
    if (!fits_int64(load_cell<__int128>(cells + parts_[static_cast<size_t>(output.part)].offset))) {
      return &fields_[static_cast<size_t>(index)].name;
    }
  }
  return nullptr;
}

void Aggregates::append_results(const KeyTable& table, const std::vector<Pool>& pools, const uint32_t* ids,
                                size_t count, std::vector<Column>& columns) const {
  for (size_t i = 0; i < outputs_.size(); ++i) append_one(outputs_[i], table, pools, ids, count, columns[i]);
}

void Aggregates::append_one(const Output& output, const KeyTable& table, const std::vector<Pool>& pools,
                            const uint32_t* ids, size_t count, Column& column) const {
  const Part& part = parts_[static_cast<size_t>(output.part)];
  const Pool* pool = part.pool < 0 ? nullptr : &pools[static_cast<size_t>(part.pool)];
  const auto cell = [&](size_t i) { return table.cells(ids[i]) + part.offset; };
  const auto filled = [&](size_t i) {
    if (output.filled < 0) return int64_t{1};
    return load_cell<int64_t>(table.cells(ids[i]) + parts_[static_cast<size_t>(output.filled)].offset);
  };
  switch (output.answer) {
    case Answer::kCount: return append_words(column, count, [&](size_t i) { return load_cell<int64_t>(cell(i)); });
    case Answer::kSum:
      if (part.kind == PartKind::kSumFloat) {
        return append_words(column, count, [&](size_t i) { return load_cell<DoubleDouble>(cell(i)).value(); });
      }
      return append_words(column, count, [&](size_t i) { return static_cast<int64_t>(load_cell<__int128>(cell(i))); });
    case Answer::kWideSum:
      for (size_t i = 0; i < count; ++i) column.append_decimal(load_cell<__int128>(cell(i)));
      return;
    case Answer::kMean:
      for (size_t i = 0; i < count; ++i) {
        const int64_t n = filled(i);
        if (n == 0)
          column.append_null();
        else if (part.kind == PartKind::kSumFloat)
          column.append_float64(mean_of(load_cell<DoubleDouble>(cell(i)), n));
        else
          column.append_float64(mean_of(load_cell<__int128>(cell(i)), n));
      }
      return;
    case Answer::kVar:
    case Answer::kStd:
      for (size_t i = 0; i < count; ++i) {
        const auto moments = load_cell<Moments>(cell(i));
        if (moments.count < 2) {
          column.append_null();
          continue;
        }
        const double variance = moments.variance();
        const double positive = variance < 0 ? 0 : variance;
        column.append_float64(output.answer == Answer::kVar ? positive : std::sqrt(positive));
      }
      return;
    case Answer::kMin:
    case Answer::kMax:
      if (pool == nullptr) {
        if (output.filled < 0 && column.type() == Type::kFloat64) {
          return append_words(column, count, [&](size_t i) { return load_cell<double>(cell(i)); });
        }
        if (output.filled < 0 && column.type() != Type::kBool) {
          return append_words(column, count, [&](size_t i) { return load_cell<int64_t>(cell(i)); });
        }
        for (size_t i = 0; i < count; ++i) {
          if (filled(i) == 0)
            column.append_null();
          else
            append_word(column, load_cell<int64_t>(cell(i)));
        }
        return;
      }
      for (size_t i = 0; i < count; ++i) {
        if (load_cell<int64_t>(cell(i)) == 0)
          column.append_null();
        else
          column.append_string(pool->texts[ids[i]]);
      }
      return;
    case Answer::kFirst:
    case Answer::kLast:
      for (size_t i = 0; i < count; ++i) {
        if (load_cell<Millis>(cell(i)) == (output.answer == Answer::kFirst ? kNoFirst : kNoLast))
          column.append_null();
        else if (pool != nullptr)
          column.append_string(pool->texts[ids[i]]);
        else
          append_word(column, load_cell<int64_t>(cell(i) + 8));
      }
      return;
    case Answer::kDistinct: return append_words(column, count, [&](size_t i) { return pool->sets[ids[i]].size(); });
    case Answer::kCollect:
      for (size_t i = 0; i < count; ++i) append_list(pool->lists[ids[i]], column);
      return;
  }
}

}  // namespace wrackline
