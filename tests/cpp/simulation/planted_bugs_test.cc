// Does the simulation see anything? Each classic mistake of an exactly-once protocol is planted between the worker
// and its log or store; the simulation has to catch it, while the same seeds pass without it.
#include <algorithm>
#include <cstdio>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "simulation/simulation.h"
#include <gtest/gtest.h>

#include "wrackline/core/bytes.h"
#include "wrackline/job/formats.h"

namespace wrackline::simulation {
namespace {

constexpr uint64_t kSeeds = 200;

// Passes everything on; a bug overrides what it breaks.
class ForwardingClient : public LogClient {
 public:
  ForwardingClient(std::unique_ptr<LogClient> inner, Log& log) : inner_(std::move(inner)), log_(log) {}
  Status subscribe(const std::string& group, const std::vector<std::string>& topics) override {
    return inner_->subscribe(group, topics);
  }
  void answer_revoke() override { inner_->answer_revoke(); }
  void read_from(const TopicPartition& partition, int64_t offset, Isolation isolation) override {
    inner_->read_from(partition, offset, isolation);
  }
  void stop_reading(const TopicPartition& partition) override { inner_->stop_reading(partition); }
  void pause(const TopicPartition& partition) override { inner_->pause(partition); }
  void resume(const TopicPartition& partition) override { inner_->resume(partition); }
  void start_committed(const std::string& group, const std::vector<TopicPartition>& partitions) override {
    inner_->start_committed(group, partitions);
  }
  void start_init(const std::string& transactional_id) override { inner_->start_init(transactional_id); }
  Status begin() override { return inner_->begin(); }
  Status append(const TopicPartition& partition, const Records& records) override {
    return inner_->append(partition, records);
  }
  void start_send_offsets(const std::string& group, const Offsets& offsets) override {
    inner_->start_send_offsets(group, offsets);
  }
  void start_commit() override { inner_->start_commit(); }
  void start_abort() override { inner_->start_abort(); }
  void start_fence(const std::string& id) override { inner_->start_fence(id); }
  void trim(const TopicPartition& partition, int64_t offset) override { inner_->trim(partition, offset); }
  Event poll(int64_t max_records) override { return inner_->poll(max_records); }
  void wait(Millis timeout) override { inner_->wait(timeout); }

 protected:
  std::unique_ptr<LogClient> inner_;
  Log& log_;
};

class ForwardingStore : public Store {
 public:
  explicit ForwardingStore(std::unique_ptr<Store> inner) : inner_(std::move(inner)) {}
  void start_write(const std::string& name, std::vector<Block> blocks) override {
    inner_->start_write(name, std::move(blocks));
  }
  std::optional<Status> poll_write() override { return inner_->poll_write(); }
  Status read(const std::string& name, const std::vector<std::string>& keys,
              const std::function<Status(std::string_view, std::string_view)>& f) override {
    return inner_->read(name, keys, f);
  }
  Result<std::vector<std::string>> list() override { return inner_->list(); }
  Status remove(const std::string& name) override { return inner_->remove(name); }

