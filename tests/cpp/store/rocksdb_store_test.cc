#include <csignal>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <random>

#include "store/conformance.h"
#include <fcntl.h>
#include <spawn.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

namespace wrackline {
namespace {

namespace fs = std::filesystem;

// A directory of its own, gone with the test.
class TemporaryDirectory {
 public:
  TemporaryDirectory() {
    std::string path = testing::TempDir() + "wrackline_store_XXXXXX";
    path_ = ::mkdtemp(path.data());
  }
  ~TemporaryDirectory() {
    std::error_code ignored;
    fs::remove_all(path_, ignored);
  }
  TemporaryDirectory(const TemporaryDirectory&) = delete;
  TemporaryDirectory& operator=(const TemporaryDirectory&) = delete;
  const std::string& path() const { return path_; }

 private:
  std::string path_;
};

std::unique_ptr<Store> open_store(const std::string& directory) {
  Result<std::unique_ptr<Store>> store = open_rocksdb_store(directory);
  EXPECT_TRUE(store.ok()) << store.status().to_string();
  return std::move(*store);
}

std::shared_ptr<Store> temporary_store() {
  struct Both {
    TemporaryDirectory directory;
    std::unique_ptr<Store> store;
  };
  auto both = std::make_shared<Both>();
  both->store = open_store(both->directory.path());
  return {both, both->store.get()};
}
INSTANTIATE_TEST_SUITE_P(RocksDB, StoreConformance, testing::Values(StoreFactory{temporary_store}));

std::string read_file(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(in), {}};
}
void write_file(const std::string& path, std::string_view bytes) {
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

const Contents kContents = {{"manifest", "units: a, b"}, {"a", std::string(700, 'x')}, {"b", "\x01\x02\x03"}};

// What reading says of a file of these bytes. A fresh store, so that nothing is remembered.
Status read_bytes(const std::string& directory, std::string_view bytes, Given& given) {
  write_file(directory + "/f.sst", bytes);
  given.clear();
  return open_store(directory)->read("f", {}, [&](std::string_view key, std::string_view block) {
    given.emplace_back(key, block);
    return Status();
  });
}

TEST(RocksdbStore, WhatWasWrittenIsThereForTheNextProcess) {
  const TemporaryDirectory directory;
  ASSERT_TRUE(write_now(*open_store(directory.path()), "f", kContents).ok());
  EXPECT_EQ(Given(kContents.begin(), kContents.end()), read_all(*open_store(directory.path()), "f"));
}

TEST(RocksdbStore, AnotherHandleReadsBesideTheWriter) {
  const TemporaryDirectory directory;
  const auto writer = open_store(directory.path());
  const auto reader = open_store(directory.path());
  ASSERT_TRUE(write_now(*writer, "f", kContents).ok());
  EXPECT_EQ((std::vector<std::string>{"f"}), names(*reader));
  EXPECT_EQ(3U, read_all(*reader, "f").size());
}

TEST(RocksdbStore, EveryTruncationIsCorruption) {
  const TemporaryDirectory directory;
  ASSERT_TRUE(write_now(*open_store(directory.path()), "f", kContents).ok());
  const std::string whole = read_file(directory.path() + "/f.sst");
  ASSERT_GT(whole.size(), 700U);
  Given given;
  for (size_t size = 0; size < whole.size(); ++size) {
    const Status status = read_bytes(directory.path(), std::string_view(whole).substr(0, size), given);
    ASSERT_EQ(Code::kCorruption, status.code()) << size << " of " << whole.size() << ": " << status.to_string();
  }
}

TEST(RocksdbStore, NoFlippedBitGivesOtherBytes) {
  const TemporaryDirectory directory;
  ASSERT_TRUE(write_now(*open_store(directory.path()), "f", kContents).ok());
  const std::string whole = read_file(directory.path() + "/f.sst");
  const Given expected(kContents.begin(), kContents.end());
  Given given;
  size_t unnoticed = 0;
  for (size_t at = 0; at < whole.size(); ++at) {
    std::string damaged = whole;
    damaged[at] = static_cast<char>(damaged[at] ^ (1 << (at % 8)));
    const Status status = read_bytes(directory.path(), damaged, given);
    if (status.ok()) {
      ASSERT_EQ(expected, given) << "bit " << at % 8 << " of byte " << at;
      ++unnoticed;
    } else {
      ASSERT_EQ(Code::kCorruption, status.code()) << "byte " << at << ": " << status.to_string();
    }
  }
  EXPECT_LT(unnoticed, whole.size() / 20) << "only where a byte means nothing";
}

TEST(RocksdbStore, ForeignBytesAreCorruptionAndStayAsTheyAre) {
  const TemporaryDirectory directory;
  Given given;
  for (const std::string& bytes : {std::string(), std::string("hello"), std::string(100'000, '\0')}) {
    EXPECT_EQ(Code::kCorruption, read_bytes(directory.path(), bytes, given).code());
    EXPECT_EQ(bytes, read_file(directory.path() + "/f.sst"));
    EXPECT_TRUE(given.empty());
  }
}

TEST(RocksdbStore, WhatAKilledWriteLeftIsNoFileAndGoesWithTheNextWrite) {
  const TemporaryDirectory directory;
  write_file(directory.path() + "/half.sst.tmp", "half of a file");
  write_file(directory.path() + "/notes.txt", "not ours");
  const auto store = open_store(directory.path());
  EXPECT_TRUE(names(*store).empty());
  EXPECT_EQ(Code::kNotFound, read_code(*store, "half"));
  ASSERT_TRUE(write_now(*store, "half", kContents).ok());
  EXPECT_FALSE(fs::exists(directory.path() + "/half.sst.tmp"));
  EXPECT_EQ("not ours", read_file(directory.path() + "/notes.txt"));
  EXPECT_EQ((std::vector<std::string>{"half"}), names(*store));
}

TEST(RocksdbStore, ItsDirectoryIsMade) {
  const TemporaryDirectory directory;
  const std::string deep = directory.path() + "/job/tasks/0-3";
  ASSERT_TRUE(write_now(*open_store(deep), "f", kContents).ok());
  EXPECT_TRUE(fs::exists(deep + "/f.sst"));
}

TEST(RocksdbStore, ADirectoryThatCannotBeIsRefusedAndNamed) {
  const TemporaryDirectory directory;
  write_file(directory.path() + "/file", "x");
  for (const std::string& path : {directory.path() + "/file", directory.path() + "/file/below"}) {
    const Result<std::unique_ptr<Store>> store = open_rocksdb_store(path);
    ASSERT_FALSE(store.ok());
    EXPECT_EQ(Code::kUnavailable, store.status().code());
    EXPECT_NE(std::string::npos, store.status().message().find(path));
  }
}

TEST(RocksdbStore, ADirectoryThatWentAwayMakesWritingUnavailable) {
  const TemporaryDirectory directory;
  const std::string path = directory.path() + "/state";
  const auto store = open_store(path);
  fs::remove_all(path);
  EXPECT_EQ(Code::kUnavailable, write_now(*store, "f", kContents).code());
  EXPECT_EQ(Code::kUnavailable, store->list().status().code());
  fs::create_directory(path);
  EXPECT_TRUE(write_now(*store, "f", kContents).ok()) << "it goes on when the cause is gone";
}

// A limit on file sizes is what a full disk looks like from inside: a write in the middle fails.
TEST(RocksdbStore, AFullDiskIsUnavailableLeavesNothingAndIsGotOver) {
  const TemporaryDirectory directory;
  const auto store = open_store(directory.path());
  ASSERT_TRUE(write_now(*store, "before", kContents).ok());
  const Contents large = {{"k", std::string(2'000'000, 'x')}};
  rlimit old{};
  ASSERT_EQ(0, ::getrlimit(RLIMIT_FSIZE, &old));
  const rlimit small{100'000, old.rlim_max};
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(0, ::setrlimit(RLIMIT_FSIZE, &small));
  const Status status = write_now(*store, "f", large);
  ASSERT_EQ(0, ::setrlimit(RLIMIT_FSIZE, &old));
  std::signal(SIGXFSZ, old_handler);
  EXPECT_EQ(Code::kUnavailable, status.code()) << status.to_string();
  EXPECT_EQ(1, std::distance(fs::directory_iterator(directory.path()), fs::directory_iterator()));
  EXPECT_EQ(3U, read_all(*store, "before").size());
  EXPECT_TRUE(write_now(*store, "f", large).ok());
}

TEST(RocksdbStore, ManyFilesAreReadInTurnWithFewOpen) {
  const TemporaryDirectory directory;
  const auto store = open_store(directory.path());
  for (int i = 0; i < 20; ++i) ASSERT_TRUE(write_now(*store, "f" + std::to_string(i), {{"k", std::to_string(i)}}).ok());
  for (int round = 0; round < 3; ++round) {
    for (int i = 0; i < 20; ++i) {
      EXPECT_EQ((Given{{"k", std::to_string(i)}}), read_all(*store, "f" + std::to_string(i), {"k"}));
    }
  }
}

// ---- kill -9, with this program as the process that is killed

constexpr const char* kChildDirectory = "WRACKLINE_TEST_STORE";
constexpr int kAckFd = 3;

Contents contents_of(int number) {
  Contents contents;
  for (int i = 0; i < 8; ++i)
    contents["unit" + std::to_string(i)] = std::string(100'000, static_cast<char>('a' + (number + i) % 26));
  return contents;
}

// Only does something as the child of the test below: writes for ever, one byte to the pipe for each answer.
TEST(StoreCrashChild, WritesUntilKilled) {
  const char* directory = std::getenv(kChildDirectory);
  if (directory == nullptr) GTEST_SKIP() << "runs as a child";
  const auto store = open_store(directory);
  for (int number = static_cast<int>(names(*store).size());; ++number) {
    ASSERT_TRUE(write_now(*store, "c" + std::to_string(number), contents_of(number)).ok());
    ASSERT_EQ(1, ::write(kAckFd, "x", 1));
  }
}

TEST(StoreCrash, KillNineLosesNothingAnsweredAndLeavesNoHalfFile) {
  constexpr uint32_t kSeed = 4242;
  SCOPED_TRACE("seed " + std::to_string(kSeed));
  std::mt19937 random(kSeed);
  const TemporaryDirectory directory;
  int answered = 0;
  for (int round = 0; round < 12; ++round) {
    int pipe[2];
    ASSERT_EQ(0, ::pipe2(pipe, O_CLOEXEC));
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    posix_spawn_file_actions_addopen(&actions, 1, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_adddup2(&actions, pipe[1], kAckFd);
    std::string program = fs::read_symlink("/proc/self/exe");
    std::string filter = "--gtest_filter=StoreCrashChild.*";
    std::string variable = std::string(kChildDirectory) + "=" + directory.path();
    char* arguments[] = {program.data(), filter.data(), nullptr};
    char* environment[] = {variable.data(), nullptr};
    pid_t child = 0;
    ASSERT_EQ(0, posix_spawn(&child, program.c_str(), &actions, nullptr, arguments, environment));
    posix_spawn_file_actions_destroy(&actions);
    ::close(pipe[1]);
    const auto wanted = static_cast<int>(1 + random() % 5);
    char byte = 0;
    for (int acks = 0; acks < wanted; ++acks) ASSERT_EQ(1, ::read(pipe[0], &byte, 1)) << "the child ended by itself";
    // Somewhere in the next write.
    for (auto spin = random() % 2'000'000; spin > 0; --spin) asm volatile("");
    ::kill(child, SIGKILL);
    int how = 0;
    ASSERT_EQ(child, ::waitpid(child, &how, 0));
    ASSERT_TRUE(WIFSIGNALED(how));
    answered += wanted;
    while (::read(pipe[0], &byte, 1) == 1) ++answered;
    ::close(pipe[0]);

    const auto store = open_store(directory.path());
    const std::vector<std::string> files = names(*store);
    ASSERT_GE(static_cast<int>(files.size()), answered);
    ASSERT_LE(static_cast<int>(files.size()), answered + 1 + round) << "at most one a round was there and not answered";
    for (int number = 0; number < static_cast<int>(files.size()); ++number) {
      const Contents expected = contents_of(number);
      ASSERT_TRUE(Given(expected.begin(), expected.end()) == read_all(*store, "c" + std::to_string(number)));
    }
  }
}

}  // namespace
}  // namespace wrackline
