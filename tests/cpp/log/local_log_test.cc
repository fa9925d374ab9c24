#include <csignal>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <map>

#include "log/conformance.h"
#include "log/process.h"
#include "log/temporary_directory.h"
#include <sys/mount.h>
#include <sys/resource.h>

#include "wrackline/core/bytes.h"
#include "wrackline/log/local/rocksdb_storage.h"
#include "wrackline/log/local/state.h"

namespace wrackline {
namespace {

namespace fs = std::filesystem;

constexpr Isolation kCommitted = Isolation::kReadCommitted;
constexpr Isolation kUncommitted = Isolation::kReadUncommitted;
const TopicPartition kPlain = {"t", 0};
const TopicPartition kTransactional = {"t", 1};

Result<std::shared_ptr<Log>> open(const std::string& directory) {
  return open_log("local:" + directory, std::make_shared<ManualClock>());
}
Result<std::shared_ptr<Log>> open_for_reading(const std::string& directory) {
  return open_log_for_reading("local:" + directory, std::make_shared<ManualClock>());
}

class LocalLogUnderTest final : public LogUnderTest {
 public:
  std::shared_ptr<Log> log() override { return log_; }

 private:
  TemporaryDirectory directory_;
  std::shared_ptr<Log> log_ = open(directory_.path()).value();
};

const LogKind kLocal = {"local", [] { return std::make_unique<LocalLogUnderTest>(); }};

// All values from the start on, or the first failure.
Result<std::vector<std::string>> read_values(Log& log, const TopicPartition& partition,
                                             Isolation isolation = kCommitted) {
  std::vector<std::string> all;
  WL_ASSIGN_OR_RETURN(int64_t offset, log.start_offset(partition));
  WL_ASSIGN_OR_RETURN(const int64_t end, log.end_offset(partition, isolation));
  while (offset < end) {
    WL_ASSIGN_OR_RETURN(const event::Polled polled, log.read(partition, offset, 1 << 20, isolation));
    for (Seen& seen : seen_of(*polled.records)) all.push_back(std::move(seen.value));
    offset = polled.next_offset;
  }
  return all;
}

std::string read_file(const fs::path& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

void write_file(const fs::path& path, const std::string& bytes) { std::ofstream(path, std::ios::binary) << bytes; }

// What a refused opening must leave as it was.
std::map<std::string, std::string> contents(const std::string& directory) {
  std::map<std::string, std::string> files;
  for (const auto& entry : fs::recursive_directory_iterator(directory)) {
    const std::string name = fs::relative(entry.path(), directory).string();
    if (entry.is_regular_file() && name != "owner" && name != "db/LOCK") files[name] = read_file(entry.path());
  }
  return files;
}

std::vector<std::string> numbered(int count, size_t size) {
  std::vector<std::string> all;
  for (int i = 0; i < count; ++i)
    all.push_back(std::to_string(i) + ":" + std::string(size, static_cast<char>('a' + i % 26)));
  return all;
}

TEST(LocalLog, EverythingIsThereAfterReopening) {
  TemporaryDirectory directory;
  std::string id;
  TopicInfo info;
  Offsets offsets = {{kPlain, {12, "where"}}};
  {
    auto log = open(directory.path()).value();
    id = log->id();
    ASSERT_TRUE(log->create_topic("t", 2).ok());
    info = log->topic("t").value();
    ASSERT_TRUE(log->append(kPlain, values({"a", "b"})).ok());
    ASSERT_TRUE(log->trim(kPlain, 1).ok());
    auto client = log->client().value();
    client->start_init("id");
    (void)client->poll(1);
    for (const bool commits : {true, false}) {
      ASSERT_TRUE(client->begin().ok());
      ASSERT_TRUE(client->append(kTransactional, values({commits ? "kept" : "aborted"})).ok());
      if (commits) {
        ASSERT_TRUE(send_offsets_now(*client, "g", offsets).ok());
      }
      commits ? client->start_commit() : client->start_abort();
      (void)client->poll(1);
    }
  }
  auto log = open(directory.path()).value();
  EXPECT_EQ(id, log->id());
  EXPECT_EQ(info.id, log->topic("t").value().id);
  EXPECT_EQ(1, log->start_offset(kPlain).value());
  EXPECT_EQ(2, log->end_offset(kPlain, kCommitted).value());
  EXPECT_EQ((std::vector<std::string>{"b"}), read_values(*log, kPlain).value());
  EXPECT_EQ((std::vector<std::string>{"kept"}), read_values(*log, kTransactional).value());
  EXPECT_EQ((std::vector<std::string>{"kept", "aborted"}), read_values(*log, kTransactional, kUncommitted).value());
  EXPECT_EQ(4, log->end_offset(kTransactional, kCommitted).value());
  EXPECT_EQ(offsets, log->committed("g").value());
}

TEST(LocalLog, OpeningForWritingAbortsWhatAKilledProcessLeftOpen) {
  TemporaryDirectory directory;
  {
    LogProcess process(directory.path());
    ASSERT_EQ("ready", process.line());
    ASSERT_EQ("done", process.ask("commit 1 2"));
    ASSERT_EQ("done", process.ask("leave_open 3"));
    process.kill_now();
  }
  auto beside = open_for_reading(directory.path()).value();
  EXPECT_EQ(3, beside->end_offset(kTransactional, kCommitted).value());
  EXPECT_EQ(6, beside->end_offset(kTransactional, kUncommitted).value());
  auto log = open(directory.path()).value();
  EXPECT_EQ(7, log->end_offset(kTransactional, kCommitted).value());
  EXPECT_EQ(2u, read_values(*log, kTransactional).value().size());
  EXPECT_EQ(5u, read_values(*log, kTransactional, kUncommitted).value().size());
}

TEST(LocalLog, OneHandlePerPathAndProcess) {
  TemporaryDirectory directory;
  auto one = open(directory.path()).value();
  ASSERT_TRUE(one->create_topic("t", 2).ok());
  const std::string link = directory.path() + "-link";
  fs::create_directory_symlink(directory.path(), link);
  auto two = open(link + "/../" + fs::path(link).filename().string()).value();
  auto reader = open_for_reading(directory.path()).value();
  fs::remove(link);
  ASSERT_TRUE(two->append(kPlain, values({"a"})).ok());
  EXPECT_EQ(1, one->end_offset(kPlain, kCommitted).value());
  EXPECT_EQ(1, reader->end_offset(kPlain, kCommitted).value());
  EXPECT_EQ(Code::kUnavailable, reader->trim(kPlain, 1).code());
  auto client = reader->client().value();
  client->start_init("id");
  EXPECT_EQ(Code::kUnavailable, std::get<event::Failed>(client->poll(1)).status.code());
  EXPECT_EQ(Code::kUnavailable, client->begin().code());
}

TEST(LocalLog, ASecondWritingProcessIsRefusedNamingTheFirst) {
  TemporaryDirectory directory;
  LogProcess process(directory.path());
  ASSERT_EQ("ready", process.line());
  const Status status = open(directory.path()).status();
  EXPECT_EQ(Code::kUnavailable, status.code());
  EXPECT_NE(std::string::npos, status.message().find("process " + std::to_string(process.pid()))) << status.message();
  EXPECT_NE(std::string::npos, status.message().find("Kafka")) << status.message();
  ASSERT_EQ("done", process.ask("append 0 1"));
  process.kill_now();
  EXPECT_TRUE(open(directory.path()).ok());
}

TEST(LocalLog, AReaderBesideTheWritingProcessSeesWhatItCommits) {
  TemporaryDirectory directory;
  EXPECT_EQ(Code::kNotFound, open_for_reading(directory.path()).status().code());
  LogProcess process(directory.path());
  ASSERT_EQ("ready", process.line());
  auto log = open_for_reading(directory.path()).value();
  EXPECT_EQ(Code::kUnavailable, log->append(kPlain, values({"x"})).status().code());
  EXPECT_EQ(Code::kUnavailable, log->create_topic("u", 1).code());
  auto client = log->client().value();
  client->read_from(kTransactional, 0, kCommitted);
  EXPECT_EQ(0, std::get<event::AtEnd>(client->poll(10)).next_offset);

  ASSERT_EQ("done", process.ask("append 0 400"));
  EXPECT_EQ(400u, read_values(*log, kPlain).value().size());
  ASSERT_EQ("done", process.ask("abort 1 2"));
  ASSERT_EQ("done", process.ask("commit 2 3"));
  client->wait(3'600'000);
  const Event event = client->poll(10);
  ASSERT_TRUE(std::holds_alternative<event::Polled>(event));
  EXPECT_EQ(3, std::get<event::Polled>(event).records->offset(0));
  EXPECT_EQ(3, std::get<event::Polled>(event).records->size());
  EXPECT_EQ((Offsets{{kTransactional, {2, "2"}}}), log->committed("g").value());
  ASSERT_EQ("done", process.ask("leave_open 3"));
  EXPECT_EQ(7, log->end_offset(kTransactional, kCommitted).value());
  EXPECT_EQ(10, log->end_offset(kTransactional, kUncommitted).value());
  EXPECT_EQ(3u, read_values(*log, kTransactional).value().size());
  ASSERT_EQ("done", process.ask("trim 300"));
  EXPECT_EQ(100u, read_values(*log, kPlain).value().size());
}

TEST(LocalLog, AReaderFollowsThroughFlushesAndRestartsOfTheWriter) {
  TemporaryDirectory directory;
  std::shared_ptr<Log> log;
  int64_t written = 0;
  for (int life = 0; life < 3; ++life) {
    LogProcess process(directory.path());
    ASSERT_EQ("ready", process.line());
    if (log == nullptr) log = open_for_reading(directory.path()).value();
    for (int n = 0; n < 4; ++n, written += 50'000) {
      ASSERT_EQ("done", process.ask("append " + std::to_string(written) + " 50000"));  // several fill a write buffer
      ASSERT_EQ(written + 50'000, log->end_offset(kPlain, kCommitted).value());
    }
    const auto all = read_values(*log, kPlain);
    ASSERT_TRUE(all.ok()) << all.status().to_string();
    ASSERT_EQ(static_cast<size_t>(written), all->size());
    for (int64_t i = 0; i < written; ++i) ASSERT_EQ(i, std::stoll((*all)[static_cast<size_t>(i)]));
  }
}

TEST(LocalLog, ADirectoryThatIsNoLogIsRefusedAndLeftAlone) {
  TemporaryDirectory directory;
  write_file(directory.path() + "/thesis.txt", "years of work");
  const auto before = contents(directory.path());
  EXPECT_EQ(Code::kInvalidArgument, open(directory.path()).status().code());
  EXPECT_EQ(Code::kInvalidArgument, open_for_reading(directory.path()).status().code());
  EXPECT_EQ(Code::kInvalidArgument, open(directory.path() + "/thesis.txt").status().code());
  EXPECT_EQ(before, contents(directory.path()));
  EXPECT_FALSE(fs::exists(directory.path() + "/owner"));
}

TEST(LocalLog, ADirectoryThatCannotBeMadeIsRefused) {
  EXPECT_EQ(Code::kUnavailable, open("/proc/no/such/place").status().code());
  TemporaryDirectory directory;
  write_file(directory.path() + "/file", "");
  const Code code = open(directory.path() + "/file/below").status().code();
  EXPECT_TRUE(code == Code::kUnavailable || code == Code::kInvalidArgument);
}

TEST(LocalLog, AnInterruptedCreationIsFinished) {
  TemporaryDirectory directory;
  fs::create_directory(directory.path() + "/db.new");
  write_file(directory.path() + "/db.new/CURRENT", "half");
  write_file(directory.path() + "/owner", "123\n");
  auto log = open(directory.path());
  ASSERT_TRUE(log.ok()) << log.status().to_string();
  EXPECT_TRUE((*log)->create_topic("t", 1).ok());
}

TEST(LocalLog, ANewerFormatIsRefused) {
  TemporaryDirectory directory;
  ASSERT_TRUE(open(directory.path()).ok());
  {
    auto storage = local::open_rocksdb(directory.path() + "/db", [](const local::Position&) {}).value();
    ByteWriter version;
    version.put(local::kFormatVersion + 1);
    local::Write write;
    write.put(local::version_key(), version.take());
    ASSERT_TRUE(storage->write(std::move(write)).ok());
  }
  const auto before = contents(directory.path());
  const Status status = open(directory.path()).status();
  EXPECT_EQ(Code::kCorruption, status.code());
  EXPECT_NE(std::string::npos, status.message().find("version 2")) << status.message();
  EXPECT_EQ(before, contents(directory.path()));
  EXPECT_EQ(Code::kCorruption, open_for_reading(directory.path()).status().code());
}

std::unique_ptr<LogClient> prepare(Log& log) {
  EXPECT_TRUE(log.create_topic("t", 2).ok());
  auto client = log.client().value();
  client->start_init("id");
  EXPECT_TRUE(std::holds_alternative<event::Initialised>(client->poll(1)));
  return client;
}

// What is acknowledged while the disk fills, in 100 values each; then the log refuses, and stays readable.
int fill(Log& log, LogClient& client) {
  const std::vector<std::string> batch = numbered(100, 1000);
  int acknowledged = 0;
  Status status;
  for (; status.ok() && acknowledged < 1000; acknowledged += status.ok() ? 1 : 0) {
    status = log.append(kPlain, values(batch)).status();
  }
  EXPECT_EQ(Code::kUnavailable, status.code()) << status.to_string();
  EXPECT_EQ(Code::kUnavailable, log.append(kPlain, values(batch)).status().code());
  EXPECT_TRUE(client.begin().ok());
  EXPECT_EQ(Code::kUnavailable, client.append(kTransactional, values(batch)).code());
  EXPECT_EQ(acknowledged * 100, log.end_offset(kPlain, kCommitted).value());
  return acknowledged;
}

TEST(LocalLog, AfterAFailedWriteAReopenedLogGoesOn) {
  TemporaryDirectory directory;
  auto log = open(directory.path()).value();
  auto client = prepare(*log);
  rlimit former;
  ASSERT_EQ(0, getrlimit(RLIMIT_FSIZE, &former));
  rlimit limit = former;
  limit.rlim_cur = 1 << 20;  // files larger than that cannot be written
  const auto handler = std::signal(SIGXFSZ, SIG_IGN);
  ASSERT_EQ(0, setrlimit(RLIMIT_FSIZE, &limit));
  const int acknowledged = fill(*log, *client);
  ASSERT_EQ(0, setrlimit(RLIMIT_FSIZE, &former));
  std::signal(SIGXFSZ, handler);
  client.reset();
  log.reset();
  log = open(directory.path()).value();
  EXPECT_TRUE(log->append(kPlain, values({"on"})).ok());
  const auto got = read_values(*log, kPlain).value();
  EXPECT_LE(static_cast<size_t>(acknowledged) * 100 + 1, got.size());
  EXPECT_EQ(1u, got.size() % 100);
}

TEST(LocalLog, GoesOnWhenTheDiskHasSpaceAgain) {
  TemporaryDirectory directory;
  if (mount("tmpfs", directory.path().c_str(), "tmpfs", 0, "size=64m") != 0)
    GTEST_SKIP() << "cannot mount a small disk";
  {
    const std::string filler = directory.path() + "/filler";
    auto log = open(directory.path() + "/log").value();
    auto client = prepare(*log);
    write_file(filler, std::string(46 << 20, 'x'));
    const int acknowledged = fill(*log, *client);
    fs::remove(filler);
    const auto on = log->append(kPlain, values({"on"}));
    EXPECT_TRUE(on.ok()) << on.status().to_string();
    EXPECT_TRUE(client->append(kTransactional, values({"on"})).ok());
    client->start_commit();
    EXPECT_TRUE(std::holds_alternative<event::TransactionEnded>(client->poll(1)));
    client.reset();
    log.reset();
    log = open(directory.path() + "/log").value();
    EXPECT_EQ(static_cast<size_t>(acknowledged) * 100 + 1, read_values(*log, kPlain).value().size());
    EXPECT_EQ((std::vector<std::string>{"on"}), read_values(*log, kTransactional).value());
  }
  EXPECT_EQ(0, umount(directory.path().c_str()));
}

// A log with data in the write-ahead log, in tables and in blob files.
class DamagedLog : public ::testing::Test {
 protected:
  void SetUp() override {
    {
      auto log = open(original_.path()).value();
      ASSERT_TRUE(log->create_topic("t", 2).ok());
      ASSERT_TRUE(log->append(kPlain, values(numbered(100, 200))).ok());
      for (int i = 0; i < 20; ++i) ASSERT_TRUE(log->append(kTransactional, values({std::to_string(i)})).ok());
    }
    auto log = open(original_.path()).value();  // moves the write-ahead log into tables
    ASSERT_TRUE(log->append(kPlain, values(numbered(50, 200))).ok());
    for (int i = 20; i < 40; ++i) ASSERT_TRUE(log->append(kTransactional, values({std::to_string(i)})).ok());
    for (const TopicPartition& partition : {kPlain, kTransactional})
      expected_.push_back(read_values(*log, partition).value());
    log.reset();
    files_ = contents(original_.path());
    ASSERT_TRUE(
        std::any_of(files_.begin(), files_.end(), [](const auto& file) { return file.first.ends_with(".blob"); }));
    ASSERT_TRUE(
        std::any_of(files_.begin(), files_.end(), [](const auto& file) { return file.first.ends_with(".sst"); }));
  }

  static bool matters(const std::string& name) {
    return name.starts_with("db/") && !name.starts_with("db/LOG") && !name.starts_with("db/OPTIONS") &&
           name != "db/IDENTITY";
  }

  // Opens and reads a copy in which `name` holds `bytes`. True: it was refused; false: nothing was lost.
  bool refused(const std::string& name, const std::string& bytes) {
    TemporaryDirectory copy;
    fs::create_directory(copy.path() + "/db");
    for (const auto& [file, content] : files_) write_file(copy.path() + "/" + file, file == name ? bytes : content);
    const auto before = contents(copy.path());
    auto opened = open(copy.path());
    if (!opened.ok()) {
      EXPECT_EQ(Code::kCorruption, opened.status().code()) << name << ": " << opened.status().to_string();
      EXPECT_EQ(before, contents(copy.path())) << name;
      return true;
    }
    size_t index = 0;
    for (const TopicPartition& partition : {kPlain, kTransactional}) {
      const auto got = read_values(**opened, partition);
      if (!got.ok()) {
        EXPECT_EQ(Code::kCorruption, got.status().code()) << name << ": " << got.status().to_string();
        return true;
      }
      EXPECT_EQ(expected_[index++], *got) << name;
    }
    return false;
  }

  TemporaryDirectory original_;
  std::vector<std::vector<std::string>> expected_;
  std::map<std::string, std::string> files_;
};

TEST_F(DamagedLog, CutFilesAreRefused) {
  for (const auto& [name, bytes] : files_) {
    if (!matters(name) && name != "guard") continue;
    for (const size_t left : {size_t{0}, bytes.size() / 2, bytes.size() - 1}) {
      if (left >= bytes.size()) continue;
      EXPECT_TRUE(refused(name, bytes.substr(0, left))) << name << " cut to " << left << " of " << bytes.size();
    }
  }
}

TEST_F(DamagedLog, AManifestThatLostItsEndIsRefused) {
  for (const auto& [name, bytes] : files_) {
    if (!name.starts_with("db/MANIFEST")) continue;
    for (size_t left = 0; left < bytes.size(); left += 7) {
      EXPECT_TRUE(refused(name, bytes.substr(0, left))) << "cut to " << left << " of " << bytes.size();
    }
  }
}

TEST_F(DamagedLog, AfterAPowerFailureAWholeBeginningIsLeft) {
  TemporaryDirectory copy;
  fs::create_directory(copy.path() + "/db");
  for (const auto& [name, bytes] : files_) {
    std::string content = bytes;
    if (name == "guard") content[8] = static_cast<char>(content[8] ^ 1);  // another start of the machine
    if (name.ends_with(".log")) content.resize(content.size() / 2);
    write_file(copy.path() + "/" + name, content);
  }
  auto log = open(copy.path());
  ASSERT_TRUE(log.ok()) << log.status().to_string();
  size_t index = 0;
  size_t lost = 0;
  for (const TopicPartition& partition : {kPlain, kTransactional}) {
    const auto got = read_values(**log, partition).value();
    const std::vector<std::string>& all = expected_[index++];
    ASSERT_LE(got.size(), all.size());
    EXPECT_EQ(std::vector<std::string>(all.begin(), all.begin() + static_cast<std::ptrdiff_t>(got.size())), got);
    lost += all.size() - got.size();
  }
  EXPECT_LT(0u, lost);
  EXPECT_TRUE((*log)->append(kPlain, values({"on"})).ok());
}

TEST_F(DamagedLog, FlippedBitsNeverGiveOtherRecords) {
  int refusals = 0;
  int tried = 0;
  for (const auto& [name, bytes] : files_) {
    for (size_t step = 0; step < 12 && !bytes.empty(); ++step) {
      std::string flipped = bytes;
      const size_t at = bytes.size() * step / 12;
      flipped[at] = static_cast<char>(flipped[at] ^ (1 << step % 8));
      ++tried;
      refusals += refused(name, flipped) ? 1 : 0;
    }
  }
  EXPECT_LT(tried / 3, refusals);  // the rest lies in bytes that hold none of the log
}

TEST_F(DamagedLog, AMissingFileIsRefused) {
  for (const auto& [name, bytes] : files_) {
    if (!matters(name)) continue;
    TemporaryDirectory copy;
    fs::create_directory(copy.path() + "/db");
    for (const auto& [file, content] : files_) {
      if (file != name) write_file(copy.path() + "/" + file, content);
    }
    const auto before = contents(copy.path());
    const Status status = open(copy.path()).status();
    EXPECT_EQ(Code::kCorruption, status.code()) << name << ": " << status.to_string();
    EXPECT_EQ(before, contents(copy.path())) << name;
  }
}

TEST(LocalLog, AStoredBatchUnderAnotherKeyIsRefused) {
  TemporaryDirectory directory;
  {
    auto log = open(directory.path()).value();
    ASSERT_TRUE(log->create_topic("t", 2).ok());
    ASSERT_TRUE(log->append(kPlain, values({"a"})).ok());
    ASSERT_TRUE(log->append(kPlain, values({"b"})).ok());
  }
  {
    auto storage = local::open_rocksdb(directory.path() + "/db", [](const local::Position&) {}).value();
    const auto first = storage->get(local::entry_key(0, 0, 0)).value();
    ASSERT_TRUE(first.has_value());
    local::Write write;
    write.put(local::entry_key(0, 0, 1), *first);
    ASSERT_TRUE(storage->write(std::move(write)).ok());
  }
  auto log = open(directory.path()).value();
  EXPECT_TRUE(log->read(kPlain, 0, 1, kCommitted).ok());
  EXPECT_EQ(Code::kCorruption, log->read(kPlain, 1, 1, kCommitted).status().code());
}

}  // namespace

INSTANTIATE_TEST_SUITE_P(Local, LogConformance, ::testing::Values(kLocal), kind_name);
INSTANTIATE_TEST_SUITE_P(Local, LogModel, ::testing::Values(kLocal), kind_name);

}  // namespace wrackline
