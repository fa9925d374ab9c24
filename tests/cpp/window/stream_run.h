// A stream of records, moves of the watermark and commits through a window step: in batches cut anywhere, with
// checkpoints and restarts at commits. Nothing of that may show.
#pragma once

#include <memory>
#include <random>
#include <vector>

#include "step_harness.h"
#include <gtest/gtest.h>

#include "wrackline/window/window.h"

namespace wrackline::testing {

struct Answer {
  CollectingEmitter out;
  StepCounts counts;
};

// `stream` has a spec and items of kind kRecord, kMove or kCommit; row_of(record) is its row. cut_every 0: batches end
// only at commits.
template <typename Stream, typename RowOf>
Answer run_stream(const Stream& stream, const SchemaPtr& schema, RowOf row_of, uint64_t seed, int cut_every,
                  bool restore) {
  std::mt19937_64 random(seed);
  std::unique_ptr<Step> step = make_window_step("w", stream.spec, schema).value();
  Checkpoint checkpoint;
  BatchMaker maker(schema);
  Answer result;
  for (const auto& item : stream.items) {
    switch (item.kind) {
      case item.kRecord: maker.add(item.record.time, row_of(item.record)); break;
      case item.kMove: maker.move(item.watermark); break;
      case item.kCommit:
        push(*step, maker.take(), result.out);
        commit(*step, result.out);
        if (restore && random() % 2) {
          if (random() % 4 == 0) step->changes_lost();
          checkpoint.take(*step);
          if (random() % 2) {
            step = make_window_step("w", stream.spec, schema).value();
            checkpoint.restore(*step);
          }
        }
        continue;
    }
    if (cut_every > 0 && random() % static_cast<uint64_t>(cut_every) == 0) push(*step, maker.take(), result.out);
  }
  result.counts = step->counts();
  return result;
}

}  // namespace wrackline::testing
