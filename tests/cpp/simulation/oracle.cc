#include "simulation/oracle.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <set>
#include <tuple>

namespace wrackline::simulation {
namespace {

using Wide = __float128;

template <typename T>
Cell cell_of(const std::optional<T>& value) {
  return value ? Cell(*value) : Cell();
}

Cell column(const InputRecord& r, const std::string& name) {
  if (name == "id") return cell_of(r.id);
  if (name == "k") return cell_of(r.k);
  if (name == "n") return cell_of(r.n);
  if (name == "x") return cell_of(r.x);
  if (name == "i") return cell_of(r.i);
  if (name == "s") return Cell(r.s);
  return r.t_null ? Cell() : Cell(r.t);
}

}  // namespace

Row row_of(const InputRecord& r) {
  Row row;
  for (const char* name : {"id", "k", "n", "x", "i", "s", "ts"}) row.emplace_back(name, column(r, name));
  return row;
}

namespace {

bool compares(const Cell& cell, const FilterJob& filter) {
  if (cell.is_null()) return false;
  int order = 0;
  if (const auto* text = std::get_if<std::string>(&cell.value)) {
    order = text->compare(filter.text);
  } else {
    const auto* whole = std::get_if<int64_t>(&cell.value);
    const double value = whole ? static_cast<double>(*whole) : std::get<double>(cell.value);
    order = value < filter.number ? -1 : value > filter.number ? 1 : 0;
  }
  switch (filter.compare) {
    case Compare::kEqual: return order == 0;
    case Compare::kNotEqual: return order != 0;
    case Compare::kLess: return order < 0;
    case Compare::kLessEqual: return order <= 0;
    case Compare::kGreater: return order > 0;
    case Compare::kGreaterEqual: return order >= 0;
  }
  return false;
}

Millis floor_to(Millis t, Millis step) {
  Millis rest = t % step;
  if (rest < 0) rest += step;
  return t - rest;
}

// Values of one aggregate's column, in event-time order, ties in partition order; nulls left out.
struct Values {
  std::vector<Cell> cells;
  std::vector<double> numbers;  // if they are numbers
  bool floats = false;
};

Cell numeric(const AggregateSpec& spec, const Values& values, bool& overflow) {
  const std::string& f = spec.function;
  const bool integers = !values.floats;
  if (f == "sum") {
    if (integers) {
      __int128 sum = 0;
      for (const Cell& cell : values.cells) sum += std::get<int64_t>(cell.value);
      const bool fits = sum >= std::numeric_limits<int64_t>::min() && sum <= std::numeric_limits<int64_t>::max();
      if (!spec.wide) {
        overflow = overflow || !fits;
        return Cell(fits ? static_cast<int64_t>(sum) : int64_t{0});
      }
      // Small enough here for a decimal text by halves.
      const bool negative = sum < 0;
      unsigned __int128 rest = negative ? -static_cast<unsigned __int128>(sum) : static_cast<unsigned __int128>(sum);
      std::string digits;
      do {
        digits.insert(digits.begin(), static_cast<char>('0' + static_cast<int>(rest % 10)));
        rest /= 10;
      } while (rest != 0);
      return Cell((negative ? "-" : "") + digits);
    }
    Wide sum = 0;
    for (const double v : values.numbers) sum += v;
    return Cell(static_cast<double>(sum));
  }
  if (values.cells.empty()) return Cell();
  Wide sum = 0;
  if (integers) {
    for (const Cell& cell : values.cells) sum += static_cast<Wide>(std::get<int64_t>(cell.value));
  } else {
    for (const double v : values.numbers) sum += v;
  }
  const auto n = static_cast<Wide>(values.cells.size());
  if (f == "mean") return Cell(static_cast<double>(sum / n));
  if (values.cells.size() < 2) return Cell();
  const Wide mean = sum / n;
  Wide squares = 0;
  for (const Cell& cell : values.cells) {
    const Wide v =
        integers ? static_cast<Wide>(std::get<int64_t>(cell.value)) : static_cast<Wide>(std::get<double>(cell.value));
    squares += (v - mean) * (v - mean);
  }
  const auto variance = static_cast<double>(squares / (n - 1));
  return Cell(f == "var" ? variance : std::sqrt(variance));
}

bool less(const Cell& a, const Cell& b) {
  if (const auto* text = std::get_if<std::string>(&a.value)) return *text < std::get<std::string>(b.value);
  if (const auto* whole = std::get_if<int64_t>(&a.value)) return *whole < std::get<int64_t>(b.value);
  return std::get<double>(a.value) < std::get<double>(b.value);
}

// `accepted`: the window's records in partition order.
Cells aggregate(const WindowJob& window, const std::vector<const InputRecord*>& accepted, bool& overflow) {
  std::vector<const InputRecord*> by_time = accepted;
  std::stable_sort(by_time.begin(), by_time.end(), [](const auto* a, const auto* b) { return a->t < b->t; });
  Cells cells;
  for (const AggregateSpec& spec : window.aggregates) {
    const std::string& f = spec.function;
    if (spec.column.empty()) {
      cells.emplace_back(static_cast<int64_t>(accepted.size()));
      continue;
    }
    Values values;
    values.floats = spec.column == "x";
    for (const InputRecord* record : by_time) {
      Cell cell = column(*record, spec.column);
      if (cell.is_null()) continue;
      if (values.floats) values.numbers.push_back(std::get<double>(cell.value));
      values.cells.push_back(std::move(cell));
    }
    if (f == "count") {
      cells.emplace_back(static_cast<int64_t>(values.cells.size()));
    } else if (f == "collect") {
      cells.emplace_back(values.cells);
    } else if (f == "n_unique") {
      std::set<std::string> distinct;
      for (const Cell& cell : values.cells) distinct.insert(to_text(cell));
      cells.emplace_back(static_cast<int64_t>(distinct.size()));
    } else if (f == "sum" || f == "mean" || f == "var" || f == "std") {
      cells.push_back(numeric(spec, values, overflow));
    } else if (values.cells.empty()) {
      cells.emplace_back();
    } else if (f == "first") {
      cells.push_back(values.cells.front());
    } else if (f == "last") {
      cells.push_back(values.cells.back());
    } else if (f == "min") {
      cells.push_back(*std::min_element(values.cells.begin(), values.cells.end(), less));
    } else {
      cells.push_back(*std::max_element(values.cells.begin(), values.cells.end(), less));
    }
  }
  return cells;
}

class Oracle {
 public:
  explicit Oracle(const JobSpec& job) : job_(job) {
    counts("read");
    if (job.filter) counts("filter");
    if (job.dedup) counts("dedup");
    if (job.window) counts("window");
  }

