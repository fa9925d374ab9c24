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

struct Record {
  size_t index = 0;
  Millis time = 0;
  std::optional<std::string> key;
  std::optional<int64_t> n;
  std::optional<double> x;
  std::optional<std::string> s;
};

struct OraclePane {
  std::string key;
  Millis start = 0;
  Millis end = 0;
  int64_t revision = 0;
  bool late = false;
  std::vector<Record> records;  // in partition order
};

struct OracleLate {
  size_t index = 0;
  Millis late_by = 0;
  Millis watermark = 0;
  Millis end = 0;
  friend bool operator==(const OracleLate&, const OracleLate&) = default;
};

class WindowOracle {
 public:
  explicit WindowOracle(const WindowSpec& spec) : spec_(spec), fixed_(*spec.as<FixedWindow>()) {}

  void record(const Record& record) {
    ++counts.in;
    if (!record.key) {
      ++counts.dead_lettered;
      return;
    }
    std::vector<Millis> lost;
    std::vector<Millis> kept;
    for (const Millis start : starts(record.time)) {
      const Millis end = start + fixed_.size;
      (watermark_ != kMinusInfinity && end + spec_.allowed_lateness <= watermark_ ? lost : kept).push_back(end);
    }
    const auto add_late = [&](Millis end) {
      late.push_back({record.index, watermark_ - (end + spec_.allowed_lateness) + 1, watermark_, end});
    };
    if (kept.empty()) {
      ++counts.late;
      add_late(*std::max_element(lost.begin(), lost.end()));
      return;
    }
    counts.windows_missed += static_cast<int64_t>(lost.size());
    if (spec_.late_windows_rows) {
      for (const Millis end : lost) add_late(end);
    }
    held_.insert(record.index);
    for (const Millis end : kept) {
      Window& window = windows_[{end, *record.key}];
      window.records.push_back(record);
      if (watermark_ == kMinusInfinity || end > watermark_) continue;
      ++window.revisions;
      if (spec_.emit_late_each)
        emit(end, *record.key, window, true);
      else
        due_.insert({end, *record.key});
    }
  }

  void move(Millis watermark) {
    if (watermark <= watermark_) return;
    for (auto& [name, window] : windows_) {
      const auto& [end, key] = name;
      const bool fired = watermark_ != kMinusInfinity && end <= watermark_;
      if (fired) {
        if (freed(end, watermark) && due_.erase(name) > 0) emit(end, key, window, true);
      } else if (end <= watermark) {
        ++window.revisions;
        emit(end, key, window, false);
      }
    }
    std::erase_if(windows_, [&](const auto& window) { return freed(window.first.first, watermark); });
    watermark_ = watermark;
  }

  void commit() {
    for (const auto& [end, key] : due_) emit(end, key, windows_.at({end, key}), true);
    due_.clear();
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
  struct Window {
    std::vector<Record> records;
    int64_t revisions = 0;
  };

  bool freed(Millis end, Millis watermark) const {
    return watermark == kPlusInfinity || end + spec_.allowed_lateness <= watermark;
  }

  // By trying every start near the record.
  std::vector<Millis> starts(Millis t) const {
    std::vector<Millis> result;
    for (Millis start = t - fixed_.size + 1; start <= t; ++start) {
      if ((start - fixed_.offset) % fixed_.slide == 0) result.push_back(start);
    }
    return result;
  }

  void emit(Millis end, const std::string& key, const Window& window, bool is_late) {
    panes.push_back({key, end - fixed_.size, end, window.revisions - 1, is_late, window.records});
    ++counts.panes;
    ++counts.rows_out;
    for (const Record& record : window.records) counts.out += static_cast<int64_t>(held_.erase(record.index));
  }

  const WindowSpec spec_;
  const FixedWindow fixed_;
  Millis watermark_ = kMinusInfinity;
  std::map<std::pair<Millis, std::string>, Window> windows_;
  std::set<std::pair<Millis, std::string>> due_;
  std::set<size_t> held_;
};

using Quad = __float128;

inline double ulp(double value) {
  const double size = std::fabs(value);
  return std::nextafter(size, std::numeric_limits<double>::infinity()) - size;
}

}  // namespace wrackline::testing
