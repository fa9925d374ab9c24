// XXH3, behind two functions. Seeds are fixed: hashes are part of what is on disk.
#pragma once

#include <compare>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace wrackline {

struct Hash128 {
  uint64_t low = 0;
  uint64_t high = 0;
  friend auto operator<=>(const Hash128&, const Hash128&) = default;
};

uint64_t hash64(const void* data, size_t size, uint64_t seed = 0);
Hash128 hash128(const void* data, size_t size);

inline uint64_t hash64(std::string_view bytes, uint64_t seed = 0) { return hash64(bytes.data(), bytes.size(), seed); }
inline Hash128 hash128(std::string_view bytes) { return hash128(bytes.data(), bytes.size()); }

// hashes[i] = hash64 of bytes[offsets[rows[i]] .. offsets[rows[i] + 1]), without a call for each.
void hash64_each(const char* bytes, const int32_t* offsets, const uint32_t* rows, size_t count, uint64_t* hashes);

// One round of mixing, for small integers that become part of a hash.
constexpr uint64_t mix64(uint64_t value) {
  value ^= value >> 30;
  value *= 0xbf58476d1ce4e5b9ULL;
  value ^= value >> 27;
  value *= 0x94d049bb133111ebULL;
  return value ^ (value >> 31);
}

}  // namespace wrackline
