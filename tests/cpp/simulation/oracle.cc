#include "simulation/oracle.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <optional>
#include <set>
#include <variant>

#include "window/session_oracle.h"
#include "window/window_oracle.h"

namespace wrackline::simulation {
namespace {

using testing::OracleLate;
using testing::OraclePane;
using testing::Record;
using testing::SessionOracle;
using testing::SessionRow;
using testing::WindowOracle;
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
Cells aggregate(const WindowSpec& window, const std::vector<const InputRecord*>& accepted, bool& overflow) {
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

// Rolling windows (semantics.md 5): for each accepted record those of its key in (t - size, t].
class RollingOracle {
 public:
  explicit RollingOracle(const WindowSpec& spec) : size_(spec.as<RollingWindow>()->size) {}

  void record(const Record& record) {
    ++counts.in;
    if (!record.key) {
      ++counts.dead_lettered;
    } else if (record.time < watermark_) {
      ++counts.late;
      late.push_back({record.index, watermark_ - record.time, watermark_, 0});
    } else {
      ++counts.held;
      std::vector<Record>& all = accepted_[*record.key];
      const auto later = [](const Record& a, const Record& b) { return a.time < b.time; };
      all.insert(std::upper_bound(all.begin(), all.end(), record, later), record);
    }
  }

  void move(Millis watermark) {
    for (auto& [key, all] : accepted_) {
      for (size_t& next = next_[key]; next < all.size() && all[next].time < watermark; ++next) {
        OraclePane row{.key = key, .start = 0, .end = 0};
        row.records = {all[next]};  // itself, then its window in partition order
        for (const Record& other : all) {
          if (other.time > all[next].time - size_ && other.time <= all[next].time) row.records.push_back(other);
        }
        std::sort(row.records.begin() + 1, row.records.end(),
                  [](const Record& a, const Record& b) { return a.index < b.index; });
        panes.push_back(std::move(row));
        --counts.held;
        ++counts.out;
        ++counts.panes;
        ++counts.rows_out;
      }
      if (watermark == kPlusInfinity) {
        all.clear();
        next_[key] = 0;
      }
    }
    if (watermark != kPlusInfinity) watermark_ = watermark;
  }

  StepCounts counts_now() const { return counts; }
  StepCounts counts;
  std::vector<OraclePane> panes;
  std::vector<OracleLate> late;

 private:
  const Millis size_;
  Millis watermark_ = kMinusInfinity;
  std::map<std::string, std::vector<Record>> accepted_;  // by time, ties in partition order
  std::map<std::string, size_t> next_;                   // in these: that has not come out
};

std::variant<WindowOracle, SessionOracle, RollingOracle> oracle_of(WindowSpec spec) {
  spec.emit_late_each = true;
  if (spec.as<SessionWindow>()) return SessionOracle(spec);
  if (spec.as<RollingWindow>()) return RollingOracle(spec);
  return WindowOracle(spec);
}

const std::vector<OraclePane>& panes_of(const WindowOracle& oracle) { return oracle.panes; }
const std::vector<OraclePane>& panes_of(const RollingOracle& oracle) { return oracle.panes; }
const std::vector<SessionRow>& panes_of(const SessionOracle& oracle) { return oracle.rows; }
StepCounts counts_of(const SessionOracle& oracle) { return oracle.counts; }
StepCounts counts_of(const auto& oracle) { return oracle.counts_now(); }

class Oracle {
 public:
  explicit Oracle(const JobSpec& job) : job_(job) {
    if (job.window) windows_.emplace(oracle_of(job.window->spec));
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
    window(placed);
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

  void window(const Placed& placed) {
    const InputRecord& r = *placed.record;
    const WindowSpec& spec = job_.window->spec;
    std::string key = "[";
    bool null_key = false;
    for (const std::string& name : spec.key_columns) {
      const Cell part = column(r, name);
      null_key = null_key || (part.is_null() && !spec.null_key_group);
      key += (key.size() == 1 ? "" : ",") + to_text(part);
    }
    key += "]";
    if (null_key) out.dead[placed.offset] = {&r, "null_key", "window"};
    Record record{.index = records_.size(), .time = r.t};
    if (!null_key) record.key = key;
    if (job_.calendar()) {
      while (zone_name(record.zone) != r.s) record.zone = record.zone == 14 ? -12 : record.zone + 1;
    }
    records_.push_back(&r);
    std::visit([&](auto& oracle) { oracle.record(record); }, *windows_);
    take_news();
  }

  void move_to(Millis w) {
    if (w == out.watermark) return;
    out.watermark = w;
    fire(w);
  }

  void fire(Millis w) {
    ++moves_;
    if (!windows_) return;
    std::visit([&](auto& oracle) { oracle.move(w); }, *windows_);
    take_news();
  }

  // Panes and late rows that have come out.
  void take_news() {
    std::visit(
        [&](const auto& oracle) {
          for (; panes_ < panes_of(oracle).size(); ++panes_) pane(panes_of(oracle)[panes_]);
          for (; late_ < oracle.late.size(); ++late_) late_row(oracle.late[late_]);
          StepCounts& counted = counts("window");
          counted = counts_of(oracle);
          counted.rows_out -= out.dead_panes + not_withdrawn_;
          counted.panes_dead = out.dead_panes;
        },
        *windows_);
  }

  std::vector<const InputRecord*> of(const std::vector<Record>& records) const {
    std::vector<const InputRecord*> found;
    for (const Record& record : records) found.push_back(records_[record.index]);
    return found;
  }

  void pane(const auto& made) {
    const WindowSpec& spec = job_.window->spec;
    WindowName name{.key = made.key};
    if constexpr (requires { made.number; }) name.number = made.number;
    if (!spec.as<CountWindow>() && !spec.as<GlobalWindow>()) {
      name.start = made.start;
      name.end = made.end;
    }
    if (made.pane == "merged" && std::ranges::all_of(out.windows[name], &ExpectedPane::dead)) {
      ++not_withdrawn_;  // no row of it is out
      return;
    }
    if (job_.window->rolling()) {
      ExpectedRow row{.own = to_text(row_of(*records_[made.records.front().index]))};
      row.aggregates = aggregate(spec, of({made.records.begin() + 1, made.records.end()}), row.dead);
      if (row.dead) ++out.dead_panes;
      out.rolled[made.key].push_back(std::move(row));
      return;
    }
    ExpectedPane row{.start = made.start, .end = made.end, .revision = made.revision, .pane = made.pane};
    row.fired_at = moves_;
    if (made.pane == "merged")
      row.aggregates.resize(spec.aggregates.size());
    else
      row.aggregates = aggregate(spec, of(made.records), row.dead);
    if (row.dead) ++out.dead_panes;
    out.windows[name].push_back(std::move(row));
  }

  void late_row(const OracleLate& late) {
    const WindowSpec& spec = job_.window->spec;
    Row row = row_of(*records_[late.index]);
    row.emplace_back("late_by_ms", Cell(late.late_by));
    row.emplace_back("watermark", Cell(late.watermark));
    const auto* fixed = spec.as<FixedWindow>();
    const bool bounds = fixed != nullptr || spec.as<CalendarWindow>() != nullptr;
    row.emplace_back("window_start", bounds ? Cell(late.end - (fixed ? fixed->size : 86'400'000)) : Cell());
    row.emplace_back("window_end", bounds ? Cell(late.end) : Cell());
    row.emplace_back("reason", Cell(std::string(spec.as<SessionWindow>() ? "session"
                                                : job_.window->rolling() ? "rolling"
                                                                         : "window")));
    row.emplace_back("step", Cell(std::string("window")));
    out.late.push_back(to_text(row));
  }

  const JobSpec& job_;
  std::map<std::string, std::vector<Millis>> passed_ids_;
  std::optional<std::variant<WindowOracle, SessionOracle, RollingOracle>> windows_;
  std::vector<const InputRecord*> records_;  // that the window has had, by Record::index
  size_t panes_ = 0;                         // of windows_, that were taken
  size_t late_ = 0;
  int64_t not_withdrawn_ = 0;  // sessions of which there are only dead panes
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
