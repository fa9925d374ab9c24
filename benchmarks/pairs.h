// Interleaved pairs of two loops, and their ratio as one JSON line.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>
#include <vector>

namespace wrackline::bench {

inline double seconds_of(auto&& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

inline double median(std::vector<double> values) {
  std::sort(values.begin(), values.end());
  const size_t middle = values.size() / 2;
  return values.size() % 2 == 1 ? values[middle] : (values[middle - 1] + values[middle]) / 2;
}

// Runs both in turn, once unmeasured, then `pairs` times; each does `items` of work. The ratio of a pair
// is limit time / our time: 1 is as fast as the limit.
inline void compare(const std::string& name, int pairs, double items, auto&& ours, auto&& limit) {
  ours();
  limit();
  std::vector<double> ratios;
  std::vector<double> our_rates;
  std::vector<double> limit_rates;
  for (int i = 0; i < pairs; ++i) {
    const double limit_time = seconds_of(limit);
    const double our_time = seconds_of(ours);
    ratios.push_back(limit_time / our_time);
    our_rates.push_back(items / our_time);
    limit_rates.push_back(items / limit_time);
  }
  std::printf("{\"name\": \"%s\", \"ratio\": %.3f, \"low\": %.3f, \"high\": %.3f, \"ours\": %.0f, \"limit\": %.0f}\n",
              name.c_str(), median(ratios), *std::min_element(ratios.begin(), ratios.end()),
              *std::max_element(ratios.begin(), ratios.end()), median(our_rates), median(limit_rates));
  std::fflush(stdout);
}

}  // namespace wrackline::bench
