#include "wrackline/window/aggregate/pool.h"

#include <algorithm>
#include <cstring>
#include <type_traits>

namespace wrackline {
namespace {

void put_words(const Buffer<int64_t>& words, ByteWriter& out) {
  out.put(static_cast<uint32_t>(words.size()));
  out.put_bytes(words.data(), words.size() * sizeof(int64_t));
}

template <typename Objects>
inline constexpr bool kOfTexts = std::is_same_v<typename std::remove_cvref_t<Objects>::value_type, std::string>;

}  // namespace

void Collected::append(Millis time, std::string_view value) {
  text.insert(text.end(), value.begin(), value.end());
  append(time, static_cast<int64_t>(text.size()));
}

std::string_view Collected::text_at(size_t i) const {
  const int64_t begin = i == 0 ? 0 : values[i - 1];
  return {reinterpret_cast<const char*>(text.data()) + begin, static_cast<size_t>(values[i] - begin)};
}

void Collected::clear() {
  times.clear();
  values.clear();
  text.clear();
}

void Collected::merge(const Collected& later, bool is_text) {
  const auto shift = static_cast<int64_t>(text.size());  // ends of texts move by it
  times.insert(times.end(), later.times.begin(), later.times.end());
  for (const int64_t value : later.values) values.push_back(is_text ? value + shift : value);
  text.insert(text.end(), later.text.begin(), later.text.end());
}

int64_t Collected::allocated_bytes() const {
  return static_cast<int64_t>(times.capacity() * sizeof(Millis) + values.capacity() * sizeof(int64_t) +
                              text.capacity());
}

void Collected::write(ByteWriter& out) const {
  out.put(static_cast<uint32_t>(times.size()));
  out.put_bytes(times.data(), times.size() * sizeof(Millis));
  out.put_bytes(values.data(), values.size() * sizeof(int64_t));
  out.put_string({reinterpret_cast<const char*>(text.data()), text.size()});
}

bool Collected::read(ByteReader& in) {
  const size_t count = in.get<uint32_t>();
  if (count > in.left() / (sizeof(Millis) + sizeof(int64_t))) return false;
  times.resize(count);
  values.resize(count);
  const std::string_view new_times = in.get_bytes(count * sizeof(Millis));
  const std::string_view new_values = in.get_bytes(count * sizeof(int64_t));
  const std::string_view new_text = in.get_string();
  if (in.failed()) return false;
  if (count > 0) {
    std::memcpy(times.data(), new_times.data(), new_times.size());
    std::memcpy(values.data(), new_values.data(), new_values.size());
  }
  text.assign(new_text.begin(), new_text.end());
  return true;
}

void Values::write(ByteWriter& out) const { put_words(words, out); }

bool Values::read(ByteReader& in) {
  const size_t count = in.get<uint32_t>();
  if (count > in.left() / sizeof(int64_t)) return false;
  words.resize(count);
  for (int64_t& word : words) word = in.get<int64_t>();
  return true;
}

void Chosen::clear() {
  value.clear();
  by.clear();
}

void Chosen::write(ByteWriter& out) const {
  out.put_string(value);
  out.put_string(by);
}

bool Chosen::read(ByteReader& in) {
  value = in.get_string();
  by = in.get_string();
  return !in.failed();
}

int64_t Pool::allocated_bytes() const {
  int64_t all = bytes;
  const auto add = [&](const auto& objects) {
    using Object = typename std::remove_cvref_t<decltype(objects)>::value_type;
    all += static_cast<int64_t>(objects.capacity() * sizeof(Object));
  };
  add(texts), add(lists), add(sets), add(text_sets), add(values), add(tops), add(top_texts), add(chosen);
  add(hyper_log_logs), add(klls), add(frequents);
  if (custom) all += custom->allocated_bytes();
  return all;
}

void assign(std::string& text, std::string_view value, Pool& pool) {
  const auto before = static_cast<int64_t>(text.capacity());
  text.assign(value);
  pool.bytes += static_cast<int64_t>(text.capacity()) - before;
}

void grow(Pool& pool, PoolKind kind, uint32_t count) {
  if (kind == PoolKind::kCustom) return pool.custom->grow(count);
  with_objects(pool, kind, [&](auto& objects) {
    if (objects.size() < count) objects.resize(count);
  });
}

void clear(Pool& pool, PoolKind kind, uint32_t count) {
  if (kind == PoolKind::kCustom) return pool.custom->clear();
  with_objects(pool, kind, [&](auto& objects) {
    for (size_t i = 0; i < std::min<size_t>(count, objects.size()); ++i) {
      if constexpr (kOfTexts<decltype(objects)>)
        objects[i].clear();
      else
        change(pool, objects[i], [](auto& object) { object.clear(); });
    }
  });
}

void reset(Pool& pool, PoolKind kind, uint32_t id) {
  if (kind == PoolKind::kCustom) return pool.custom->reset(id);
  static constexpr int64_t kKept = 1024;
  with_objects(pool, kind, [&](auto& objects) {
    auto& object = objects[id];
    if constexpr (kOfTexts<decltype(objects)>) {
      const auto before = static_cast<int64_t>(object.capacity());
      object.clear();
      if (before <= kKept) return;
      object.shrink_to_fit();
      pool.bytes += static_cast<int64_t>(object.capacity()) - before;
    } else {
      change(pool, object, [](auto& old) {
        if (old.allocated_bytes() > kKept)
          old = std::remove_reference_t<decltype(old)>();
        else
          old.clear();
      });
    }
  });
}

Status move(Pool& pool, PoolKind kind, uint32_t from, uint32_t to) {
  if (kind == PoolKind::kCustom) {
    pool.custom->reset(to);
    return pool.custom->merge(to, *pool.custom, from);
  }
  with_objects(pool, kind, [&](auto& objects) { std::swap(objects[from], objects[to]); });
  return {};
}

void write(const Pool& pool, PoolKind kind, uint32_t id, ByteWriter& out) {
  with_objects(pool, kind, [&](const auto& objects) {
    if constexpr (kOfTexts<decltype(objects)>)
      out.put_string(objects[id]);
    else
      objects[id].write(out);
  });
}

bool read(Pool& pool, PoolKind kind, uint32_t id, ByteReader& in) {
  if (kind == PoolKind::kCustom) return pool.custom->read(id, in);
  return with_objects(pool, kind, [&](auto& objects) {
    bool fits = true;
    if constexpr (kOfTexts<decltype(objects)>)
      assign(objects[id], in.get_string(), pool);
    else
      change(pool, objects[id], [&](auto& object) { fits = object.read(in); });
    return fits && !in.failed();
  });
}

}  // namespace wrackline
