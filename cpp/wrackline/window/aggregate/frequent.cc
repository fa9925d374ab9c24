#include "wrackline/window/aggregate/frequent.h"

#include <algorithm>
#include <functional>

#include "wrackline/core/hash.h"

namespace wrackline {

void FrequentValues::insert(int64_t word, size_t k) { add({static_cast<uint64_t>(word), 0}, nullptr, 1, k); }

void FrequentValues::insert(std::string_view text, size_t k) { add(hash128(text), &text, 1, k); }

void FrequentValues::add(Hash128 value, const std::string_view* text, int64_t count, size_t k) {
  const size_t before = counts_.size();
  const uint32_t at = values_.insert(value);
  if (at < before) {
    counts_[at] += count;
    return;
  }
  counts_.push_back(count);
  if (text != nullptr) {
    texts_.emplace_back(*text);
    text_bytes_ += static_cast<int64_t>(texts_.back().capacity());
  }
  if (counts_.size() > 2 * counters(k)) cut(counters(k));
}

// Takes the largest count that is not among the `counters` highest from all of them, and drops what has none left.
void FrequentValues::cut(size_t counters) {
  Buffer<int64_t> counts = counts_;
  std::nth_element(counts.begin(), counts.begin() + static_cast<std::ptrdiff_t>(counters), counts.end(),
                   std::greater<>());
  const int64_t taken = counts[counters];
  const Buffer<Hash128> values = values_.items();
  values_.clear();
  text_bytes_ = 0;
  size_t kept = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    if (counts_[i] <= taken) continue;
    values_.insert(values[i]);
    counts_[kept] = counts_[i] - taken;
    if (!texts_.empty()) {
      if (kept != i) texts_[kept] = std::move(texts_[i]);
      text_bytes_ += static_cast<int64_t>(texts_[kept].capacity());
    }
    ++kept;
  }
  counts_.resize(kept);
  if (!texts_.empty()) texts_.resize(kept);
}

std::vector<FrequentValues::Counted> FrequentValues::most(size_t k) const {
  std::vector<Counted> all;
  for (size_t i = 0; i < counts_.size(); ++i) {
    const auto word = static_cast<int64_t>(values_.items()[i].low);
    all.push_back({counts_[i], word, texts_.empty() ? std::string_view() : texts_[i]});
  }
  std::sort(all.begin(), all.end(), [&](const Counted& a, const Counted& b) {
    if (a.count != b.count) return a.count > b.count;
    return texts_.empty() ? a.word < b.word : a.text < b.text;
  });
  all.resize(std::min(all.size(), k));
  return all;
}

void FrequentValues::clear() {
  values_.clear();
  counts_.clear();
  texts_.clear();
  text_bytes_ = 0;
}

void FrequentValues::merge(const FrequentValues& later, size_t k) {
  for (size_t i = 0; i < later.counts_.size(); ++i) {
    const std::string_view text = later.texts_.empty() ? std::string_view() : std::string_view(later.texts_[i]);
    add(later.values_.items()[i], later.texts_.empty() ? nullptr : &text, later.counts_[i], k);
  }
}

int64_t FrequentValues::allocated_bytes() const {
  return values_.allocated_bytes() + text_bytes_ +
         static_cast<int64_t>(counts_.capacity() * sizeof(int64_t) + texts_.capacity() * sizeof(std::string));
}

void FrequentValues::write(ByteWriter& out) const {
  values_.write(out);
  out.put_bytes(counts_.data(), counts_.size() * sizeof(int64_t));
  out.put(static_cast<uint32_t>(texts_.size()));
  for (const std::string& text : texts_) out.put_string(text);
}

bool FrequentValues::read(ByteReader& in) {
  clear();
  if (!values_.read(in)) return false;
  counts_.resize(static_cast<size_t>(values_.size()));
  for (int64_t& count : counts_) count = in.get<int64_t>();
  const size_t texts = in.get<uint32_t>();
  if (texts != 0 && texts != counts_.size()) return false;
  for (size_t i = 0; i < texts; ++i) {
    texts_.emplace_back(in.get_string());
    text_bytes_ += static_cast<int64_t>(texts_.back().capacity());
  }
  return !in.failed();
}

}  // namespace wrackline
