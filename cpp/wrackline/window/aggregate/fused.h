// Rows, sum, min and max of one column, in one pass over the cells.
#pragma once

#include <algorithm>
#include <type_traits>

#include "wrackline/window/aggregate.h"
#include "wrackline/window/aggregate/changes.h"
#include "wrackline/window/aggregate/numbers.h"
#include "wrackline/window/cells.h"

namespace wrackline {

struct FusedFloats {
  const double* values;
  uint32_t rows, sum, low, high;
  void operator()(uint32_t row, uint8_t* cells) const {
    store_cell(cells + rows, load_cell<int64_t>(cells + rows) + 1);
    put(row, cells);
  }
  void put(uint32_t row, uint8_t* cells) const {
    const double value = values[row];
    store_cell(cells + sum, add(load_cell<DoubleDouble>(cells + sum), value));
    const auto lowest = load_cell<double>(cells + low);
    const auto highest = load_cell<double>(cells + high);
    store_cell(cells + low, lower(lowest, value));
    store_cell(cells + high, higher(highest, value));
  }
};

struct FusedIntegers {
  const int64_t* values;
  uint32_t rows, sum, low, high;
  void operator()(uint32_t row, uint8_t* cells) const {
    store_cell(cells + rows, load_cell<int64_t>(cells + rows) + 1);
    put(row, cells);
  }
  void put(uint32_t row, uint8_t* cells) const {
    const int64_t value = values[row];
    store_cell(cells + sum, load_cell<__int128>(cells + sum) + value);
    store_cell(cells + low, std::min(value, load_cell<int64_t>(cells + low)));
    store_cell(cells + high, std::max(value, load_cell<int64_t>(cells + high)));
  }
};

// The same of a column that may be null, with the count of what is not.
template <typename Fused>
struct OfNullable {
  Fused fused;
  const Column* column;
  uint32_t filled;
  void operator()(uint32_t row, uint8_t* cells) const {
    store_cell(cells + fused.rows, load_cell<int64_t>(cells + fused.rows) + 1);
    if (column->is_null(row)) return;
    store_cell(cells + filled, load_cell<int64_t>(cells + filled) + 1);
    fused.put(row, cells);
  }
};

template <typename F>
void Aggregates::with_fused(const Column& column, F f) const {
  const auto with = [&](const auto& fused) {
    if (fused_.filled)
      f(OfNullable<std::remove_cvref_t<decltype(fused)>>{fused, &column, *fused_.filled});
    else
      f(fused);
  };
  if (fused_.is_float)
    with(FusedFloats{column.float64s(), fused_.rows, fused_.sum, fused_.low, fused_.high});
  else
    with(FusedIntegers{column.int64s(), fused_.rows, fused_.sum, fused_.low, fused_.high});
}

template <typename F>
bool Aggregates::put_at_once(const Batch& batch, F f) const {
  if (fused_.column < 0 || !other_parts_.empty() || with_head_) return false;
  with_fused(batch.column(fused_.column), f);
  return true;
}

}  // namespace wrackline
