#include "wrackline/core/bytes.h"

#include <limits>
#include <string>

#include <gtest/gtest.h>

namespace wrackline {
namespace {

enum class Colour : uint8_t { kRed = 1, kBlue = 200 };

Bytes sample() {
  ByteWriter writer;
  writer.put(uint8_t{7});
  writer.put(std::numeric_limits<int64_t>::min());
  writer.put(-0.25);
  writer.put(Colour::kBlue);
  writer.put_string("");
  writer.put_string(std::string_view("a\0b", 3));
  writer.put_bytes("xyz", 3);
  return writer.take();
}

TEST(Bytes, WhatIsWrittenIsRead) {
  const Bytes bytes = sample();
  ByteReader reader{std::span<const uint8_t>(bytes)};
  EXPECT_EQ(7, reader.get<uint8_t>());
  EXPECT_EQ(std::numeric_limits<int64_t>::min(), reader.get<int64_t>());
  EXPECT_EQ(-0.25, reader.get<double>());
  EXPECT_EQ(Colour::kBlue, reader.get<Colour>());
  EXPECT_EQ("", reader.get_string());
  EXPECT_EQ(std::string_view("a\0b", 3), reader.get_string());
  EXPECT_EQ(3U, reader.left());
  EXPECT_EQ("xyz", reader.get_bytes(3));
  EXPECT_TRUE(reader.finish("sample").ok());
}

TEST(Bytes, IntegersAreLittleEndianAndStringsHaveTheirLengthBeforeThem) {
  ByteWriter writer;
  writer.put(uint32_t{0x01020304});
  writer.put_string("hi");
  EXPECT_EQ(std::string_view("\x04\x03\x02\x01\x02\x00\x00\x00hi", 10), writer.view());
}

TEST(Bytes, EveryTruncationIsCorruptionAndReadsNothingBeyondIt) {
  const Bytes bytes = sample();
  for (size_t size = 0; size < bytes.size(); ++size) {
    const Bytes cut(bytes.begin(), bytes.begin() + static_cast<std::ptrdiff_t>(size));  // its own allocation, for ASan
    ByteReader reader{std::span<const uint8_t>(cut)};
    reader.get<uint8_t>();
    reader.get<int64_t>();
    reader.get<double>();
    reader.get<Colour>();
    reader.get_string();
    reader.get_string();
    reader.get_bytes(3);
    EXPECT_EQ(Code::kCorruption, reader.finish("sample").code()) << size;
    EXPECT_EQ(0U, reader.left());
    EXPECT_EQ(0, reader.get<int64_t>()) << "after a failure everything reads as zero";
  }
}

TEST(Bytes, BytesLeftOverAreCorruption) {
  const Bytes bytes = sample();
  ByteReader reader{std::span<const uint8_t>(bytes)};
  reader.get<uint8_t>();
  const Status status = reader.finish("the sample");
  EXPECT_EQ(Code::kCorruption, status.code());
  EXPECT_NE(std::string::npos, status.message().find("the sample"));
}

TEST(Bytes, ALengthLargerThanWhatIsThereDoesNotWrapAround) {
  const std::string_view huge(
      "\xff\xff\xff\xff"
      "abc",
      7);
  ByteReader reader(huge);
  EXPECT_EQ("", reader.get_string());
  EXPECT_TRUE(reader.failed());
}

}  // namespace
}  // namespace wrackline
