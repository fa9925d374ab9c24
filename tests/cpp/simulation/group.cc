#include "simulation/group.h"

#include <algorithm>
#include <utility>

namespace wrackline::simulation {

Group::Group(Random random, EventTrace* trace)
    : random_(random),
      trace_(trace),
      eager_(random_.chance(0.5)),
      static_(random_.chance(0.5)),
      deals_left_(random_.pick<int64_t>({0, 3, 10, 30})) {}

int64_t Group::join(const std::string& instance, const std::vector<TopicPartition>& partitions) {
  partitions_ = partitions;
  const int64_t id = ++last_id_;
  Member& member = members_[id];
  member.instance = instance;
  member.polled = ticks_;
  for (auto before = members_.begin(); before != members_.end(); ++before) {
    if (before->first == id || before->second.instance != instance) continue;
    // The same name: the one before is no more. A static member gets what it had, at once.
    if (static_) {
      member.round = eager_ ? before->second.round - 1 : before->second.round;
      for (auto& [partition, to] : target_) to = to == before->first ? id : to;
      members_.erase(before);
      if (eager_) ++round_;
      trace_->note("rejoined", instance, id);
      return id;
    }
    break;
  }
  trace_->note("joined", instance, id);
  deal(false, false);
  return id;
}

void Group::leave(int64_t id, bool gone) {
  const auto found = members_.find(id);
  if (found == members_.end()) return;
  if (gone || static_) {
    found->second.gone = true;
    found->second.gone_until = ticks_ + random_.between(0, 150);
    return;
  }
  members_.erase(found);
  deal(true, false);
}

void Group::tick() {
  ++ticks_;
  bool changed = false;
  for (auto member = members_.begin(); member != members_.end();) {
    const bool expired = member->second.gone && ticks_ > member->second.gone_until;
    changed = changed || expired;
    member = expired ? members_.erase(member) : std::next(member);
  }
  for (auto& [id, member] : members_) {
    if (!member.gone && ticks_ - member.polled > kSession) changed = expire(member) || changed;
  }
  if (ticks_ > somebody_else_until_) {
    // Whose member is no more has nobody, either.
    changed = changed || std::any_of(target_.begin(), target_.end(),
                                     [&](const auto& entry) { return !members_.contains(entry.second); });
  }
  if (changed) return deal(true, false);
  if (deals_left_ == 0 || !random_.chance(0.02)) return;
  --deals_left_;
  deal(random_.chance(0.7), random_.chance(0.4));
}

// Who is to have what from now on.
void Group::deal(bool keep_most, bool somebody_else) {
  ++round_;
  std::vector<int64_t> living;
  for (const auto& [id, member] : members_) {
    if (!member.gone && member.lost.empty()) living.push_back(id);
  }
  if (somebody_else) somebody_else_until_ = ticks_ + random_.between(1, 60);
  for (const TopicPartition& partition : partitions_) {
    const auto now = target_.find(partition);
    const bool keeps = now != target_.end() && std::find(living.begin(), living.end(), now->second) != living.end() &&
                       random_.chance(keep_most ? 0.7 : 0.3);
    if (keeps) continue;
    target_[partition] = living.empty() || (somebody_else && random_.chance(0.5)) ? kNobody : random_.pick(living);
  }
  trace_->note("deal", {}, round_, static_cast<int64_t>(living.size()));
}

bool Group::expire(Member& member) {
  if (member.owned.empty()) return false;
  member.lost.assign(member.owned.begin(), member.owned.end());
  member.owned.clear();
  member.asked.clear();
  ++expiries_;
  trace_->note("expired", member.instance);
  return true;
}

void Group::lose(int64_t id) {
  if (expire(members_.at(id))) deal(true, random_.chance(0.3));
}

bool Group::free(const TopicPartition& partition) const {
  return std::none_of(members_.begin(), members_.end(),
                      [&](const auto& entry) { return entry.second.owned.contains(partition); });
}

bool Group::others_hold(int64_t id) const {
  return std::any_of(members_.begin(), members_.end(), [&](const auto& entry) {
    return entry.first != id && entry.second.round < round_ && !entry.second.owned.empty();
  });
}

Event Group::assign(Member& member, std::vector<TopicPartition> partitions) {
  for (size_t i = partitions.size(); i > 1; --i)
    std::swap(partitions[i - 1], partitions[static_cast<size_t>(random_.between(0, static_cast<int64_t>(i) - 1))]);
  for (const TopicPartition& partition : partitions) {
    member.owned.insert(partition);
    member.given_up.erase(partition);
    int64_t& last = last_owner_[partition];
    if (last != kNobody && members_.contains(last) && &members_.at(last) != &member) ++moves_;
    for (const auto& [id, m] : members_) last = &m == &member ? id : last;
  }
  trace_->note("assigned", member.instance, static_cast<int64_t>(partitions.size()),
               partitions.empty() ? -1 : partitions.front().partition);
  return event::Assigned{std::move(partitions)};
}

Event Group::poll(int64_t id) {
  Member& member = members_.at(id);
  member.polled = ticks_;
  tick();
  if (!member.lost.empty()) {
    if (random_.chance(0.6)) return {};  // it does not know yet
    event::Lost lost{std::exchange(member.lost, {})};
    trace_->note("lost", member.instance, static_cast<int64_t>(lost.partitions.size()));
    deal(true, false);
    return lost;
  }
  if (!member.asked.empty()) return {};
  const auto ask = [&](std::vector<TopicPartition> partitions) -> Event {
    if (!eager_ && random_.chance(0.3)) partitions.resize(1);
    member.asked = partitions;
    ++member.answers_owed;
    ++revokes_;
    trace_->note("revoked", member.instance, static_cast<int64_t>(partitions.size()), partitions.front().partition);
    return event::Revoked{std::move(partitions)};
  };
  std::vector<TopicPartition> mine;
  for (const auto& [partition, to] : target_) {
    if (to == id) mine.push_back(partition);
  }
  if (eager_) {
    if (member.round >= round_) return {};
    if (!member.owned.empty()) return ask({member.owned.begin(), member.owned.end()});
    if (others_hold(id)) return {};
    member.round = round_;
    return assign(member, std::move(mine));
  }
  std::vector<TopicPartition> too_many;
  for (const TopicPartition& partition : member.owned) {
    if (target_.at(partition) != id) too_many.push_back(partition);
  }
  if (!too_many.empty()) return ask(std::move(too_many));
  std::erase_if(mine, [&](const TopicPartition& partition) { return !free(partition); });
  if (mine.empty()) {
    if (member.round == round_ || random_.chance(0.7)) return {};
    member.round = round_;
    return assign(member, {});
  }
  if (random_.chance(0.4)) mine.resize(1);
  member.round = round_;
  return assign(member, std::move(mine));
}

bool Group::answer(int64_t id) {
  Member& member = members_.at(id);
  if (--member.answers_owed < 0) return false;
  for (const TopicPartition& partition : std::exchange(member.asked, {})) {
    member.owned.erase(partition);
    member.given_up.insert(partition);
  }
  return true;
}

bool Group::owns(int64_t id, const TopicPartition& partition) const {
  return members_.at(id).owned.contains(partition);
}

bool Group::gave_up(int64_t id, const TopicPartition& partition) const {
  return members_.at(id).given_up.contains(partition);
}

}  // namespace wrackline::simulation
