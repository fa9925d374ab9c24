// The rules of semantics.md 3, 4, 5 and 7 once more, slowly and record by record: keeps every accepted
// record and computes each pane from scratch, in quadruple precision.
#pragma once

#include <algorithm>
#include <cmath>
#include <limits>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "wrackline/window/window.h"

namespace wrackline::testing {

constexpr int kNullZone = 100;
constexpr int kUnknownZone = 101;

struct Record {
  size_t index = 0;
  Millis time = 0;
  int zone = 0;  // hours east of Greenwich, or one of the above
  std::optional<std::string> key;
  std::optional<int64_t> n;
  std::optional<double> x;
  std::optional<std::string> s;
};

struct OraclePane {
  std::string key;
  Millis start = 0;
  Millis end = 0;
  int64_t number = 0;  // of a count window
  int64_t revision = 0;
  std::string pane;
  std::vector<Record> records;  // in partition order
};

struct OracleLate {
  size_t index = 0;
  Millis late_by = 0;
  Millis watermark = 0;
  Millis end = 0;
  friend bool operator==(const OracleLate&, const OracleLate&) = default;
};

// Windows that are made of slices.
class WindowOracle {
 public:
  explicit WindowOracle(const WindowSpec& spec) : spec_(spec) {}

  void record(const Record& record) {
    ++counts.in;
    if (!record.key || record.zone >= kNullZone) {
      ++counts.dead_lettered;
      return;
    }
    std::vector<Bounds> lost;
    std::vector<Bounds> kept;
    for (const Bounds& bounds : windows_of(record)) (freed(bounds.first, watermark_) ? lost : kept).push_back(bounds);
    const auto add_late = [&](Millis end) {
      late.push_back({record.index, watermark_ - (end + spec_.allowed_lateness) + 1, watermark_, end});
    };
    if (kept.empty()) {
      ++counts.late;
      add_late(std::max_element(lost.begin(), lost.end())->first);
      return;
    }
    counts.windows_missed += static_cast<int64_t>(lost.size());
    if (spec_.late_windows_rows) {
      for (const Bounds& bounds : lost) add_late(bounds.first);
    }
    held_.insert(record.index);
    for (const Bounds& bounds : kept) put(record, {bounds, *record.key});
  }

  void move(Millis watermark) {
    for (auto& [name, window] : windows_) {
      if (fired(name.first.first, watermark_) && freed(name.first.first, watermark) && window.due) emit(name, "late");
    }
    for (auto& [name, window] : windows_) {
      const Millis end = name.first.first;
      if (fired(end, watermark_) || !fired(end, watermark)) continue;
      const bool only_news = spec_.emit == EmitMode::kDelta || spec_.as<CountWindow>();
      if (only_news && window.news.empty()) continue;
      ++window.revisions;
      emit(name, spec_.as<CountWindow>() ? "early" : spec_.emit == EmitMode::kFinalOnly ? "final" : "on_time");
    }
    if (spec_.early && watermark != kPlusInfinity &&
        (watermark_ == kMinusInfinity || multiple(watermark) > multiple(watermark_))) {
      for (auto& [name, window] : windows_) {
        if (fired(name.first.first, watermark) || window.news.empty()) continue;
        ++window.revisions;
        emit(name, "early");
      }
    }
    std::erase_if(windows_, [&](const auto& window) { return freed(window.first.first.first, watermark); });
    if (watermark != kPlusInfinity) watermark_ = watermark;
  }

  void commit() {
    for (auto& [name, window] : windows_) {
      if (window.due) emit(name, "late");
    }
  }

  StepCounts counts_now() const {
    StepCounts result = counts;
    result.held = static_cast<int64_t>(held_.size());
    return result;
  }
  StepCounts counts;
  std::vector<OraclePane> panes;
  std::vector<OracleLate> late;

 private:
  using Bounds = std::pair<Millis, Millis>;  // end, start
  using Name = std::pair<Bounds, std::string>;
  struct Window {
    std::vector<Record> records;
    std::vector<Record> news;  // since the last pane
    int64_t revisions = 0;
    int64_t number = 0;
    bool due = false;
  };

  bool freed(Millis end, Millis watermark) const {
    if (watermark == kPlusInfinity) return true;
    return end != kPlusInfinity && watermark != kMinusInfinity && end + spec_.allowed_lateness <= watermark;
  }
  bool fired(Millis end, Millis watermark) const {
    return spec_.emit == EmitMode::kFinalOnly ? freed(end, watermark) : end <= watermark;
  }
  Millis multiple(Millis watermark) const { return floor_div(watermark, *spec_.early); }

  // By trying every start near the record.
  std::vector<Bounds> windows_of(const Record& record) const {
    const Millis t = record.time;
    if (spec_.as<CalendarWindow>()) {  // days of zones whose clocks never jump
      const Millis shift = record.zone * 3'600'000;
      const Millis start = floor_div(t + shift, 86'400'000) * 86'400'000 - shift;
      return {{start + 86'400'000, start}};
    }
    const auto* fixed = spec_.as<FixedWindow>();
    if (fixed == nullptr) return {{kPlusInfinity, kMinusInfinity}};
    std::vector<Bounds> result;
    for (Millis start = t - fixed->size + 1; start <= t; ++start) {
      if ((start - fixed->offset) % fixed->slide == 0) result.emplace_back(start + fixed->size, start);
    }
    return result;
  }

  void put(const Record& record, const Name& name) {
    Window& window = windows_[name];
    window.records.push_back(record);
    window.news.push_back(record);
    const auto rows = static_cast<int64_t>(window.news.size());
    if (fired(name.first.first, watermark_)) {
      ++window.revisions;
      window.due = true;
      if (spec_.emit_late_each) emit(name, "late");
    } else if (const auto* count = spec_.as<CountWindow>()) {
      if (rows < count->rows) return;
      ++window.revisions;
      emit(name, "on_time");
      ++window.number;
      window.revisions = 0;
      window.records.clear();
    } else if (spec_.early_rows && rows == *spec_.early_rows) {
      ++window.revisions;
      emit(name, "early");
    }
  }

  void emit(const Name& name, const std::string& pane) {
    Window& window = windows_.at(name);
    Bounds bounds = name.first;
    const auto& records = spec_.emit == EmitMode::kDelta ? window.news : window.records;
    if (bounds.first == kPlusInfinity) {
      bounds = {kMinusInfinity, kPlusInfinity};
      for (const Record& record : records)
        bounds = {std::max(bounds.first, record.time + 1), std::min(bounds.second, record.time)};
    }
    panes.push_back({name.second, bounds.second, bounds.first, window.number, window.revisions - 1, pane, records});
    ++counts.panes;
    ++counts.rows_out;
    for (const Record& record : window.records) counts.out += static_cast<int64_t>(held_.erase(record.index));
    window.news.clear();
    window.due = false;
  }

  const WindowSpec spec_;
  Millis watermark_ = kMinusInfinity;
  std::map<Name, Window> windows_;
  std::set<size_t> held_;
};

using Quad = __float128;

inline double ulp(double value) {
  const double size = std::fabs(value);
  return std::nextafter(size, std::numeric_limits<double>::infinity()) - size;
}

}  // namespace wrackline::testing
