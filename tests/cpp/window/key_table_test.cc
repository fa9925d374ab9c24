// Keys that go and come back in a KeyTable, against a std::map.
#include "wrackline/window/key_table.h"

#include <map>
#include <random>
#include <string>

#include <gtest/gtest.h>

#include "wrackline/window/cells.h"

namespace wrackline::testing {
namespace {

Buffer<uint8_t> eight_bytes() { return Buffer<uint8_t>(8, 0); }

TableKey key_of(const std::string& text) { return table_key::with_hash(text.data(), text.size(), hash64(text)); }

std::string some_key(std::mt19937_64& random) {
  const uint64_t number = random() % 300;
  if (number % 3 == 0) return std::to_string(number);
  // Many lengths, so that places in the arena are taken by keys of other lengths.
  return std::string(17 + number % 60, static_cast<char>('a' + number % 7)) + std::to_string(number);
}

TEST(KeyTableTest, FindsWhatIsThereWhateverWasErased) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937_64 random(seed);
    KeyTable table(eight_bytes(), KeyTable::Keys::kGo);
    std::map<std::string, uint64_t> there;
    for (int i = 0; i < 20'000; ++i) {
      const std::string text = some_key(random);
      const uint32_t id = table.find(key_of(text));
      ASSERT_EQ(there.contains(text), id != KeyTable::kNone);
      if (id != KeyTable::kNone) {
        ASSERT_EQ(text, table.key(id));
        ASSERT_EQ(there[text], load_cell<uint64_t>(table.cells(id)));
        if (random() % 2) {
          table.erase(id);
          there.erase(text);
        }
        continue;
      }
      const uint32_t added = table.find_or_insert(key_of(text));
      ASSERT_EQ(0U, load_cell<uint64_t>(table.cells(added))) << "cells of a key that was here before";
      there[text] = random();
      store_cell(table.cells(added), there[text]);
      ASSERT_EQ(there.size(), table.in_use());
    }
    EXPECT_LE(table.count(), 300U);
  }
}

TEST(KeyTableTest, HiddenEntriesHaveTheKeyAndAreNotFound) {
  KeyTable table(eight_bytes(), KeyTable::Keys::kGo);
  const std::string text = "a key longer than sixteen bytes";
  const uint32_t id = table.find_or_insert(key_of(text));
  std::vector<uint32_t> hidden;
  for (int i = 0; i < 1000; ++i) hidden.push_back(table.insert_hidden(id));
  // The index grows past them.
  for (int i = 0; i < 5000; ++i) table.find_or_insert(key_of("other " + std::to_string(i)));
  EXPECT_EQ(id, table.find(key_of(text)));
  for (const uint32_t other : hidden) {
    ASSERT_EQ(text, table.key(other));
    table.release_hidden(other);
  }
  EXPECT_EQ(5001U, table.in_use());
  table.erase(id);
  EXPECT_EQ(KeyTable::kNone, table.find(key_of(text)));
}

TEST(KeyTableTest, MemoryIsThatOfTheKeysThatAreThereAtOnce) {
  KeyTable table(eight_bytes(), KeyTable::Keys::kGo);
  const auto text = [](int i) { return "a key of some thirty bytes " + std::to_string(100'000 + i); };
  int64_t bytes = 0;
  for (int i = 0; i < 100'000; ++i) {
    table.find_or_insert(key_of(text(i)));
    if (i >= 100) table.erase(table.find(key_of(text(i - 100))));
    if (i == 1000) bytes = table.allocated_bytes();
  }
  EXPECT_EQ(bytes, table.allocated_bytes());
}

}  // namespace
}  // namespace wrackline::testing
