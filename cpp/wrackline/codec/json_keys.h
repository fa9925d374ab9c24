// KeyNode: the keys that one object may have by the schema, found quickly when they come in the order
// in which they came before.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "wrackline/codec/json_text.h"
#include "wrackline/core/batch.h"

namespace wrackline {

struct KeyNode;

struct KeyEntry {
  explicit KeyEntry(std::string_view spelling) : key(spelling) {
    // Compared as it stands in a document, with its closing quote. A key that must be escaped there is
    // only found by KeyNode::find.
    const std::string quoted = key + '"';
    const bool plain = key.find_first_of("\"\\") == std::string::npos;
    if (!plain || quoted.size() > 16) long_form_ = plain ? quoted : std::string(1, '\0');
    uint8_t bytes[16] = {};
    uint8_t masks[16] = {};
    const size_t size = std::min<size_t>(quoted.size(), 16);
    std::memcpy(bytes, quoted.data(), size);
    std::memset(masks, 0xff, size);
    for (int i = 0; i < 2; ++i) {
      std::memcpy(&words_[i], bytes + 8 * i, 8);
      std::memcpy(&mask_[i], masks + 8 * i, 8);
    }
  }

  // `open`: an opening quote, or any character, with json::kLookAhead readable bytes behind it. True: the
  // string there is this key, written without escapes.
  bool spelled_at(const uint8_t* open) const {
    const uint64_t differs =
        ((json::load8(open + 1) ^ words_[0]) & mask_[0]) | ((json::load8(open + 9) ^ words_[1]) & mask_[1]);
    return differs == 0 && *open == '"' && (long_form_.empty() || goes_on(open));
  }

  std::string key;
  std::string path;                // from the outermost object, for messages
  int field = -1;                  // the schema's, or
  std::unique_ptr<KeyNode> child;  // what the object behind this key may have
  uint32_t next = 0;               // the entry that came after this one last time

 private:
  bool goes_on(const uint8_t* open) const {
    // Byte by byte: the document may end before the key does. A difference ends it.
    for (size_t i = 0; i < long_form_.size(); ++i) {
      if (open[1 + i] != static_cast<uint8_t>(long_form_[i])) return false;
    }
    return true;
  }

  uint64_t words_[2] = {};
  uint64_t mask_[2] = {};
  std::string long_form_;  // keys that two words do not hold
};

struct KeyNode {
  std::vector<KeyEntry> entries;
  uint32_t first = 0;  // the entry that came first last time

  KeyEntry* find(std::string_view key) {
    if (entries.size() <= kLinear) {
      for (KeyEntry& entry : entries) {
        if (entry.key == key) return &entry;
      }
      return nullptr;
    }
    const auto at = std::lower_bound(by_name_.begin(), by_name_.end(), key,
                                     [this](uint32_t i, std::string_view wanted) { return entries[i].key < wanted; });
    return at != by_name_.end() && entries[*at].key == key ? &entries[*at] : nullptr;
  }

  // The tree of a schema: names with dots are there twice, as a path and, in the outermost object, as
  // one key. A field whose name is the beginning of such a path has no objects behind it.
  // Without `paths` they are keys alone.
  static KeyNode of(const Schema& schema, bool paths = true) {
    KeyNode root;
    for (int i = 0; i < schema.size(); ++i) root.add(schema.field(i).name, schema.field(i).name, i);
    for (int i = 0; paths && i < schema.size(); ++i) root.add_path(schema.field(i).name, i);
    root.finish();
    return root;
  }

 private:
  static constexpr size_t kLinear = 8;

  KeyEntry& add(std::string_view key, std::string_view path, int field) {
    KeyEntry& entry = entries.emplace_back(key);
    entry.path = path;
    entry.field = field;
    return entry;
  }

  void add_path(std::string_view name, int field) {
    KeyNode* node = this;
    size_t begin = 0;
    for (size_t dot = name.find('.'); dot != std::string_view::npos; dot = name.find('.', begin)) {
      const std::string_view key = name.substr(begin, dot - begin);
      const auto at =
          std::find_if(node->entries.begin(), node->entries.end(), [key](const KeyEntry& e) { return e.key == key; });
      KeyEntry* entry = at != node->entries.end() ? &*at : &node->add(key, name.substr(0, dot), -1);
      if (entry->field >= 0) return;
      if (!entry->child) entry->child = std::make_unique<KeyNode>();
      node = entry->child.get();
      begin = dot + 1;
    }
    if (node != this) node->add(name.substr(begin), name, field);
  }

  void finish() {
    by_name_.resize(entries.size());
    for (uint32_t i = 0; i < by_name_.size(); ++i) by_name_[i] = i;
    std::sort(by_name_.begin(), by_name_.end(),
              [this](uint32_t a, uint32_t b) { return entries[a].key < entries[b].key; });
    for (uint32_t i = 0; i < entries.size(); ++i) {
      entries[i].next = i + 1;
      if (entries[i].child) entries[i].child->finish();
    }
  }

  std::vector<uint32_t> by_name_;
};

}  // namespace wrackline
