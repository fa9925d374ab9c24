#include <cstring>

#include "wrackline/log/log.h"

namespace wrackline {
namespace {

// MurmurHash2, 32 bits, with the seed of Kafka's producers.
uint32_t murmur2(std::string_view key) {
  constexpr uint32_t kSeed = 0x9747b28c;
  constexpr uint32_t kMultiplier = 0x5bd1e995;
  uint32_t hash = kSeed ^ static_cast<uint32_t>(key.size());
  size_t at = 0;
  for (; at + 4 <= key.size(); at += 4) {
    uint32_t word;
    std::memcpy(&word, key.data() + at, sizeof word);
    word *= kMultiplier;
    word ^= word >> 24;
    word *= kMultiplier;
    hash *= kMultiplier;
    hash ^= word;
  }
  const auto byte = [&](size_t i) { return static_cast<uint32_t>(static_cast<uint8_t>(key[at + i])); };
  switch (key.size() - at) {
    case 3: hash ^= byte(2) << 16; [[fallthrough]];
    case 2: hash ^= byte(1) << 8; [[fallthrough]];
    case 1:
      hash ^= byte(0);
      hash *= kMultiplier;
      break;
    default: break;
  }
  hash ^= hash >> 13;
  hash *= kMultiplier;
  hash ^= hash >> 15;
  return hash;
}

}  // namespace

int32_t partition_of(std::string_view key, int32_t partitions) {
  return static_cast<int32_t>((murmur2(key) & 0x7fffffffU) % static_cast<uint32_t>(partitions));
}

}  // namespace wrackline
