// The consumer group of a job as a broker keeps it: who has which partition, and how partitions move between members
// that join, leave, die and are told to give up. Nobody gets a partition before its last owner has answered, has left,
// or is taken for dead.
#pragma once

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "simulation/random.h"
#include "simulation/trace.h"

#include "wrackline/log/log.h"

namespace wrackline::simulation {

class Group {
 public:
  Group(Random random, EventTrace* trace);

  int64_t join(const std::string& instance, const std::vector<TopicPartition>& partitions);
  // `gone`: the broker does not know yet, and keeps its partitions for a while.
  void leave(int64_t member, bool gone);
  // What the broker has to say to `member` now.
  Event poll(int64_t member);
  // False: nobody has asked.
  bool answer(int64_t member);
  bool owns(int64_t member, const TopicPartition& partition) const;
  // It has answered, and was not assigned it since.
  bool gave_up(int64_t member, const TopicPartition& partition) const;

  // A fault: a living member is taken for dead.
  void lose(int64_t member);

  int64_t revokes() const { return revokes_; }
  int64_t moves() const { return moves_; }
  int64_t expiries() const { return expiries_; }

 private:
  struct Member {
    std::string instance;
    std::set<TopicPartition> owned;
    std::vector<TopicPartition> asked;  // to give up; not yet answered
    std::vector<TopicPartition> lost;   // and not yet told
    std::set<TopicPartition> given_up;
    int64_t answers_owed = 0;
    int64_t round = 0;   // of its last assignment
    int64_t polled = 0;  // ticks
    bool gone = false;
    int64_t gone_until = 0;  // ticks
  };
  static constexpr int64_t kSession = 60;  // ticks without a poll
  static constexpr int64_t kNobody = 0;    // a member of another process: takes and gives at once

  void deal(bool keep_most, bool somebody_else);
  void tick();
  bool expire(Member& member);
  bool free(const TopicPartition& partition) const;
  bool others_hold(int64_t member) const;
  Event assign(Member& member, std::vector<TopicPartition> partitions);

  Random random_;
  EventTrace* trace_;
  const bool eager_;
  const bool static_;
  std::vector<TopicPartition> partitions_;
  std::map<int64_t, Member> members_;
  std::map<TopicPartition, int64_t> target_;
  std::map<TopicPartition, int64_t> last_owner_;
  int64_t deals_left_;  // without a reason
  int64_t round_ = 0;
  int64_t ticks_ = 0;
  int64_t somebody_else_until_ = 0;
  int64_t last_id_ = 0;
  int64_t revokes_ = 0;
  int64_t expiries_ = 0;
  int64_t moves_ = 0;  // to another member than the last
};

}  // namespace wrackline::simulation
