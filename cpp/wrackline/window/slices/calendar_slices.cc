#include "wrackline/window/slices/calendar_slices.h"

#include "wrackline/core/hint.h"
#include "wrackline/time/zones.h"

namespace wrackline {

Status CalendarSlices::check(const CalendarWindow& window, const Schema& input) {
  if (window.zone_column.empty()) return zone_index(window.zone).status();
  const int column = input.index_of(window.zone_column);
  if (column < 0) {
    return Status::invalid("tz_column names '" + window.zone_column + "', which is not a column" +
                           nearest_hint(window.zone_column, input.names()));
  }
  if (input.field(column).type != Type::kString) {
    return Status::invalid("tz_column: '" + window.zone_column + "' is " +
                           std::string(type_name(input.field(column).type)) + "; zones are strings, such as 'UTC'");
  }
  return {};
}

CalendarSlices::CalendarSlices(const CalendarWindow& window, const Schema& input)
    : rule_{window.unit, window.starts_at, window.week_starts},
      column_(window.zone_column.empty() ? -1 : input.index_of(window.zone_column)),
      place_of_zone_(zone_names().size(), kNoZone) {
  if (column_ < 0) place_of(find_zone(window.zone));
}

int32_t CalendarSlices::place_of(int zone_number) {
  int32_t& place = place_of_zone_[static_cast<size_t>(zone_number)];
  if (place == kNoZone) {
    place = static_cast<int32_t>(edges_.size());
    edges_.emplace_back(zone(zone_number), rule_);
  }
  return place;
}

void CalendarSlices::look_at(const Batch& batch) {
  if (column_ < 0) return;
  const Column& zones = batch.column(column_);
  places_.resize(static_cast<size_t>(batch.length));
  std::string_view last;
  int32_t last_place = kNoZone;
  for (int64_t row = 0; row < batch.length; ++row) {
    int32_t& place = places_[static_cast<size_t>(row)];
    place = kNoZone;
    if (zones.is_null(row)) continue;
    const std::string_view name = zones.string_at(row);
    if (name != last || last_place == kNoZone) {
      const int found = find_zone(name);
      if (found < 0) continue;
      last = name;
      last_place = place_of(found);
    }
    place = last_place;
  }
}

}  // namespace wrackline
