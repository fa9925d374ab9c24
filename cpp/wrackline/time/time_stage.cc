#include "wrackline/time/time_stage.h"

#include <algorithm>
#include <bit>
#include <charconv>
#include <cmath>

#include "wrackline/core/extremes.h"
#include "wrackline/core/logging.h"
#include "wrackline/core/spelling.h"
#include "wrackline/core/step.h"
#include "wrackline/time/duration.h"

namespace wrackline {
namespace {

constexpr std::array<TimeUnit, 4> kUnits = {TimeUnit::kSeconds, TimeUnit::kMillis, TimeUnit::kMicros, TimeUnit::kNanos};
constexpr uint8_t kNoUnit = 0xff;
constexpr uint8_t kStateVersion = 1;

Result<int> find_column(const Schema& schema, const std::string& name, std::string_view setting) {
  const int index = schema.index_of(name);
  if (index >= 0) return index;
  std::string message = std::string(setting) + ": there is no column \"" + name + "\"";
  if (const std::string near = nearest(name, schema.names()); !near.empty())
    message += "; did you mean \"" + near + "\"?";
  return Status::invalid(std::move(message));
}

Status wrong_type(std::string_view setting, const Field& field, std::string_view right) {
  return Status::invalid(std::string(setting) + ": column \"" + field.name + "\" is " +
                         std::string(type_name(field.type)) + ", it must be " + std::string(right));
}

// As the refusal shows it: a readable time beside its number.
std::string time_and_number(Millis t) { return format_iso(t) + " (" + std::to_string(t) + " ms)"; }

std::string number_text(double value) {
  char text[40];
  return {text, std::to_chars(text, text + sizeof text, value).ptr};
}

std::string counted(int64_t count) {
  std::string text = std::to_string(count);
  for (auto at = static_cast<int64_t>(text.size()) - 3; at > 0; at -= 3) text.insert(static_cast<size_t>(at), 1, ',');
  return text;
}

}  // namespace

// --- building ----------------------------------------------------------------------------------

Result<TimeStage> TimeStage::make(TimeSpec time, WatermarkSpec watermark, const Schema& schema) {
  WL_RETURN_IF_ERROR(check_watermark(watermark, time.topic));
  TimeStage stage;
  if (time.column == kLogTimestamp) {
    if (!time.topic)
      return Status::invalid("time=\"_timestamp\": a bounded input has no log timestamps; name a column");
    stage.source_ = Source::kRecord;
  } else {
    WL_ASSIGN_OR_RETURN(stage.column_, find_column(schema, time.column, "time"));
    const Field& field = schema.field(stage.column_);
    switch (field.type) {
      case Type::kInt64: stage.source_ = Source::kInt64; break;
      case Type::kFloat64: stage.source_ = Source::kFloat64; break;
      case Type::kString: stage.source_ = Source::kString; break;
      case Type::kTimestamp: stage.source_ = Source::kTimestamp; break;
      default: return wrong_type("time", field, "int64, float64, string or timestamp");
    }
  }
  if (!time.log_timestamp.empty()) {
    WL_ASSIGN_OR_RETURN(stage.log_column_, find_column(schema, time.log_timestamp, "log_timestamp"));
    const Field& field = schema.field(stage.log_column_);
    if (field.type != Type::kInt64 && field.type != Type::kTimestamp) {
      return wrong_type("log_timestamp", field, "int64 (milliseconds) or timestamp");
    }
  }
  if (watermark.kind == WatermarkKind::kPunctuated || watermark.kind == WatermarkKind::kPunctuatedIf) {
    WL_ASSIGN_OR_RETURN(stage.watermark_column_, find_column(schema, watermark.column, "watermark"));
    const Field& field = schema.field(stage.watermark_column_);
    if (watermark.kind == WatermarkKind::kPunctuatedIf) {
      if (field.type != Type::kBool) return wrong_type("watermark", field, "bool");
    } else if (field.type != Type::kInt64 && field.type != Type::kTimestamp) {
      return wrong_type("watermark", field, "int64 or timestamp");
    }
  }

  const bool is_auto = time.unit == TimeUnit::kAuto;
  if (time.not_before)
    stage.not_before_ = *time.not_before;
  else if (time.topic)
    stage.not_before_ = kDefaultTopicNotBefore;
  else if (is_auto)
    stage.not_before_ = kDefaultAutoNotBefore;
  stage.not_after_ = time.not_after.value_or(kDefaultNotAfter);
  if (stage.not_before_ >= stage.not_after_) {
    return Status::invalid("not_before (" + format_iso(stage.not_before_) + ") must be before not_after (" +
                           format_iso(stage.not_after_) + ")");
  }
  // With these bounds a number lies between them in one unit at most.
  if (is_auto && (stage.not_before_ <= 0 || (stage.not_after_ - 1) / 1'000 >= stage.not_before_)) {
    return Status::invalid(
        "unit=\"auto\" needs not_before after 1970 and not_after less than 1,000 times as far from 1970: " +
        format_iso(stage.not_before_) + " and " + format_iso(stage.not_after_) + " are too far apart; name the unit");
  }
  stage.not_before_ = std::max(stage.not_before_, kMinEventTime);
  stage.not_after_ = std::min(stage.not_after_, kEndEventTime);
  if (time.max_future < 0 || time.max_future > kMaxDuration) {
    return Status::invalid("max_future must be between 0 and 10^15 ms, not " + std::to_string(time.max_future));
  }
  stage.max_future_on_ = stage.log_column_ >= 0 || (time.topic && stage.source_ != Source::kRecord);
  stage.spec_ = std::move(time);
  stage.watermark_spec_ = std::move(watermark);
  return stage;
}

// --- event times -------------------------------------------------------------------------------

void TimeStage::apply(Batch& batch, const TimeInput& input, const RefuseFn& refuse) {
  WL_CHECK(!ended_);
  batch.watermark = input_.watermark;
  batch.moves.clear();
  batch.event_times.resize(static_cast<size_t>(batch.length));
  if (batch.length == 0 && (accepted_any_ || input.undecoded.empty())) return;
  if (!apply_fast(batch, input)) {
    apply_rows(batch, input, refuse);
    if (batch.length == 0) return;
    least_ = least_of(batch.event_times.data(), batch.event_times.size());
    most_ = most_of(batch.event_times.data(), batch.event_times.size());
  }
  if (watermark_column_ >= 0)
    add_punctuated_moves(batch, batch.column(watermark_column_), input.clock_now);
  else if (watermark_spec_.kind == WatermarkKind::kFunction)
    add_function_moves(batch, input.clock_now);
  else
    add_moves(batch, input.clock_now);
  count_late(batch);
}

// Milliseconds in whole columns, nothing to refuse: short passes over the numbers.
bool TimeStage::apply_fast(Batch& batch, const TimeInput& input) {
  if (!accepted_any_ || watermark_column_ >= 0) return false;
  if (source_ == Source::kInt64 ? spec_.unit != TimeUnit::kMillis : source_ != Source::kTimestamp) return false;
  if (input.forms != nullptr && !input.forms->empty()) return false;
  const Column& column = batch.column(column_);
  if (column.null_count() != 0) return false;
  const int64_t* const times = column.int64s();
  const auto n = static_cast<size_t>(batch.length);
  least_ = least_of(times, n);
  most_ = most_of(times, n);
  if (least_ < not_before_ || most_ >= not_after_) return false;
  std::copy_n(times, n, batch.event_times.data());
  if (max_future_on_) {
    if (log_column_ >= 0 || !batch.records) return false;
    const Records& records = *batch.records;
    const uint32_t* const record_of = batch.record_of.data();
    bool future = false;
    for (size_t i = 0; i < n; ++i) future |= times[i] - spec_.max_future > records.timestamp(record_of[i]);
    if (future) return false;
  }
  return true;
}

void TimeStage::apply_rows(Batch& batch, const TimeInput& input, const RefuseFn& refuse) {
  const TimeForms* const forms = input.forms != nullptr && !input.forms->empty() ? input.forms : nullptr;
  Buffer<int64_t> kept;
  kept.reserve(static_cast<size_t>(batch.length));
  size_t undecoded = 0;
  const auto count_first = [this](Setting setting) {
    ++refused_first_;
    ++refused_by_[static_cast<size_t>(setting)];
  };
  for (int64_t row = 0; row < batch.length; ++row) {
    if (!accepted_any_) {  // records that were no rows count in their place
      while (undecoded < input.undecoded.size() &&
             input.undecoded[undecoded] < batch.record_of[static_cast<size_t>(row)]) {
        count_first(Setting::kUndecoded);
        ++undecoded;
      }
    }
    Judged judged = judge(batch, forms, row);
    if (judged.refused_by == Setting::kNone && max_future_on_) {
      const std::optional<Millis> logged = log_timestamp(batch, row);
      if (logged && judged.time - spec_.max_future > *logged) judged.refused_by = Setting::kMaxFuture;
    }
    if (judged.refused_by == Setting::kNone) {
      accepted_any_ = true;
      batch.event_times[kept.size()] = judged.time;
      kept.push_back(row);
      continue;
    }
    const std::string value = shown(batch, forms, row);
    if (!accepted_any_) {
      count_first(judged.refused_by);
      if (samples_.size() < kSamples) samples_.push_back(value);
    }
    std::string message = explain(judged.refused_by, value);
    if (judged.refused_by == Setting::kMaxFuture) {
      message += ": " + time_and_number(judged.time) + " is more than " + format_duration(spec_.max_future) +
                 " after the log timestamp " + time_and_number(*log_timestamp(batch, row));
    }
    refuse(row, judged.refused_by == Setting::kUnit ? reason::kTimestampUnit : reason::kTimestamp, std::move(message));
  }
  if (!accepted_any_) {
    for (; undecoded < input.undecoded.size(); ++undecoded) count_first(Setting::kUndecoded);
  }
  drop_rows(batch, kept);
  if (source_ == Source::kTimestamp && forms != nullptr && batch.length > 0) {
    auto column = std::make_shared<Column>(Type::kTimestamp);
    const auto* const bytes = reinterpret_cast<const uint8_t*>(batch.event_times.data());
    column->mutable_values().assign(bytes, bytes + batch.event_times.size() * sizeof(Millis));
    column->set_length(batch.length, 0);
    batch.columns[static_cast<size_t>(column_)] = std::move(column);
  }
}

// `kept` ascending; event_times already holds one time per kept row.
void TimeStage::drop_rows(Batch& batch, const Buffer<int64_t>& kept) {
  batch.event_times.resize(kept.size());
  if (static_cast<int64_t>(kept.size()) == batch.length) return;
  for (ColumnPtr& column : batch.columns) column = gather(*column, kept);
  if (!batch.record_of.empty()) {
    for (size_t i = 0; i < kept.size(); ++i) batch.record_of[i] = batch.record_of[static_cast<size_t>(kept[i])];
    batch.record_of.resize(kept.size());
  }
  batch.length = static_cast<int64_t>(kept.size());
}

TimeStage::Judged TimeStage::judge(const Batch& batch, const TimeForms* forms, int64_t row) {
  if (source_ == Source::kRecord) {
    return judge_millis(batch.records->timestamp(batch.record_of[static_cast<size_t>(row)]));
  }
  const Column& column = batch.column(column_);
  if (column.is_null(row)) return {.refused_by = Setting::kNull};
  switch (source_) {
    case Source::kInt64: return judge_number(column.int64s()[row]);
    case Source::kFloat64: return judge_number(column.float64s()[row]);
    case Source::kString: {
      const std::optional<Millis> t = parse_iso(column.string_at(row));
      return t ? judge_millis(t) : Judged{.refused_by = Setting::kNotATime};
    }
    case Source::kTimestamp: {
      const int64_t held = column.int64s()[row];
      switch (forms == nullptr ? TimeForm::kMillis : (*forms)[static_cast<size_t>(row)]) {
        case TimeForm::kMillis: return judge_millis(held);
        case TimeForm::kInteger: return judge_number(held);
        case TimeForm::kFloat: return judge_number(std::bit_cast<double>(held));
      }
      break;
    }
    case Source::kRecord: break;
  }
  return {.refused_by = Setting::kNotATime};
}

template <typename Number>
TimeStage::Judged TimeStage::judge_number(Number value) {
  if constexpr (std::is_same_v<Number, double>) {
    if (!std::isfinite(value)) return {.refused_by = Setting::kNotATime};
  }
  if (spec_.unit != TimeUnit::kAuto) {
    const std::optional<Millis> t = to_millis(value, spec_.unit);
    if (t) return judge_millis(t);
    return {.refused_by = value < 0 ? Setting::kNotBefore : Setting::kNotAfter};
  }
  // The bounds leave room for one unit.
  std::optional<TimeUnit> fits;
  Millis time = 0;
  for (const TimeUnit unit : kUnits) {
    const std::optional<Millis> t = to_millis(value, unit);
    if (t && *t >= not_before_ && *t < not_after_) {
      fits = unit;
      time = *t;
    }
  }
  if (!fits) {
    const std::optional<Millis> t = to_millis(value, decided_.value_or(TimeUnit::kSeconds));
    return {.refused_by = value < 0 || (t && *t < not_before_) ? Setting::kNotBefore : Setting::kNotAfter};
  }
  if (!decided_) {
    decided_ = fits;
    log_line(LogLevel::kInfo, "event time \"" + spec_.column + "\": the unit is " + std::string(unit_name(*fits)) +
                                  ", as the first value that fits shows");
  }
  if (*decided_ != *fits) return {.refused_by = Setting::kUnit};
  return {.time = time};
}

TimeStage::Judged TimeStage::judge_millis(std::optional<Millis> t) const {
  if (*t < not_before_) return {.time = *t, .refused_by = Setting::kNotBefore};
  if (*t >= not_after_) return {.time = *t, .refused_by = Setting::kNotAfter};
  return {.time = *t};
}

std::optional<Millis> TimeStage::log_timestamp(const Batch& batch, int64_t row) const {
  if (log_column_ >= 0) {
    const Column& column = batch.column(log_column_);
    if (column.is_null(row)) return std::nullopt;
    return column.int64s()[row];
  }
  if (!batch.records) return std::nullopt;
  return batch.records->timestamp(batch.record_of[static_cast<size_t>(row)]);
}

// --- moves -------------------------------------------------------------------------------------

void TimeStage::add_moves(Batch& batch, Millis clock_now) {
  const auto n = static_cast<size_t>(batch.length);
  const Millis* const times = batch.event_times.data();
  if (watermark_spec_.kind == WatermarkKind::kAll) {
    input_.saw(most_, clock_now);
    return;
  }
  const Millis bound = *watermark_spec_.out_of_orderness;
  // Above this an event time moves W (idle decisions may have moved it further than the records did).
  Millis top = input_.watermark == kMinusInfinity ? kMinusInfinity : input_.watermark + bound;
  moved_.resize(n);
  size_t count = 0;
  const auto see = [&](size_t i, Millis before) {
    moved_[count] = static_cast<uint32_t>(i);
    count += times[i] > before;
  };
  for (size_t i = 0; i + 1 < n; i += 2) {  // two at a time: what waits for the ones before is one comparison
    see(i, top);
    see(i + 1, std::max(top, times[i]));
    top = std::max(top, std::max(times[i], times[i + 1]));
  }
  if (n % 2 != 0) see(n - 1, top);
  batch.moves.reserve(count);
  for (size_t i = 0; i < count; ++i) batch.moves.push_back({int64_t{moved_[i]} + 1, times[moved_[i]] - bound});
  if (count > 0) input_.watermark = batch.moves.back().watermark;
  input_.saw(most_, clock_now);
}

void TimeStage::add_function_moves(Batch& batch, Millis clock_now) {
  Result<ColumnPtr> marks = watermark_spec_.function->apply(std::make_shared<const Batch>(batch));
  if (!marks.ok()) {
    function_failed_ = marks.status().with_context("watermark");
    return;
  }
  add_punctuated_moves(batch, **marks, clock_now);
}

void TimeStage::add_punctuated_moves(Batch& batch, const Column& marks, Millis clock_now) {
  Millis reached = kMinusInfinity;
  for (int64_t row = 0; row < batch.length; ++row) {
    const std::optional<Millis> w = punctuation(batch, marks, row);
    if (!w) continue;
    reached = std::max(reached, *w);
    if (*w <= input_.watermark) continue;
    input_.watermark = *w;
    batch.moves.push_back({row + 1, *w});
  }
  input_.saw(reached, clock_now);
}

// What this accepted row says of W.
std::optional<Millis> TimeStage::punctuation(const Batch& batch, const Column& marks, int64_t row) const {
  if (marks.is_null(row)) return std::nullopt;
  if (watermark_spec_.kind == WatermarkKind::kPunctuatedIf) {
    if (!marks.bool_at(row)) return std::nullopt;
    return batch.event_times[static_cast<size_t>(row)];
  }
  const int64_t value = marks.int64s()[row];
  if (marks.type() == Type::kTimestamp) return in_event_time_range(value) ? std::optional(value) : std::nullopt;
  const TimeUnit unit = spec_.unit == TimeUnit::kAuto ? decided_.value_or(TimeUnit::kMillis) : spec_.unit;
  return to_millis(value, unit);
}

void TimeStage::count_late(const Batch& batch) {
  const Millis warn = watermark_spec_.warn_late;
  const Millis after = batch.watermark_after();
  if (after == kMinusInfinity || after - least_ <= warn) return;
  const Millis* const times = batch.event_times.data();
  const auto n = static_cast<size_t>(batch.length);
  size_t move = 0;
  Millis watermark = batch.watermark;
  for (size_t i = 0; i < n; ++i) {
    while (move < batch.moves.size() && batch.moves[move].position <= static_cast<int64_t>(i)) {
      watermark = batch.moves[move++].watermark;
    }
    late_warnings_ += watermark != kMinusInfinity && watermark - times[i] > warn;
  }
}

bool TimeStage::apply_decision(Millis watermark) {
  if (watermark <= input_.watermark) return false;
  input_.watermark = watermark;
  return true;
}

// --- what is said ------------------------------------------------------------------------------

std::string TimeStage::shown(const Batch& batch, const TimeForms* forms, int64_t row) const {
  if (source_ == Source::kRecord)
    return std::to_string(batch.records->timestamp(batch.record_of[static_cast<size_t>(row)]));
  const Column& column = batch.column(column_);
  if (column.is_null(row)) return "null";
  switch (source_) {
    case Source::kFloat64: return number_text(column.float64s()[row]);
    case Source::kString: {
      const std::string_view text = column.string_at(row);
      std::string quoted = "\"";
      return quoted.append(text.substr(0, 60)).append(text.size() > 60 ? "...\"" : "\"");
    }
    case Source::kTimestamp: {
      const int64_t held = column.int64s()[row];
      const TimeForm form = forms == nullptr ? TimeForm::kMillis : (*forms)[static_cast<size_t>(row)];
      if (form == TimeForm::kMillis) return format_iso(held);
      return form == TimeForm::kInteger ? std::to_string(held) : number_text(std::bit_cast<double>(held));
    }
    default: return std::to_string(column.int64s()[row]);
  }
}

std::string TimeStage::explain(Setting setting, const std::string& value) const {
  const std::string subject = spec_.column + " = " + value;
  const bool number = source_ == Source::kInt64 || source_ == Source::kFloat64;
  const std::string unit = number ? " with unit=\"" + std::string(unit_name(spec_.unit)) + "\"" : "";
  switch (setting) {
    case Setting::kNull: return spec_.column + " is null: a record needs an event time";
    case Setting::kNotATime: return subject + " is no time";
    case Setting::kNotBefore: return subject + unit + " is before not_before (" + format_iso(not_before_) + ")";
    case Setting::kNotAfter: return subject + unit + " is not before not_after (" + format_iso(not_after_) + ")";
    case Setting::kMaxFuture: return subject + " is refused by max_future";
    case Setting::kUnit:
      return subject + " is of another unit than the values before it (" + std::string(unit_name(*decided_)) + ")";
    default: break;
  }
  return std::string(subject);
}

std::string TimeStage::first_records() const {
  static constexpr std::array<std::string_view, kSettings> kNames = {
      "", "null", "no time", "not_before", "not_after", "max_future", "unit=\"auto\"", "not decoded"};
  std::string text;
  for (size_t i = 0; i < kSettings; ++i) {
    if (refused_by_[i] == 0) continue;
    text += text.empty() ? "" : ", ";
    text += counted(refused_by_[i]) + " by ";
    text += kNames[i];
    if (i == static_cast<size_t>(Setting::kNotBefore)) text += " (" + format_iso(not_before_) + ")";
    if (i == static_cast<size_t>(Setting::kNotAfter)) text += " (" + format_iso(not_after_) + ")";
    if (i == static_cast<size_t>(Setting::kMaxFuture)) text += " (" + format_duration(spec_.max_future) + ")";
  }
  if (!samples_.empty()) {
    text += "; values of \"" + spec_.column + "\" seen: ";
    for (size_t i = 0; i < samples_.size(); ++i) text.append(i == 0 ? "" : ", ").append(samples_[i]);
    if (source_ == Source::kInt64 || source_ == Source::kFloat64 || source_ == Source::kTimestamp) {
      text += ", unit=\"" + std::string(unit_name(spec_.unit)) + "\"";
      // The usual mistake: right bounds, wrong unit.
      double value = 0;
      const std::string& sample = samples_.front();
      if (std::from_chars(sample.data(), sample.data() + sample.size(), value).ptr == sample.data() + sample.size()) {
        for (const TimeUnit unit : kUnits) {
          const std::optional<Millis> t = to_millis(value, unit);
          if (unit != spec_.unit && t && *t >= std::max(not_before_, kDefaultAutoNotBefore) && *t < not_after_) {
            text += " (with unit=\"" + std::string(unit_name(unit)) + "\" the first would be " + format_iso(*t) + ")";
          }
        }
      }
    }
  }
  return text;
}

Status TimeStage::stuck() const {
  if (!function_failed_.ok()) return function_failed_;
  if (refused_first_ < kFirstRecords) return {};
  return Status::invalid("all of the first " + counted(kFirstRecords) + " records were refused: " + first_records());
}

std::string TimeStage::nothing_accepted() const {
  if (accepted_any_ || refused_first_ == 0) return {};
  return "the input ended with no record accepted; all " + counted(refused_first_) +
         " were refused: " + first_records();
}

// --- state -------------------------------------------------------------------------------------

void TimeStage::save(ByteWriter& out) const {
  out.put(kStateVersion);
  input_.save(out);
  out.put(decided_ ? static_cast<uint8_t>(*decided_) : kNoUnit);
  out.put(accepted_any_);
  out.put(late_warnings_);
  out.put(refused_first_);
  for (const int64_t count : refused_by_) out.put(count);
  out.put(static_cast<uint8_t>(samples_.size()));
  for (const std::string& sample : samples_) out.put_string(sample);
}

Status TimeStage::restore(ByteReader& in) {
  if (const auto version = in.get<uint8_t>(); version != kStateVersion) {
    return Status::corruption("time stage: state of version " + std::to_string(version) + ", this program reads " +
                              std::to_string(kStateVersion));
  }
  input_.restore(in);
  const auto unit = in.get<uint8_t>();
  accepted_any_ = in.get<uint8_t>() != 0;
  late_warnings_ = in.get<int64_t>();
  refused_first_ = in.get<int64_t>();
  for (int64_t& count : refused_by_) count = in.get<int64_t>();
  const auto samples = in.get<uint8_t>();
  samples_.clear();
  for (size_t i = 0; i < samples && !in.failed(); ++i) samples_.emplace_back(in.get_string());
  if (in.failed() || samples > kSamples || (unit != kNoUnit && unit >= static_cast<uint8_t>(TimeUnit::kAuto))) {
    return Status::corruption("time stage: its state is not what was written");
  }
  decided_ = unit == kNoUnit ? std::nullopt : std::optional(static_cast<TimeUnit>(unit));
  return {};
}

}  // namespace wrackline
