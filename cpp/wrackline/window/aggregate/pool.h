// What aggregates keep of an entry that has no fixed width. All objects have the same few verbs, so that growing,
// freezing and counting memory is written once (pool.cc):
//
//    clear()  merge(later)  allocated_bytes()  write(ByteWriter&)  read(ByteReader&) -> false: does not fit
//
// Results are functions of the values and their order alone, never of how a hash table happens to lie.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "wrackline/core/buffer.h"
#include "wrackline/core/bytes.h"
#include "wrackline/core/hash.h"
#include "wrackline/core/types.h"
#include "wrackline/window/aggregate/custom.h"
#include "wrackline/window/aggregate/frequent.h"
#include "wrackline/window/aggregate/hyper_log_log.h"
#include "wrackline/window/aggregate/kll.h"
#include "wrackline/window/aggregate/sets.h"

namespace wrackline {

// For collect: values in partition order.
struct Collected {
  Buffer<Millis> times;
  Buffer<int64_t> values;  // bits of numbers; ends of strings in `text`
  Bytes text;
  void append(Millis time, int64_t word) {
    times.push_back(time);
    values.push_back(word);
  }
  void append(Millis time, std::string_view value);
  std::string_view text_at(size_t i) const;

  void clear();
  void merge(const Collected& later, bool is_text);
  int64_t allocated_bytes() const;
  void write(ByteWriter& out) const;
  bool read(ByteReader& in);
};

// For quantiles: ordered words of all values, in any order.
struct Values {
  Buffer<int64_t> words;

  void clear() { words.clear(); }
  void merge(const Values& later) { words.insert(words.end(), later.words.begin(), later.words.end()); }
  int64_t allocated_bytes() const { return static_cast<int64_t>(words.capacity() * sizeof(int64_t)); }
  void write(ByteWriter& out) const;
  bool read(ByteReader& in);
};

// For arg_min and arg_max of texts: the value, and what it was chosen by.
struct Chosen {
  std::string value;
  std::string by;

  void clear();
  int64_t allocated_bytes() const { return static_cast<int64_t>(value.capacity() + by.capacity()); }
  void write(ByteWriter& out) const;
  bool read(ByteReader& in);
};

enum class PoolKind : uint8_t {
  kTexts,
  kLists,
  kSets,
  kTextSets,
  kValues,
  kTops,
  kTopTexts,
  kChosen,
  kHyperLogLogs,
  kKlls,
  kFrequents,
  kCustom,
};

// One variable-width part of all entries of a table: of these vectors the one of its kind is used.
struct Pool {
  std::vector<std::string> texts;
  std::vector<Collected> lists;
  std::vector<DistinctSet> sets;
  std::vector<TextSet> text_sets;
  std::vector<Values> values;
  std::vector<Top<int64_t>> tops;
  std::vector<Top<std::string>> top_texts;
  std::vector<Chosen> chosen;
  std::vector<HyperLogLog> hyper_log_logs;
  std::vector<KllSketch> klls;
  std::vector<FrequentValues> frequents;
  std::unique_ptr<CustomStates> custom;  // of all entries
  int64_t bytes = 0;                     // allocated by the objects, without the vectors

  int64_t allocated_bytes() const;  // with the vectors
};

// Calls f with the vector of `kind`, which is not kCustom.
template <typename AnyPool, typename F>
decltype(auto) with_objects(AnyPool& pool, PoolKind kind, F f) {
  switch (kind) {
    case PoolKind::kTexts: return f(pool.texts);
    case PoolKind::kLists: return f(pool.lists);
    case PoolKind::kSets: return f(pool.sets);
    case PoolKind::kTextSets: return f(pool.text_sets);
    case PoolKind::kValues: return f(pool.values);
    case PoolKind::kTops: return f(pool.tops);
    case PoolKind::kTopTexts: return f(pool.top_texts);
    case PoolKind::kChosen: return f(pool.chosen);
    case PoolKind::kHyperLogLogs: return f(pool.hyper_log_logs);
    case PoolKind::kKlls: return f(pool.klls);
    default: return f(pool.frequents);
  }
}

// Calls f(object) and counts what it allocated or freed.
template <typename Object, typename F>
void change(Pool& pool, Object& object, F f) {
  const int64_t before = object.allocated_bytes();
  f(object);
  pool.bytes += object.allocated_bytes() - before;
}

void assign(std::string& text, std::string_view value, Pool& pool);

void grow(Pool& pool, PoolKind kind, uint32_t count);
void clear(Pool& pool, PoolKind kind, uint32_t count);
void reset(Pool& pool, PoolKind kind, uint32_t id);  // one object; a large one gives its memory back
// Object `to` becomes what `from` was; `from` is to be reset.
Status move(Pool& pool, PoolKind kind, uint32_t from, uint32_t to);
void write(const Pool& pool, PoolKind kind, uint32_t id, ByteWriter& out);
bool read(Pool& pool, PoolKind kind, uint32_t id, ByteReader& in);

}  // namespace wrackline
