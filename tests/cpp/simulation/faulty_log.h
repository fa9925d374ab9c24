// The log as one simulated process sees it: the real one behind it, with calls that fail, take their time, lose
// their answer or are the process's last, and with what a broker has besides: a group of several members, offsets that
// wait for somebody's open transaction, and an end to transactions that are open for too long. A crash leaves the
// transaction open, as kill -9 does.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "simulation/faults.h"
#include "simulation/group.h"

#include "wrackline/log/log.h"

namespace wrackline::simulation {

// What outlives processes.
struct Broker {
  std::shared_ptr<Log> log;
  std::unique_ptr<Group> group;
  std::shared_ptr<const Clock> clock;
  Millis transaction_timeout = 10'000;

  struct Transaction {
    const void* client = nullptr;
    int64_t since_us = 0;
    std::set<TopicPartition> offsets;
  };
  std::map<std::string, Transaction> open;  // by transactional id
  std::map<std::string, int64_t> fenced;    // how often an id's owner was, by somebody else or by time
  std::vector<std::string> violations;      // of the protocol by its clients
  // Ends transactions that are open for longer than the timeout (`all`: any), and fences their owners.
  void expire(bool all);
  bool unstable(const TopicPartition& partition, const void* client) const;
  // Partitions whose committed offsets the group has lost, until they are committed again.
  std::set<TopicPartition> expired;
  Offsets committed(const std::string& group) const;

  // Clients of dead processes: kept, because to destroy one would end its transaction.
  std::vector<std::unique_ptr<LogClient>> graveyard;
  // Called before the journal loses rows.
  std::function<void(const TopicPartition&)> before_trim;
  // Planted bugs; null: none.
  std::function<void(const Offsets& sent, Offsets& committed)> wrap_committed;
  bool answers_early = false;  // a revoke is answered as soon as it is heard
  std::function<std::unique_ptr<LogClient>(std::unique_ptr<LogClient>, Log&)> wrap_client;
};

std::shared_ptr<Log> make_faulty_log(std::shared_ptr<Broker> broker, std::shared_ptr<Process> process);

}  // namespace wrackline::simulation
