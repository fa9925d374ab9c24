// transform: a step that applies a function of batches which the core does not know: an expression, a Python function.
//
// Rows keep what they are judged by: event time, their place between the moves of the watermark, the record they
// came from. If the function fails, its batch is halved until the rows that fail alone are known.
#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "wrackline/core/step.h"

namespace wrackline {

// What a function made of a batch.
struct Transformed {
  struct Failed {
    int64_t row = 0;
    std::string message;
  };
  std::vector<ColumnPtr> columns;  // of TransformSpec::makes
  int64_t length = 0;
  // The row of the batch that each row was made of, ascending; none: each of its own.
  std::optional<Buffer<int64_t>> from;
  std::vector<Failed> failed;  // ascending, and not in `from`
};

class Transform {
 public:
  virtual ~Transform() = default;
  // `batch` has rows, and the columns that TransformSpec::reads names, in that order. Called by the threads of all
  // tasks. Code::kInvalidArgument: some of the rows are to blame; anything else ends the run.
  virtual Result<Transformed> apply(const std::shared_ptr<const Batch>& batch) const = 0;
};

// The columns it is given, under the names of TransformSpec::makes. REQUIRES: `reads` names one for each of `makes`, of
// its type; the same one more than once, if need be.
std::shared_ptr<const Transform> pass_on();

enum class OnError : uint8_t { kDeadLetter, kSkip, kFail };

Result<OnError> parse_on_error(std::string_view text);  // "dead_letter" "skip" "fail"

struct TransformSpec {
  std::string kind;                // "filter", "with_columns", ...: what the step is called
  std::vector<std::string> reads;  // columns that the function gets, also those of metadata.h
  bool passes = false;             // the input's columns go on, those of `makes` in their place or behind
  std::vector<std::string> drops;  // but not these
  std::vector<Field> makes;
  std::string text;  // of the function, as the job's description has it
  OnError on_error = OnError::kDeadLetter;
  std::shared_ptr<const Transform> function;
};

// The columns behind it. Fails when a column that it reads is not there.
Result<SchemaPtr> transform_output(const TransformSpec& spec, const Schema& input);

Result<std::unique_ptr<Step>> make_transform_step(std::string name, const TransformSpec& spec, const SchemaPtr& input);

}  // namespace wrackline
