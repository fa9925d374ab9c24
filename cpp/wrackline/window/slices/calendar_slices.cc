#include "wrackline/window/slices/calendar_slices.h"

#include "wrackline/core/hint.h"

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
  if (column_ < 0) new_place(find_zone(window.zone));
}

int32_t CalendarSlices::new_place(int zone_number) {
  const auto place = static_cast<int32_t>(edges_.size());
  edges_.emplace_back(zone(zone_number), rule_);
  place_of_zone_[static_cast<size_t>(zone_number)] = place;
  return place;
}

void CalendarSlices::look_at(const Batch& batch) {
  if (column_ < 0) return;
  const Column& zones = batch.column(column_);
  places_.resize(static_cast<size_t>(batch.length));
  // Locals, which no write to places_ can change.
  int32_t* const places = places_.data();
  const int32_t* const place_of_zone = place_of_zone_.data();
  const ZoneFinder finder;
  const bool any_null = zones.null_count() != 0;
  for (int64_t row = 0; row < batch.length; ++row) {
    places[row] = kNoZone;
    if (any_null && zones.is_null(row)) continue;
    const int found = finder.find(zones.string_at(row));
    if (found < 0) continue;
    const int32_t place = place_of_zone[found];
    places[row] = place != kNoZone ? place : new_place(found);
  }
}

}  // namespace wrackline
