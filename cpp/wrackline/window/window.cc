#include "wrackline/window/window.h"

#include <array>
#include <charconv>
#include <numeric>

#include "wrackline/core/late.h"
#include "wrackline/window/slices/calendar_slices.h"
#include "wrackline/window/window_shape.h"

namespace wrackline {
namespace {

Status check_length(Millis length, std::string_view what) {
  if (length <= 0) return Status::invalid(std::string(what) + " must be positive");
  if (length > kMaxDuration) return Status::invalid(std::string(what) + " is longer than 10^15 ms");
  return {};
}

Status check_kind(const FixedWindow& window) {
  WL_RETURN_IF_ERROR(check_length(window.size, "size"));
  if (window.slide <= 0) return Status::invalid("slide must be positive");
  if (window.slide > window.size)
    return Status::invalid("slide is longer than size: records between windows would be lost");
  // Not abs(): the smallest integer has none.
  if (window.offset >= window.slide || window.offset <= -window.slide) {
    return Status::invalid("offset must be shorter than " +
                           std::string(window.slide == window.size ? "size" : "slide"));
  }
  const Millis slice = std::gcd(window.size, window.slide);
  if (window.size / slice > kMaxSlicesPerWindow) {
    return Status::invalid("size and slide have a common divisor of only " + std::to_string(slice) +
                           " ms, more than 100,000 slices a window");
  }
  return {};
}

Status check_kind(const SessionWindow& window) { return check_length(window.gap, "gap"); }
Status check_kind(const RollingWindow& window) { return check_length(window.size, "size"); }
Status check_kind(const CountWindow& window) {
  return window.rows > 0 ? Status() : Status::invalid("a count window needs at least one record");
}
Status check_kind(const GlobalWindow&) { return {}; }

Status check_kind(const CalendarWindow& window) {
  if (window.unit == CalendarUnit::kHour && window.starts_at != 0)
    return Status::invalid("starts_at does not go with hours, which start at the full hour");
  if (window.starts_at < 0 || window.starts_at >= 86'400'000) return Status::invalid("starts_at is no time of day");
  if (window.week_starts < 0 || window.week_starts > 6) return Status::invalid("week_starts is no weekday");
  return {};
}

std::string kind_name(const WindowKind& kind) {
  static const std::vector<std::string> names = {"a fixed window",   "a session",      "a calendar window",
                                                 "a rolling window", "a count window", "a global window"};
  return names[kind.index()];
}

Status check_triggers(const WindowSpec& spec) {
  if (spec.allowed_lateness < 0) return Status::invalid("allowed_lateness is negative");
  if (spec.allowed_lateness == kPlusInfinity)
    return Status::invalid("allowed_lateness is infinite: no window would be freed");
  if (spec.allowed_lateness > kMaxDuration) return Status::invalid("allowed_lateness is longer than 10^15 ms");
  if (spec.early && *spec.early <= 0) return Status::invalid("early must be positive");
  if (spec.early && *spec.early > kMaxDuration) return Status::invalid("early is longer than 10^15 ms");
  if (spec.early_rows && *spec.early_rows <= 0) return Status::invalid("early_rows must be positive");
  const bool early = spec.early || spec.early_rows;
  if (early && spec.emit == EmitMode::kFinalOnly) return Status::invalid("early panes contradict emit=final_only");
  if (spec.as<RollingWindow>() || spec.as<CountWindow>()) {
    if (early || spec.emit != EmitMode::kAccumulate || spec.allowed_lateness > 0)
      return Status::invalid(kind_name(spec.kind) + " has no panes: no early, emit or allowed_lateness");
  }
  if (spec.as<GlobalWindow>() && spec.allowed_lateness > 0)
    return Status::invalid("nothing is late for a global window: no allowed_lateness");
  if (const auto* fixed = spec.as<FixedWindow>(); fixed && fixed->slide != fixed->size && spec.early_rows)
    return Status::invalid("early_rows is not for hopping windows: a record is in several of them");
  return {};
}

Status check_names(const std::vector<Field>& fields, const std::string& which) {
  for (size_t i = 0; i < fields.size(); ++i) {
    for (size_t j = 0; j < i; ++j) {
      if (fields[i].name == fields[j].name)
        return Status::invalid("two output columns are named '" + fields[i].name + "' (" + which + ")");
    }
  }
  return {};
}

std::vector<Field> visible(const WindowSpec& spec, const Schema& input) {
  return {input.fields().begin(), input.fields().end() - spec.hidden};
}

Result<WindowShape> shape_of(const WindowSpec& spec, const SchemaPtr& input) {
  WL_RETURN_IF_ERROR(std::visit([](const auto& kind) { return check_kind(kind); }, spec.kind));
  WL_RETURN_IF_ERROR(check_triggers(spec));
  if (const auto* calendar = spec.as<CalendarWindow>()) WL_RETURN_IF_ERROR(CalendarSlices::check(*calendar, *input));
  WL_CHECK(spec.hidden >= 0 && spec.hidden <= input->size());
  WL_ASSIGN_OR_RETURN(KeyPacker keys, KeyPacker::make(*input, spec.key_columns, spec.null_key_group));
  WL_ASSIGN_OR_RETURN(Aggregates aggregates, Aggregates::make(spec.aggregates, *input, needs_entry_head(spec)));
  const auto* fixed = spec.as<FixedWindow>();
  const bool in_slices = (fixed && fixed->slide < fixed->size) || spec.as<SessionWindow>() || spec.as<RollingWindow>();
  if (const std::string* name = aggregates.not_mergeable(); name != nullptr && in_slices) {
    return Status::invalid(*name + " has no merge(state, later), and " + kind_name(spec.kind) +
                           (fixed ? " that hops" : "") +
                           " puts states together; without it there are tumbling and calendar windows");
  }
  std::vector<Field> fields;
  std::string which;
  if (spec.as<RollingWindow>()) {
    fields = visible(spec, *input);
    which = "the record's columns, aggregates";
  } else {
    const bool bounds = !spec.as<GlobalWindow>();
    fields = keys.fields();
    fields.push_back({"window_start", Type::kTimestamp, !bounds});
    fields.push_back({"window_end", Type::kTimestamp, !bounds});
    if (spec.as<CountWindow>()) fields.push_back({"window_number", Type::kInt64, false});
    fields.push_back({"revision", Type::kInt64, false});
    fields.push_back({"pane", Type::kString, false});
    which = "key columns, window_start, window_end, " + std::string(spec.as<CountWindow>() ? "window_number, " : "") +
            "revision, pane, aggregates";
  }
  for (Field field : aggregates.fields()) {
    field.nullable = field.nullable || spec.as<SessionWindow>();  // the row of a session that another absorbed
    fields.push_back(std::move(field));
  }
  WL_RETURN_IF_ERROR(check_names(fields, which));
  auto output = std::make_shared<const Schema>(std::move(fields));
  return WindowShape{
      spec, input, std::move(output), window_late_schema(spec, *input), std::move(keys), std::move(aggregates)};
}

}  // namespace

bool needs_entry_head(const WindowSpec& spec) {
  if (spec.as<SessionWindow>() || spec.as<RollingWindow>()) return false;
  return spec.early || spec.early_rows || spec.as<CountWindow>() || spec.as<GlobalWindow>();
}

bool WindowSpec::emits_more_than_once() const {
  if (as<RollingWindow>() || as<CountWindow>() || emit == EmitMode::kFinalOnly) return false;
  if (emit == EmitMode::kDelta && !as<SessionWindow>()) return false;  // the rows of a session may be withdrawn
  return allowed_lateness > 0 || early || early_rows;
}

Result<SchemaPtr> window_output_schema(const WindowSpec& spec, const SchemaPtr& input) {
  WL_ASSIGN_OR_RETURN(WindowShape shape, shape_of(spec, input));
  return shape.output;
}

SchemaPtr window_late_schema(const WindowSpec& spec, const Schema& input) {
  return late_schema(spec.hidden == 0 ? input : Schema(visible(spec, input)));
}

std::string describe_options(const AggregateSpec& spec) {
  std::string text = spec.wide ? ", wide" : "";
  if (spec.function == "quantile" || spec.function == "approx_quantile") {
    std::array<char, 32> q;
    text.append(", q=").append(q.data(), std::to_chars(q.data(), q.data() + q.size(), spec.q).ptr);
    if (spec.interpolation != "nearest") text += " " + spec.interpolation;
  }
  if (spec.k != 0) text += ", k=" + std::to_string(spec.k);
  return text;
}

std::vector<std::string> window_columns(const WindowSpec& spec) {
  if (spec.as<RollingWindow>()) return {};
  if (spec.as<CountWindow>()) return {"window_start", "window_end", "window_number"};
  return {"window_start", "window_end"};
}

std::vector<std::string> window_reads(const WindowSpec& spec) {
  std::vector<std::string> columns = spec.key_columns;
  for (const AggregateSpec& aggregate : spec.aggregates) {
    columns.push_back(aggregate.column);
    columns.push_back(aggregate.by);
    columns.insert(columns.end(), aggregate.columns.begin(), aggregate.columns.end());
  }
  if (const auto* calendar = spec.as<CalendarWindow>()) columns.push_back(calendar->zone_column);
  return columns;
}

std::string describe_window(const WindowKind& kind) {
  const auto text = [](Millis value) { return std::to_string(value); };
  if (const auto* fixed = std::get_if<FixedWindow>(&kind))
    return "size=" + text(fixed->size) + " slide=" + text(fixed->slide) + " offset=" + text(fixed->offset);
  if (const auto* session = std::get_if<SessionWindow>(&kind)) return "session gap=" + text(session->gap);
  if (const auto* rolling = std::get_if<RollingWindow>(&kind)) return "rolling size=" + text(rolling->size);
  if (const auto* count = std::get_if<CountWindow>(&kind)) return "count rows=" + text(count->rows);
  if (const auto* calendar = std::get_if<CalendarWindow>(&kind)) {
    return "calendar unit=" + text(static_cast<int>(calendar->unit)) + " zone=" + calendar->zone +
           " zone_column=" + calendar->zone_column + " starts_at=" + text(calendar->starts_at) +
           " week_starts=" + text(calendar->week_starts);
  }
  return "global";
}

Result<std::unique_ptr<Step>> make_window_step(std::string name, const WindowSpec& spec, const SchemaPtr& input) {
  WL_ASSIGN_OR_RETURN(WindowShape shape, shape_of(spec, input));
  if (spec.as<SessionWindow>()) return make_session_step(std::move(name), std::move(shape));
  if (spec.as<RollingWindow>()) return make_rolling_step(std::move(name), std::move(shape));
  return make_slice_step(std::move(name), std::move(shape));
}

}  // namespace wrackline
