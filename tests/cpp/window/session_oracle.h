// The rules of semantics.md 3, 4 and 5 for sessions once more, slowly: the sessions of a key are the union of its
// accepted records' intervals, found anew from the records after each of them.
#pragma once

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "window/window_oracle.h"

namespace wrackline::testing {

struct SessionRow {
  std::string key;
  Millis start = 0;
  Millis end = 0;
  int64_t revision = 0;
  std::string pane;
  std::vector<Record> records;  // that its aggregates hold, in partition order
};

class SessionOracle {
 public:
  explicit SessionOracle(const WindowSpec& spec) : spec_(spec), gap_(spec.as<SessionWindow>()->gap) {}

  void record(const Record& record) {
    ++counts.in;
    if (!record.key) {
      ++counts.dead_lettered;
      return;
    }
    if (watermark_ != kMinusInfinity && record.time + spec_.allowed_lateness < watermark_) {
      ++counts.late;
      late.push_back({record.index, watermark_ - record.time - spec_.allowed_lateness, watermark_, 0});
      return;
    }
    ++counts.held;
    std::vector<One>& all = sessions_[*record.key];
    One grown;
    grown.start = record.time;
    grown.end = record.time + gap_;
    // Until nothing more is touched.
    std::vector<One> absorbed;
    for (bool again = true; again;) {
      again = false;
      for (size_t i = 0; i < all.size(); ++i) {
        if (all[i].end < record.time || all[i].start > record.time + gap_) continue;
        absorbed.push_back(all[i]);
        all.erase(all.begin() + static_cast<ptrdiff_t>(i));
        again = true;
        break;
      }
    }
    std::sort(absorbed.begin(), absorbed.end(), [](const One& a, const One& b) { return a.start < b.start; });
    for (const One& one : absorbed) {
      grown.start = std::min(grown.start, one.start);
      grown.end = std::max(grown.end, one.end);
    }
    for (const One& one : absorbed) {
      const bool same_bounds = one.start == grown.start && one.end == grown.end;
      if (one.out && !same_bounds) {
        rows.push_back({*record.key, one.start, one.end, one.revision, "merged", {}});
        ++counts.rows_out;
      }
      grown.out = grown.out || (one.out && same_bounds);
      grown.revision = std::max(grown.revision, one.revision);
      grown.records.insert(grown.records.end(), one.records.begin(), one.records.end());
      grown.fresh.insert(grown.fresh.end(), one.fresh.begin(), one.fresh.end());
    }
    grown.records.push_back(record);
    grown.fresh.push_back(record);
    for (auto* list : {&grown.records, &grown.fresh}) {
      std::sort(list->begin(), list->end(), [](const Record& a, const Record& b) { return a.index < b.index; });
    }
    if (spec_.emit != EmitMode::kFinalOnly) {
      if (grown.end < watermark_)
        emit(*record.key, grown, "late");
      else if (spec_.early_rows && static_cast<int64_t>(grown.fresh.size()) >= *spec_.early_rows)
        emit(*record.key, grown, "early");
    }
    all.push_back(grown);
    std::sort(all.begin(), all.end(), [](const One& a, const One& b) { return a.start < b.start; });
  }

  void move(Millis watermark) {
    if (watermark <= watermark_) return;
    const bool early = spec_.early && watermark != kPlusInfinity &&
                       (watermark_ == kMinusInfinity || multiples(watermark) > multiples(watermark_));
    for (auto& [key, all] : sessions_) {
      for (One& one : all) {
        const bool fires = one.end < watermark && (watermark_ == kMinusInfinity || one.end >= watermark_);
        const bool freed = watermark == kPlusInfinity || one.end + spec_.allowed_lateness < watermark;
        if (spec_.emit == EmitMode::kFinalOnly) {
          if (freed) emit(key, one, "final");
        } else if (fires) {
          emit(key, one, "on_time");
        } else if (early && one.end >= watermark && !one.fresh.empty()) {
          emit(key, one, "early");
        }
      }
      std::erase_if(all, [&](const One& one) {
        return watermark == kPlusInfinity || one.end + spec_.allowed_lateness < watermark;
      });
    }
    if (watermark != kPlusInfinity) watermark_ = watermark;
  }

  StepCounts counts;
  std::vector<SessionRow> rows;
  std::vector<OracleLate> late;

 private:
  struct One {
    Millis start = 0;
    Millis end = 0;
    int64_t revision = 0;
    bool out = false;
    std::vector<Record> records;
    std::vector<Record> fresh;  // since its last pane
  };

  Millis multiples(Millis t) const {
    Millis number = t / *spec_.early;
    while (number * *spec_.early > t) --number;
    return number;
  }

  void emit(const std::string& key, One& one, const std::string& pane) {
    const bool delta = spec_.emit == EmitMode::kDelta;
    if (delta && one.fresh.empty()) return;
    rows.push_back({key, one.start, one.end, one.revision++, pane, delta ? one.fresh : one.records});
    ++counts.panes;
    ++counts.rows_out;
    counts.out += static_cast<int64_t>(one.fresh.size());
    counts.held -= static_cast<int64_t>(one.fresh.size());
    one.fresh.clear();
    one.out = true;
  }

  const WindowSpec spec_;
  const Millis gap_;
  Millis watermark_ = kMinusInfinity;
  std::map<std::string, std::vector<One>> sessions_;
};

}  // namespace wrackline::testing
