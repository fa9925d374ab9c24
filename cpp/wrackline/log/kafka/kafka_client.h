// The client of a Kafka log: a member of the group, a reader, a producer, put together.
#pragma once

#include <memory>

#include "wrackline/core/clock.h"
#include "wrackline/log/kafka/admin.h"
#include "wrackline/log/log.h"

namespace wrackline::kafka {

std::unique_ptr<LogClient> make_client(std::shared_ptr<Admin> admin, const ClientOptions& options,
                                       std::shared_ptr<const Clock> clock, bool writable);

}  // namespace wrackline::kafka