 protected:
  std::unique_ptr<Store> inner_;
};

bool is_manifest(const std::vector<std::string>& keys) { return keys.size() == 1 && keys.front() == "manifest"; }

// `manifest` as if it had been written under the id `id`: as a store without ids would have it.
Bytes with_id(std::string_view manifest, const std::string& id) {
  ByteReader reader(manifest);
  ByteWriter writer;
  writer.put(reader.get<uint8_t>());
  static_cast<void>(reader.get_string());
  writer.put_string(id);
  const std::string_view rest = reader.get_bytes(reader.left());
  writer.put_bytes(rest.data(), rest.size());
  return writer.take();
}

std::string_view view(const Bytes& bytes) { return {reinterpret_cast<const char*>(bytes.data()), bytes.size()}; }

// Counts the seeds until `buggy` fails, and asserts that those seeds pass without the bug.
void expect_caught(const char* bug, SimulationOptions buggy) {
  for (uint64_t seed = 1; seed <= kSeeds; ++seed) {
    buggy.seed = seed;
    const SimulationResult result = simulate(buggy);
    const SimulationResult without = simulate(
        {.seed = seed, .change_job = buggy.change_job, .cuts_firings = buggy.cuts_firings, .several = buggy.several});
    ASSERT_TRUE(without.failures.empty()) << "seed " << seed << " fails without the bug: " << without.failures.front();
    if (result.failures.empty()) continue;
    std::printf("%s: caught by seed %llu: %s\n", bug, static_cast<unsigned long long>(seed),
                result.failures.front().substr(0, 160).c_str());
    return;
  }
  FAIL() << bug << " was not caught by " << kSeeds << " seeds";
}

TEST(PlantedBugsTest, StateThatWasNeverCommittedIsRestored) {
  // Whatever checkpoint is newest is taken for the one that the commit names.
  class NewestFile final : public ForwardingStore {
   public:
    using ForwardingStore::ForwardingStore;
    void start_write(const std::string& name, std::vector<Block> blocks) override {
      newest_ = name;
      inner_->start_write(name, std::move(blocks));
    }
    Status read(const std::string& name, const std::vector<std::string>& keys,
                const std::function<Status(std::string_view, std::string_view)>& f) override {
      if (!is_manifest(keys)) return inner_->read(name, keys, f);
      return inner_->read(newest_, keys, [&](std::string_view key, std::string_view bytes) {
        return f(key, view(with_id(bytes, name)));
      });
    }

   private:
    std::string newest_;
  };
  expect_caught("state before the commit", {.wrap_store = [](std::unique_ptr<Store> inner) {
                  return std::make_unique<NewestFile>(std::move(inner));
                }});
}

TEST(PlantedBugsTest, OffsetsAreCommittedBeforeTheOutputs) {
  class OffsetsFirst final : public ForwardingClient {
   public:
    using ForwardingClient::ForwardingClient;
    void start_send_offsets(const std::string& group, const Offsets& offsets) override {
      const std::unique_ptr<LogClient> own = log_.client().value();
      own->start_init("offsets-alone");
      static_cast<void>(own->poll(1));
      WL_CHECK(own->begin().ok());
      own->start_send_offsets(group, offsets);
      static_cast<void>(own->poll(1));
      own->start_commit();
      static_cast<void>(own->poll(1));
      inner_->start_send_offsets(group, {});  // for its answer
    }
  };
  expect_caught("offsets before outputs", {.wrap_client = [](std::unique_ptr<LogClient> inner, Log& log) {
                  return std::make_unique<OffsetsFirst>(std::move(inner), log);
                }});
}

// What is written to the journal is changed by `change` on its way.
SimulationOptions with_changed_rows(void (*change)(JournalRow&)) {
  class ChangesRows final : public ForwardingClient {
   public:
    ChangesRows(std::unique_ptr<LogClient> inner, Log& log, void (*change)(JournalRow&))
        : ForwardingClient(std::move(inner), log), change_(change) {}
    Status append(const TopicPartition& partition, const Records& records) override {
      if (!partition.topic.ends_with(".journal-0")) return inner_->append(partition, records);
      Records changed;
      for (int64_t i = 0; i < records.size(); ++i) {
        WL_ASSIGN_OR_RETURN(JournalRow row, JournalRow::decode(records.value(i)));
        change_(row);
        const Bytes bytes = row.encode();
        changed.add(std::nullopt, view(bytes), records.timestamp(i));
      }
      return inner_->append(partition, changed);
    }

   private:
    void (*change_)(JournalRow&);
  };
  return {.wrap_client = [change](std::unique_ptr<LogClient> inner, Log& log) {
    return std::make_unique<ChangesRows>(std::move(inner), log, change);
  }};
}

void goes_idle(JobSpec& job) {
  job.idle_after = 20;
  job.idle_close = true;
  job.close_at_end = false;
  job.bounded = job.all_out_of_order = false;
  job.write_again = !job.window || !job.window->rolling();
}

TEST(PlantedBugsTest, ADecisionIsNotInTheJournal) {
  SimulationOptions buggy = with_changed_rows([](JournalRow& row) { row.decisions.clear(); });
  buggy.change_job = goes_idle;
  expect_caught("a decision not journaled", buggy);
}

TEST(PlantedBugsTest, RowsOfACutFiringAreNotHeldBack) {
  SimulationOptions buggy = with_changed_rows([](JournalRow& row) {
    if (row.cut) row.cut->rows.clear();
  });
  buggy.cuts_firings = true;
  expect_caught("rows of a cut firing come again", buggy);
}

TEST(PlantedBugsTest, ACutForgetsTheDecisionThatSetTheFiringOff) {
  SimulationOptions buggy = with_changed_rows([](JournalRow& row) {
    if (row.cut) row.cut->trigger.reset();
  });
  buggy.cuts_firings = true;
  buggy.change_job = goes_idle;
  expect_caught("a cut without its decision", buggy);
}

TEST(PlantedBugsTest, ACutIsTakenForACommitPoint) {
  SimulationOptions buggy = with_changed_rows([](JournalRow& row) { row.cut.reset(); });
  buggy.cuts_firings = true;
  expect_caught("a cut taken for a commit point", buggy);
}

TEST(PlantedBugsTest, ACheckpointIdIsUsedTwice) {
  // Every checkpoint of a task goes by one name, and so into one file.
  class OneName final : public ForwardingStore {
   public:
    using ForwardingStore::ForwardingStore;
    void start_write(const std::string& name, std::vector<Block> blocks) override {
      names_.insert(name);
      static_cast<void>(inner_->remove("checkpoint"));
      inner_->start_write("checkpoint", std::move(blocks));
    }
    Status read(const std::string& name, const std::vector<std::string>& keys,
                const std::function<Status(std::string_view, std::string_view)>& f) override {
      return inner_->read("checkpoint", keys, [&](std::string_view key, std::string_view bytes) {
        return f(key, is_manifest(keys) ? view(with_id(bytes, name)) : bytes);
      });
    }
    Result<std::vector<std::string>> list() override { return std::vector<std::string>(names_.begin(), names_.end()); }
    Status remove(const std::string& name) override {
      names_.erase(name);
      return {};
    }

   private:
    std::set<std::string> names_;
  };
  expect_caught("a checkpoint id used twice", {.wrap_store = [](std::unique_ptr<Store> inner) {
                  return std::make_unique<OneName>(std::move(inner));
                }});
}

TEST(PlantedBugsTest, OldBlocksAreDroppedBeforeTheNewCheckpointIsNamed) {
  class DropsEarly final : public ForwardingStore {
   public:
    using ForwardingStore::ForwardingStore;
    void start_write(const std::string& name, std::vector<Block> blocks) override {
      needed_ = name + std::string(view(blocks.back().bytes));  // a manifest spells the files that it needs
      inner_->start_write(name, std::move(blocks));
    }
    std::optional<Status> poll_write() override {
      std::optional<Status> answer = inner_->poll_write();
      if (!answer || !answer->ok()) return answer;
      const Result<std::vector<std::string>> files = inner_->list();
      if (!files.ok()) return files.status();
      for (const std::string& file : *files) {
        if (needed_.find(file) == std::string::npos) static_cast<void>(inner_->remove(file));
      }
      return answer;
    }

   private:
    std::string needed_;
  };
  expect_caught("old blocks dropped too early", {.wrap_store = [](std::unique_ptr<Store> inner) {
                  return std::make_unique<DropsEarly>(std::move(inner));
                }});
}

TEST(PlantedBugsTest, WhatWasNotCommittedIsNotAborted) {
  // Rows go into the log at once, whatever becomes of their transaction.
  class NoTransaction final : public ForwardingClient {
   public:
    using ForwardingClient::ForwardingClient;
    Status append(const TopicPartition& partition, const Records& records) override {
      if (partition.topic.ends_with(".journal-0")) return inner_->append(partition, records);
      return log_.append(partition, records).status();
    }
  };
  expect_caught("a forgotten abort", {.wrap_client = [](std::unique_ptr<LogClient> inner, Log& log) {
                  return std::make_unique<NoTransaction>(std::move(inner), log);
                }});
}

// At least once, and late panes come out when there is a commit.
void results_may_repeat(JobSpec& job) {
  job.at_least_once = job.write_again = true;
  job.bounded = job.all_out_of_order = job.resume_append = false;
  job.idle_after.reset();
  if (!job.window) return;
  WindowSpec& spec = job.window->spec;
  if (!spec.as<FixedWindow>()) spec.kind = WindowSpec::tumbling(60).kind;
  spec.allowed_lateness = 200;
  spec.emit = EmitMode::kAccumulate;
  spec.emit_late_each = false;
  spec.early_rows.reset();
}

TEST(PlantedBugsTest, ARowIsLostAtLeastOnce) {
  class LosesRows final : public ForwardingClient {
   public:
    using ForwardingClient::ForwardingClient;
    Status append(const TopicPartition& partition, const Records& records) override {
      if (partition.topic != "again") return inner_->append(partition, records);
      Records changed;
      for (int64_t i = 1; i < records.size(); ++i) changed.add(records.key(i), records.value(i), records.timestamp(i));
      return changed.empty() ? Status() : inner_->append(partition, changed);
    }
  };
  expect_caught("a row lost at least once",
                {.wrap_client = [](std::unique_ptr<LogClient> inner,
                                   Log& log) { return std::make_unique<LosesRows>(std::move(inner), log); },
                 .change_job = results_may_repeat});
}

// No mistake: a run that dies may have written a late pane to one of two topics, and no other run makes it.
TEST(PlantedBugsTest, NoneIsSeenWhereRunsDieBetweenTwoTopics) {
  class Dies final : public ForwardingClient {
   public:
    Dies(std::unique_ptr<LogClient> inner, Log& log, int& times)
        : ForwardingClient(std::move(inner), log), times_(times) {}
    Status append(const TopicPartition& partition, const Records& records) override {
      if (partition.topic == "out" && times_-- > 0) return Status::crashed("between two topics");
      return inner_->append(partition, records);
    }

   private:
    int& times_;
  };
  for (uint64_t seed = 1; seed <= kSeeds / 4; ++seed) {
    int times = 5;
    const SimulationResult result =
        simulate({.seed = seed,
                  .wrap_client = [&](std::unique_ptr<LogClient> inner,
                                     Log& log) { return std::make_unique<Dies>(std::move(inner), log, times); },
                  .change_job = results_may_repeat});
    ASSERT_TRUE(result.failures.empty()) << "seed " << seed << ": " << result.failures.front();
  }
}

TEST(PlantedBugsTest, AParkedTaskGoesOnThoughAnotherOwnerHasCommitted) {
  expect_caught("adopted without a look", {.wrap_committed =
                                               [](const Offsets& sent, Offsets& committed) {
                                                 for (auto& [partition, offset] : committed) {
                                                   const auto own = sent.find(partition);
                                                   if (own != sent.end()) offset = own->second;
                                                 }
                                               },
                                           .several = true});
}

TEST(PlantedBugsTest, ARevokeIsAnsweredBeforeTheCommit) {
  expect_caught("answered before the commit", {.answers_early = true, .several = true});
}

}  // namespace
}  // namespace wrackline::simulation