  void record(const Placed& placed) {
    const InputRecord& r = *placed.record;
    StepCounts& read = counts("read");
    ++read.in;
    if (!r.value) {
      ++read.skipped;
      return;
    }
    if (!r.refused.empty()) {
      ++read.dead_lettered;
      out.dead[placed.offset] = {&r, r.refused, "read"};
      return;
    }
    out.probation = false;
    ++read.out;
    pass(placed);
    if (!job_.all_out_of_order) move_to(std::max(out.watermark, r.t - job_.out_of_orderness));
  }

  void decision(const Decision& decision) {
    if (decision.kind == Decision::Kind::kIdle) {
      move_to(std::max(out.watermark, decision.watermark));
    } else {
      out.probation = false;
      fire(kPlusInfinity);
    }
  }

  void commit() {
    auto ledger = out.ledger;
    if (out.probation) ledger.at("read") = StepCounts();
    out.ledgers.push_back(std::move(ledger));
    out.watermarks.push_back(out.watermark);
  }

  Expected out;

 private:
  struct Held {
    const InputRecord* record;
    bool out = false;
  };
  struct Window {
    std::vector<size_t> held;  // indices into held_
    std::vector<const InputRecord*> records;
    bool fired = false;
    int64_t revision = 0;
  };

  StepCounts& counts(const std::string& step) { return out.ledger[step]; }

  void pass(const Placed& placed) {
    const InputRecord& r = *placed.record;
    const Millis w = out.watermark;
    if (job_.filter) {
      StepCounts& filter = counts("filter");
      ++filter.in;
      if (!compares(column(r, job_.filter->column), *job_.filter)) {
        ++filter.filtered;
        return;
      }
      ++filter.out;
    }
    if (job_.dedup && !dedup(placed, w)) return;
    if (!job_.window || job_.write_rows) out.passed.push_back(to_text(row_of(r)));
    if (!job_.window) return;
    window(placed, w);
  }

  bool dedup(const Placed& placed, Millis w) {
    const InputRecord& r = *placed.record;
    const DedupJob& job = *job_.dedup;
    StepCounts& counted = counts("dedup");
    ++counted.in;
    std::string id;
    for (const std::string& name : job.columns) {
      const Cell part = column(r, name);
      if (part.is_null() && !job.null_group) {
        ++counted.dead_lettered;
        out.dead[placed.offset] = {&r, "null_key", "dedup"};
        return false;
      }
      id += to_text(part) + "|";
    }
    const Millis a = job_.dedup_lateness();
    if (w != kMinusInfinity && r.t + a < w) {
      ++counted.late;
      Row row = row_of(r);
      row.emplace_back("late_by_ms", Cell(w - r.t - a));
      row.emplace_back("watermark", Cell(w));
      row.emplace_back("window_start", Cell());
      row.emplace_back("window_end", Cell());
      row.emplace_back("reason", Cell(std::string("dedup")));
      row.emplace_back("step", Cell(std::string("dedup")));
      out.late.push_back(to_text(row));
      return false;
    }
    std::vector<Millis>& passed = passed_ids_[id];
    for (const Millis t : passed) {
      if (std::abs(t - r.t) < job.within) {
        ++counted.duplicate;
        out.duplicates.push_back(to_text(row_of(r)));
        return false;
      }
    }
    passed.push_back(r.t);
    ++counted.out;
    return true;
  }

