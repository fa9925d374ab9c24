#include "wrackline/core/clock.h"

#include <chrono>

namespace wrackline {

Millis SystemClock::now() const {
  using std::chrono::system_clock;
  return std::chrono::duration_cast<std::chrono::milliseconds>(system_clock::now().time_since_epoch()).count();
}

int64_t SystemClock::steady_us() const {
  using std::chrono::steady_clock;
  return std::chrono::duration_cast<std::chrono::microseconds>(steady_clock::now().time_since_epoch()).count();
}

}  // namespace wrackline
