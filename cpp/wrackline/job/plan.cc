#include "wrackline/job/plan.h"

#include <algorithm>

#include "wrackline/codec/json_decoder.h"
#include "wrackline/core/hash.h"
#include "wrackline/core/hint.h"
#include "wrackline/core/late.h"
#include "wrackline/time/duration.h"
#include "wrackline/time/timestamp.h"

namespace wrackline {
namespace {

constexpr Millis kDedupLateness = 3'600'000;  // semantics.md 6: at least min(D, 1 h)

std::string quoted(const std::string& text) { return "'" + text + "'"; }

std::string join(const std::vector<std::string>& names) {
  std::string text;
  for (const std::string& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

std::string to_text(const Scalar& value) {
  return std::visit(
      [](const auto& v) -> std::string {
        using V = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<V, std::monostate>)
          return "null";
        else if constexpr (std::is_same_v<V, bool>)
          return v ? "true" : "false";
        else if constexpr (std::is_same_v<V, std::string>)
          return quoted(v);
        else if constexpr (std::is_same_v<V, Timestamp>)
          return format_iso(v.millis);
        else
          return std::to_string(v);
      },
      value);
}

std::string columns_text(const Schema& schema) {
  std::string text;
  for (const Field& field : schema.fields()) {
    text += (text.empty() ? "(" : ", ") + field.name + ": " + std::string(type_name(field.type)) +
            (field.nullable ? "?" : "");
  }
  return text + ")";
}

bool valid_name(std::string_view name) {
  return !name.empty() && name.size() <= 200 && std::all_of(name.begin(), name.end(), [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' || c == '_' ||
           c == '.';
  });
}

Millis allowed_lateness(const Plan::Node& node) {
  if (const auto* window = std::get_if<WindowSpec>(&node.spec)) return window->allowed_lateness;
  if (const auto* dedup = std::get_if<DedupSpec>(&node.spec); dedup && !node.dedup_default_lateness)
    return dedup->allowed_lateness;
  return 0;
}

SchemaPtr late_schema_of(const Plan::Node& node, const Schema& input) {
  const auto* window = std::get_if<WindowSpec>(&node.spec);
  return window == nullptr ? late_schema(input) : window_late_schema(*window, input);
}

}  // namespace

Schema json_schema(const SourceSpec& source) {
  std::vector<Field> fields = source.schema->fields();
  for (size_t i = 0; i < source.paths.size(); ++i) fields[i].name = source.paths[i];
  return Schema(std::move(fields));
}

SchemaPtr dead_letter_schema() {
  static const auto schema = std::make_shared<const Schema>(std::vector<Field>{
      {"key", Type::kBytes, true},
      {"value", Type::kBytes, true},
      {"reason", Type::kString, false},
      {"message", Type::kString, false},
      {"step", Type::kString, false},
      {"topic", Type::kString, true},
      {"partition", Type::kInt64, true},
      {"offset", Type::kInt64, true},
      {"timestamp", Type::kTimestamp, true},
  });
  return schema;
}

std::vector<StreamRef> Plan::inputs_of(const Node& node) {
  if (const auto* merge = std::get_if<MergeSpec>(&node.spec)) return merge->inputs;
  const bool none = std::holds_alternative<std::monostate>(node.spec) || std::holds_alternative<SourceSpec>(node.spec);
  return none ? std::vector<StreamRef>() : std::vector<StreamRef>{node.input};
}

Result<std::string> Plan::name_node(std::string name, std::string_view kind) const {
  const auto taken = [&](const std::string& wanted) {
    return std::any_of(nodes_.begin(), nodes_.end(), [&](const Node& node) { return node.name == wanted; });
  };
  if (!name.empty()) {
    if (!valid_name(name)) {
      return Status::invalid("step name " + quoted(name) + ": letters, digits, '-', '_' and '.' only, at most 200");
    }
    if (taken(name))
      return Status::invalid("there is already a step named " + quoted(name) + "; give this one another name=");
    return name;
  }
  std::string derived(kind);
  for (int i = 2; taken(derived); ++i) derived = std::string(kind) + "_" + std::to_string(i);
  return derived;
}

void Plan::check_stream(StreamRef stream) const {
  WL_CHECK(stream.node >= 0 && stream.node < static_cast<int>(nodes_.size()));
}

StreamRef Plan::add(Node node) {
  nodes_.push_back(std::move(node));
  return {static_cast<int>(nodes_.size()) - 1, Port::kMain};
}

Result<StreamRef> Plan::read(SourceSpec spec, std::string name) {
  if (!valid_name(job_)) {
    return Status::invalid("job name " + quoted(job_) + ": letters, digits, '-', '_' and '.' only, at most 200");
  }
  for (const SourceSpec* source : sources()) {
    if (spec.topic.empty() || source->topic != spec.topic) continue;
    return Status::invalid("job " + quoted(job_) + " already reads " + quoted(spec.topic));
  }
  WL_ASSIGN_OR_RETURN(std::string named, name_node(std::move(name), "read"));
  if (!spec.topic.empty() && !valid_name(spec.topic))
    return Status::invalid("read: " + quoted(spec.topic) + " is not a topic name");
  if (spec.schema->size() == 0) return Status::invalid("read: the schema has no columns");
  for (int i = 0; i < spec.schema->size(); ++i) {
    if (spec.schema->index_of(spec.schema->field(i).name) != i) {
      return Status::invalid("read: the schema has the column " + quoted(spec.schema->field(i).name) + " twice");
    }
  }
  if (spec.max_record_bytes <= 0) return Status::invalid("read: max_record_bytes must be > 0");
  for (const std::string& column : spec.partitioned_by) {
    if (spec.schema->index_of(column) < 0) {
      return Status::invalid("read: partitioned_by names " + quoted(column) + ", which is not a column" +
                             nearest_hint(column, spec.schema->names()));
    }
  }
  WL_CHECK(spec.paths.empty() || spec.paths.size() == static_cast<size_t>(spec.schema->size()));
  if (!spec.exchange) {
    if (!spec.topic.empty()) WL_RETURN_IF_ERROR(JsonDecoder::make(json_schema(spec)).status().with_context("read"));
    WL_RETURN_IF_ERROR(TimeStage::make(spec.time, spec.watermark, *spec.schema).status());
  }
  const bool first = !source_;
  if (first) source_ = spec;
  Node source{.name = std::move(named), .schema = spec.schema, .input_schema = spec.schema};
  source.spec = std::move(spec);
  const StreamRef stream = add(std::move(source));
  if (!first) return stream;
  add(Node{.name = "dead_letters",
           .schema = dead_letter_schema(),
           .input_schema = dead_letter_schema(),
           .below_window = true});
  return stream;
}

std::vector<const SourceSpec*> Plan::sources() const {
  std::vector<const SourceSpec*> sources;
  for (const Node& node : nodes_) {
    if (const auto* source = std::get_if<SourceSpec>(&node.spec)) sources.push_back(source);
  }
  return sources;
}

Result<StreamRef> Plan::merge(MergeSpec spec, std::string name) {
  for (const StreamRef stream : spec.inputs) check_stream(stream);
  WL_ASSIGN_OR_RETURN(std::string named, name_node(std::move(name), "merge"));
  if (spec.inputs.size() < 2) return Status::invalid(named + ": give at least two streams");
  const SchemaPtr schema = schema_of(spec.inputs.front());
  bool again = false;
  for (size_t i = 0; i < spec.inputs.size(); ++i) {
    const StreamRef stream = spec.inputs[i];
    if (stream.port != Port::kMain || stream.node == kDeadLetters) {
      return Status::invalid(named +
                             ": streams with a watermark are merged, not late rows, duplicates or dead letters");
    }
    if (std::find(spec.inputs.begin(), spec.inputs.begin() + static_cast<std::ptrdiff_t>(i), stream) !=
        spec.inputs.begin() + static_cast<std::ptrdiff_t>(i)) {
      return Status::invalid(named + ": the same stream twice would count each of its records twice");
    }
    again = again || node(stream.node).emits_more_than_once;
    if (*schema_of(stream) == *schema) continue;
    return Status::invalid(named + ": the streams have other columns: " + columns_text(*schema) + " and " +
                           columns_text(*schema_of(stream)) + "; .select() the same of both");
  }
  const StreamRef first = spec.inputs.front();
  return add(Node{.name = std::move(named),
                  .input = first,
                  .schema = schema,
                  .input_schema = schema,
                  .spec = std::move(spec),
                  .emits_more_than_once = again,
                  .below_window = true});
}

bool Plan::rows_below_window(StreamRef stream) const {
  const Node& of = node(stream.node);
  return stream.port == Port::kMain ? of.below_window : rows_below_window(of.input);
}

// Else they have those of a window; a rolling one keeps those of its input.
bool Plan::has_columns_of_source(StreamRef stream) const {
  const Node& of = node(stream.node);
  const auto* window = std::get_if<WindowSpec>(&of.spec);
  if (stream.node == kDeadLetters) return false;
  if (stream.port == Port::kMain && window != nullptr && !window->as<RollingWindow>()) return false;
  return inputs_of(of).empty() || has_columns_of_source(of.input);
}

SchemaPtr Plan::schema_of(StreamRef stream) const {
  const Node& of = node(stream.node);
  switch (stream.port) {
    case Port::kMain: return of.schema;
    case Port::kLate: return late_schema_of(of, *of.input_schema);
    case Port::kDuplicates: return of.input_schema;
  }
  return of.schema;
}

Result<StreamRef> Plan::filter(StreamRef input, FilterSpec spec, std::string name) {
  check_stream(input);
  WL_ASSIGN_OR_RETURN(std::string named, name_node(std::move(name), "filter"));
  const SchemaPtr schema = schema_of(input);
  WL_RETURN_IF_ERROR(make_filter_step(named, spec, schema).status().with_context(named));
  return add(Node{.name = std::move(named),
                  .input = input,
                  .schema = schema,
                  .input_schema = schema,
                  .spec = std::move(spec),
                  .emits_more_than_once = node(input.node).emits_more_than_once,
                  .below_window = rows_below_window(input)});
}

Result<StreamRef> Plan::transform(StreamRef input, TransformSpec spec, std::string name) {
  check_stream(input);
  WL_ASSIGN_OR_RETURN(std::string named, name_node(std::move(name), spec.kind));
  const SchemaPtr schema = schema_of(input);
  Result<SchemaPtr> output = transform_output(spec, *schema);
  WL_RETURN_IF_ERROR(output.status().with_context(named));
  for (const std::string& column : spec.reads) {
    if (schema->index_of(column) >= 0) continue;
    if (rows_below_window(input) || input.node == kDeadLetters)
      return Status::invalid(named + ": there is no " + quoted(column) +
                             ": results of windows and dead letters have no record of their own");
    reads_metadata_ = true;
  }
  return add(Node{.name = std::move(named),
                  .input = input,
                  .schema = std::move(output).value(),
                  .input_schema = schema,
                  .spec = std::move(spec),
                  .emits_more_than_once = node(input.node).emits_more_than_once,
                  .below_window = rows_below_window(input)});
}

Result<StreamRef> Plan::dedup(StreamRef input, DedupOptions options, std::string name) {
  check_stream(input);
  WL_ASSIGN_OR_RETURN(std::string named, name_node(std::move(name), "dedup"));
  if (input.port != Port::kMain || input.node == kDeadLetters) {
    return Status::invalid(named +
                           ": dedup works on a stream with a watermark, not on late rows, duplicates or dead letters");
  }
  if (node(input.node).emits_more_than_once) {
    return Status::invalid(named + ": below a window that can emit a window more than once (allowed_lateness > 0)");
  }
  DedupSpec spec{std::move(options.columns), options.within,
                 options.allowed_lateness.value_or(std::min(options.within, kDedupLateness)), options.null_key_group,
                 std::move(options.key_columns)};
  for (const std::string& key : spec.key_columns.value_or(std::vector<std::string>())) {
    if (std::find(spec.columns.begin(), spec.columns.end(), key) != spec.columns.end()) continue;
    return Status::invalid(named + ": the key " + quoted(key) + " is not among the columns of the id (" +
                           join(spec.columns) + "): records of one id may have several keys, and would not meet; " +
                           "key_by these columns, or some of them");
  }
  const SchemaPtr schema = schema_of(input);
  WL_RETURN_IF_ERROR(make_dedup_step(named, spec, schema).status().with_context(named));
  return add(Node{.name = std::move(named),
                  .input = input,
                  .schema = schema,
                  .input_schema = schema,
                  .spec = std::move(spec),
                  .dedup_default_lateness = !options.allowed_lateness,
                  .below_window = node(input.node).below_window});
}

Result<StreamRef> Plan::window(StreamRef input, WindowSpec spec, bool key_given, std::string name) {
  check_stream(input);
  WL_ASSIGN_OR_RETURN(std::string named, name_node(std::move(name), "window"));
  if (input.port != Port::kMain || input.node == kDeadLetters) {
    return Status::invalid(
        named + ": a window works on a stream with a watermark, not on late rows, duplicates or dead letters");
  }
  if (!key_given) {
    return Status::invalid(
        named +
        ": a window needs a key: call .key_by(\"column\", ...) before it, .key_by() for the whole stream, or give "
        "per_partition=True");
  }
  if (node(input.node).emits_more_than_once) {
    return Status::invalid(
        named + ": below " + quoted(node(input.node).name) +
        ", which can emit a window more than once (allowed_lateness > 0); set its allowed_lateness to 0");
  }
  const SchemaPtr schema = schema_of(input);
  WL_RETURN_IF_ERROR(make_window_step(named, spec, schema).status().with_context(named));
  WL_ASSIGN_OR_RETURN(SchemaPtr output, window_output_schema(spec, schema));
  const bool again = spec.emits_more_than_once();
  return add(Node{.name = std::move(named),
                  .input = input,
                  .schema = std::move(output),
                  .input_schema = schema,
                  .spec = std::move(spec),
                  .emits_more_than_once = again,
                  .below_window = true});
}

Status Plan::write(SinkSpec spec) {
  for (const StreamRef stream : spec.streams) check_stream(stream);
  if (!valid_name(spec.topic)) return Status::invalid("write: " + quoted(spec.topic) + " is not a topic name");
  const std::vector<const SourceSpec*> read = sources();
  if (std::any_of(read.begin(), read.end(), [&](const SourceSpec* source) { return source->topic == spec.topic; })) {
    return Status::invalid("write: the job reads " + quoted(spec.topic) +
                           "; writing to it would feed the job its own output");
  }
  for (const SinkSpec& sink : sinks_) {
    if (sink.topic == spec.topic) return Status::invalid("write: this job already writes to " + quoted(spec.topic));
  }
  sinks_.push_back(std::move(spec));
  return {};
}

Status Plan::finish() {
  if (!source_) return Status::invalid("job " + quoted(job_) + " reads nothing: call .read() first");
  // Later nodes lie below earlier ones, so one pass from the end sees all steps that a dedup's rows reach.
  std::vector<Millis> below(nodes_.size(), 0);
  for (size_t i = nodes_.size(); i-- > 2;) {
    Node& node = nodes_[i];
    if (node.dedup_default_lateness) {
      auto& dedup = std::get<DedupSpec>(node.spec);
      dedup.allowed_lateness = std::max(below[i], std::min(dedup.within, kDedupLateness));
    }
    for (const StreamRef input : inputs_of(node)) {
      if (input.port != Port::kMain) continue;
      Millis& above = below[static_cast<size_t>(input.node)];
      above = std::max({above, below[i], allowed_lateness(node)});
    }
  }
  const StreamRef dead_letters{kDeadLetters, Port::kMain};
  const auto takes_them = [&](const SinkSpec& sink) {
    return sink.dead_letters || (sink.internal && std::count(sink.streams.begin(), sink.streams.end(), dead_letters));
  };
  if (std::none_of(sinks_.begin(), sinks_.end(), takes_them)) {
    sinks_.push_back({.streams = {{kDeadLetters, Port::kMain}}, .topic = dead_letter_topic(), .dead_letters = true});
  }
  return {};
}

void Plan::keep_sink(int sink) {
  std::vector<bool> needed(nodes_.size(), false);
  for (const StreamRef stream : sinks_[static_cast<size_t>(sink)].streams) {
    if (stream.node == kDeadLetters) return;  // of every step
    needed[static_cast<size_t>(stream.node)] = true;
  }
  // Inputs are made before what is below them.
  for (size_t i = nodes_.size(); i-- > 0;) {
    if (!needed[i]) continue;
    for (const StreamRef input : inputs_of(nodes_[i])) needed[static_cast<size_t>(input.node)] = true;
  }
  if (!needed[kDeadLetters]) needed_ = std::move(needed);  // dead letters are of every step
}

std::optional<Plan::ResultKey> Plan::result_key(StreamRef stream) const {
  const SchemaPtr schema = schema_of(stream);
  while (stream.node > kDeadLetters && !is_source(stream.node)) {
    const Node& from = node(stream.node);
    if (stream.port != Port::kMain) return std::nullopt;  // late rows and duplicates have columns of their own
    if (const auto* window = std::get_if<WindowSpec>(&from.spec)) {
      ResultKey key{window->key_columns, window_columns(*window)};
      const auto all_there = [&](const std::vector<std::string>& columns) {
        return std::all_of(columns.begin(), columns.end(),
                           [&](const std::string& column) { return schema->index_of(column) >= 0; });
      };
      return all_there(key.key_columns) && all_there(key.window_columns) ? std::optional(key) : std::nullopt;
    }
    stream = from.input;
  }
  return std::nullopt;
}

std::vector<StreamRef> Plan::late_streams() const {
  std::vector<StreamRef> streams;
  for (size_t i = 2; i < nodes_.size(); ++i) {
    if (std::holds_alternative<DedupSpec>(nodes_[i].spec) || std::holds_alternative<WindowSpec>(nodes_[i].spec)) {
      streams.push_back({static_cast<int>(i), Port::kLate});
    }
  }
  return streams;
}

std::vector<bool> Plan::used_columns() const {
  const Schema& schema = *source_->schema;
  std::vector<bool> used(static_cast<size_t>(schema.size()), false);
  if (source_->watermark.function) return std::vector<bool>(used.size(), true);
  for (const SinkSpec& sink : sinks_) {
    if (sink.dead_letters) continue;
    for (const StreamRef stream : sink.streams) {
      if (has_columns_of_source(stream)) return std::vector<bool>(used.size(), true);
    }
  }
  const auto use = [&](const std::string& name) {
    if (const int index = schema.index_of(name); index >= 0) used[static_cast<size_t>(index)] = true;
  };
  use(source_->time.column);
  use(source_->time.log_timestamp);
  use(source_->watermark.column);
  std::for_each(source_->partitioned_by.begin(), source_->partitioned_by.end(), use);
  for (const Node& node : nodes_) {
    if (const auto* filter = std::get_if<FilterSpec>(&node.spec)) use(filter->column);
    if (const auto* transform = std::get_if<TransformSpec>(&node.spec))
      std::for_each(transform->reads.begin(), transform->reads.end(), use);
    if (const auto* dedup = std::get_if<DedupSpec>(&node.spec))
      std::for_each(dedup->columns.begin(), dedup->columns.end(), use);
    if (const auto* window = std::get_if<WindowSpec>(&node.spec)) {
      const std::vector<std::string> reads = window_reads(*window);
      std::for_each(reads.begin(), reads.end(), use);
    }
  }
  return used;
}

Result<std::vector<std::unique_ptr<Step>>> Plan::make_steps(const SchemaPtr& source) const {
  std::vector<std::unique_ptr<Step>> steps;
  std::vector<SchemaPtr> inputs(nodes_.size());   // what arrives at each node
  std::vector<SchemaPtr> outputs(nodes_.size());  // Port::kMain
  outputs[kSource] = source;
  inputs[kSource] = source;
  outputs[kDeadLetters] = inputs[kDeadLetters] = dead_letter_schema();
  for (size_t i = 2; i < nodes_.size(); ++i) {
    const Node& node = nodes_[i];
    const auto above = static_cast<size_t>(node.input.node);
    switch (node.input.port) {
      case Port::kMain: inputs[i] = is_source(static_cast<int>(i)) ? node.schema : outputs[above]; break;
      case Port::kLate: inputs[i] = late_schema_of(nodes_[above], *inputs[above]); break;
      case Port::kDuplicates: inputs[i] = inputs[above]; break;
    }
    if (std::holds_alternative<SourceSpec>(node.spec) || std::holds_alternative<MergeSpec>(node.spec)) {
      outputs[i] = node.schema;
      steps.push_back(nullptr);  // of a job that is not split into stages yet
      continue;
    }
    if (std::holds_alternative<WindowSpec>(node.spec)) {
      outputs[i] = node.schema;
    } else if (const auto* transform = std::get_if<TransformSpec>(&node.spec)) {
      WL_ASSIGN_OR_RETURN(outputs[i], transform_output(*transform, *inputs[i]));
    } else {
      outputs[i] = inputs[i];
    }
    auto made = std::visit(
        [&](const auto& spec) -> Result<std::unique_ptr<Step>> {
          using Spec = std::decay_t<decltype(spec)>;
          if constexpr (std::is_same_v<Spec, FilterSpec>)
            return make_filter_step(node.name, spec, inputs[i]);
          else if constexpr (std::is_same_v<Spec, TransformSpec>)
            return make_transform_step(node.name, spec, inputs[i]);
          else if constexpr (std::is_same_v<Spec, DedupSpec>)
            return make_dedup_step(node.name, spec, inputs[i]);
          else if constexpr (std::is_same_v<Spec, WindowSpec>)
            return make_window_step(node.name, spec, inputs[i]);
          else
            return Status::fatal("a node without step");
        },
        node.spec);
    if (!made.ok()) return made.status();
    steps.push_back(std::move(made).value());
  }
  return steps;
}

bool Plan::stateless() const {
  return std::all_of(nodes_.begin(), nodes_.end(), [](const Node& node) {
    return !std::holds_alternative<DedupSpec>(node.spec) && !std::holds_alternative<WindowSpec>(node.spec);
  });
}

// What shapes the rows of a source, and what they are judged by.
std::string describe_source(const SourceSpec& source) {
  const auto list = [](const std::vector<std::string>& names) { return "[" + join(names) + "]"; };
  const TimeSpec& time = source.time;
  const WatermarkSpec& watermark = source.watermark;
  std::string text = "topic=" + (source.topic.empty() ? "(rows)" : source.topic) + " schema=[";
  for (int i = 0; i < source.schema->size(); ++i) {
    const Field& field = source.schema->field(i);
    const std::string& path = source.paths.empty() ? field.name : source.paths[static_cast<size_t>(i)];
    text += field.name + ":" + std::string(type_name(field.type)) + (field.nullable ? "?" : "") +
            (path == field.name ? "" : "=" + path) + " ";
  }
  text += "] time=" + time.column + " unit=" + std::string(unit_name(time.unit)) +
          " not_before=" + (time.not_before ? format_iso(*time.not_before) : "default") +
          " not_after=" + (time.not_after ? format_iso(*time.not_after) : "default") +
          " max_future=" + format_duration(time.max_future) + " log_timestamp=" + time.log_timestamp +
          " watermark=" + std::to_string(static_cast<int>(watermark.kind)) + ":" +
          (watermark.out_of_orderness ? format_duration(*watermark.out_of_orderness) : "-") + ":" + watermark.column +
          watermark.function_text +
          " idle_after=" + (watermark.idle_after ? format_duration(*watermark.idle_after) : "off") + ":" +
          std::to_string(static_cast<int>(watermark.idle_advance)) + " partitioned_by=" + list(source.partitioned_by) +
          " max_record_bytes=" + std::to_string(source.max_record_bytes);
  if (source.exchange) {
    text += " exchange sources=" + std::to_string(source.exchange->sources) +
            " idle=" + std::to_string(static_cast<int>(source.exchange->idle_advance));
  }
  return text + "\n";
}

std::string Plan::describe() const {
  const auto list = [](const std::vector<std::string>& names) { return "[" + join(names) + "]"; };
  std::string text = "job " + job_ + "\n";
  text += "read " + describe_source(*source_);
  for (size_t i = 2; i < nodes_.size(); ++i) {
    const Node& node = nodes_[i];
    text += node.name + " of " + nodes_[static_cast<size_t>(node.input.node)].name + "." +
            std::to_string(static_cast<int>(node.input.port)) + ": ";
    if (const auto* source = std::get_if<SourceSpec>(&node.spec)) {
      text += describe_source(*source);
      continue;
    }
    if (const auto* merge = std::get_if<MergeSpec>(&node.spec)) {
      text += "merge";
      for (const StreamRef input : merge->inputs) text += " " + nodes_[static_cast<size_t>(input.node)].name;
    } else if (const auto* filter = std::get_if<FilterSpec>(&node.spec)) {
      text += "filter " + filter->column + " " + std::to_string(static_cast<int>(filter->compare)) + " " +
              to_text(filter->value);
    } else if (const auto* transform = std::get_if<TransformSpec>(&node.spec)) {
      text += transform->kind + " " + transform->text;
    } else if (const auto* dedup = std::get_if<DedupSpec>(&node.spec)) {
      text += "dedup " + list(dedup->columns) + " within=" + format_duration(dedup->within) +
              " allowed_lateness=" + format_duration(dedup->allowed_lateness) +
              (dedup->null_key_group ? " null_key=group" : "") +
              (dedup->key_columns ? " key=" + list(*dedup->key_columns) : "");
    } else if (const auto* window = std::get_if<WindowSpec>(&node.spec)) {
      text += "window key=" + list(window->key_columns) + (window->null_key_group ? " null_key=group" : "") + " " +
              describe_window(window->kind) + " emit=" + std::to_string(static_cast<int>(window->emit)) +
              " early=" + (window->early ? format_duration(*window->early) : "-") + ":" +
              (window->early_rows ? std::to_string(*window->early_rows) : "-") +
              " allowed_lateness=" + format_duration(window->allowed_lateness) +
              (window->emit_late_each ? " emit_late=each" : "") + (window->late_windows_rows ? " late=windows" : "");
      for (const AggregateSpec& aggregate : window->aggregates) {
        text.append(" ").append(aggregate.name).append("=").append(aggregate.function);
        text.append("(").append(aggregate.column).append(aggregate.by.empty() ? "" : ", " + aggregate.by);
        text.append(aggregate.columns.empty() ? "" : list(aggregate.columns));
        text.append(describe_options(aggregate)).append(")");
      }
    }
    text += '\n';
  }
  for (const SinkSpec& sink : sinks_) {
    text += "write " + sink.topic + " of";
    for (const StreamRef stream : sink.streams) {
      text += " " + nodes_[static_cast<size_t>(stream.node)].name + "." + std::to_string(static_cast<int>(stream.port));
    }
    if (sink.exchange) text += " exchange source=" + std::to_string(sink.exchange->source);
    if (sink.exchange && sink.exchange->key_columns) text += " key=" + list(*sink.exchange->key_columns);
    text += std::string(sink.times == JsonTimes::kIso ? " times=iso" : "") +
            (sink.nan == JsonNan::kString ? " nan=string" : "") + "\n";
  }
  return text;
}

uint64_t Plan::hash() const { return hash64(describe()); }

}  // namespace wrackline
