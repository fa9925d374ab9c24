// Seeds of the deterministic simulation. WRACKLINE_SEEDS: how many (200); WRACKLINE_FIRST_SEED: where to start (1);
// WRACKLINE_TRACE=1: every event of them on stderr.
#include "simulation/simulation.h"

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>

#include <gtest/gtest.h>

namespace wrackline::simulation {
namespace {

int64_t from_environment(const char* name, int64_t otherwise) {
  const char* const text = std::getenv(name);
  return text == nullptr ? otherwise : std::strtoll(text, nullptr, 10);
}

TEST(SimulationTest, EverySeedKeepsThePromises) {
  const int64_t seeds = from_environment("WRACKLINE_SEEDS", 200);
  const int64_t first = from_environment("WRACKLINE_FIRST_SEED", 1);
  const bool trace = from_environment("WRACKLINE_TRACE", 0) != 0;
  int64_t failed = 0;
  SimulationResult all;
  for (int64_t seed = first; seed < first + seeds; ++seed) {
    const SimulationResult result = simulate({.seed = static_cast<uint64_t>(seed), .trace = trace ? stderr : nullptr});
    all.records += result.records;
    all.events += result.events;
    all.processes += result.processes;
    all.crashes += result.crashes;
    all.recoveries += result.recoveries;
    all.checkpoints += result.checkpoints;
    all.commits += result.commits;
    all.cuts += result.cuts;
    all.replayed += result.replayed;
    all.decisions += result.decisions;
    all.revokes += result.revokes;
    all.moves += result.moves;
    all.adopted += result.adopted;
    all.expired += result.expired;
    all.fenced += result.fenced;
    StepCounts::for_each([&](const char*, auto member) { all.counts.*member += result.counts.*member; });
    if (result.failures.empty()) continue;
    std::string text;
    for (const std::string& failure : result.failures) text += "\n  " + failure;
    ADD_FAILURE() << "seed " << seed << text << "\n  replay: WRACKLINE_FIRST_SEED=" << seed
                  << " WRACKLINE_SEEDS=1 WRACKLINE_TRACE=1 test_simulation "
                     "--gtest_filter=SimulationTest.EverySeedKeepsThePromises";
    if (++failed >= 10) break;
  }
  const auto value = [](int64_t number) { return static_cast<long long>(number); };
  std::printf(
      "%lld seeds: %lld records, %lld events, %lld processes, %lld crashes, %lld recoveries, %lld checkpoints, %lld "
      "commits, %lld cuts, %lld rows replayed, "
      "%lld decisions, %lld revokes, %lld moves between workers, %lld tasks adopted, %lld owners fenced\n",
      value(seeds), value(all.records), value(all.events), value(all.processes), value(all.crashes),
      value(all.recoveries), value(all.checkpoints), value(all.commits), value(all.cuts), value(all.replayed),
      value(all.decisions), value(all.revokes), value(all.moves), value(all.adopted), value(all.fenced));
  StepCounts::for_each(
      [&](const char* name, auto member) { std::printf("%s %lld  ", name, value(all.counts.*member)); });
  std::printf("\n");
  // A simulation in which nothing happens shows nothing.
  if (seeds >= 100) {
    EXPECT_GT(all.crashes, seeds / 4);
    EXPECT_GT(all.recoveries, seeds / 4);
    EXPECT_GT(all.replayed, seeds);
    EXPECT_GT(all.decisions, seeds / 4);
    EXPECT_GT(all.revokes, seeds / 4);
    EXPECT_GT(all.moves, seeds / 4);
    EXPECT_GT(all.adopted, seeds / 4);
    EXPECT_GT(all.cuts, seeds);
    EXPECT_GT(all.fenced, 0);
    EXPECT_GT(all.expired, 0);
    StepCounts::for_each([&](const char* name, auto member) { EXPECT_GT(all.counts.*member, 0) << name; });
  }
}

// A cut commits the offsets of tasks whose late panes are pending; the next commit may have nothing else of them.
TEST(SimulationTest, LatePanesArePendingAtCutsOfOthers) {
  const auto change = [](JobSpec& job) {
    job.partitions = 2;
    job.bounded = job.all_out_of_order = job.resume_append = job.at_least_once = job.long_strings = false;
    job.filter.reset();
    WindowJob window{WindowSpec::hopping(60, 20)};
    window.spec.key_columns = {"k"};
    window.spec.allowed_lateness = 2'000 * job.scale;
    window.spec.aggregates = {{"a0", "count", ""}};
    job.window = window;
    job.max_record_bytes = 600;
  };
  for (uint64_t seed = 1; seed <= 400; ++seed) {
    const SimulationResult result = simulate({.seed = seed, .change_job = change, .cuts_firings = true});
    ASSERT_TRUE(result.failures.empty()) << "seed " << seed << ": " << result.failures.front();
  }
}

TEST(SimulationTest, TheSameSeedIsTheSameRun) {
  for (uint64_t seed = 1; seed <= 20; ++seed) {
    const SimulationResult once = simulate({.seed = seed});
    const SimulationResult again = simulate({.seed = seed});
    EXPECT_EQ(once.trace_hash, again.trace_hash) << "seed " << seed;
    EXPECT_EQ(once.events, again.events) << "seed " << seed;
  }
}

}  // namespace
}  // namespace wrackline::simulation
