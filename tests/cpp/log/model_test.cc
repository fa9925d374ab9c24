// Random operations on a log and on a model that is too simple to be wrong.
#include <random>

#include "log/conformance.h"

namespace wrackline {
namespace {

constexpr int kProducers = 3;
constexpr int32_t kPartitions = 2;
constexpr int kOperations = 400;

struct Slot {
  std::string value;
  int transaction;  // -1: none
  bool marker;
};

enum class Fate { kOpen, kCommitted, kAborted };

struct Model {
  std::vector<Slot> slots[kPartitions];
  int64_t start[kPartitions] = {};
  std::vector<Fate> fates;
  Offsets committed;

  int64_t end(int32_t p, bool committed_only) const {
    for (size_t i = 0; committed_only && i < slots[p].size(); ++i) {
      const Slot& slot = slots[p][i];
      if (slot.transaction >= 0 && fates[static_cast<size_t>(slot.transaction)] == Fate::kOpen) {
        return static_cast<int64_t>(i);
      }
    }
    return static_cast<int64_t>(slots[p].size());
  }
  std::vector<Seen> visible(int32_t p, bool committed_only, int64_t from) const {
    std::vector<Seen> seen;
    for (int64_t i = from; i < end(p, committed_only); ++i) {
      const Slot& slot = slots[p][static_cast<size_t>(i)];
      const bool aborted = slot.transaction >= 0 && fates[static_cast<size_t>(slot.transaction)] == Fate::kAborted;
      if (slot.marker || (committed_only && aborted)) continue;
      seen.push_back({i, slot.value});
    }
    return seen;
  }
  void finish(int transaction, Fate fate, const Offsets& sent) {
    for (auto& partition : slots) {
      const bool wrote = std::any_of(partition.begin(), partition.end(),
                                     [&](const Slot& slot) { return slot.transaction == transaction; });
      if (wrote) partition.push_back({"", -1, true});
    }
    fates[static_cast<size_t>(transaction)] = fate;
    if (fate == Fate::kCommitted) {
      for (const auto& [partition, offset] : sent) committed[partition] = offset;
    }
  }
};

TEST_P(LogModel, RandomOperationsAgree) {
  for (const uint32_t seed : {1U, 2U, 3U, 4U, 5U}) {
    SCOPED_TRACE("seed " + std::to_string(seed));
    std::mt19937 random(seed);
    const auto below = [&](int n) { return static_cast<int>(random() % static_cast<uint32_t>(n)); };
    const std::string topic = topic_ + std::to_string(seed);
    const std::string group = "group" + std::to_string(seed);
    ASSERT_TRUE(log_->create_topic(topic, kPartitions).ok());
    Model model;
    std::unique_ptr<LogClient> clients[kProducers];
    int open[kProducers];
    Offsets sent[kProducers];
    const auto id = [&](int who) { return "id" + std::to_string(seed) + "-" + std::to_string(who); };
    for (int who = 0; who < kProducers; ++who) {
      clients[who] = producer(id(who));
      open[who] = -1;
    }
    auto reader = client();
    std::vector<Seen> streamed[kPartitions];
    for (int32_t p = 0; p < kPartitions; ++p) reader->read_from({topic, p}, 0, kCommitted);
    int next_value = 0;
    const auto some = [&](int transaction, int32_t p) {
      std::vector<std::string> made;
      for (int n = 1 + below(5); n > 0; --n) {
        made.push_back(std::to_string(next_value++) + std::string(static_cast<size_t>(below(40)), '.'));
        model.slots[p].push_back({made.back(), transaction, false});
      }
      return values(made);
    };

    for (int operation = 0; operation < kOperations; ++operation) {
      const int who = below(kProducers);
      const auto p = static_cast<int32_t>(below(kPartitions));
      LogClient& client = *clients[who];
      switch (below(9)) {
        case 0: {
          const int64_t base = model.end(p, false);
          ASSERT_EQ(base, log_->append({topic, p}, some(-1, p)).value());
          break;
        }
        case 1:
        case 2:
        case 3:
          if (open[who] < 0) {
            ASSERT_TRUE(client.begin().ok());
            open[who] = static_cast<int>(model.fates.size());
            model.fates.push_back(Fate::kOpen);
            sent[who].clear();
          }
          ASSERT_TRUE(append_all(client, {topic, p}, some(open[who], p)).ok());
          break;
        case 4:
          if (open[who] < 0) break;
          sent[who][{topic, p}] = {below(1000), std::to_string(operation)};
          ASSERT_TRUE(send_offsets_now(client, group, {{{topic, p}, sent[who][{topic, p}]}}).ok());
          break;
        case 5:
        case 6: {
          if (open[who] < 0) break;
          const bool commits = below(3) != 0;
          commits ? commit(client) : abort(client);
          model.finish(open[who], commits ? Fate::kCommitted : Fate::kAborted, sent[who]);
          open[who] = -1;
          break;
        }
        case 7: {
          if (below(4) != 0) break;
          auto owner = producer(id(who));
          if (open[who] >= 0) {
            model.finish(open[who], Fate::kAborted, {});
            ASSERT_EQ(Code::kFenced, append_all(client, {topic, p}, values({"fenced"})).code());
          }
          open[who] = -1;
          clients[who] = std::move(owner);
          break;
        }
        default: {
          if (below(6) != 0) break;
          const auto target = static_cast<int64_t>(below(static_cast<int>(model.end(p, true)) + 1));
          // What the reader below has not seen must stay.
          if (!streamed[p].empty() && target <= streamed[p].back().offset) {
            ASSERT_TRUE(log_->trim({topic, p}, target).ok());
            model.start[p] = std::max(model.start[p], target);
          }
          break;
        }
      }
      if (below(4) == 0) {
        const Event event = reader->poll(1 + below(6));
        if (const auto* polled = std::get_if<event::Polled>(&event)) {
          for (Seen& seen : seen_of(*polled->records)) streamed[polled->partition.partition].push_back(std::move(seen));
        } else {
          ASSERT_FALSE(std::holds_alternative<event::Failed>(event));
        }
      }
      if (below(8) != 0) continue;
      for (int32_t q = 0; q < kPartitions; ++q) {
        for (const bool committed_only : {true, false}) {
          const Isolation isolation = committed_only ? kCommitted : kUncommitted;
          ASSERT_EQ(model.end(q, committed_only), log_->end_offset({topic, q}, isolation).value());
          const int64_t from = model.start[q];
          ASSERT_EQ(from, log_->start_offset({topic, q}).value());
          ASSERT_EQ(model.visible(q, committed_only, from), read_all({topic, q}, isolation, from, 1 + below(100)));
        }
      }
      ASSERT_EQ(model.committed, log_->committed(group).value());
    }

    for (int who = 0; who < kProducers; ++who) {
      if (open[who] < 0) continue;
      commit(*clients[who]);
      model.finish(open[who], Fate::kCommitted, sent[who]);
    }
    for (Event event = reader->poll(3); !std::holds_alternative<std::monostate>(event); event = reader->poll(3)) {
      if (const auto* polled = std::get_if<event::Polled>(&event)) {
        for (Seen& seen : seen_of(*polled->records)) streamed[polled->partition.partition].push_back(std::move(seen));
      }
    }
    for (int32_t p = 0; p < kPartitions; ++p) EXPECT_EQ(model.visible(p, true, 0), streamed[p]);
  }
}

}  // namespace
}  // namespace wrackline
