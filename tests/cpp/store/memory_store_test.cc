#include "store/conformance.h"
#include "store/faulty_store.h"

namespace wrackline {
namespace {

INSTANTIATE_TEST_SUITE_P(Memory, StoreConformance, testing::Values(StoreFactory{[] { return make_memory_store(); }}));

std::shared_ptr<Store> slow_store() {
  auto store = std::make_shared<FaultyStore>(make_memory_store());
  store->slow_writes(3);
  return store;
}
INSTANTIATE_TEST_SUITE_P(Faulty, StoreConformance, testing::Values(StoreFactory{slow_store}));

TEST(FaultyStore, TheNthWriteFailsWithNothingThereAndTheNextOneSucceeds) {
  FaultyStore store(make_memory_store());
  store.fail_write(2, Status::unavailable("full"));
  EXPECT_TRUE(write_now(store, "a", {{"k", "1"}}).ok());
  EXPECT_EQ(Code::kUnavailable, write_now(store, "b", {{"k", "2"}}).code());
  EXPECT_EQ((std::vector<std::string>{"a"}), names(store));
  EXPECT_TRUE(write_now(store, "b", {{"k", "3"}}).ok());
  EXPECT_EQ((Given{{"k", "3"}}), read_all(store, "b"));
}

TEST(FaultyStore, ATornWriteLeavesNothing) {
  const std::shared_ptr<Store> disk = make_memory_store();
  FaultyStore store(disk);
  store.tear_write(1);
  EXPECT_EQ(Code::kCrashed, write_now(store, "a", {{"k", "1"}}).code());
  EXPECT_TRUE(names(*disk).empty());
}

TEST(FaultyStore, ASlowWriteIsAnsweredAfterSoManyPollsAndNotThereBefore) {
  FaultyStore store(make_memory_store());
  store.slow_writes(2);
  store.start_write("a", {});
  EXPECT_EQ(std::nullopt, store.poll_write());
  EXPECT_EQ(std::nullopt, store.poll_write());
  EXPECT_TRUE(names(store).empty());
  EXPECT_TRUE(store.poll_write().value_or(Status::fatal("no answer")).ok());
  EXPECT_EQ(1U, names(store).size());
}

TEST(FaultyStore, ACrashForgetsWhatWasNotAnswered) {
  const std::shared_ptr<Store> disk = make_memory_store();
  FaultyStore before(disk);
  ASSERT_TRUE(write_now(before, "answered", {}).ok());
  before.slow_writes(5);
  before.start_write("unanswered", {});
  EXPECT_EQ(std::nullopt, before.poll_write());
  before.crash();
  EXPECT_EQ(std::nullopt, before.poll_write());
  FaultyStore after(disk);
  EXPECT_EQ((std::vector<std::string>{"answered"}), names(after));
}

TEST(FaultyStore, ReadsAndRemovesFailWhenAsked) {
  FaultyStore store(make_memory_store());
  ASSERT_TRUE(write_now(store, "a", {{"k", "1"}}).ok());
  store.fail_read(1, Status::corruption("bits"));
  EXPECT_EQ(Code::kCorruption, read_code(store, "a"));
  EXPECT_EQ(Code::kOk, read_code(store, "a"));
  store.fail_remove(1, Status::unavailable("busy"));
  EXPECT_EQ(Code::kUnavailable, store.remove("a").code());
  EXPECT_EQ(1U, names(store).size());
}

}  // namespace
}  // namespace wrackline
