#include "wrackline/time/zones.h"

#include <memory>
#include <mutex>

#include "wrackline/core/hint.h"
#include "wrackline/time/zones_data.h"

namespace wrackline {
namespace {

using zones_data::kBytes;
using zones_data::kCount;
using zones_data::kEntries;

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
  static const Table kTable;
  slots_ = kTable.slots.data();
}

std::string_view tz_version() { return zones_data::kVersion; }

const std::vector<std::string>& zone_names() {
  static const std::vector<std::string> kNames = [] {
    std::vector<std::string> names;
    for (size_t i = 0; i < kCount; ++i) names.emplace_back(kEntries[i].name);
    return names;
  }();
  return kNames;
}

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
