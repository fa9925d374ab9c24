#include "wrackline/core/hash.h"

#define XXH_INLINE_ALL
#include <xxhash.h>

namespace wrackline {

uint64_t hash64(const void* data, size_t size, uint64_t seed) { return XXH3_64bits_withSeed(data, size, seed); }

void hash64_each(const char* bytes, const int32_t* offsets, const uint32_t* rows, size_t count, uint64_t* hashes) {
  for (size_t i = 0; i < count; ++i) {
    const int32_t begin = offsets[rows[i]];
    hashes[i] = XXH3_64bits(bytes + begin, static_cast<size_t>(offsets[rows[i] + 1] - begin));
  }
}

Hash128 hash128(const void* data, size_t size) {
  const XXH128_hash_t hash = XXH3_128bits(data, size);
  return {hash.low64, hash.high64};
}

}  // namespace wrackline
