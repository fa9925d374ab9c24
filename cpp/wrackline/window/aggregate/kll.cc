#include "wrackline/window/aggregate/kll.h"

#include <algorithm>
#include <cmath>

#include "wrackline/core/hash.h"
#include "wrackline/core/status.h"

namespace wrackline {
namespace {

constexpr size_t kLeast = 8;        // values of a level
constexpr size_t kMostLevels = 60;  // more than 2^60 values do not come
constexpr uint64_t kSeed = 0x6b6c6c;

}  // namespace

size_t KllSketch::capacity(size_t level) const {
  const auto depth = static_cast<double>(levels_.size() - 1 - level);
  const double size = static_cast<double>(kK) * std::pow(2.0 / 3.0, depth);
  return std::max(kLeast, static_cast<size_t>(std::ceil(size)));
}

void KllSketch::measure() {
  room_ = 0;
  for (size_t level = 0; level < levels_.size(); ++level) room_ += capacity(level);
}

void KllSketch::insert(int64_t word) {
  if (levels_.empty()) {
    levels_.emplace_back();
    measure();
  }
  lowest_ = count_ == 0 ? word : std::min(lowest_, word);
  highest_ = count_ == 0 ? word : std::max(highest_, word);
  ++count_;
  ++held_;
  levels_[0].push_back(word);
  compress();
}

void KllSketch::compress() {
  while (held_ >= room_) {
    size_t level = 0;
    while (levels_[level].size() < capacity(level)) ++level;
    compact(level);
  }
}

void KllSketch::compact(size_t level) {
  if (level + 1 == levels_.size()) {
    WL_CHECK(levels_.size() < kMostLevels);
    levels_.emplace_back();
    measure();
  }
  Buffer<int64_t>& full = levels_[level];
  Buffer<int64_t>& above = levels_[level + 1];
  std::sort(full.begin(), full.end());
  const size_t odd = full.size() % 2;  // the least stays where it is
  const uint64_t mixed = mix64(kSeed + compactions_++) ^ mix64(static_cast<uint64_t>(full[full.size() / 2]));
  size_t from = odd + (mix64(mixed) & 1);
  for (; from < full.size(); from += 2) above.push_back(full[from]);
  held_ -= (full.size() - odd) / 2;
  full.resize(odd);
  if (full.capacity() > 2 * capacity(level)) full.shrink_to_fit();  // levels get narrower as others come
}

int64_t KllSketch::quantile(double q) const {
  const auto rank = static_cast<int64_t>(std::llround(q * static_cast<double>(count_ - 1)));
  if (rank <= 0) return lowest_;
  if (rank >= count_ - 1) return highest_;
  std::vector<std::pair<int64_t, int64_t>> weighted;
  weighted.reserve(held_);
  for (size_t level = 0; level < levels_.size(); ++level) {
    for (const int64_t word : levels_[level]) weighted.emplace_back(word, int64_t{1} << level);
  }
  std::sort(weighted.begin(), weighted.end());
  int64_t before = 0;
  for (const auto& [word, weight] : weighted) {
    before += weight;
    if (before > rank) return word;
  }
  return highest_;
}

void KllSketch::clear() { *this = KllSketch(); }

void KllSketch::merge(const KllSketch& later) {
  if (later.count_ == 0) return;
  if (count_ == 0) {
    *this = later;
    return;
  }
  lowest_ = std::min(lowest_, later.lowest_);
  highest_ = std::max(highest_, later.highest_);
  count_ += later.count_;
  held_ += later.held_;
  compactions_ += later.compactions_;
  if (levels_.size() < later.levels_.size()) {
    levels_.resize(later.levels_.size());
    measure();
  }
  for (size_t level = 0; level < later.levels_.size(); ++level) {
    levels_[level].insert(levels_[level].end(), later.levels_[level].begin(), later.levels_[level].end());
  }
  compress();
}

int64_t KllSketch::allocated_bytes() const {
  size_t bytes = levels_.capacity() * sizeof(Buffer<int64_t>);
  for (const Buffer<int64_t>& level : levels_) bytes += level.capacity() * sizeof(int64_t);
  return static_cast<int64_t>(bytes);
}

void KllSketch::write(ByteWriter& out) const {
  out.put(count_);
  out.put(lowest_);
  out.put(highest_);
  out.put(compactions_);
  out.put(static_cast<uint8_t>(levels_.size()));
  for (const Buffer<int64_t>& level : levels_) {
    out.put(static_cast<uint32_t>(level.size()));
    out.put_bytes(level.data(), level.size() * sizeof(int64_t));
  }
}

bool KllSketch::read(ByteReader& in) {
  clear();
  count_ = in.get<int64_t>();
  lowest_ = in.get<int64_t>();
  highest_ = in.get<int64_t>();
  compactions_ = in.get<uint64_t>();
  const size_t levels = in.get<uint8_t>();
  if (levels > kMostLevels || (levels == 0) != (count_ == 0)) return false;
  levels_.resize(levels);
  int64_t weighed = 0;
  for (size_t level = 0; level < levels; ++level) {
    const size_t size = in.get<uint32_t>();
    if (size > in.left() / sizeof(int64_t)) return false;
    levels_[level].resize(size);
    for (int64_t& word : levels_[level]) word = in.get<int64_t>();
    held_ += size;
    weighed += static_cast<int64_t>(size) << level;
  }
  measure();
  return !in.failed() && weighed == count_;
}

}  // namespace wrackline
