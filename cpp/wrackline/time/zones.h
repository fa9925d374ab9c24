// The tz database, part of the program: its version, the names of zones, and the zones. All calls from any thread.
#pragma once

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

#include "wrackline/core/status.h"
#include "wrackline/time/zone.h"

namespace wrackline {

// As IANA names it: "2026f". Windows of another version may have other edges.
std::string_view tz_version();

// Sorted. An index means the same zone in one build only: state holds names.
const std::vector<std::string>& zone_names();

// Finds the zones that rows name. Copies are cheap and share a table that is never freed.
class ZoneFinder {
 public:
  ZoneFinder();

  // The index in zone_names(), -1 if there is no such zone. Upper and lower case differ.
  int find(std::string_view name) const {
    const Words words = words_of(name);
    for (size_t i = slot_of(words); slots_[i].index >= 0; i = (i + 1) % kSlots) {
      const Slot& slot = slots_[i];
      if (slot.words == words && (name.size() <= kInWords || slot.name == name)) return slot.index;
    }
    return -1;
  }

 private:
  static constexpr size_t kSlots = 2048;  // a third is used
  static constexpr size_t kInWords = 24;

  // The first, the middle and the last bytes of a name, which overlap, and its size: all of a name up to kInWords.
  struct Words {
    uint64_t first = 0, middle = 0, last = 0, size = 0;
    bool operator==(const Words& other) const {
      return ((first ^ other.first) | (middle ^ other.middle) | (last ^ other.last) | (size ^ other.size)) == 0;
    }
  };
  struct Slot {
    Words words;
    std::string_view name;
    int index = -1;
  };
  struct Table;

  static Words words_of(std::string_view name) {
    const char* const begin = name.data();
    const size_t size = name.size();
    if (size >= 8) {
      return {load<uint64_t>(begin), load<uint64_t>(begin + size / 2 - 4), load<uint64_t>(begin + size - 8), size};
    }
    if (size >= 4) return {load<uint32_t>(begin), 0, load<uint32_t>(begin + size - 4), size};
    Words words{.size = size};
    for (const char c : name) words.first = words.first << 8 | static_cast<unsigned char>(c);
    return words;
  }
  template <typename Number>
  static Number load(const char* from) {
    Number number;
    std::memcpy(&number, from, sizeof(number));
    return number;
  }
  static size_t slot_of(const Words& words) {
    const uint64_t mixed = words.first * 0xbf58476d1ce4e5b9ULL + words.last * 0x94d049bb133111ebULL + words.size;
    return static_cast<size_t>((mixed ^ mixed >> 32) * 0x9e3779b97f4a7c15ULL >> 53);  // 53: log2(kSlots) bits are left
  }

  const Slot* slots_;
};

inline int find_zone(std::string_view name) { return ZoneFinder().find(name); }

// The same for a name that a user wrote: the error names the nearest spelling.
Result<int> zone_index(std::string_view name);

// Read when it is first asked for, never freed. REQUIRES: 0 <= index < zone_names().size().
const Zone& zone(int index);

// The TZif file it is read from.
std::string_view zone_file(int index);

}  // namespace wrackline
