// What store.h promises, as tests of any store (conformance.cc). Include it, then
//
//   INSTANTIATE_TEST_SUITE_P(Memory, StoreConformance, testing::Values(StoreFactory{[] { return ...; }}));
#pragma once

#include <algorithm>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include <gtest/gtest.h>

#include "wrackline/store/store.h"

namespace wrackline {

struct StoreFactory {
  std::function<std::shared_ptr<Store>()> make;  // an empty one
};

using Contents = std::map<std::string, std::string>;
using Given = std::vector<std::pair<std::string, std::string>>;

inline Bytes to_bytes(std::string_view text) { return {text.begin(), text.end()}; }

// Waits for the answer; a store's own thread may be at work.
inline Status write_now(Store& store, const std::string& name, const Contents& contents) {
  std::vector<Block> blocks;
  for (const auto& [key, bytes] : contents) blocks.push_back({key, to_bytes(bytes)});
  std::reverse(blocks.begin(), blocks.end());  // their order is free
  store.start_write(name, std::move(blocks));
  while (true) {
    if (std::optional<Status> answer = store.poll_write()) return *answer;
    std::this_thread::yield();
  }
}

inline Given read_all(Store& store, const std::string& name, const std::vector<std::string>& keys = {}) {
  Given given;
  const Status status = store.read(name, keys, [&](std::string_view key, std::string_view bytes) {
    given.emplace_back(key, bytes);
    return Status();
  });
  EXPECT_TRUE(status.ok()) << status.to_string();
  return given;
}

inline Code read_code(Store& store, const std::string& name, const std::vector<std::string>& keys = {}) {
  return store.read(name, keys, [](std::string_view, std::string_view) { return Status(); }).code();
}

inline std::vector<std::string> names(Store& store) {
  Result<std::vector<std::string>> list = store.list();
  EXPECT_TRUE(list.ok()) << list.status().to_string();
  return list.ok() ? *list : std::vector<std::string>();
}

class StoreConformance : public testing::TestWithParam<StoreFactory> {
 protected:
  std::shared_ptr<Store> store_ = GetParam().make();
};

}  // namespace wrackline
