#include "simulation/job.h"

#include <algorithm>
#include <cstdio>

#include "simulation/json.h"

#include "wrackline/core/status.h"
#include "wrackline/time/timestamp.h"

namespace wrackline::simulation {
namespace {

const char* const kFunctionsOfNumbers[] = {"count", "sum",   "mean", "min",      "max",    "var",
                                           "std",   "first", "last", "n_unique", "collect"};
const char* const kFunctionsOfText[] = {"count", "min", "max", "first", "last", "n_unique", "collect"};

std::vector<AggregateSpec> random_aggregates(Random& random) {
  std::vector<AggregateSpec> aggregates;
  const int64_t count = random.between(1, 5);
  for (int64_t a = 0; a < count; ++a) {
    AggregateSpec spec;
    spec.name = "a" + std::to_string(a);
    switch (random.between(0, 9)) {
      case 0:
      case 1: spec.function = "count"; break;
      case 2:
      case 3:
        spec.function = "sum";
        spec.column = "x";
        break;  // floats: the order of additions shows
      case 4:
        spec.function = "sum";
        spec.column = "i";
        spec.wide = random.chance(0.3);
        break;
      case 5:
        spec.function = random.pick({kFunctionsOfText[0], kFunctionsOfText[1], kFunctionsOfText[2], kFunctionsOfText[3],
                                     kFunctionsOfText[4], kFunctionsOfText[5], kFunctionsOfText[6]});
        spec.column = random.pick<const char*>({"s", "id"});
        break;
      default:
        spec.function = kFunctionsOfNumbers[random.between(0, 10)];
        spec.column = random.pick<const char*>({"x", "i"});
    }
    aggregates.push_back(spec);
  }
  return aggregates;
}

std::string number(double value) {
  char text[40];
  std::snprintf(text, sizeof text, "%.17g", value);
  return text;
}

// The document of a good record.
std::string document(const InputRecord& record, const JobSpec& job, Random& random) {
  std::vector<std::string> fields;
  const auto nullable = [&](const char* name, bool null, const std::string& text) {
    if (null && random.chance(0.5)) return;  // missing is null
    fields.push_back(quoted(name) + ":" + (null ? "null" : text));
  };
  nullable("id", !record.id, record.id ? quoted(*record.id) : "");
  nullable("k", !record.k, record.k ? quoted(*record.k) : "");
  nullable("n", !record.n, record.n ? std::to_string(*record.n) : "");
  nullable("x", !record.x, record.x ? number(*record.x) : "");
  nullable("i", !record.i, record.i ? std::to_string(*record.i) : "");
  fields.push_back("\"s\":" + quoted(record.s));
  fields.push_back("\"ts\":" + (job.timestamp_column && random.chance(0.5) ? quoted(format_iso(record.t))
                                                                           : std::to_string(record.t)));
  if (random.chance(0.1)) fields.push_back("\"more\":[1,{\"k\":2}]");
  if (random.chance(0.2))
    std::rotate(fields.begin(), fields.begin() + static_cast<std::ptrdiff_t>(random.between(0, 3)), fields.end());
  std::string text = "{";
  for (const std::string& field : fields) text += (text.size() == 1 ? "" : ",") + field;
  return text + "}";
}

void damage(InputRecord& record, const JobSpec& job, Random& random) {
  const std::string good = *record.value;
  const std::string head = "{\"id\":\"a\",\"k\":\"k0\",\"s\":\"s\",";
  switch (random.between(0, 9)) {
    case 0:
      record.refused = "decode";
      record.value = good.substr(0, static_cast<size_t>(random.between(1, static_cast<int64_t>(good.size()) - 1)));
      break;
    case 1:
      record.refused = "decode";
      record.value = random.pick<const char*>({"", "nonsense", "{\"s\":\"open", "\xff\xfe{}", "}{"});
      break;
    case 2:
      record.refused = "schema";
      record.value = "{\"id\":7,\"k\":\"k0\",\"s\":\"s\",\"ts\":" + std::to_string(record.t) + "}";
      break;
    case 3:
      record.refused = "schema";
      record.value = "{\"id\":\"a\",\"k\":\"k0\",\"ts\":" + std::to_string(record.t) + "}";  // s is missing
      break;
    case 4:
      record.refused = "schema";
      record.value = head + "\"s\":\"again\",\"ts\":" + std::to_string(record.t) + "}";
      break;
    case 5:
      record.refused = "too_large";
      record.value = head.substr(0, head.size() - 1) + ",\"ts\":" + std::to_string(record.t) + ",\"pad\":\"" +
                     std::string(static_cast<size_t>(job.max_record_bytes), 'p') + "\"}";
      break;
    case 6:
      record.refused = "timestamp";
      record.value = random.chance(0.5) ? head + "\"ts\":null}" : head.substr(0, head.size() - 1) + "}";
      break;
    case 7:
      record.refused = "timestamp";
      record.value =
          head + "\"ts\":" + std::to_string(random.pick<int64_t>({0, -5, 1'577'836'799'999, 4'102'444'800'000})) + "}";
      break;
    case 8:
      record.refused = "timestamp";  // max_future
      record.value = head + "\"ts\":" + std::to_string(record.log_timestamp + 60'001 + random.between(0, 1000)) + "}";
      break;
    default:
      record.refused = job.timestamp_column ? "timestamp" : "schema";
      record.value = head + "\"ts\":\"yesterday\"}";
  }
}

}  // namespace

std::string zone_name(int hours_east) {
  return "Etc/GMT" + std::string(hours_east < 0 ? "+" : "-") + std::to_string(std::abs(hours_east));
}

Millis JobSpec::dedup_lateness() const {
  if (dedup->allowed_lateness) return *dedup->allowed_lateness;
  return std::max(window ? window->spec.allowed_lateness : 0, std::min<Millis>(dedup->within, 3'600'000));
}

std::string JobSpec::describe() const {
  std::string text = std::to_string(partitions) + " partitions, out_of_orderness " + std::to_string(out_of_orderness);
  if (idle_after) text += ", idle_after " + std::to_string(*idle_after) + (idle_close ? " close" : " hold");
  if (close_at_end) text += ", close";
  if (bounded) text += std::string(", bounded") + (all_out_of_order ? " all" : "") + (resume_append ? " resume" : "");
  if (at_least_once) text += ", at least once";
  if (write_rows) text += ", rows written";
  if (write_again) text += ", results again";
  if (long_strings) text += ", long strings";
  if (filter) text += ", filter " + filter->column;
  if (dedup)
    text += ", dedup within " + std::to_string(dedup->within) + " lateness " + std::to_string(dedup_lateness());
  if (window) {
    const WindowSpec& spec = window->spec;
    text += ", window " + describe_window(spec.kind) + " lateness " + std::to_string(spec.allowed_lateness) + " mode " +
            std::to_string(static_cast<int>(spec.emit)) + (spec.emit_late_each ? " each" : "");
    if (spec.early) text += " early " + std::to_string(*spec.early);
    if (spec.early_rows) text += " early_rows " + std::to_string(*spec.early_rows);
    for (const AggregateSpec& a : spec.aggregates)
      text += " " + a.name + "=" + a.function + "(" + a.column + (a.wide ? ",wide)" : ")");
  }
  return text;
}

namespace {

WindowSpec random_window(Random& random, JobSpec& job) {
  WindowSpec spec;
  spec.key_columns = random.pick(
      {std::vector<std::string>{"k"}, std::vector<std::string>{"k", "n"}, std::vector<std::string>{"n", "k"}});
  spec.null_key_group = random.chance(0.3);
  spec.aggregates = random_aggregates(random);
  spec.allowed_lateness = random.pick<Millis>({0, 0, 15, 60, 200});
  spec.emit_late_each = random.chance(0.4);
  spec.late_windows_rows = random.chance(0.3);
  FixedWindow fixed;
  fixed.size = fixed.slide = random.pick<Millis>({10, 30, 60, 100, 250});
  if (random.chance(0.4))
    fixed.slide = std::max<Millis>(1, fixed.size / random.pick<Millis>({2, 3, 5}) + random.pick<Millis>({0, 0, 1}));
  if (random.chance(0.3)) fixed.offset = random.between(-fixed.slide + 1, fixed.slide - 1);
  spec.kind = fixed;
  if (random.chance(0.35)) return spec;
  bool panes = true;  // early ones, and other modes
  switch (random.between(0, 6)) {
    case 0:
    case 1: spec.kind = SessionWindow{random.pick<Millis>({1, 5, 20, 80})}; break;
    case 2:
      spec.kind = RollingWindow{random.pick<Millis>({1, 20, 100, 1'000})};
      panes = false;
      break;
    case 3:
      spec.kind = CountWindow{random.pick<int64_t>({1, 3, 10})};
      panes = false;
      break;
    case 4: spec.kind = GlobalWindow{}; break;
    case 5:
      spec.kind = CalendarWindow{.unit = CalendarUnit::kDay, .zone = "", .zone_column = "s"};
      job.scale = 200'000;
      break;
    default: break;
  }
  const bool session = spec.as<SessionWindow>() != nullptr;
  if (!panes || spec.as<GlobalWindow>()) spec.allowed_lateness = 0;
  if (panes) {
    spec.emit = random.pick({EmitMode::kAccumulate, EmitMode::kDelta, EmitMode::kFinalOnly});
    const bool hopping = spec.as<FixedWindow>() && fixed.slide != fixed.size;
    if (session && spec.emit == EmitMode::kDelta) {
      spec.allowed_lateness = 0;
    } else if (spec.emit != EmitMode::kFinalOnly) {
      if (random.chance(0.5)) spec.early = random.pick<Millis>({1, 7, 30});
      if (!hopping && random.chance(0.4)) spec.early_rows = random.pick<int64_t>({1, 3, 8});
    }
    // Its rows hold what is new since the row before, and which one that was follows the commits.
    if (spec.emit == EmitMode::kDelta) spec.emit_late_each = true;
  }
  if (spec.as<GlobalWindow>()) {
    spec.early.reset();
    if (spec.emit == EmitMode::kFinalOnly) spec.emit = EmitMode::kAccumulate;
    spec.early_rows = random.pick<int64_t>({1, 3, 8});
  }
  spec.allowed_lateness *= job.scale;
  if (spec.early) *spec.early *= job.scale;
  return spec;
}

}  // namespace

JobSpec random_job(Random& random) {
  JobSpec job;
  job.partitions = static_cast<int32_t>(random.pick<int64_t>({1, 1, 1, 2, 2, 3}));
  job.bounded = random.chance(0.15);
  if (job.bounded) {
    job.partitions = 1;
    job.all_out_of_order = random.chance(0.3);
    job.resume_append = random.chance(0.4);
  }
  job.timestamp_column = random.chance(0.3);
  job.out_of_orderness = random.pick<Millis>({0, 5, 20, 50, 200});
  if (random.chance(0.5)) job.idle_after = random.pick<Millis>({20, 100, 500});
  job.idle_close = random.chance(0.75);
  job.close_at_end = random.chance(0.25);
  job.write_late = random.chance(0.85);
  job.write_duplicates = random.chance(0.85);
  job.name_dead_letters = random.chance(0.5);
  if (random.chance(0.3)) {
    FilterJob filter;
    filter.column = random.pick<const char*>({"x", "i", "s"});
    filter.compare = random.pick({Compare::kGreaterEqual, Compare::kLess, Compare::kNotEqual, Compare::kEqual});
    filter.number = static_cast<double>(random.between(-20, 20));
    filter.text = "s" + std::to_string(random.between(0, 3));
    job.filter = filter;
  }
  if (random.chance(0.5)) {
    DedupJob dedup;
    dedup.columns = random.chance(0.7) ? std::vector<std::string>{"id"} : std::vector<std::string>{"k", "id"};
    dedup.within = random.pick<Millis>({1, 30, 100, 1'000, 10'000'000'000});
    if (random.chance(0.6)) dedup.allowed_lateness = random.pick<Millis>({0, 10, 100});
    dedup.null_group = random.chance(0.3);
    job.dedup = dedup;
  }
  if (random.chance(0.1)) {
    job.dedup.reset();  // nothing with state
  } else if (random.chance(0.9)) {
    WindowSpec window = random_window(random, job);
    if (job.partitions == 1 && random.chance(0.3))
      window.key_columns = random.pick({std::vector<std::string>{}, std::vector<std::string>{"n"}});
    job.window = WindowJob{std::move(window)};
  }
  job.out_of_orderness *= job.scale;
  job.out_partitions = job.partitions;
  if (job.window && random.chance(0.3)) job.out_partitions = static_cast<int32_t>(random.between(1, 5));
  if (!job.window && random.chance(0.3)) job.out_partitions += 1;
  job.write_rows = job.window && random.chance(0.2);
  job.write_again = random.chance(0.4);
  if (job.window && job.window->rolling()) job.write_again = false;  // its rows have no revision
  // What the clock decided in a commit that never was, another decision may contradict: rows that are not repeated.
  job.at_least_once = random.chance(0.2);
  if (job.at_least_once) job.idle_after.reset();
  job.long_strings = random.chance(0.02);
  if (job.long_strings) {
    job.max_record_bytes = 20'000;
    job.window.reset();
    job.out_partitions = job.partitions;
    job.write_rows = false;
  }
  return job;
}

Input random_input(Random& random, const JobSpec& job) {
  InputShape shape;
  shape.records = random.between(20, random.pick<int64_t>({60, 120, 300}));
  shape.keys = random.pick<int64_t>({1, 2, 4, 10});
  shape.ids = random.pick<int64_t>({3, 20, 1000});
  shape.step = random.pick<Millis>({0, 2, 8, 25}) * job.scale;
  shape.disorder = random.pick<Millis>({0, 5, 30, 150}) * job.scale;
  shape.late = random.pick({0.0, 0.03, 0.2});
  shape.damaged = random.pick({0.0, 0.02, 0.15});
  shape.tombstones = random.pick({0.0, 0.03});
  shape.null_keys = random.pick({0.0, 0.05});
  shape.duplicates = random.pick({0.0, 0.05, 0.3});
  shape.bad_start = random.pick({0.0, 0.0, 0.3});
  shape.large_integers = random.chance(0.15);

  const auto count = static_cast<size_t>(job.partitions);
  Input input;
  input.partitions.resize(count);
  std::vector<bool> bad_start(count);
  for (size_t p = 0; p < count; ++p) bad_start[p] = random.chance(shape.bad_start);
  Millis arrival = kStartOfTime;
  int64_t next_id = 0;
  for (int64_t number_of_record = 0; number_of_record < shape.records; ++number_of_record) {
    arrival += random.between(0, 2 * shape.step);
    if (random.chance(0.01)) arrival += random.between(0, 2'000) * job.scale;
    InputRecord record;
    record.log_timestamp = arrival;
    record.t = arrival - (shape.disorder > 0 ? random.between(0, shape.disorder) : 0);
    if (random.chance(shape.late))
      record.t -= random.between(0, 10 * (shape.disorder + job.out_of_orderness + 20 * job.scale));
    const int64_t key = random.between(0, shape.keys - 1);
    if (!random.chance(shape.null_keys))
      record.k = key == 3 ? std::string("k\"3 a rather longer key \xc3\xa9") : "k" + std::to_string(key);
    if (!random.chance(shape.null_keys)) record.n = random.between(-1, 1);
    if (!random.chance(shape.null_keys))
      record.id = "id" + std::to_string(shape.ids < 1000 ? random.between(0, shape.ids - 1) : next_id++);
    if (!random.chance(0.1)) {
      record.x = random.chance(0.5) ? static_cast<double>(random.between(-20, 20))
                                    : (random.unit() - 0.5) * random.pick({1.0, 1e3, 1e9});
    }
    if (!random.chance(0.1)) record.i = random.between(-20, 20);
    if (record.i && shape.large_integers && random.chance(0.3)) record.i = (int64_t{1} << 62) + random.between(0, 1000);
    record.s = "s" + std::to_string(random.between(0, 3));
    if (job.calendar()) record.s = zone_name(random.pick({-8, 0, 3, 12}));
    if (job.long_strings) record.s += std::string(static_cast<size_t>(random.between(8'000, 14'000)), 's');
    const size_t p = record.k ? static_cast<size_t>(key) % count : 0;
    std::vector<InputRecord>& partition = input.partitions[p];
    if (!partition.empty() && random.chance(shape.duplicates)) {
      const InputRecord& again =
          partition[static_cast<size_t>(random.between(0, static_cast<int64_t>(partition.size()) - 1))];
      if (again.refused.empty() && again.value) {
        const Millis log_timestamp = record.log_timestamp;
        record = again;
        record.log_timestamp = log_timestamp;
        if (random.chance(0.4)) record.t = std::min<Millis>(record.t + random.between(-40, 40), log_timestamp);
      }
    }
    if (job.bounded) {
      record.value = "";  // not null
      if (random.chance(shape.tombstones)) {
        record.value.reset();
      } else if ((bad_start[p] && partition.size() < 15) || random.chance(shape.damaged)) {
        record.refused = "timestamp";
        record.t_null = random.chance(0.5);
        record.t = 4'102'444'800'000 + random.between(0, 10);
      }
      input.order.push_back(0);
      partition.push_back(std::move(record));
      continue;
    }
    record.value = document(record, job, random);
    record.record_key = record.k;
    if (random.chance(0.05)) record.headers = {{"h", "v" + std::to_string(number_of_record)}, {"trace", ""}};
    if (bad_start[p] && partition.size() < 15) {
      if (!random.chance(0.1)) damage(record, job, random);
    } else if (random.chance(shape.tombstones)) {
      record.value.reset();
    } else if (random.chance(shape.damaged)) {
      damage(record, job, random);
    }
    if (bad_start[p] && partition.size() < 15 && record.refused.empty())
      record.value.reset();  // tombstones may be among them
    input.order.push_back(static_cast<int32_t>(p));
    partition.push_back(std::move(record));
  }
  return input;
}

namespace {

// The generator makes no job that cannot be built.
template <typename T>
T must(Result<T> result) {
  if (!result.ok()) std::fprintf(stderr, "the simulation's job: %s\n", result.status().to_string().c_str());
  WL_CHECK(result.ok());
  return std::move(result).value();
}
void must(const Status& status) {
  if (!status.ok()) std::fprintf(stderr, "the simulation's job: %s\n", status.to_string().c_str());
  WL_CHECK(status.ok());
}

}  // namespace

SchemaPtr schema_of(const JobSpec& job) {
  return std::make_shared<const Schema>(
      std::vector<Field>{{"id", Type::kString, true},
                         {"k", Type::kString, true},
                         {"n", Type::kInt64, true},
                         {"x", Type::kFloat64, true},
                         {"i", Type::kInt64, true},
                         {"s", Type::kString, false},
                         {"ts", job.timestamp_column ? Type::kTimestamp : Type::kInt64, job.bounded}});
}

Batch make_rows(const SchemaPtr& schema, const InputRecord& record) {
  Batch batch;
  batch.schema = schema;
  batch.length = 1;
  const auto text = [&](const std::optional<std::string>& value) {
    Column column(Type::kString);
    value ? column.append_string(*value) : column.append_null();
    batch.columns.push_back(std::make_shared<const Column>(std::move(column)));
  };
  const auto whole = [&](const std::optional<int64_t>& value, Type type) {
    Column column(type);
    value ? column.append_int64(*value) : column.append_null();
    batch.columns.push_back(std::make_shared<const Column>(std::move(column)));
  };
  text(record.id);
  text(record.k);
  whole(record.n, Type::kInt64);
  Column x(Type::kFloat64);
  record.x ? x.append_float64(*record.x) : x.append_null();
  batch.columns.push_back(std::make_shared<const Column>(std::move(x)));
  whole(record.i, Type::kInt64);
  text(record.s);
  whole(record.t_null ? std::nullopt : std::optional(record.t), schema->field(6).type);
  return batch;
}

std::shared_ptr<const Plan> make_plan(const JobSpec& job) {
  auto plan = std::make_shared<Plan>(job.name);
  SourceSpec source;
  if (!job.bounded) source.topic = job.topic;
  source.schema = schema_of(job);
  source.time.column = "ts";
  source.time.topic = !job.bounded;
  source.watermark.out_of_orderness = job.out_of_orderness;
  if (job.all_out_of_order) source.watermark.kind = WatermarkKind::kAll;
  source.watermark.idle_after = job.idle_after;
  source.watermark.idle_advance = job.idle_close ? IdleAdvance::kClose : IdleAdvance::kHold;
  if (job.partitions > 1) source.partitioned_by = {"k"};
  source.max_record_bytes = job.max_record_bytes;
  StreamRef stream = must(plan->read(std::move(source)));
  if (job.filter) {
    FilterSpec spec{job.filter->column, job.filter->compare, {}};
    if (job.filter->column == "s")
      spec.value = job.filter->text;
    else if (job.filter->column == "i")
      spec.value = static_cast<int64_t>(job.filter->number);
    else
      spec.value = job.filter->number;
    stream = must(plan->filter(stream, std::move(spec), ""));
  }
  std::vector<StreamRef> late;
  if (job.dedup) {
    stream = must(plan->dedup(
        stream, {job.dedup->columns, job.dedup->within, job.dedup->allowed_lateness, job.dedup->null_group}, ""));
    late.push_back({stream.node, Port::kLate});
    if (job.write_duplicates) must(plan->write({.streams = {{stream.node, Port::kDuplicates}}, .topic = "duplicates"}));
  }
  if (job.write_rows) must(plan->write({.streams = {stream}, .topic = "rows"}));
  if (job.window) {
    stream = must(plan->window(stream, job.window->spec, true, ""));
    late.push_back({stream.node, Port::kLate});
  }
  must(plan->write({.streams = {stream}, .topic = "out"}));
  if (job.window && job.write_again) {
    const StreamRef again = must(plan->filter(stream, {"revision", Compare::kGreaterEqual, int64_t{0}}, "again"));
    must(plan->write({.streams = {again}, .topic = "again"}));
  }
  if (job.write_late && !late.empty()) must(plan->write({.streams = late, .topic = "late"}));
  if (job.name_dead_letters)
    must(plan->write({.streams = {{Plan::kDeadLetters, Port::kMain}}, .topic = "dead", .dead_letters = true}));
  must(plan->finish());
  return plan;
}

}  // namespace wrackline::simulation
