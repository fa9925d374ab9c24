// The tz database, part of the program: its version, the names of zones, and the zones. All calls from any thread.
#pragma once

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

// The index of a zone in zone_names(), -1 if there is none; some ns. Upper and lower case differ.
int find_zone(std::string_view name);

// The same for a name that a user wrote: the error names the nearest spelling.
Result<int> zone_index(std::string_view name);

// Read when it is first asked for, never freed. REQUIRES: 0 <= index < zone_names().size().
const Zone& zone(int index);

// The TZif file it is read from.
std::string_view zone_file(int index);

}  // namespace wrackline
