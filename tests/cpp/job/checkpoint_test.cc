#include "wrackline/job/checkpoint.h"

#include <map>
#include <set>

#include <gtest/gtest.h>

namespace wrackline {
namespace {

// State: unit -> numbers. Freezes the numbers that came since the last freeze.
class Numbers final : public Step {
 public:
  explicit Numbers(std::string name) : Step(std::move(name)) {}
  void take(Batch) override {}
  Status advance(Emitter&) override { return {}; }
  bool busy() const override { return false; }

  void add(const std::string& unit, uint8_t number) {
    units[unit].push_back(number);
    fresh_[unit].push_back(number);
  }
  void drop(const std::string& unit) {
    units.erase(unit);
    fresh_.erase(unit);
  }
  void freeze(FreezeSink& sink) override {
    for (const auto& [unit, numbers] : units) {
      sink.live(unit);
      const bool whole = lost_ || sink.wants_whole(unit);
      const std::vector<uint8_t>& some = whole ? numbers : fresh_[unit];
      if (!some.empty()) sink.block(unit, whole, Bytes(some.begin(), some.end()));
    }
    fresh_.clear();
    lost_ = false;
  }
  void changes_lost() override { lost_ = true; }
  Status restore(std::string_view unit, bool whole, std::string_view bytes) override {
    std::vector<uint8_t>& numbers = units[std::string(unit)];
    if (whole) numbers.clear();
    for (const char byte : bytes) numbers.push_back(static_cast<uint8_t>(byte));
    ++blocks_restored;
    return {};
  }

  std::map<std::string, std::vector<uint8_t>> units;
  int blocks_restored = 0;

 private:
  std::map<std::string, std::vector<uint8_t>> fresh_;
  bool lost_ = false;
};

// A store whose files outlive it, and whose next write can fail.
class SharedStore final : public Store {
 public:
  struct Disk {
    std::map<std::string, std::vector<Block>> files;
    bool fail_next = false;
  };
  explicit SharedStore(Disk* disk) : disk_(disk) {}
  void start_write(const std::string& name, std::vector<Block> blocks) override {
    failed_ = std::exchange(disk_->fail_next, false);
    if (!failed_) disk_->files[name] = std::move(blocks);
  }
  std::optional<Status> poll_write() override { return failed_ ? Status::unavailable("disk full") : Status(); }
  Status read(const std::string& name, const std::vector<std::string>& keys,
              const std::function<Status(std::string_view, std::string_view)>& f) override {
    for (const std::string& key : keys) {
      for (const Block& block : disk_->files[name]) {
        if (block.key == key)
          WL_RETURN_IF_ERROR(f(key, {reinterpret_cast<const char*>(block.bytes.data()), block.bytes.size()}));
      }
    }
    return {};
  }
  Result<std::vector<std::string>> list() override {
    std::vector<std::string> names;
    for (const auto& [name, blocks] : disk_->files) names.push_back(name);
    return names;
  }
  Status remove(const std::string& name) override {
    disk_->files.erase(name);
    return {};
  }

 private:
  Disk* disk_;
  bool failed_ = false;
};

struct CheckpointTest : testing::Test {
  std::unique_ptr<Checkpointer> open() {
    return std::make_unique<Checkpointer>(std::make_unique<SharedStore>(&disk), &failpoints);
  }
  static CheckpointSeal seal(const std::string& id) {
    return {.id = id,
            .log_id = "log",
            .commit_seq = 3,
            .offset = 40,
            .ledger = {{"a", {.in = 5, .out = 5}}},
            .time_state = "time"};
  }
  void checkpoint(Checkpointer& checkpointer, const std::string& id, bool name = true) {
    ASSERT_TRUE(checkpointer.freeze(seal(id), {&a, &b}).ok());
    ASSERT_TRUE(checkpointer.poll({&a, &b}).ok());
    if (name && !checkpointer.durable().empty()) {
      ASSERT_TRUE(checkpointer.named().ok());
    }
  }
  void expect_restores(const std::string& id) {
    Numbers new_a("a"), new_b("b");
    const auto checkpointer = open();
    const auto restored = checkpointer->read_manifest(id);
    ASSERT_TRUE(restored.ok()) << restored.status().to_string();
    ASSERT_TRUE(checkpointer->restore(*restored, {&new_a, &new_b}, {}).ok());
    EXPECT_EQ(new_a.units, a.units);
    EXPECT_EQ(new_b.units, b.units);
    EXPECT_EQ(restored->offset, 40);
    EXPECT_EQ(restored->time_state, "time");
    EXPECT_EQ(new_a.counts().in, 5);
  }

