// What happened in one simulated run: a hash always, text when it is asked for.
#pragma once

#include <cstdint>
#include <cstdio>
#include <string>
#include <string_view>

namespace wrackline::simulation {

class EventTrace {
 public:
  explicit EventTrace(std::FILE* to = nullptr) : to_(to) {}

  void note(std::string_view what, std::string_view about = {}, int64_t a = 0, int64_t b = 0) {
    mix(what);
    mix(about);
    mix(static_cast<uint64_t>(a));
    mix(static_cast<uint64_t>(b));
    ++count_;
    if (to_ == nullptr) return;
    std::fprintf(to_, "%8lld  %-22s %s  %lld %lld\n", static_cast<long long>(count_), std::string(what).c_str(),
                 std::string(about).c_str(), static_cast<long long>(a), static_cast<long long>(b));
  }
  uint64_t hash() const { return hash_; }
  int64_t count() const { return count_; }
  bool texts() const { return to_ != nullptr; }

 private:
  void mix(uint64_t value) { hash_ = (hash_ ^ value) * 0x100000001b3ULL + (hash_ >> 29); }
  void mix(std::string_view text) {
    for (const char c : text) mix(static_cast<uint64_t>(static_cast<unsigned char>(c)));
  }

  std::FILE* to_;
  uint64_t hash_ = 0xcbf29ce484222325ULL;
  int64_t count_ = 0;
};

}  // namespace wrackline::simulation
