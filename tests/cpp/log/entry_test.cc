// The bytes of a stored batch, as docs/formats.md shows them.
#include "wrackline/log/local/entry.h"

#include <gtest/gtest.h>

#include "wrackline/log/local/state.h"

namespace wrackline::local {
namespace {

std::string from_hex(std::string_view text) {
  std::string bytes;
  for (size_t i = 0; i + 1 < text.size();) {
    if (text[i] == ' ') {
      ++i;
      continue;
    }
    bytes.push_back(static_cast<char>(std::stoi(std::string(text.substr(i, 2)), nullptr, 16)));
    i += 2;
  }
  return bytes;
}

const std::string kKey = from_hex("72 00000000 00000000 0000000000000005");
const std::string kBytes = from_hex(
    "574c454e 01 00 03 00 50728767d8e89439 0000000000000000 00000000 02000000 09000000 02000000 00000000 00000000 "
    "0068e5cf8b010000 0168e5cf8b010000 07000000 08000000 00 01 02000000 02000000 00 01 6b31 7b2261223a317d0a 0a");

TEST(Entry, IsWrittenAsDocumented) {
  Records records;
  records.add("k1", "{\"a\":1}", 1'700'000'000'000);
  records.add(std::nullopt, std::nullopt, 1'700'000'000'001);
  Bytes bytes = encode_records(records, kNoProducer, 0).value();
  EXPECT_EQ(kKey, entry_key(0, 0, 5));
  seal_entry(bytes, kKey);
  EXPECT_EQ(kBytes, std::string(bytes.begin(), bytes.end()));
}

TEST(Entry, ThatIsDocumentedIsRead) {
  const Entry entry = Entry::parse(kKey, kBytes).value();
  ASSERT_EQ(2, entry.count());
  Records records;
  ASSERT_TRUE(entry.read(0, 2, 5, records).ok());
  EXPECT_EQ("k1", records.key(0));
  EXPECT_EQ("{\"a\":1}", records.value(0));
  EXPECT_EQ(5, records.offset(0));
  EXPECT_FALSE(records.has_key(1));
  EXPECT_FALSE(records.has_value(1));
  EXPECT_EQ(1'700'000'000'001, records.timestamp(1));
}

TEST(Entry, AnyFlippedBitOrCutIsNoticed) {
  for (size_t bit = 0; bit < 8 * kBytes.size(); ++bit) {
    std::string flipped = kBytes;
    flipped[bit / 8] = static_cast<char>(flipped[bit / 8] ^ (1 << bit % 8));
    EXPECT_EQ(Code::kCorruption, Entry::parse(kKey, flipped).status().code()) << "bit " << bit;
  }
  for (size_t size = 0; size < kBytes.size(); ++size) {
    EXPECT_EQ(Code::kCorruption, Entry::parse(kKey, kBytes.substr(0, size)).status().code()) << size;
  }
}

}  // namespace
}  // namespace wrackline::local
