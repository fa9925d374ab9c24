#include "wrackline/time/zones.h"

#include <algorithm>
#include <memory>
#include <mutex>
#include <vector>

#include "wrackline/core/spelling.h"
#include "wrackline/time/zones_data.h"

namespace wrackline {
namespace {

using zones_data::kBytes;
using zones_data::kCount;
using zones_data::kEntries;

// The zone of a city by itself: "Berlin", "new york".
std::string nearest_place(std::string_view name) {
  std::string wanted(name);
  std::ranges::replace(wanted, ' ', '_');
  std::vector<std::string> places;
  for (const std::string& zone : zone_names()) places.push_back(zone.substr(zone.rfind('/') + 1));
  const std::string near = nearest(wanted, places);
  if (near.empty()) return {};
  return zone_names()[static_cast<size_t>(std::ranges::find(places, near) - places.begin())];
}

// What to write instead of a name that does not exist. The nearest name of an abbreviation or an offset is another one.
std::string advice(std::string_view name) {
  const auto any = [&](auto test) { return std::ranges::any_of(name, test); };
  const auto is_upper = [](char c) { return c >= 'A' && c <= 'Z'; };
  if (!name.empty() && name.size() <= 5 && std::ranges::all_of(name, is_upper)) {
    return "an abbreviation is no zone: name a place, such as 'America/Los_Angeles'";
  }
  if (any([](char c) { return c == '+' || c == '-'; }) && any([](char c) { return c >= '0' && c <= '9'; }) &&
      !name.starts_with("Etc/")) {
    return "a fixed offset is 'Etc/GMT-2' for two hours east of Greenwich, 'Etc/GMT+5' for five hours west";
  }
  std::string near = nearest(name, zone_names());
  if (near.empty()) near = nearest_place(name);
  if (!near.empty()) return "did you mean '" + near + "'?";
  return "names are those of the tz database, such as 'Europe/Berlin' or 'UTC'";
}

}  // namespace

struct ZoneFinder::Table {
  std::vector<Slot> slots = std::vector<Slot>(kSlots);

  Table() {
    WL_CHECK(kCount > 0 && kCount <= kSlots / 2);
    for (size_t i = 0; i < kCount; ++i) {
      const std::string_view name = kEntries[i].name;
      size_t slot = slot_of(words_of(name));
      while (slots[slot].index >= 0) slot = (slot + 1) % kSlots;
      slots[slot] = {words_of(name), name, static_cast<int>(i)};
    }
  }
};

ZoneFinder::ZoneFinder() {
  static const Table table;
  slots_ = table.slots.data();
}

std::string_view tz_version() { return zones_data::kVersion; }

const std::vector<std::string>& zone_names() {
  static const std::vector<std::string> sorted = [] {
    std::vector<std::string> names;
    for (size_t i = 0; i < kCount; ++i) names.emplace_back(kEntries[i].name);
    return names;
  }();
  return sorted;
}

Result<int> zone_index(std::string_view name) {
  const int index = find_zone(name);
  if (index >= 0) return index;
  return Status::invalid("unknown time zone '" + std::string(name) + "'; " + advice(name));
}

const Zone& zone(int index) {
  struct Slot {
    std::once_flag once;
    std::unique_ptr<const Zone> zone;
  };
  static const std::unique_ptr<Slot[]> slots(new Slot[kCount]);
  WL_CHECK(0 <= index && static_cast<size_t>(index) < kCount);
  Slot& slot = slots[static_cast<size_t>(index)];
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
