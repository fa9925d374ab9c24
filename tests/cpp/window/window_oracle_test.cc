// Random streams against the oracle: whatever the window, lateness, disorder, batch cuts, commits and restores.
#include "window/window_oracle.h"

#include <random>

#include "step_harness.h"
#include "window/stream_run.h"
#include <gtest/gtest.h>

namespace wrackline::testing {
namespace {

SchemaPtr input_schema() {
  return std::make_shared<const Schema>(std::vector<Field>{{"k", Type::kString, true},
                                                           {"n", Type::kInt64, true},
                                                           {"x", Type::kFloat64, true},
                                                           {"s", Type::kString, true},
                                                           {"i", Type::kInt64, false},
                                                           {"on", Type::kBool, false},
                                                           {"zone", Type::kString, true},
                                                           {"m", Type::kInt64, false}});
}

// The values of "m": never null, and often the same.
int64_t m_of(const Record& record) { return static_cast<int64_t>(record.index * 7 % 11) - 5; }

struct Item {
  enum Kind { kRecord, kMove, kCommit } kind = kRecord;
  Record record;
  Millis watermark = 0;
};

struct Stream {
  WindowSpec spec;
  std::vector<Item> items;
};

Row row_of(const Record& record) {
  Row row;
  row.push_back(record.key ? Scalar(*record.key) : Scalar());
  row.push_back(record.n ? Scalar(*record.n) : Scalar());
  row.push_back(record.x ? Scalar(*record.x) : Scalar());
  row.push_back(record.s ? Scalar(*record.s) : Scalar());
  row.push_back(static_cast<int64_t>(record.index));
  row.push_back(record.index % 3 == 0);
  if (record.zone == kNullZone)
    row.push_back(Scalar());
  else if (record.zone == kUnknownZone)
    row.push_back(std::string("Nowhere"));
  else
    row.push_back("Etc/GMT" + std::string(record.zone < 0 ? "+" : "-") + std::to_string(std::abs(record.zone)));
  row.push_back(m_of(record));
  return row;
}

Stream random_stream(std::mt19937_64& random) {
  const auto below = [&](int64_t n) { return static_cast<int64_t>(random() % static_cast<uint64_t>(n)); };
  Stream stream;
  WindowSpec& spec = stream.spec;
  const bool keyed = below(4) != 0;
  if (keyed) spec.key_columns = {"k"};
  FixedWindow window;
  const Millis scale = below(4) == 0 ? 40 : 1;  // few windows, of many records
  window.slide = scale * (1 + below(12));
  window.size = below(2) ? window.slide : window.slide + scale * below(20);
  window.offset = below(2 * window.slide - 1) - (window.slide - 1);
  spec.kind = window;
  spec.allowed_lateness = below(3) == 0 ? 0 : below(30);
  if (const int64_t which = below(8); which == 0) {
    spec.kind = CountWindow{1 + below(6)};
    spec.allowed_lateness = 0;
  } else if (which == 1) {
    spec.kind = GlobalWindow{};
    spec.allowed_lateness = 0;
  } else if (which == 2) {
    spec.kind = CalendarWindow{.unit = CalendarUnit::kDay, .zone = "", .zone_column = "zone"};
  }
  if (!spec.as<CountWindow>()) {
    spec.emit = static_cast<EmitMode>(below(3));
    const bool hopping = spec.as<FixedWindow>() && window.size != window.slide;
    if (spec.emit != EmitMode::kFinalOnly && below(2)) spec.early = 1 + below(20);
    if (spec.emit != EmitMode::kFinalOnly && !hopping && below(3) == 0) spec.early_rows = 1 + below(5);
  }
  spec.emit_late_each = below(2) == 0;
  spec.late_windows_rows = below(2) == 0;
  spec.aggregates = {{"rows", "count", ""},
                     {"n_count", "count", "n"},
                     {"n_sum", "sum", "n"},
                     {"n_wide", "sum", "n", true},
                     {"n_mean", "mean", "n"},
                     {"n_min", "min", "n"},
                     {"n_max", "max", "n"},
                     {"x_sum", "sum", "x"},
                     {"x_mean", "mean", "x"},
                     {"x_min", "min", "x"},
                     {"x_max", "max", "x"},
                     {"x_var", "var", "x"},
                     {"x_std", "std", "x"},
                     {"s_min", "min", "s"},
                     {"s_max", "max", "s"},
                     {"s_first", "first", "s"},
                     {"s_last", "last", "s"},
                     {"n_first", "first", "n"},
                     {"n_last", "last", "n"},
                     {"i_list", "collect", "i"},
                     {"s_list", "collect", "s"},
                     {"n_unique", "n_unique", "n"},
                     {"s_unique", "n_unique", "s"},
                     {"x_unique", "n_unique", "x"},
                     {"on_sum", "sum", "on"},
                     {"n_middle", "median", "n"},
                     {"s_set", "collect_set", "s"},
                     {"n_set", "collect_set", "n"},
                     {"on_all", "bool_and", "on"},
                     {"on_any", "bool_or", "on"},
                     {"s_by_x", "arg_min", "s"},
                     {"i_by_s", "arg_max", "i"},
                     {"n_top", "top_k", "n"},
                     {"s_top", "top_k", "s"},
                     {"n_few", "approx_n_unique", "n"},
                     {"n_low", "approx_quantile", "n"},
                     {"s_most", "approx_most_common", "s"},
                     {"m_min", "min", "m"},
                     {"m_max", "max", "m"},
                     {"i_by_low", "arg_min", "i"},
                     {"i_by_high", "arg_max", "i"},
                     {"i_min", "min", "i"},
                     {"i_max", "max", "i"}};
  for (AggregateSpec& aggregate : spec.aggregates) {
    if (aggregate.name == "s_by_x") aggregate.by = "x";
    if (aggregate.name == "i_by_s") aggregate.by = "s";
    if (aggregate.name == "i_by_low" || aggregate.name == "i_by_high") aggregate.by = "m";
    if (aggregate.name == "n_low") aggregate.q = 0.2;
    if (aggregate.function == "top_k" || aggregate.name == "s_most") aggregate.k = 3;
  }
  const Millis bound = below(15);
  const int64_t keys = 1 + below(6);
  Millis now = below(200) - 100;
  Millis watermark = kMinusInfinity;
  Millis largest = kMinusInfinity;
  const int64_t count = 60 + below(200);
  const int64_t commit_each = below(3) == 0 ? 150 : 25;  // records
  for (int64_t i = 0; i < count; ++i) {
    now += below(20) == 0 ? below(200) : below(3);
    Record record;
    record.index = static_cast<size_t>(i);
    record.time = now - below(below(4) == 0 ? 40 : 1 + bound);
    record.zone = static_cast<int>(below(3)) * 9 - 7;
    if (spec.as<CalendarWindow>() && below(20) == 0) record.zone = below(2) ? kNullZone : kUnknownZone;
    const int64_t key = below(keys);
    if (!keyed)
      record.key = "";
    else if (below(30) != 0)
      record.key =
          key % 2 ? "k" + std::to_string(key) : std::string("a key longer than sixteen bytes ") + std::to_string(key);
    if (below(4) != 0) record.n = below(40) == 0 ? (int64_t{1} << 61) - below(5) : below(21) - 10;
    if (below(4) != 0) {
      record.x = static_cast<double>(below(2001) - 1000) / 7.0 * (below(10) == 0 ? 1e12 : 1.0);
      if (below(60) == 0) record.x = std::numeric_limits<double>::quiet_NaN();
    }
    if (below(4) != 0) record.s = std::string(static_cast<size_t>(below(25)), static_cast<char>('a' + below(4)));
    stream.items.push_back({Item::kRecord, record, 0});
    largest = std::max(largest, record.time);
    if (largest - bound > watermark && below(10) != 0) {
      watermark = largest - bound;
      stream.items.push_back({Item::kMove, {}, watermark});
    }
    if (below(commit_each) == 0) stream.items.push_back({Item::kCommit, {}, 0});
  }
  if (spec.as<CalendarWindow>()) {  // what was a millisecond is an hour
    constexpr Millis kHour = 3'600'000;
    spec.allowed_lateness *= kHour;
    if (spec.early) *spec.early *= kHour;
    for (Item& item : stream.items) {
      item.record.time *= kHour;
      item.watermark *= kHour;
    }
  }
  if (below(2)) stream.items.push_back({Item::kMove, {}, kPlusInfinity});
  stream.items.push_back({Item::kCommit, {}, 0});
  return stream;
}

Answer run(const Stream& stream, uint64_t seed, int cut_every, bool restore) {
  return run_stream(stream, input_schema(), row_of, seed, cut_every, restore);
}

template <typename T, typename F>
std::vector<T> values_of(const std::vector<Record>& records, F f) {
  std::vector<T> values;
  for (const Record& record : records) {
    if (const std::optional<T> value = f(record)) values.push_back(*value);
  }
  return values;
}

#define EXPECT_SCALAR(expected, got) EXPECT_TRUE(same((expected), (got))) << "column " << #got

void check_floats(const std::vector<double>& x, const Scalar& sum, const Scalar& mean, const Scalar& low,
                  const Scalar& high, const Scalar& var, const Scalar& std) {
  if (x.empty()) {
    EXPECT_SCALAR(Scalar(0.0), sum);
    for (const Scalar& other : {mean, low, high, var, std}) EXPECT_SCALAR(Scalar(), other);
    return;
  }
  Quad exact = 0;
  double size = 0;
  bool nan = false;
  std::vector<double> numbers;
  for (const double value : x) {
    nan = nan || std::isnan(value);
    if (!std::isnan(value)) numbers.push_back(value);
    exact += value;
    size += std::fabs(value);
  }
  const auto n = static_cast<double>(x.size());
  const double got_sum = std::get<double>(sum);
  const double got_mean = std::get<double>(mean);
  if (nan) {
    EXPECT_TRUE(std::isnan(got_sum) && std::isnan(got_mean));
    if (x.size() > 1) {
      EXPECT_TRUE(std::isnan(std::get<double>(var)) && std::isnan(std::get<double>(std)));
    }
  } else {
    const auto right = static_cast<double>(exact);
    EXPECT_LE(std::fabs(got_sum - right), ulp(right) + n * 0x1p-100 * size);
    const auto right_mean = static_cast<double>(exact / static_cast<Quad>(n));
    EXPECT_LE(std::fabs(got_mean - right_mean), 3 * ulp(right_mean) + 0x1p-100 * size);
  }
  if (numbers.empty()) {
    EXPECT_TRUE(std::isnan(std::get<double>(low)) && std::isnan(std::get<double>(high)));
  } else {
    EXPECT_EQ(*std::min_element(numbers.begin(), numbers.end()), std::get<double>(low));
    EXPECT_EQ(*std::max_element(numbers.begin(), numbers.end()), std::get<double>(high));
  }
  if (x.size() < 2) {
    EXPECT_SCALAR(Scalar(), var);
    EXPECT_SCALAR(Scalar(), std);
  } else if (!nan) {
    const Quad quad_mean = exact / static_cast<Quad>(n);
    Quad squares = 0;
    for (const double value : x) squares += (value - quad_mean) * (value - quad_mean);
    const auto right = static_cast<double>(squares / static_cast<Quad>(n - 1));
    EXPECT_NEAR(right, std::get<double>(var), 1e-9 * right);
    EXPECT_NEAR(std::sqrt(right), std::get<double>(std), 1e-9 * std::sqrt(right));
  }
}

void check_texts(const std::vector<Record>& by_time, const Row& row, size_t low, size_t high, size_t first, size_t last,
                 size_t list, size_t unique) {
  const auto s = values_of<std::string>(by_time, [](const Record& r) { return r.s; });
  if (s.empty()) {
    for (const size_t column : {low, high, first, last}) EXPECT_SCALAR(Scalar(), row[column]);
  } else {
    EXPECT_SCALAR(Scalar(*std::min_element(s.begin(), s.end())), row[low]);
    EXPECT_SCALAR(Scalar(*std::max_element(s.begin(), s.end())), row[high]);
    EXPECT_SCALAR(Scalar(s.front()), row[first]);
    EXPECT_SCALAR(Scalar(s.back()), row[last]);
  }
  std::string text = "[";
  for (size_t i = 0; i < s.size(); ++i) text += (i ? "," : "") + s[i];
  EXPECT_SCALAR(Scalar(text + "]"), row[list]);
  EXPECT_SCALAR(Scalar(static_cast<int64_t>(std::set<std::string>(s.begin(), s.end()).size())), row[unique]);
}

template <typename T>
Scalar list_of(const std::vector<T>& values) {
  std::string text;
  for (const T& value : values) {
    if constexpr (std::is_same_v<T, std::string>)
      text += (text.empty() ? "[" : ",") + value;
    else
      text += (text.empty() ? "[" : ",") + std::to_string(value);
  }
  return text.empty() ? "[]" : text + "]";
}

template <typename T>
std::vector<T> largest(std::vector<T> values, size_t count) {
  std::sort(values.rbegin(), values.rend());
  values.resize(std::min(values.size(), count));
  return values;
}

template <typename T>
std::vector<T> most_common(const std::vector<T>& values, size_t count) {
  std::map<T, int64_t> counts;
  for (const T& value : values) ++counts[value];
  std::vector<std::pair<int64_t, T>> ranked;
  for (const auto& [value, n] : counts) ranked.emplace_back(-n, value);
  std::sort(ranked.begin(), ranked.end());
  std::vector<T> result;
  for (size_t i = 0; i < std::min(ranked.size(), count); ++i) result.push_back(ranked[i].second);
  return result;
}

// Column 30 on: what was added to aggregates since, each from all records.
void check_others(const std::vector<Record>& by_time, const Row& row) {
  auto n = values_of<int64_t>(by_time, [](const Record& r) { return r.n; });
  std::sort(n.begin(), n.end());
  const auto s = values_of<std::string>(by_time, [](const Record& r) { return r.s; });
  if (n.empty()) {
    EXPECT_SCALAR(Scalar(), row[30]);
    EXPECT_SCALAR(Scalar(), row[40]);
  } else {
    const auto low = static_cast<double>(n[(n.size() - 1) / 2]);
    const auto high = static_cast<double>(n[n.size() / 2]);
    EXPECT_EQ(low == high ? low : 0.5 * (high - low) + low, std::get<double>(row[30]));
    const auto rank = static_cast<size_t>(std::round(0.2 * static_cast<double>(n.size() - 1)));
    EXPECT_EQ(static_cast<double>(n[rank]), std::get<double>(row[40]));
  }
  const std::set<std::string> texts(s.begin(), s.end());
  const std::set<int64_t> different(n.begin(), n.end());
  EXPECT_SCALAR(list_of(std::vector<std::string>(texts.begin(), texts.end())), row[31]);
  EXPECT_SCALAR(list_of(std::vector<int64_t>(different.begin(), different.end())), row[32]);
  bool all = true;
  bool any = false;
  const Record* least_x = nullptr;
  const Record* largest_s = nullptr;
  for (const Record& record : by_time) {
    const bool on = record.index % 3 == 0;
    all = all && on;
    any = any || on;
    if (record.x &&
        (least_x == nullptr || *record.x < *least_x->x || (std::isnan(*least_x->x) && *record.x == *record.x)))
      least_x = &record;
    if (record.s && (largest_s == nullptr || *record.s > *largest_s->s)) largest_s = &record;
  }
  EXPECT_SCALAR(Scalar(all), row[33]);
  EXPECT_SCALAR(Scalar(any), row[34]);
  EXPECT_SCALAR((least_x && least_x->s ? Scalar(*least_x->s) : Scalar()), row[35]);
  EXPECT_SCALAR((largest_s ? Scalar(static_cast<int64_t>(largest_s->index)) : Scalar()), row[36]);
  EXPECT_SCALAR(list_of(largest(n, 3)), row[37]);
  EXPECT_SCALAR(list_of(largest(s, 3)), row[38]);
  EXPECT_SCALAR(Scalar(static_cast<int64_t>(different.size())), row[39]);
  EXPECT_SCALAR(list_of(most_common(s, 3)), row[41]);
  // Of the same values the earliest counts.
  const auto by_m = [](const Record& a, const Record& b) { return m_of(a) < m_of(b); };
  const Record& least = *std::min_element(by_time.begin(), by_time.end(), by_m);
  const Record& most = *std::max_element(by_time.begin(), by_time.end(), by_m);
  EXPECT_SCALAR(Scalar(m_of(least)), row[42]);
  EXPECT_SCALAR(Scalar(m_of(most)), row[43]);
  EXPECT_SCALAR(Scalar(static_cast<int64_t>(least.index)), row[44]);
  EXPECT_SCALAR(Scalar(static_cast<int64_t>(most.index)), row[45]);
  const auto by_index = [](const Record& a, const Record& b) { return a.index < b.index; };
  const auto [first, last] = std::minmax_element(by_time.begin(), by_time.end(), by_index);
  EXPECT_SCALAR(Scalar(static_cast<int64_t>(first->index)), row[46]);
  EXPECT_SCALAR(Scalar(static_cast<int64_t>(last->index)), row[47]);
}

// `row`: k, window_start, window_end, (window_number,) revision, pane, then the aggregates of random_stream.
void check_pane(const WindowSpec& spec, const OraclePane& pane, Row row) {
  EXPECT_SCALAR(Scalar(pane.key), row[0]);
  const bool bounds = !spec.as<GlobalWindow>();
  EXPECT_SCALAR(bounds ? Scalar(Timestamp{pane.start}) : Scalar(), row[1]);
  EXPECT_SCALAR(bounds ? Scalar(Timestamp{pane.end}) : Scalar(), row[2]);
  if (spec.as<CountWindow>()) {
    EXPECT_SCALAR(Scalar(pane.number), row[3]);
    row.erase(row.begin() + 3);
  }
  EXPECT_SCALAR(Scalar(pane.revision), row[3]);
  EXPECT_SCALAR(Scalar(pane.pane), row[4]);
  std::vector<Record> by_time = pane.records;
  std::stable_sort(by_time.begin(), by_time.end(), [](const Record& a, const Record& b) { return a.time < b.time; });
  std::string list;
  int64_t on = 0;
  for (const Record& record : by_time) {
    list += (list.empty() ? "[" : ",") + std::to_string(record.index);
    on += record.index % 3 == 0;
  }
  const auto n = values_of<int64_t>(by_time, [](const Record& r) { return r.n; });
  __int128 sum = 0;
  for (const int64_t value : n) sum += value;
  EXPECT_SCALAR(Scalar(static_cast<int64_t>(pane.records.size())), row[5]);
  EXPECT_SCALAR(Scalar(static_cast<int64_t>(n.size())), row[6]);
  EXPECT_SCALAR(Scalar(static_cast<int64_t>(sum)), row[7]);
  EXPECT_SCALAR(Scalar(std::to_string(static_cast<int64_t>(sum))), row[8]);
  if (n.empty()) {
    for (const size_t column : {9, 10, 11, 22, 23}) EXPECT_SCALAR(Scalar(), row[column]);
  } else {
    const auto mean = static_cast<double>(static_cast<Quad>(sum) / static_cast<Quad>(n.size()));
    EXPECT_LE(std::fabs(std::get<double>(row[9]) - mean), 3 * ulp(mean));
    EXPECT_SCALAR(Scalar(*std::min_element(n.begin(), n.end())), row[10]);
    EXPECT_SCALAR(Scalar(*std::max_element(n.begin(), n.end())), row[11]);
    EXPECT_SCALAR(Scalar(n.front()), row[22]);
    EXPECT_SCALAR(Scalar(n.back()), row[23]);
  }
  const auto x = values_of<double>(pane.records, [](const Record& r) { return r.x; });
  check_floats(x, row[12], row[13], row[14], row[15], row[16], row[17]);
  check_texts(by_time, row, 18, 19, 20, 21, 25, 27);
  EXPECT_SCALAR(Scalar(list + "]"), row[24]);
  EXPECT_SCALAR(Scalar(static_cast<int64_t>(std::set<int64_t>(n.begin(), n.end()).size())), row[26]);
  std::set<std::string> distinct;
  for (const double value : x)
    distinct.insert(std::isnan(value) ? "nan" : std::to_string(std::bit_cast<int64_t>(value)));
  EXPECT_SCALAR(Scalar(static_cast<int64_t>(distinct.size())), row[28]);
  EXPECT_SCALAR(Scalar(on), row[29]);
  check_others(by_time, row);
}

void expect_same_rows(const std::vector<Output>& expected, const std::vector<Output>& got) {
  ASSERT_EQ(expected.size(), got.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(expected[i].event_time, got[i].event_time);
    EXPECT_EQ(expected[i].watermark, got[i].watermark);
    ASSERT_EQ(expected[i].row.size(), got[i].row.size());
    for (size_t column = 0; column < got[i].row.size(); ++column) {
      EXPECT_TRUE(same(expected[i].row[column], got[i].row[column])) << "row " << i << ", column " << column;
    }
  }
}

// Sums near 2^63 are for the overflow tests: here they must fit.
bool fits(const std::vector<OraclePane>& panes) {
  for (const OraclePane& pane : panes) {
    __int128 sum = 0;
    for (const Record& record : pane.records) sum += record.n.value_or(0);
    if (sum > std::numeric_limits<int64_t>::max()) return false;
  }
  return true;
}

// rule: 3.1 3.2 4.1 4.2 4.3 4.5 4.6 4.9 4.10 4.11 4.12 5.1 5.10 5.14 5.15 7.1 7.12
TEST(WindowOracleTest, RandomStreamsGiveWhatTheRulesSay) {
  const uint64_t first_seed = 20260101;
  int checked = 0;
  for (uint64_t seed = first_seed; seed < first_seed + 300; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    const Stream stream = random_stream(random);
    WindowOracle oracle(stream.spec);
    for (const Item& item : stream.items) {
      if (item.kind == Item::kRecord) {
        oracle.record(item.record);
      } else if (item.kind == Item::kMove) {
        oracle.move(item.watermark);
      } else {
        oracle.commit();
      }
    }
    if (!fits(oracle.panes)) continue;
    ++checked;
    const Answer whole = run(stream, seed, 0, false);
    ASSERT_EQ(oracle.panes.size(), whole.out.main.size());
    EXPECT_TRUE(oracle.counts_now() == whole.counts);
    // Panes of one key come in the oracle's order.
    std::map<std::string, std::vector<const OraclePane*>> expected;
    for (const OraclePane& pane : oracle.panes) expected[pane.key].push_back(&pane);
    std::map<std::string, size_t> taken;
    for (const Output& output : whole.out.main) {
      Row row = output.row;
      if (stream.spec.key_columns.empty()) row.insert(row.begin(), Scalar(std::string()));
      const auto& key = std::get<std::string>(row[0]);
      ASSERT_LT(taken[key], expected[key].size());
      const OraclePane& pane = *expected[key][taken[key]++];
      EXPECT_EQ(pane.end - 1, output.event_time);
      // Nothing is late for the others: their rows may be behind.
      if (!stream.spec.as<CountWindow>() && !stream.spec.as<GlobalWindow>()) {
        EXPECT_GE(output.event_time, output.watermark) << "a result row is behind the watermark below";
      }
      check_pane(stream.spec, pane, row);
      if (::testing::Test::HasFailure()) FAIL() << "window " << pane.start << ".." << pane.end << " of " << key;
    }
    ASSERT_EQ(oracle.late.size(), whole.out.late.size());
    for (size_t i = 0; i < oracle.late.size(); ++i) {
      const Row& row = whole.out.late[i].row;
      const OracleLate got{static_cast<size_t>(std::get<int64_t>(row[4])), std::get<int64_t>(row[8]),
                           std::get<Timestamp>(row[9]).millis, std::get<Timestamp>(row[11]).millis};
      EXPECT_EQ(oracle.late[i], got) << "late row " << i;
      const auto* fixed = stream.spec.as<FixedWindow>();
      EXPECT_SCALAR(Scalar(Timestamp{got.end - (fixed != nullptr ? fixed->size : 86'400'000)}), row[10]);
      EXPECT_SCALAR(Scalar(std::string("window")), row[12]);
      EXPECT_SCALAR(Scalar(std::string("w")), row[13]);
    }
    // However the stream is cut, and whatever restarts, nothing else comes out.
    for (const int cut_every : {1, 7}) {
      const Answer other = run(stream, seed, cut_every, true);
      expect_same_rows(whole.out.main, other.out.main);
      expect_same_rows(whole.out.late, other.out.late);
      EXPECT_EQ(whole.out.moves, other.out.moves);
      EXPECT_TRUE(whole.counts == other.counts);
    }
    if (::testing::Test::HasFailure()) return;
  }
  EXPECT_GT(checked, 100);
}

// Thousands of rows at once, of which many in a row are of one window.
TEST(WindowOracleTest, LongBatchesGiveWhatTheRulesSay) {
  for (uint64_t seed = 20261101; seed < 20261141; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    const auto below = [&](int64_t n) { return static_cast<int64_t>(random() % static_cast<uint64_t>(n)); };
    Stream stream;
    FixedWindow window;
    window.slide = 50 + below(1000);
    window.size = window.slide * (1 + below(3));
    stream.spec.kind = window;
    if (below(2)) stream.spec.key_columns = {"k"};
    stream.spec.allowed_lateness = below(2) * below(100);
    stream.spec.aggregates = {{"rows", "count", ""}, {"i_list", "collect", "i"}};
    const Millis bound = below(2) * below(300);
    const int64_t behind = 1 + below(200);  // one record of so many
    Millis watermark = kMinusInfinity;
    for (int64_t i = 0; i < 4000; ++i) {
      Record record{.index = static_cast<size_t>(i), .time = i / 2, .key = below(2) ? "a" : "b"};
      if (stream.spec.key_columns.empty()) record.key = "";
      if (below(behind) == 0) record.time -= below(2 * bound + 20);
      stream.items.push_back({Item::kRecord, record, 0});
      if (i / 2 - bound <= watermark) continue;
      watermark = i / 2 - bound;
      stream.items.push_back({Item::kMove, {}, watermark});
    }
    stream.items.push_back({Item::kMove, {}, kPlusInfinity});
    stream.items.push_back({Item::kCommit, {}, 0});
    WindowOracle oracle(stream.spec);
    for (const Item& item : stream.items) {
      if (item.kind == Item::kRecord) oracle.record(item.record);
      if (item.kind == Item::kMove) oracle.move(item.watermark);
      if (item.kind == Item::kCommit) oracle.commit();
    }
    std::vector<std::string> expected;
    for (const OraclePane& pane : oracle.panes) {
      std::vector<Record> by_time = pane.records;
      std::stable_sort(by_time.begin(), by_time.end(),
                       [](const Record& a, const Record& b) { return a.time < b.time; });
      std::string text = pane.key + " " + std::to_string(pane.start) + " " + pane.pane + " ";
      for (const Record& record : by_time) text += std::to_string(record.index) + ",";
      expected.push_back(std::move(text));
    }
    const Answer whole = run(stream, seed, 0, false);
    std::vector<std::string> got;
    for (const Output& output : whole.out.main) {
      Row row = output.row;
      if (stream.spec.key_columns.empty()) row.insert(row.begin(), Scalar(std::string()));
      const auto& list = std::get<std::string>(row[6]);
      got.push_back(std::get<std::string>(row[0]) + " " + std::to_string(std::get<Timestamp>(row[1]).millis) + " " +
                    std::get<std::string>(row[4]) + " " + list.substr(1, list.size() - 2) + ",");
    }
    std::sort(expected.begin(), expected.end());
    std::sort(got.begin(), got.end());
    ASSERT_EQ(expected, got);
    EXPECT_EQ(oracle.late.size(), whole.out.late.size());
    EXPECT_TRUE(oracle.counts_now() == whole.counts);
  }
}

}  // namespace
}  // namespace wrackline::testing
