#include "store/conformance.h"

#include <random>

namespace wrackline {

TEST_P(StoreConformance, ANewStoreIsEmptyAndSilent) {
  EXPECT_TRUE(names(*store_).empty());
  EXPECT_EQ(std::nullopt, store_->poll_write());
}

TEST_P(StoreConformance, BlocksComeBackInTheOrderOfTheirKeys) {
  const Contents contents = {{"b", "bee"}, {"a", "ay"}, {"c", ""}, {"", "of the empty key"}};
  ASSERT_TRUE(write_now(*store_, "f", contents).ok());
  EXPECT_EQ((Given{{"", "of the empty key"}, {"a", "ay"}, {"b", "bee"}, {"c", ""}}), read_all(*store_, "f"));
  EXPECT_EQ(std::nullopt, store_->poll_write()) << "an answer is given once";
}

TEST_P(StoreConformance, KeysChooseWhatIsReadAndInWhichOrder) {
  ASSERT_TRUE(write_now(*store_, "f", {{"a", "1"}, {"b", "2"}, {"c", "3"}}).ok());
  EXPECT_EQ((Given{{"c", "3"}, {"a", "1"}, {"c", "3"}}), read_all(*store_, "f", {"c", "a", "c"}));
}

TEST_P(StoreConformance, KeysAndBlocksMayBeAnyBytesAndSortAsUnsignedOnes) {
  const std::string zero(1, '\0');
  const Contents contents = {
      {"a", zero}, {"a" + zero, "x"}, {"a" + zero + "b", "y"}, {"\xff", "\xff" + zero}, {zero, ""}};
  ASSERT_TRUE(write_now(*store_, "f", contents).ok());
  EXPECT_EQ(Given(contents.begin(), contents.end()), read_all(*store_, "f"));
}

TEST_P(StoreConformance, BlocksOfEverySizeComeBack) {
  Contents contents;
  for (const size_t size : {0, 1, 4095, 65536, 262143, 262144, 262145, 524288, 3'000'000}) {
    std::string bytes(size, '\0');
    for (size_t i = 0; i < size; ++i) bytes[i] = static_cast<char>(i * 31 + i / 251);
    contents["size" + std::to_string(size)] = bytes;
  }
  ASSERT_TRUE(write_now(*store_, "f", contents).ok());
  const Given given = read_all(*store_, "f");
  ASSERT_TRUE(Given(contents.begin(), contents.end()) == given);
}

TEST_P(StoreConformance, AFileMayHaveNoBlocksOrThousands) {
  ASSERT_TRUE(write_now(*store_, "none", {}).ok());
  EXPECT_TRUE(read_all(*store_, "none").empty());
  Contents many;
  for (int i = 0; i < 20'000; ++i) many["unit-" + std::to_string(i)] = std::to_string(i * i);
  ASSERT_TRUE(write_now(*store_, "many", many).ok());
  EXPECT_TRUE(Given(many.begin(), many.end()) == read_all(*store_, "many"));
  EXPECT_EQ((Given{{"unit-777", "603729"}}), read_all(*store_, "many", {"unit-777"}));
  EXPECT_EQ((std::vector<std::string>{"many", "none"}), names(*store_));
}

TEST_P(StoreConformance, AMissingFileIsNotFoundAMissingBlockIsCorruption) {
  ASSERT_TRUE(write_now(*store_, "f", {{"a", "1"}}).ok());
  EXPECT_EQ(Code::kNotFound, read_code(*store_, "g"));
  EXPECT_EQ(Code::kCorruption, read_code(*store_, "f", {"a", "b"}));
}

TEST_P(StoreConformance, AFileNeverChanges) {
  ASSERT_TRUE(write_now(*store_, "f", {{"a", "1"}}).ok());
  EXPECT_EQ(Code::kAlreadyExists, write_now(*store_, "f", {{"a", "2"}}).code());
  EXPECT_EQ((Given{{"a", "1"}}), read_all(*store_, "f"));
}

TEST_P(StoreConformance, AKeyTwiceIsRefusedAndNothingIsThere) {
  store_->start_write("f", {{"a", to_bytes("1")}, {"b", {}}, {"a", to_bytes("2")}});
  std::optional<Status> answer;
  while (!(answer = store_->poll_write())) std::this_thread::yield();
  EXPECT_EQ(Code::kInvalidArgument, answer->code());
  EXPECT_TRUE(names(*store_).empty());
}

TEST_P(StoreConformance, NamesThatAreNoFileNamesAreRefused) {
  for (const std::string& name :
       {std::string(), std::string("."), std::string(".."), std::string("../x"), std::string("a/b"), std::string("a b"),
        std::string("\xc3\xa4"), std::string(300, 'x')}) {
    EXPECT_EQ(Code::kInvalidArgument, write_now(*store_, name, {{"a", "1"}}).code()) << name;
  }
  EXPECT_TRUE(names(*store_).empty());
  for (const std::string& name :
       {std::string("A-b_c.9"), std::string(200, 'x'), std::string("x.sst"), std::string("x.tmp")}) {
    EXPECT_TRUE(write_now(*store_, name, {{"a", name}}).ok()) << name;
    EXPECT_EQ((Given{{"a", name}}), read_all(*store_, name));
  }
  EXPECT_EQ(4U, names(*store_).size());
}

TEST_P(StoreConformance, WhatIsRemovedIsGoneAndRemovingItAgainIsFine) {
  ASSERT_TRUE(write_now(*store_, "f", {{"a", "1"}}).ok());
  ASSERT_TRUE(write_now(*store_, "g", {{"a", "2"}}).ok());
  EXPECT_EQ((Given{{"a", "1"}}), read_all(*store_, "f"));
  EXPECT_TRUE(store_->remove("f").ok());
  EXPECT_TRUE(store_->remove("f").ok());
  EXPECT_TRUE(store_->remove("never").ok());
  EXPECT_EQ(Code::kNotFound, read_code(*store_, "f"));
  EXPECT_EQ((Given{{"a", "2"}}), read_all(*store_, "g"));
  EXPECT_EQ((std::vector<std::string>{"g"}), names(*store_));
}

TEST_P(StoreConformance, AFailingReaderEndsTheReading) {
  ASSERT_TRUE(write_now(*store_, "f", {{"a", "1"}, {"b", "2"}, {"c", "3"}}).ok());
  int calls = 0;
  const Status status = store_->read(
      "f", {}, [&](std::string_view, std::string_view) { return ++calls == 2 ? Status::fatal("enough") : Status(); });
  EXPECT_EQ(Code::kFatal, status.code());
  EXPECT_EQ(2, calls);
  EXPECT_EQ(3U, read_all(*store_, "f").size()) << "and the next one starts anew";
}

TEST_P(StoreConformance, ReadingGoesOnWhileAFileIsWritten) {
  ASSERT_TRUE(write_now(*store_, "old", {{"a", "1"}}).ok());
  std::vector<Block> blocks;
  for (int i = 0; i < 200; ++i) blocks.push_back({"k" + std::to_string(i), Bytes(10'000)});
  store_->start_write("new", std::move(blocks));
  std::optional<Status> answer;
  while (!(answer = store_->poll_write())) {
    EXPECT_EQ((Given{{"a", "1"}}), read_all(*store_, "old"));
    const std::vector<std::string> seen = names(*store_);
    if (std::find(seen.begin(), seen.end(), "new") == seen.end()) continue;
    EXPECT_EQ(200U, read_all(*store_, "new").size()) << "what is listed is complete";
  }
  ASSERT_TRUE(answer->ok());
  EXPECT_EQ(200U, read_all(*store_, "new").size());
}

TEST_P(StoreConformance, AnyWritesReadsAndRemovesAreThoseOfAMapOfMaps) {
  constexpr uint32_t kSeed = 987;
  SCOPED_TRACE("seed " + std::to_string(kSeed));
  std::mt19937 random(kSeed);
  std::map<std::string, Contents> model;
  for (int round = 0; round < 150; ++round) {
    const std::string name = "file" + std::to_string(random() % 12);
    switch (random() % 3) {
      case 0: {
        Contents contents;
        for (size_t i = random() % 20; i > 0; --i) {
          contents[std::string(random() % 6, static_cast<char>(random() % 256))] = std::string(random() % 5000, 'v');
        }
        const Status status = write_now(*store_, name, contents);
        EXPECT_EQ(model.contains(name) ? Code::kAlreadyExists : Code::kOk, status.code());
        model.try_emplace(name, contents);
        break;
      }
      case 1:
        EXPECT_TRUE(store_->remove(name).ok());
        model.erase(name);
        break;
      default:
        if (model.contains(name)) {
          ASSERT_TRUE(Given(model[name].begin(), model[name].end()) == read_all(*store_, name)) << "round " << round;
        } else {
          EXPECT_EQ(Code::kNotFound, read_code(*store_, name));
        }
    }
    std::vector<std::string> expected;
    for (const auto& [file, contents] : model) expected.push_back(file);
    ASSERT_EQ(expected, names(*store_)) << "round " << round;
  }
}

}  // namespace wrackline
