// The contract of a log, and what is Kafka's own, on a real broker.
#include <cstdlib>

#include "log/conformance.h"

namespace wrackline {
namespace {

std::string address() {
  const char* given = std::getenv("WRACKLINE_TEST_BROKER");
  return given == nullptr ? std::string() : given;
}

class OnKafka final : public LogUnderTest {
 public:
  std::shared_ptr<Log> log() override {
    auto opened = open_log("kafka://" + address(), std::make_shared<SystemClock>());
    EXPECT_TRUE(opened.ok()) << opened.status().to_string();
    return opened.ok() ? *opened : nullptr;
  }
};

INSTANTIATE_TEST_SUITE_P(Kafka, LogConformance,
                         ::testing::Values(LogKind{"kafka", [] { return std::make_unique<OnKafka>(); }}), kind_name);

}  // namespace
}  // namespace wrackline
