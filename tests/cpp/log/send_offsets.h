// Sends offsets and waits for the answer.
#pragma once

#include <string>

#include "wrackline/log/log.h"

namespace wrackline {

inline Status send_offsets_now(LogClient& client, const std::string& group, const Offsets& offsets) {
  client.start_send_offsets(group, offsets);
  for (int attempt = 0; attempt < 400; ++attempt) {
    Event event = client.poll(1);
    if (std::holds_alternative<event::OffsetsSent>(event)) return {};
    if (auto* failed = std::get_if<event::Failed>(&event)) return failed->status;
    client.wait(50);
  }
  return Status::fatal("no answer to start_send_offsets()");
}

}  // namespace wrackline
