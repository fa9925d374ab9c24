# Makes a C++ source of the tz database's files: cmake -DFROM=share/zoneinfo -DTO=zones_data.cc -P embed_zones.cmake
#
# FROM holds TZif files, the list of their names (`zones`) and the database's own source, whose first line has the version.
# Many names are other names of one zone: equal files are kept once.
file(STRINGS ${FROM}/tzdata.zi version LIMIT_COUNT 1)
if(NOT version MATCHES "^# version ([0-9a-z]+)$")
  message(FATAL_ERROR "${FROM}/tzdata.zi does not begin with its version")
endif()
set(version ${CMAKE_MATCH_1})

file(STRINGS ${FROM}/zones names)
list(SORT names)
set(bytes "")
set(table "")
set(offset 0)
foreach(name ${names})
  file(READ ${FROM}/${name} hex HEX)
  string(MD5 sum ${hex})
  if(NOT DEFINED place_${sum})
    string(LENGTH ${hex} digits)
    math(EXPR size "${digits} / 2")
    set(place_${sum} "${offset}, ${size}")
    math(EXPR offset "${offset} + ${size}")
    string(REGEX REPLACE "(..)" "0x\\1," hex ${hex})
    string(APPEND bytes "${hex}\n")
  endif()
  string(APPEND table "    {\"${name}\", ${place_${sum}}},\n")
endforeach()

file(WRITE ${TO} "// Made by embed_zones.cmake.
#include \"wrackline/time/zones_data.h\"

namespace wrackline::zones_data {
const char kVersion[] = \"${version}\";
const unsigned char kBytes[] = {
${bytes}};
const Entry kEntries[] = {
${table}};
const size_t kCount = sizeof(kEntries) / sizeof(Entry);
}  // namespace wrackline::zones_data
")
