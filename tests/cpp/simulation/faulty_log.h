// The log as one simulated process sees it: the real one behind it, with calls that fail, take their time, lose
// their answer or are the process's last. A crash leaves the transaction open, as kill -9 does.
#pragma once

#include <functional>
#include <memory>
#include <vector>

#include "simulation/faults.h"

#include "wrackline/log/log.h"

namespace wrackline::simulation {

// What outlives processes.
struct Broker {
  std::shared_ptr<Log> log;
  // Clients of dead processes: kept, because to destroy one would end its transaction.
  std::vector<std::unique_ptr<LogClient>> graveyard;
  // Called before the journal loses rows.
  std::function<void(const TopicPartition&)> before_trim;
  // A planted bug; null: none.
  std::function<std::unique_ptr<LogClient>(std::unique_ptr<LogClient>, Log&)> wrap_client;
};

std::shared_ptr<Log> make_faulty_log(std::shared_ptr<Broker> broker, std::shared_ptr<Process> process);

}  // namespace wrackline::simulation