  void window(const Placed& placed, Millis w) {
    const InputRecord& r = *placed.record;
    const WindowJob& job = *job_.window;
    StepCounts& counted = counts("window");
    ++counted.in;
    std::string key = "[";
    for (const std::string& name : job.keys) {
      const Cell part = column(r, name);
      if (part.is_null() && !job.null_group) {
        ++counted.dead_lettered;
        out.dead[placed.offset] = {&r, "null_key", "window"};
        return;
      }
      key += (key.size() == 1 ? "" : ",") + to_text(part);
    }
    key += "]";
    // The windows that hold r.t, latest first.
    std::vector<std::pair<Millis, Millis>> open;
    std::vector<std::pair<Millis, Millis>> missed;
    for (Millis start = floor_to(r.t - job.offset, job.slide) + job.offset; start + job.size > r.t;
         start -= job.slide) {
      const Millis end = start + job.size;
      (w != kMinusInfinity && end + job.allowed_lateness <= w ? missed : open).emplace_back(start, end);
    }
    const auto late_row = [&](const std::pair<Millis, Millis>& bounds) {
      Row row = row_of(r);
      row.emplace_back("late_by_ms", Cell(w - (bounds.second + job.allowed_lateness) + 1));
      row.emplace_back("watermark", Cell(w));
      row.emplace_back("window_start", Cell(bounds.first));
      row.emplace_back("window_end", Cell(bounds.second));
      row.emplace_back("reason", Cell(std::string("window")));
      row.emplace_back("step", Cell(std::string("window")));
      out.late.push_back(to_text(row));
    };
    if (open.empty()) {
      ++counted.late;
      late_row(missed.front());
      return;
    }
    counted.windows_missed += static_cast<int64_t>(missed.size());
    if (job.late_windows_rows) std::for_each(missed.begin(), missed.end(), late_row);
    held_.push_back({&r});
    ++counted.held;
    for (const auto& [start, end] : open) {
      const WindowName name{key, start, end};
      Window& into = windows_[name];
      into.held.push_back(held_.size() - 1);
      into.records.push_back(&r);
      if (w != kMinusInfinity && end <= w) emit(name, into, "late");
    }
  }

  void move_to(Millis w) {
    if (w == out.watermark) return;
    out.watermark = w;
    fire(w);
  }

  void fire(Millis w) {
    ++moves_;
    for (auto at = windows_.begin(); at != windows_.end();) {
      auto& [name, window] = *at;
      if (name.end <= w && !window.fired) emit(name, window, "on_time");
      const bool freed = w == kPlusInfinity || (job_.window && name.end + job_.window->allowed_lateness <= w);
      at = freed ? windows_.erase(at) : std::next(at);
    }
  }

  void emit(const WindowName& name, Window& window, const char* pane) {
    window.fired = true;
    ExpectedPane row;
    row.revision = window.revision++;
    row.pane = pane;
    row.fired_at = moves_;
    row.aggregates = aggregate(*job_.window, window.records, row.dead);
    StepCounts& counted = counts("window");
    for (const size_t i : window.held) {
      if (std::exchange(held_[i].out, true)) continue;
      --counted.held;
      ++counted.out;
    }
    window.held.clear();
    ++counted.panes;
    if (row.dead) {
      ++counted.panes_dead;
      ++out.dead_panes;
    } else {
      ++counted.rows_out;
    }
    out.windows[name].push_back(std::move(row));
  }

  const JobSpec& job_;
  std::map<std::string, std::vector<Millis>> passed_ids_;
  std::map<WindowName, Window> windows_;  // not yet freed
  std::vector<Held> held_;
  int64_t moves_ = 0;
};

}  // namespace

Expected expect(const JobSpec& job, const std::vector<Placed>& records, const std::vector<JournalRow>& journal) {
  Oracle oracle(job);
  size_t next = 0;
  const auto take_before = [&](int64_t offset) {
    while (next < records.size() && records[next].offset < offset) oracle.record(records[next++]);
  };
  for (const JournalRow& row : journal) {
    for (const Decision& decision : row.decisions) {
      take_before(decision.offset);
      oracle.decision(decision);
    }
    take_before(row.offset);
    oracle.commit();
  }
  take_before(std::numeric_limits<int64_t>::max());
  return std::move(oracle.out);
}

}  // namespace wrackline::simulation
