// Cells into result columns.
#include <algorithm>
#include <bit>
#include <cmath>
#include <limits>
#include <numeric>

#include "wrackline/window/aggregate.h"
#include "wrackline/window/aggregate/numbers.h"
#include "wrackline/window/cells.h"

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
    if (text)
      items.append_string(list.text_at(i));
    else
      append_word(items, list.values[i]);
  }
  column.append_list_end();
}

// The value that an ordered word stands for.
void append_ordered(Column& column, int64_t word) {
  if (column.type() == Type::kFloat64)
    column.append_float64(of_ordered_word(word));
  else
    append_word(column, word);
}

void append_list(const std::vector<int64_t>& ordered, Column& column) {
  for (const int64_t word : ordered) append_ordered(column.mutable_items(), word);
  column.append_list_end();
}

template <typename Texts>
void append_texts(const Texts& texts, Column& column) {
  for (const auto& text : texts) column.mutable_items().append_string(text);
  column.append_list_end();
}

void append_set(const DistinctSet& set, Column& column) {
  const bool is_float = column.item() == Type::kFloat64;
  std::vector<int64_t> words;
  for (const Hash128 item : set.items()) {
    const auto word = static_cast<int64_t>(item.low);
    words.push_back(is_float ? ordered_word(std::bit_cast<double>(word)) : word);
  }
  std::sort(words.begin(), words.end());
  append_list(words, column);
}

void append_frequent(const std::vector<FrequentValues::Counted>& values, Column& column) {
  Column& items = column.mutable_items();
  for (const FrequentValues::Counted& value : values) {
    if (items.type() == Type::kString || items.type() == Type::kBytes)
      items.append_string(value.text);
    else
      append_ordered(items, value.word);
  }
  column.append_list_end();
}

// A quantile as Polars computes it: at (count - 1) * q between the sorted values, or at ceil(count * q) - 1.
class Quantile {
 public:
  Quantile(const Part& part, const Output& output) : type_(part.type), output_(output) {}

  // Appends to a column of floats or timestamps.
  void append(const Values& values, Column& column) {
    if (values.words.empty()) return column.append_null();
    words_.assign(values.words.begin(), values.words.end());
    const auto count = static_cast<double>(words_.size());
    const double place = (count - 1) * output_.q;
    const auto below = static_cast<size_t>(place);
    switch (output_.interpolation) {
      case Interpolation::kNearest: return append_at(static_cast<size_t>(std::round(place)), column);
      case Interpolation::kLower: return append_at(below, column);
      case Interpolation::kHigher: return append_at(static_cast<size_t>(std::ceil(place)), column);
      case Interpolation::kEquiprobable:
        return append_at(static_cast<size_t>(std::max(std::ceil(count * output_.q) - 1, 0.0)), column);
      default: break;
    }
    const int64_t low = at(below);
    if (static_cast<double>(below) == place) return append_word_of(low, column);
    const int64_t high = *std::min_element(words_.begin() + static_cast<std::ptrdiff_t>(below) + 1, words_.end());
    if (low == high) return append_word_of(low, column);
    const double share = output_.interpolation == Interpolation::kMidpoint ? 0.5 : place - static_cast<double>(below);
    if (type_ == Type::kTimestamp)  // exact, and floored as all times are
      return column.append_int64(low + static_cast<int64_t>(std::floor(share * static_cast<double>(high - low))));
    const double a = number(low);
    const double b = number(high);
    column.append_float64(output_.interpolation == Interpolation::kMidpoint ? (a + b) / 2 : share * (b - a) + a);
  }

  // What an ordered word of the part is as a result.
  void append_word_of(int64_t word, Column& column) const {
    if (type_ == Type::kTimestamp)
      column.append_int64(word);
    else
      column.append_float64(number(word));
  }

 private:
  double number(int64_t word) const {
    return type_ == Type::kFloat64 ? of_ordered_word(word) : static_cast<double>(word);
  }
  int64_t at(size_t rank) {
    const auto place = words_.begin() + static_cast<std::ptrdiff_t>(rank);
    std::nth_element(words_.begin(), place, words_.end());
    return *place;
  }
  void append_at(size_t rank, Column& column) { append_word_of(at(rank), column); }

  const Type type_;
  const Output output_;
  std::vector<int64_t> words_;
};

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
        bool any_null = false;
        for (size_t i = 0; output.filled >= 0 && i < count; ++i) any_null |= filled(i) == 0;
        if (!any_null && column.type() == Type::kFloat64) {
          return append_words(column, count, [&](size_t i) { return load_cell<double>(cell(i)); });
        }
        if (!any_null && column.type() != Type::kBool) {
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
    case Answer::kApproxDistinct:
      return append_words(column, count, [&](size_t i) { return pool->hyper_log_logs[ids[i]].estimate(); });
    case Answer::kCollect:
      for (size_t i = 0; i < count; ++i) append_list(pool->lists[ids[i]], column);
      return;
    case Answer::kSet:
      for (size_t i = 0; i < count; ++i) {
        if (part.kind == PartKind::kTextSet)
          append_texts(pool->text_sets[ids[i]].sorted(), column);
        else
          append_set(pool->sets[ids[i]], column);
      }
      return;
    case Answer::kTop:
      for (size_t i = 0; i < count; ++i) {
        if (part.kind == PartKind::kTopText)
          append_texts(pool->top_texts[ids[i]].sorted(part.k), column);
        else
          append_list(pool->tops[ids[i]].sorted(part.k), column);
      }
      return;
    case Answer::kFrequent:
      for (size_t i = 0; i < count; ++i) append_frequent(pool->frequents[ids[i]].most(part.k), column);
      return;
    case Answer::kQuantile: {
      Quantile quantile(part, output);
      for (size_t i = 0; i < count; ++i) quantile.append(pool->values[ids[i]], column);
      return;
    }
    case Answer::kApproxQuantile: {
      const Quantile quantile(part, output);
      for (size_t i = 0; i < count; ++i) {
        const KllSketch& sketch = pool->klls[ids[i]];
        if (sketch.count() == 0)
          column.append_null();
        else
          quantile.append_word_of(sketch.quantile(output.q), column);
      }
      return;
    }
    case Answer::kCustom: {
      Result<ColumnPtr> results = failure_.ok() ? pool->custom->results(ids, count) : failure_;
      if (!results.ok()) note(part, results.status());
      for (size_t i = 0; i < count; ++i) {
        if (results.ok())
          column.append_from(*results.value(), static_cast<int64_t>(i));
        else
          column.append_null();
      }
      return;
    }
    case Answer::kArg:
      for (size_t i = 0; i < count; ++i) {
        const auto chosen = load_cell<ArgCell>(cell(i));
        if (chosen.mark != ArgCell::kValue)
          column.append_null();
        else if (part.is_text())
          column.append_string(pool->chosen[ids[i]].value);
        else
          append_word(column, chosen.value);
      }
      return;
  }
}

}  // namespace wrackline
