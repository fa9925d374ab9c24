// The only randomness of the simulation: splitmix64, the same numbers from the same seed everywhere.
#pragma once

#include <cstdint>
#include <initializer_list>
#include <vector>

namespace wrackline::simulation {

class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}

  uint64_t next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15ULL);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ULL;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebULL;
    return z ^ (z >> 31);
  }
  int64_t between(int64_t low, int64_t high) {  // both ends included
    return low + static_cast<int64_t>(next() % static_cast<uint64_t>(high - low + 1));
  }
  double unit() { return static_cast<double>(next() >> 11) * 0x1p-53; }
  bool chance(double probability) { return unit() < probability; }
  template <typename T>
  T pick(std::initializer_list<T> of) {
    return of.begin()[next() % of.size()];
  }
  template <typename T>
  const T& pick(const std::vector<T>& of) {
    return of[next() % of.size()];
  }
  // A stream of its own, so that more draws here do not change what is drawn there.
  Random fork() { return Random(next()); }

 private:
  uint64_t state_;
};

}  // namespace wrackline::simulation
