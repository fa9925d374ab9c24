#include "plan.h"

#include "bindings.h"
#include "custom.h"
#include "stage_shape.h"
#include "table.h"
#include "transform.h"
#include "watermark.h"
#include "windows.h"
#include <pybind11/stl.h>
#include <pybind11/typing.h>

#include "wrackline/transform/explode.h"
#include "wrackline/transform/metadata.h"

namespace wrackline::bindings {
namespace {

using Ref = std::pair<int, std::string>;  // node, port

Port parse_port(const std::string& name) {
  if (name == "late") return Port::kLate;
  if (name == "duplicates") return Port::kDuplicates;
  return Port::kMain;
}

StreamRef to_ref(const Ref& ref) { return {ref.first, parse_port(ref.second)}; }

Ref from_ref(StreamRef ref) {
  return {ref.node, ref.port == Port::kMain ? "main" : ref.port == Port::kLate ? "late" : "duplicates"};
}

WatermarkKind parse_watermark_kind(const std::string& name) {
  if (name == "bounded") return WatermarkKind::kBounded;
  if (name == "all") return WatermarkKind::kAll;
  if (name == "punctuated") return WatermarkKind::kPunctuated;
  if (name == "punctuated_if") return WatermarkKind::kPunctuatedIf;
  if (name == "function") return WatermarkKind::kFunction;
  raise(Status::invalid("unknown watermark \"" + name + "\""), Of::kJob);
}

// `value` as the column's type wants it: a number of a timestamp column is a time in ms, and so is a string.
Scalar to_scalar(const py::object& value, bool is_time) {
  if (value.is_none()) return std::monostate();
  if (PyBool_Check(value.ptr())) return value.cast<bool>();
  if (PyFloat_Check(value.ptr())) return value.cast<double>();
  if (PyLong_Check(value.ptr())) {
    const auto number = value.cast<int64_t>();
    if (is_time) return Timestamp{number};
    return number;
  }
  if (PyBytes_Check(value.ptr())) return std::string(std::string_view(py::bytes(value)));
  return value.cast<std::string>();
}

Ref read(PlanHandle& plan, const std::string& topic, const std::vector<FieldTuple>& schema,
         const std::vector<std::string>& paths, const std::string& time, const std::string& unit,
         std::optional<int64_t> not_before, std::optional<int64_t> not_after, int64_t max_future,
         const std::string& log_timestamp, const std::string& watermark, std::optional<int64_t> out_of_orderness,
         const std::string& watermark_column, const std::optional<py::function>& watermark_function,
         const std::string& watermark_text, std::optional<int64_t> idle_after, bool idle_close, int64_t warn_late,
         const std::vector<std::string>& partitioned_by, int64_t max_record_bytes, const std::string& name) {
  SourceSpec spec;
  spec.topic = topic;
  spec.schema = make_schema(schema);
  if (paths != spec.schema->names()) spec.paths = paths;
  spec.time = {.column = time,
               .unit = check(parse_unit(unit), Of::kJob),
               .topic = !topic.empty(),
               .not_before = not_before,
               .not_after = not_after,
               .max_future = max_future,
               .log_timestamp = log_timestamp};
  spec.watermark = {.kind = parse_watermark_kind(watermark),
                    .out_of_orderness = out_of_orderness,
                    .column = watermark_column,
                    .idle_after = idle_after,
                    .idle_advance = idle_close ? IdleAdvance::kClose : IdleAdvance::kHold,
                    .warn_late = warn_late,
                    .function = watermark_function ? make_watermark(*watermark_function) : nullptr,
                    .function_text = watermark_text};
  spec.partitioned_by = partitioned_by;
  spec.max_record_bytes = max_record_bytes;
  return from_ref(check(plan.get().read(std::move(spec), name), Of::kJob));
}

Ref merge(PlanHandle& plan, const std::vector<Ref>& inputs, const std::string& name) {
  MergeSpec spec;
  for (const Ref& input : inputs) spec.inputs.push_back(to_ref(input));
  return from_ref(check(plan.get().merge(std::move(spec), name), Of::kJob));
}

Ref filter(PlanHandle& plan, const Ref& input, const std::string& column, const std::string& compare,
           const py::object& value, bool is_time, const std::string& name) {
  FilterSpec spec{column, check(parse_compare(compare), Of::kJob), to_scalar(value, is_time)};
  return from_ref(check(plan.get().filter(to_ref(input), std::move(spec), name), Of::kJob));
}

Ref transform(PlanHandle& plan, const Ref& input, const std::string& kind, const std::string& calls,
              const py::object& function, const std::vector<std::string>& reads, const std::vector<FieldTuple>& makes,
              bool passes, const std::string& text, const std::string& on_error, const std::string& name) {
  TransformSpec spec{.kind = kind,
                     .reads = reads,
                     .passes = passes,
                     .makes = make_schema(makes)->fields(),
                     .text = text,
                     .on_error = check(parse_on_error(on_error), Of::kJob)};
  spec.function = make_transform(calls, function, spec.makes);
  return from_ref(check(plan.get().transform(to_ref(input), std::move(spec), name), Of::kJob));
}

Ref explode_step(PlanHandle& plan, const Ref& input, const std::string& column, const std::vector<FieldTuple>& items,
                 const std::vector<std::string>& paths, const std::string& on_error, const std::string& name) {
  const StreamRef stream = to_ref(input);
  TransformSpec spec =
      check(explode(*plan.get().schema_of(stream), column, make_schema(items)->fields(), paths), Of::kJob);
  spec.on_error = check(parse_on_error(on_error), Of::kJob);
  return from_ref(check(plan.get().transform(stream, std::move(spec), name), Of::kJob));
}

Ref dedup(PlanHandle& plan, const Ref& input, const std::vector<std::string>& columns, int64_t within,
          std::optional<int64_t> allowed_lateness, bool null_key_group,
          const std::optional<std::vector<std::string>>& key, const std::string& name) {
  return from_ref(
      check(plan.get().dedup(to_ref(input), {columns, within, allowed_lateness, null_key_group, key}, name), Of::kJob));
}

// (name, function, columns, options)
using AggregateTuple =
    std::tuple<std::string, std::string, std::vector<std::string>, py::typing::Dict<py::str, py::object>>;

AggregateSpec aggregate_spec(const AggregateTuple& tuple) {
  const auto& [name, function, columns, options] = tuple;
  AggregateSpec spec{.name = name, .function = function};
  if (options.contains("custom")) {
    spec.custom = make_custom(options["custom"]);
    spec.function = spec.custom->name();
    spec.columns = columns;
    if (options["where"].cast<bool>()) {  // the last column says which rows it gets
      spec.by = columns.back();
      spec.columns.pop_back();
    }
    return spec;
  }
  if (!columns.empty()) spec.column = columns[0];
  if (columns.size() > 1) spec.by = columns[1];
  if (options.contains("wide")) spec.wide = options["wide"].cast<bool>();
  if (options.contains("q")) spec.q = options["q"].cast<double>();
  if (options.contains("interpolation")) spec.interpolation = options["interpolation"].cast<std::string>();
  if (options.contains("k")) spec.k = options["k"].cast<int64_t>();
  return spec;
}

EmitMode emit_mode(const std::string& emit) {
  if (emit == "delta") return EmitMode::kDelta;
  return emit == "final_only" ? EmitMode::kFinalOnly : EmitMode::kAccumulate;
}

Ref window(PlanHandle& plan, const Ref& input, const std::optional<std::vector<std::string>>& key,
           const std::string& kind, const py::dict& settings, int64_t allowed_lateness, const std::string& emit,
           std::optional<int64_t> early, std::optional<int64_t> early_rows, bool emit_late_each, bool late_windows_rows,
           bool null_key_group, bool per_partition, const std::vector<AggregateTuple>& aggregates, int hidden,
           const std::string& name) {
  WindowSpec spec = WindowSpec::of(window_kind(kind, settings));
  spec.hidden = hidden;
  if (key) spec.key_columns = *key;
  spec.null_key_group = null_key_group;
  spec.per_partition = per_partition;
  spec.allowed_lateness = allowed_lateness;
  spec.emit = emit_mode(emit);
  spec.early = early;
  spec.early_rows = early_rows;
  spec.emit_late_each = emit_late_each;
  spec.late_windows_rows = late_windows_rows;
  for (const AggregateTuple& one : aggregates) spec.aggregates.push_back(aggregate_spec(one));
  return from_ref(check(plan.get().window(to_ref(input), std::move(spec), key.has_value(), name), Of::kJob));
}

int write(PlanHandle& plan, const std::vector<Ref>& streams, const std::string& topic, bool iso_times,
          bool nan_as_string, bool dead_letters, bool internal) {
  SinkSpec spec;
  for (const Ref& stream : streams) spec.streams.push_back(to_ref(stream));
  spec.topic = topic;
  spec.times = iso_times ? JsonTimes::kIso : JsonTimes::kMillis;
  spec.nan = nan_as_string ? JsonNan::kString : JsonNan::kNull;
  spec.dead_letters = dead_letters;
  spec.internal = internal;
  check(plan.get().write(std::move(spec)), Of::kJob);
  return static_cast<int>(plan.get().sinks().size()) - 1;
}

}  // namespace

void register_plan(py::module_& m) {
  m.def("metadata_fields", [] { return field_tuples(Schema(metadata_fields())); });
  py::class_<PlanHandle>(m, "Plan")
      .def(py::init<std::string>(), py::arg("job"))
      .def("copy", [](const PlanHandle& plan) { return PlanHandle(plan.get()); })
      .def_property_readonly("job", [](const PlanHandle& plan) { return plan.get().job(); })
      .def("read", &read, py::kw_only(), py::arg("topic"), py::arg("schema"), py::arg("paths"), py::arg("time"),
           py::arg("unit") = "ms", py::arg("not_before") = py::none(), py::arg("not_after") = py::none(),
           py::arg("max_future") = 60'000, py::arg("log_timestamp") = "", py::arg("watermark") = "bounded",
           py::arg("out_of_orderness") = py::none(), py::arg("watermark_column") = "",
           py::arg("watermark_function") = py::none(), py::arg("watermark_text") = "",
           py::arg("idle_after") = py::none(), py::arg("idle_close") = false, py::arg("warn_late") = 3'600'000,
           py::arg("partitioned_by") = std::vector<std::string>(), py::arg("max_record_bytes") = 1 << 20,
           py::arg("name") = "")
      .def("merge", &merge, py::arg("inputs"), py::kw_only(), py::arg("name") = "")
      .def("filter", &filter, py::arg("input"), py::kw_only(), py::arg("column"), py::arg("compare"), py::arg("value"),
           py::arg("is_time") = false, py::arg("name") = "")
      .def("transform", &transform, py::arg("input"), py::kw_only(), py::arg("kind"), py::arg("calls"),
           py::arg("function"), py::arg("reads"), py::arg("makes"), py::arg("passes"), py::arg("text"),
           py::arg("on_error") = "dead_letter", py::arg("name") = "")
      .def("explode", &explode_step, py::arg("input"), py::kw_only(), py::arg("column"), py::arg("items"),
           py::arg("paths"), py::arg("on_error") = "dead_letter", py::arg("name") = "")
      .def("dedup", &dedup, py::arg("input"), py::kw_only(), py::arg("columns"), py::arg("within"),
           py::arg("allowed_lateness") = py::none(), py::arg("null_key_group") = false, py::arg("key") = py::none(),
           py::arg("name") = "")
      .def("window", &window, py::arg("input"), py::kw_only(), py::arg("key"), py::arg("kind"), py::arg("settings"),
           py::arg("allowed_lateness") = 0, py::arg("emit") = "accumulate", py::arg("early") = py::none(),
           py::arg("early_rows") = py::none(), py::arg("emit_late_each") = false, py::arg("late_windows_rows") = false,
           py::arg("null_key_group") = false, py::arg("per_partition") = false, py::arg("aggregates"),
           py::arg("hidden") = 0, py::arg("name") = "")
      .def("write", &write, py::arg("streams"), py::kw_only(), py::arg("topic"), py::arg("iso_times") = false,
           py::arg("nan_as_string") = false, py::arg("dead_letters") = false, py::arg("internal") = false)
      .def("finish", [](PlanHandle& plan) { check(plan.get().finish(), Of::kJob); })
      .def(
          "keep_sink", [](PlanHandle& plan, int sink) { plan.get().keep_sink(sink); }, py::arg("sink"))
      .def(
          "schema_of",
          [](const PlanHandle& plan, const Ref& stream) { return field_tuples(*plan.get().schema_of(to_ref(stream))); },
          py::arg("stream"))
      .def(
          "step_name", [](const PlanHandle& plan, int node) { return plan.get().node(node).name; }, py::arg("node"))
      .def("entry_bytes",
           [](const PlanHandle& plan) {
             const auto steps = check(plan.get().make_steps(plan.get().source().schema));
             std::vector<std::tuple<std::string, int64_t, std::string>> bytes;
             for (const auto& step : steps) {
               if (step) bytes.emplace_back(step->name(), step->entry_bytes(), step->grows_with());
             }
             return bytes;
           })
      .def("stages",
           [](const PlanHandle& plan) {
             // How many partitions its topics have is not known here.
             const auto partitions = [](const SourceSpec& source) -> Result<int32_t> {
               return source.topic.empty() ? 1 : 2;
             };
             return to_list(shapes_of(check(make_stages(plan.share(), partitions), Of::kJob)));
           })
      .def("node_count", [](const PlanHandle& plan) { return plan.get().nodes().size(); })
      .def(
          "ports_of",
          [](const PlanHandle& plan, int node) {
            const auto& spec = plan.get().node(node).spec;
            std::vector<std::string> ports{"main"};
            if (std::holds_alternative<DedupSpec>(spec) || std::holds_alternative<WindowSpec>(spec))
              ports.emplace_back("late");
            if (std::holds_alternative<DedupSpec>(spec)) ports.emplace_back("duplicates");
            return ports;
          },
          py::arg("node"))
      .def("late_streams",
           [](const PlanHandle& plan) {
             std::vector<Ref> refs;
             for (const StreamRef stream : plan.get().late_streams()) refs.push_back(from_ref(stream));
             return refs;
           })
      .def("sinks",
           [](const PlanHandle& plan) {
             std::vector<std::pair<std::string, std::vector<Ref>>> sinks;
             for (const SinkSpec& sink : plan.get().sinks()) {
               std::vector<Ref> refs;
               for (const StreamRef stream : sink.streams) refs.push_back(from_ref(stream));
               sinks.emplace_back(sink.topic, std::move(refs));
             }
             return sinks;
           })
      .def(
          "input_of", [](const PlanHandle& plan, int node) { return from_ref(plan.get().node(node).input); },
          py::arg("node"))
      .def("describe", [](const PlanHandle& plan) { return plan.get().describe(); })
      .def("hash", [](const PlanHandle& plan) { return plan.get().hash(); });
}

}  // namespace wrackline::bindings
