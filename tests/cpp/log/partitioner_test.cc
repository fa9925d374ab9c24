#include <gtest/gtest.h>

#include "wrackline/core/spelling.h"
#include "wrackline/log/log.h"

namespace wrackline {
namespace {

// The hash as an int32, by way of the remainders that are visible.
TEST(Partitioner, AgreesWithKafkasPublishedHashes) {
  const std::pair<std::string, int32_t> known[] = {
      {"21", -973932308},
      {"foobar", -790332482},
      {"a-little-bit-long-string", -985981536},
      {"a-little-bit-longer-string", -1486304829},
      {"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58897971},
      {"abc", 479470107},
  };
  for (const auto& [key, hash] : known) {
    const int32_t positive = static_cast<int32_t>(static_cast<uint32_t>(hash) & 0x7fffffffU);
    for (const int32_t partitions : {1, 2, 3, 7, 12, 1000, 2147483647}) {
      EXPECT_EQ(positive % partitions, partition_of(key, partitions)) << key;
    }
  }
}

TEST(Spelling, NamesTheNearest) {
  const std::vector<std::string> known = {"truck-readings", "truck-speeds", "n"};
  EXPECT_EQ("truck-readings", nearest("truck-reading", known));
  EXPECT_EQ("truck-readings", nearest("turck-readings", known));
  EXPECT_EQ("truck-speeds", nearest("Truck-Speed", known));
  EXPECT_EQ("", nearest("orders", known));
  EXPECT_EQ("", nearest("m", known));
  EXPECT_EQ("", nearest("x", {}));
  EXPECT_EQ("", nearest("", known));
}

}  // namespace
}  // namespace wrackline
