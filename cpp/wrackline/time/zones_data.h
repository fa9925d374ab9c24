// The files of the tz database as they are linked in; the source is made by embed_zones.cmake.
#pragma once

#include <cstddef>
#include <cstdint>

namespace wrackline::zones_data {

struct Entry {
  const char* name;
  uint32_t offset;  // in kBytes
  uint32_t size;
};

extern const char kVersion[];
extern const unsigned char kBytes[];
extern const Entry kEntries[];  // sorted by name
extern const size_t kCount;

}  // namespace wrackline::zones_data
