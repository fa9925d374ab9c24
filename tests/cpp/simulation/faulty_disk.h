// The disk of one task, which outlives processes, and the store through which a process sees it: writes are
// slow, fail, and may be cut off by a crash so that nothing, all, or a torn file is there afterwards.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>

#include "simulation/faults.h"

#include "wrackline/store/store.h"

namespace wrackline::simulation {

struct Disk {
  std::unique_ptr<Store> store;
  std::set<std::string> torn;  // there, but cannot be read
};

std::unique_ptr<Store> make_faulty_store(std::shared_ptr<Disk> disk, std::shared_ptr<Process> process);

}  // namespace wrackline::simulation