  Failpoints failpoints;
  SharedStore::Disk disk;
  Numbers a{"a"}, b{"b"};
};

TEST_F(CheckpointTest, RestoresWhatSeveralCheckpointsWrote) {
  auto checkpointer = open();
  a.add("u", 1);
  b.add("u", 2);
  checkpoint(*checkpointer, "c1");
  a.add("u", 3);
  a.add("v", 4);
  checkpoint(*checkpointer, "c2");
  expect_restores("c2");
  EXPECT_EQ(disk.files.size(), 2);  // c2 needs blocks of c1
}

TEST_F(CheckpointTest, DroppedUnitIsGoneAndItsFileWithIt) {
  auto checkpointer = open();
  a.add("u", 1);
  checkpoint(*checkpointer, "c1");
  a.drop("u");
  a.add("v", 2);
  checkpoint(*checkpointer, "c2");
  expect_restores("c2");
  EXPECT_EQ(disk.files.size(), 1);
}

TEST_F(CheckpointTest, OldFilesStayUntilTheNewOneIsNamed) {
  auto checkpointer = open();
  a.add("u", 1);
  checkpoint(*checkpointer, "c1");
  const auto before = a.units;
  a.drop("u");
  a.add("v", 2);
  checkpoint(*checkpointer, "c2", /*name=*/false);
  a.units = before;
  expect_restores("c1");
}

TEST_F(CheckpointTest, FailedWriteGivesItsChangesToTheNext) {
  auto checkpointer = open();
  a.add("u", 1);
  checkpoint(*checkpointer, "c1");
  a.add("u", 2);
  disk.fail_next = true;
  checkpoint(*checkpointer, "c2");
  EXPECT_TRUE(checkpointer->durable().empty());
  a.add("u", 3);
  checkpoint(*checkpointer, "c3");
  expect_restores("c3");
}

TEST_F(CheckpointTest, ChainOfBlocksStaysShort) {
  auto checkpointer = open();
  for (uint8_t i = 0; i < 100; ++i) {
    a.add("u", i);
    checkpoint(*checkpointer, "c" + std::to_string(i));
  }
  EXPECT_LE(disk.files.size(), 18);
  expect_restores("c99");
}

TEST_F(CheckpointTest, ResetStepStartsEmptyTheOthersDoNot) {
  auto checkpointer = open();
  a.add("u", 1);
  b.add("u", 2);
  checkpoint(*checkpointer, "c1");
  Numbers new_a("a"), new_b("b");
  checkpointer = open();
  ASSERT_TRUE(checkpointer->restore(*checkpointer->read_manifest("c1"), {&new_a, &new_b}, {"a"}).ok());
  EXPECT_TRUE(new_a.units.empty());
  EXPECT_EQ(new_b.units, b.units);
}

TEST_F(CheckpointTest, FilesOfAnotherLogOrANewerVersionAreNotOurs) {
  a.add("u", 1);
  checkpoint(*open(), "c1", false);
  EXPECT_TRUE(open()->check_owner("log").ok());
  EXPECT_EQ(open()->check_owner("another").code(), Code::kInvalidArgument);
  for (Block& block : disk.files["c1"]) {
    if (block.key == "manifest") block.bytes[0] = static_cast<uint8_t>(block.bytes[0] + 1);
  }
  EXPECT_EQ(open()->check_owner("log").code(), Code::kCorruption);
  EXPECT_EQ(disk.files.size(), 1);
}

TEST_F(CheckpointTest, FormerOwnerLeavesTheFilesOfTheNextOneAlone) {
  EXPECT_EQ(recovery_count_of(checkpoint_id("job-0a1b-0-0", 12, 345)), 12);
  EXPECT_EQ(recovery_count_of("c1"), 0);
  Checkpointer former(std::make_unique<SharedStore>(&disk), &failpoints, 3);
  Checkpointer next(std::make_unique<SharedStore>(&disk), &failpoints, 4);
  checkpoint(former, checkpoint_id("job", 3, 7));
  checkpoint(next, checkpoint_id("job", 4, 9));
  checkpoint(former, checkpoint_id("job", 3, 8));
  EXPECT_TRUE(disk.files.contains("job-4-9"));
  EXPECT_FALSE(disk.files.contains("job-3-7"));
  EXPECT_TRUE(next.remove_unneeded().ok());
  EXPECT_FALSE(disk.files.contains("job-3-8"));
}

TEST_F(CheckpointTest, MissingCheckpointIsNotFound) {
  EXPECT_EQ(open()->read_manifest("c1").status().code(), Code::kNotFound);
}

}  // namespace
}  // namespace wrackline
