#include "wrackline/time/zones.h"

#include <array>
#include <cstdint>
#include <cstring>
#include <memory>
#include <mutex>

#include "wrackline/core/hash.h"
#include "wrackline/core/hint.h"
#include "wrackline/time/zones_data.h"

namespace wrackline {
namespace {

using zones_data::kBytes;
using zones_data::kCount;
using zones_data::kEntries;

// Names by a hash of their length, first and last eight bytes, in an open table that is three quarters empty.
class Names {
 public:
  Names() {
    sorted_.reserve(kCount);
    slots_.fill(-1);
    for (size_t i = 0; i < kCount; ++i) {
      sorted_.emplace_back(kEntries[i].name);
      size_t slot = slot_of(sorted_.back());
      while (slots_[slot] >= 0) slot = (slot + 1) % kSlots;
      slots_[slot] = static_cast<int16_t>(i);
    }
    WL_CHECK(kCount > 0 && kCount <= kSlots / 2);
  }

  const std::vector<std::string>& sorted() const { return sorted_; }

  int find(std::string_view name) const {
    for (size_t slot = slot_of(name); slots_[slot] >= 0; slot = (slot + 1) % kSlots) {
      if (sorted_[static_cast<size_t>(slots_[slot])] == name) return slots_[slot];
    }
    return -1;
  }

 private:
  static constexpr size_t kSlots = 4096;

  static size_t slot_of(std::string_view name) {
    uint64_t first = 0, last = 0;
    if (name.size() >= sizeof(first)) {
      std::memcpy(&first, name.data(), sizeof(first));
      std::memcpy(&last, name.data() + name.size() - sizeof(last), sizeof(last));
    } else {
      for (const char c : name) first = first << 8 | static_cast<unsigned char>(c);
    }
    return mix64(first + 31 * last + name.size()) % kSlots;
  }

  std::vector<std::string> sorted_;
  std::array<int16_t, kSlots> slots_{};
};

const Names& names() {
  static const Names kNames;
  return kNames;
}

}  // namespace

std::string_view tz_version() { return zones_data::kVersion; }

const std::vector<std::string>& zone_names() { return names().sorted(); }

int find_zone(std::string_view name) { return names().find(name); }

Result<int> zone_index(std::string_view name) {
  const int index = find_zone(name);
  if (index >= 0) return index;
  const std::string near = nearest(name, zone_names());
  return Status::invalid("unknown time zone '" + std::string(name) + "'" +
                         (near.empty() ? "; names are those of the tz database, such as 'Europe/Berlin' or 'UTC'"
                                       : "; did you mean '" + near + "'?"));
}

const Zone& zone(int index) {
  struct Slot {
    std::once_flag once;
    std::unique_ptr<const Zone> zone;
  };
  static const std::unique_ptr<Slot[]> kSlots(new Slot[kCount]);
  WL_CHECK(0 <= index && static_cast<size_t>(index) < kCount);
  Slot& slot = kSlots[static_cast<size_t>(index)];
  std::call_once(slot.once, [&] {
    Result<Zone> read = Zone::parse(zone_file(index));
    WL_CHECK(read.ok());  // a test reads them all
    slot.zone = std::make_unique<const Zone>(std::move(*read));
  });
  return *slot.zone;
}

std::string_view zone_file(int index) {
  WL_CHECK(0 <= index && static_cast<size_t>(index) < kCount);
  const zones_data::Entry& entry = kEntries[static_cast<size_t>(index)];
  return {reinterpret_cast<const char*>(kBytes) + entry.offset, entry.size};
}

}  // namespace wrackline
