// The broker that the tests of this folder share: started by ctest's fixture, or given by WRACKLINE_TEST_BROKER.
#pragma once

#include <cstdlib>
#include <fstream>
#include <memory>
#include <string>

#include <gtest/gtest.h>

#include "wrackline/log/log.h"

namespace wrackline {

inline std::string broker_address() {
  if (const char* given = std::getenv("WRACKLINE_TEST_BROKER")) return given;
  const char* other = std::getenv("WRACKLINE_TEST_BROKER_FILE");
  std::ifstream file(other != nullptr ? other : WRACKLINE_TEST_BROKER_FILE);
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("broker=")) return line.substr(7);
  }
  ADD_FAILURE() << "no broker: run this through ctest, or with `broker.py run -- test_kafka`";
  return "127.0.0.1:1";
}

inline std::shared_ptr<Log> open_kafka(const LogSettings& settings = {}) {
  auto opened = open_log("kafka://" + broker_address(), std::make_shared<SystemClock>(), settings);
  EXPECT_TRUE(opened.ok()) << opened.status().to_string();
  return opened.ok() ? *opened : nullptr;
}

}  // namespace wrackline
