// dedup: lets the first record of an id pass, and holds back those nearer to it than `within`
// (semantics.md 6). Late rows go to Port::kLate, duplicates to Port::kDuplicates.
//
// Memory: buckets of event time, floor(t / within), each a set of flat tables of 128-bit id hashes
// and the time that passed, 20 bytes a slot (24 when `within` >= 2^32 ms); a record looks into three
// buckets. A bucket is dropped whole when W has passed everything it could stop. Ids are compared by
// a 128-bit hash; their number has no limit but the job's memory_limit.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "wrackline/core/step.h"

namespace wrackline {

struct DedupSpec {
  std::vector<std::string> columns;
  Millis within = 0;
  Millis allowed_lateness = 0;
  bool null_key_group = false;
  // Set: rows that are equal in these of its columns are brought to one partition first; none: all rows are.
  std::optional<std::vector<std::string>> key_columns = {};
};

// Fails when the columns or durations are not what semantics.md 5 and 6 allow.
Result<std::unique_ptr<Step>> make_dedup_step(std::string name, const DedupSpec& spec, const SchemaPtr& input);

}  // namespace wrackline
