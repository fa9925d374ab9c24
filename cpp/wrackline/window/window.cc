#include "wrackline/window/window.h"

#include <numeric>

#include "wrackline/core/key.h"
#include "wrackline/core/late.h"
#include "wrackline/window/aggregate.h"
#include "wrackline/window/window_step.h"

namespace wrackline {
namespace {

Status check_times(const WindowSpec& spec) {
  if (spec.size <= 0) return Status::invalid("size must be positive");
  if (spec.slide <= 0) return Status::invalid("slide must be positive");
  if (spec.size > kMaxDuration) return Status::invalid("size is longer than 10^15 ms");
  if (spec.slide > spec.size)
    return Status::invalid("slide is longer than size: records between windows would be lost");
  // Not abs(): the smallest integer has none.
  if (spec.offset >= spec.slide || spec.offset <= -spec.slide) {
    return Status::invalid("offset must be shorter than " + std::string(spec.slide == spec.size ? "size" : "slide"));
  }
  if (spec.size / std::gcd(spec.size, spec.slide) > kMaxSlicesPerWindow) {
    return Status::invalid("size and slide have a common divisor of only " +
                           std::to_string(std::gcd(spec.size, spec.slide)) + " ms, more than 100,000 slices a window");
  }
  if (spec.allowed_lateness < 0) return Status::invalid("allowed_lateness is negative");
  if (spec.allowed_lateness == kPlusInfinity)
    return Status::invalid("allowed_lateness is infinite: no window would be freed");
  if (spec.allowed_lateness > kMaxDuration) return Status::invalid("allowed_lateness is longer than 10^15 ms");
  return {};
}

struct Shape {
  KeyPacker keys;
  Aggregates aggregates;
  SchemaPtr output;
};

Result<Shape> shape_of(const WindowSpec& spec, const SchemaPtr& input) {
  WL_RETURN_IF_ERROR(check_times(spec));
  WL_CHECK(spec.hidden >= 0 && spec.hidden <= input->size());
  WL_ASSIGN_OR_RETURN(KeyPacker keys, KeyPacker::make(*input, spec.key_columns, spec.null_key_group));
  WL_ASSIGN_OR_RETURN(Aggregates aggregates, Aggregates::make(spec.aggregates, *input));
  std::vector<Field> fields = keys.fields();
  fields.push_back({"window_start", Type::kTimestamp, false});
  fields.push_back({"window_end", Type::kTimestamp, false});
  fields.push_back({"revision", Type::kInt64, false});
  fields.push_back({"pane", Type::kString, false});
  fields.insert(fields.end(), aggregates.fields().begin(), aggregates.fields().end());
  for (size_t i = 0; i < fields.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      if (fields[i].name == fields[j].name) {
        return Status::invalid("two output columns are named '" + fields[i].name +
                               "' (key columns, window_start, window_end, revision, pane, aggregates)");
      }
    }
  }
  auto output = std::make_shared<const Schema>(std::move(fields));
  return Shape{std::move(keys), std::move(aggregates), std::move(output)};
}

}  // namespace

Result<SchemaPtr> window_output_schema(const WindowSpec& spec, const SchemaPtr& input) {
  WL_ASSIGN_OR_RETURN(Shape shape, shape_of(spec, input));
  return shape.output;
}

SchemaPtr window_late_schema(const WindowSpec& spec, const Schema& input) {
  if (spec.hidden == 0) return late_schema(input);
  const auto& fields = input.fields();
  return late_schema(Schema(std::vector<Field>(fields.begin(), fields.end() - spec.hidden)));
}

Result<std::unique_ptr<Step>> make_window_step(std::string name, const WindowSpec& spec, const SchemaPtr& input) {
  WL_ASSIGN_OR_RETURN(Shape shape, shape_of(spec, input));
  return std::unique_ptr<Step>(std::make_unique<WindowStep>(std::move(name), spec, input, std::move(shape.output),
                                                            std::move(shape.keys), std::move(shape.aggregates)));
}

}  // namespace wrackline
