#include "wrackline/window/aggregate/hyper_log_log.h"

#include <algorithm>
#include <array>
#include <bit>
#include <cmath>
#include <limits>

#include "wrackline/core/hash.h"

namespace wrackline {
namespace {

constexpr uint64_t kSeed = 0x77726163'6b6c696e;  // not that of keys: a key's values must not lie alike
constexpr int kRankBits = 64 - HyperLogLog::kPrecision;

// Ertl, "New cardinality estimation algorithms for HyperLogLog sketches", arXiv:1702.01284, algorithms 5 and 6.
double sigma(double x) {
  if (x == 1) return std::numeric_limits<double>::infinity();
  double weight = 1;
  double sum = x;
  for (double before = -1; before != sum;) {
    before = sum;
    x *= x;
    sum += x * weight;
    weight += weight;
  }
  return sum;
}

double tau(double x) {
  if (x == 0 || x == 1) return 0;
  double weight = 1;
  double sum = 1 - x;
  for (double before = -1; before != sum;) {
    before = sum;
    x = std::sqrt(x);
    weight *= 0.5;
    sum -= (1 - x) * (1 - x) * weight;
  }
  return sum / 3;
}

}  // namespace

void HyperLogLog::insert(int64_t word) { insert_hash(hash64(&word, sizeof(word), kSeed)); }
void HyperLogLog::insert(std::string_view text) { insert_hash(hash64(text, kSeed)); }

void HyperLogLog::unite(Buffer<uint64_t>& hashes) {
  std::sort(hashes.begin(), hashes.end());
  hashes.erase(std::unique(hashes.begin(), hashes.end()), hashes.end());
}

void HyperLogLog::insert_hash(uint64_t hash) {
  if (!registers_.empty()) return put(hash);
  hashes_.push_back(hash);
  if (hashes_.size() < 2 * kExact) return;
  unite(hashes_);
  if (hashes_.size() <= kExact) return;
  registers_.assign(kRegisters, 0);
  for (const uint64_t one : hashes_) put(one);
  hashes_ = Buffer<uint64_t>();
}

void HyperLogLog::put(uint64_t hash) {
  uint8_t& place = registers_[hash >> kRankBits];
  const int rank = std::min(std::countl_zero(hash << kPrecision), kRankBits) + 1;
  if (rank > place) place = static_cast<uint8_t>(rank);
}

int64_t HyperLogLog::estimate() const {
  if (registers_.empty()) {
    Buffer<uint64_t> hashes = hashes_;
    unite(hashes);
    return static_cast<int64_t>(hashes.size());
  }
  std::array<double, kRankBits + 2> counts{};
  for (const uint8_t rank : registers_) counts[rank] += 1;
  const auto registers = static_cast<double>(kRegisters);
  double sum = registers * tau(1 - counts[kRankBits + 1] / registers);
  for (size_t rank = kRankBits; rank >= 1; --rank) sum = 0.5 * (sum + counts[rank]);
  sum += registers * sigma(counts[0] / registers);
  return std::llround(registers * registers / (2 * std::log(2.0)) / sum);
}

void HyperLogLog::clear() {
  hashes_.clear();
  registers_.clear();
}

void HyperLogLog::merge(const HyperLogLog& later) {
  for (const uint64_t hash : later.hashes_) insert_hash(hash);
  if (later.registers_.empty()) return;
  if (registers_.empty()) {
    registers_.assign(kRegisters, 0);
    for (const uint64_t hash : hashes_) put(hash);
    hashes_ = Buffer<uint64_t>();
  }
  for (size_t i = 0; i < kRegisters; ++i) registers_[i] = std::max(registers_[i], later.registers_[i]);
}

int64_t HyperLogLog::allocated_bytes() const {
  return static_cast<int64_t>(hashes_.capacity() * sizeof(uint64_t) + registers_.capacity());
}

void HyperLogLog::write(ByteWriter& out) const {
  out.put(static_cast<uint32_t>(hashes_.size()));
  out.put_bytes(hashes_.data(), hashes_.size() * sizeof(uint64_t));
  out.put_string({reinterpret_cast<const char*>(registers_.data()), registers_.size()});
}

bool HyperLogLog::read(ByteReader& in) {
  const size_t count = in.get<uint32_t>();
  if (count >= 2 * kExact) return false;
  hashes_.resize(count);
  for (uint64_t& hash : hashes_) hash = in.get<uint64_t>();
  const std::string_view registers = in.get_string();
  registers_.assign(registers.begin(), registers.end());
  const bool fits = registers.empty() || (registers.size() == kRegisters && count == 0);
  return fits && !in.failed() &&
         std::all_of(registers_.begin(), registers_.end(), [](uint8_t rank) { return rank <= kRankBits + 1; });
}

}  // namespace wrackline
