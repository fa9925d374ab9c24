#include "wrackline/job/task.h"

#include <algorithm>

#include "wrackline/codec/block.h"
#include "wrackline/codec/json_encoder.h"
#include "wrackline/core/bytes.h"
#include "wrackline/core/logging.h"
#include "wrackline/sink/row_hash.h"

namespace wrackline {
namespace {

constexpr size_t kPorts = 3;
constexpr size_t kWaysOfNode = kPorts + 1;  // and its dead letters
constexpr size_t index_of(Port port) { return static_cast<size_t>(port); }
uint8_t unit_number(std::optional<TimeUnit> unit) {
  return unit ? static_cast<uint8_t>(static_cast<uint8_t>(*unit) + 1) : uint8_t{0};
}

}  // namespace

Result<std::unique_ptr<Task>> Task::make(std::shared_ptr<const Plan> plan, TopicPartition input, RowSink* sink) {
  const SourceSpec& source = plan->source();
  if (source.exchange) {
    WL_ASSIGN_OR_RETURN(auto steps, plan->make_steps(source.schema));
    auto task =
        std::unique_ptr<Task>(new Task(std::move(plan), std::move(input), sink, source.schema, std::move(steps)));
    task->inputs_.emplace(source.exchange->sources, source.exchange->idle_advance);
    task->on_probation_ = false;
    return task;
  }
  JsonDecoderOptions options;
  options.max_record_bytes = source.max_record_bytes;
  const bool rows = source.topic.empty();
  options.used = rows ? std::vector<bool>(static_cast<size_t>(source.schema->size()), true) : plan->used_columns();
  options.time_field = source.schema->index_of(source.time.column);
  options.units.assign(static_cast<size_t>(source.schema->size()), TimeUnit::kMillis);
  WL_ASSIGN_OR_RETURN(JsonDecoder decoder, JsonDecoder::make(json_schema(source), std::move(options)));
  // The stored columns under their own names.
  std::vector<Field> stored;
  for (int i = 0; i < source.schema->size(); ++i) {
    const std::string& path =
        source.paths.empty() ? source.schema->field(i).name : source.paths[static_cast<size_t>(i)];
    const int index = decoder.schema()->index_of(path);
    if (index < 0) continue;
    stored.push_back(decoder.schema()->field(index));
    stored.back().name = source.schema->field(i).name;
  }
  const auto schema = std::make_shared<const Schema>(std::move(stored));
  WL_ASSIGN_OR_RETURN(TimeStage time, TimeStage::make(source.time, source.watermark, *schema));
  WL_ASSIGN_OR_RETURN(auto steps, plan->make_steps(schema));
  auto task = std::unique_ptr<Task>(new Task(std::move(plan), std::move(input), sink, schema, std::move(steps)));
  task->decoder_.emplace(std::move(decoder));
  task->time_.emplace(std::move(time));
  return task;
}

Task::Task(std::shared_ptr<const Plan> plan, TopicPartition input, RowSink* sink, SchemaPtr schema,
           std::vector<std::unique_ptr<Step>> steps)
    : plan_(std::move(plan)),
      input_(std::move(input)),
      origin_(std::make_shared<const TopicPartition>(input_)),
      sink_(sink),
      schema_(std::move(schema)),
      steps_(std::move(steps)),
      inboxes_(steps_.size()) {
  const size_t nodes = plan_->nodes().size();
  ways_.resize(plan_->sinks().size() * nodes * kWaysOfNode);
  below_.assign(nodes, std::vector<std::vector<int>>(kPorts));
  sinks_of_ = below_;
  for (size_t i = 2; i < nodes; ++i) {
    if (!plan_->is_needed(static_cast<int>(i))) continue;
    const StreamRef from = plan_->nodes()[i].input;
    below_[static_cast<size_t>(from.node)][index_of(from.port)].push_back(static_cast<int>(i));
  }
  for (size_t i = 0; i < plan_->sinks().size(); ++i) {
    if (const auto& exchange = plan_->sinks()[i].exchange)
      marks_.push_back({.sink = static_cast<int>(i), .to_merge = exchange->merges});
    for (const StreamRef from : plan_->sinks()[i].streams) {
      sinks_of_[static_cast<size_t>(from.node)][index_of(from.port)].push_back(static_cast<int>(i));
    }
  }
}

Task::~Task() = default;

Status Task::check_placement(PlacedKeys* keys) {
  const SourceSpec& source = plan_->source();
  if (source.partitioned_by.empty() || source.topic.empty()) return {};
  const auto& nodes = plan_->nodes();
  const bool with_nulls = std::any_of(nodes.begin(), nodes.end(), [](const Plan::Node& node) {
    const auto* window = std::get_if<WindowSpec>(&node.spec);
    const auto* dedup = std::get_if<DedupSpec>(&node.spec);
    return (window != nullptr && window->null_key_group) || (dedup != nullptr && dedup->null_key_group);
  });
  WL_ASSIGN_OR_RETURN(placement_, PlacementCheck::make(*schema_, source.partitioned_by, with_nulls, input_, keys));
  return {};
}

TaskStatus Task::status() const {
  TaskStatus status{.partition = input_.partition,
                    .offset = offset_,
                    .watermark = watermark(),
                    .last_record = last_record_,
                    .on_probation = on_probation_,
                    .idle = time_ && time_->idle(),
                    .ended = ended_,
                    .inputs = inputs_ ? inputs_->status() : std::vector<InputStatus>()};
  for (const auto& step : steps_) status.steps.emplace_back(step->name(), step->status());
  return status;
}

void Task::set_offset(int64_t offset) {
  offset_ = offset;
  start_offset_ = offset;
}

Status Task::take_records(std::shared_ptr<Records> records, int64_t next_offset, Millis clock_now) {
  WL_CHECK(!busy());
  mark();
  if (!records->empty()) last_record_ = clock_now;
  if (inputs_) {
    for (int64_t i = 0; i < records->size(); ++i) {
      offset_ = records->offset(i) + 1;
      WL_RETURN_IF_ERROR(take_block(records->value(i)).with_context(input_.topic));
    }
    offset_ = next_offset;
    return {};
  }
  records->pad();
  Decoded decoded = decoder_->decode(records);
  read_.in += records->size();
  read_.skipped += static_cast<int64_t>(decoded.tombstones.size());
  offset_ = next_offset;

  // Dead letters of one poll leave in the order of their records, whoever found them.
  const size_t first_dead = dead_.size();
  Buffer<uint32_t> undecoded;
  for (BadRecord& bad : decoded.bad) {
    undecoded.push_back(bad.record);
    add_dead_letter(records, bad.record, std::nullopt, plan_->node(Plan::kSource).name, bad.reason,
                    std::move(bad.message));
  }
  if (trace_) {
    for (const BadRecord& bad : decoded.bad) {
      trace_->refused(records->offset(bad.record), records->timestamp(bad.record), Fate::kDeadLettered,
                      plan_->node(Plan::kSource).name);
    }
    for (const uint32_t record : decoded.tombstones) {
      trace_->refused(records->offset(record), records->timestamp(record), Fate::kSkipped,
                      plan_->node(Plan::kSource).name);
    }
  }
  read_.dead_lettered += static_cast<int64_t>(decoded.bad.size());
  refused_ += static_cast<int64_t>(decoded.bad.size());
  decoded.batch.schema = schema_;
  decoded.batch.origin = origin_;
  TimeInput time{.clock_now = clock_now,
                 .forms = decoded.time_forms.empty() ? nullptr : &decoded.time_forms,
                 .undecoded = undecoded};
  WL_RETURN_IF_ERROR(take(std::move(decoded.batch), time));
  std::stable_sort(dead_.begin() + static_cast<std::ptrdiff_t>(first_dead), dead_.end(),
                   [](const DeadLetter& a, const DeadLetter& b) { return a.record < b.record; });
  return on_probation_ ? Status() : flush_dead_letters();
}

Status Task::take_rows(Batch rows, int64_t offset, Millis clock_now) {
  WL_CHECK(!busy());
  mark();
  last_record_ = clock_now;
  read_.in += rows.length;
  offset_ = offset + rows.length;
  if (rows.schema == nullptr) {  // a tombstone
    ++read_.in;
    ++read_.skipped;
    ++offset_;
    return {};
  }
  WL_RETURN_IF_ERROR(take(std::move(rows), TimeInput{.clock_now = clock_now}));
  return on_probation_ ? Status() : flush_dead_letters();
}

Status Task::take(Batch batch, const TimeInput& time) {
  if (ended_) reopen();
  const Millis before = time_->watermark();
  if ((trace_ || plan_->reads_metadata()) && !batch.records) {  // bounded rows go by their number
    for (int64_t row = 0; row < batch.length; ++row)
      batch.record_of.push_back(static_cast<uint32_t>(offset_ - batch.length + row));
  }
  const Batch original = batch;  // columns are shared; apply() drops rows of `batch`
  time_->apply(batch, time, [&](int64_t row, std::string_view reason, std::string message) {
    ++refused_;
    ++read_.dead_lettered;
    const std::string& step = plan_->node(Plan::kSource).name;
    add_dead_row(original, row, step, reason, std::move(message));
    if (trace_) {
      const Millis arrival =
          original.records ? original.records->timestamp(original.record_of[static_cast<size_t>(row)]) : kMinusInfinity;
      trace_->refused(TaskTrace::offset_of(original, row), arrival, Fate::kDeadLettered, step);
    }
  });
  WL_RETURN_IF_ERROR(time_->stuck());
  if (placement_) WL_RETURN_IF_ERROR(placement_->check(batch));
  if (time_->accepted_any()) on_probation_ = false;
  read_.out += batch.length;
  if (batch.length == 0 && batch.moves.empty()) return {};
  batch.watermark = before;
  if (trace_) trace_->accepted(batch);
  give({Plan::kSource, Port::kMain}, std::move(batch));
  return std::exchange(emit_status_, Status());
}

// The rows and marks of upstream tasks.
Status Task::take_block(std::string_view bytes) {
  WL_ASSIGN_OR_RETURN(ExchangeBlock block, decode_block(bytes, schema_));
  const UpstreamId from = block.header.from;
  WL_RETURN_IF_ERROR(inputs_->expect(from.source, block.header.partitions));
  const Millis before = inputs_->last_watermark();
  if (block.mark) {
    inputs_->on_mark(from, *block.mark);
    ended_ = inputs_->ended();
    if (inputs_->watermark() > before) pass_move(before, inputs_->watermark());
    return std::exchange(emit_status_, Status());
  }
  Batch& rows = block.rows;
  rows.watermark = before;
  rows.origin = origin_;
  for (int64_t row = 0; row < rows.length; ++row) {
    Millis& judged = rows.judged_by[static_cast<size_t>(row)];
    const Millis now = inputs_->last_watermark();
    judged = inputs_->on_row(from, block.watermarks[static_cast<size_t>(row)], judged);
    if (inputs_->last_watermark() > now) rows.moves.push_back({row, inputs_->last_watermark()});
  }
  ended_ = false;
  read_.in += rows.length;
  read_.out += rows.length;
  give({Plan::kSource, Port::kMain}, std::move(rows));
  return std::exchange(emit_status_, Status());
}

Status Task::check_idle(Millis clock_now, bool at_end) {
  if (!time_) return {};  // the tasks that read the sources decide
  const bool was_idle = time_->idle();
  return decide_idle(clock_now, was_idle, time_->check_idle(clock_now, at_end));
}

Status Task::go_idle(Millis clock_now) {
  if (!time_) return {};
  const bool was_idle = time_->idle();
  return decide_idle(clock_now, was_idle, time_->go_idle(clock_now));
}

Status Task::decide_idle(Millis clock_now, bool was_idle, std::optional<Millis> decided) {
  const Millis before = time_->watermark();
  const bool merges = std::any_of(marks_.begin(), marks_.end(), [](const Marks& marks) { return marks.to_merge; });
  // The tasks behind an exchange hear of it, also where W stays; a merge decides what it means.
  const bool tells = feeds_exchange() && time_->idle() && (decided || !was_idle);
  if (!decided && !tells) return {};
  if (!decided || merges) decided = time_->last_watermark();
  mark();
  idle_at_ = clock_now;
  decisions_.push_back({Decision::Kind::kIdle, offset_, *decided, clock_now});
  if (time_->apply_decision(*decided)) pass_move(before, time_->watermark());
  WL_RETURN_IF_ERROR(std::exchange(emit_status_, Status()));
  return tells && !busy() ? emit_marks() : Status();
}

Status Task::emit_marks() {
  for (Marks& marks : marks_) {
    UpstreamMark mark{.watermark = marks.watermark, .ended = marks.ended};
    if (time_) {
      mark.idle = time_->idle() && !marks.ended;
      if (marks.to_merge) {
        const auto [closes_from, seen_at] = time_->closes_from();
        mark.closes_from = closes_from;
        mark.seen_at = seen_at;
      }
      if (mark.idle) mark.clock = idle_at_;
    }
    if (marks.told == mark) continue;
    marks.told = mark;
    if (!suppressed_) WL_RETURN_IF_ERROR(sink_->mark(marks.sink, input_.partition, mark));
  }
  return {};
}

Status Task::end(Millis clock_now) {
  if (ended_ || !time_) return {};
  mark();
  if (const std::string why = time_->nothing_accepted(); on_probation_ && !why.empty())
    log_line(LogLevel::kWarning, why);
  on_probation_ = false;
  decisions_.push_back({Decision::Kind::kEnded, offset_, watermark(), clock_now});
  ended_ = true;
  const Millis before = watermark();
  time_->end();
  pass_move(before, kPlusInfinity);
  WL_RETURN_IF_ERROR(flush_dead_letters());
  return std::exchange(emit_status_, Status());
}

Status Task::apply(const Decision& decision) {
  WL_CHECK(decision.offset == offset_ && !busy());
  switch (decision.kind) {
    case Decision::Kind::kIdle: {
      mark();
      const Millis before = watermark();
      if (time_->apply_decision(decision.watermark)) pass_move(before, watermark());
      break;
    }
    case Decision::Kind::kEnded: {
      WL_RETURN_IF_ERROR(end(decision.clock));
      break;
    }
  }
  return std::exchange(emit_status_, Status());
}

void Task::mark() {
  current_ = Plan::kSource;
  if (firing()) return;
  mark_.offset = offset_;
  mark_.watermark = last_watermark();
  mark_.unit = time_ ? time_->decided_unit() : std::nullopt;
  mark_.refused = refused_;
  mark_.rows_hash = rows_hash_;
  mark_.decisions = decisions_.size();
  mark_.cut_end = offset_;
  mark_.on_probation = on_probation_;
  mark_.counts = counts();
  std::fill(ways_.begin(), ways_.end(), Way{});
}

bool Task::holding_back() const {
  return std::any_of(ways_.begin(), ways_.end(), [](const Way& way) { return way.given < way.written; });
}

JournalRow Task::seal_cut() {
  WL_CHECK(firing() && may_be_cut());
  JournalRow row;
  row.offset = mark_.offset;
  row.watermark = mark_.watermark;
  row.auto_unit = unit_number(mark_.unit);
  row.refused = mark_.refused;
  row.ledger = ledger_of(mark_.counts);
  // The decision that set the firing off is one of the commit at its end.
  const auto trigger = decisions_.begin() + static_cast<std::ptrdiff_t>(mark_.decisions);
  row.cut.emplace();
  row.cut->end = std::max(mark_.cut_end, offset_);
  if (trigger != decisions_.end()) row.cut->trigger = *trigger;
  row.decisions.assign(decisions_.begin(), trigger);
  decisions_.erase(decisions_.begin(), trigger);
  mark_.decisions = 0;
  for (size_t i = 0; i < ways_.size(); ++i) {
    if (ways_[i].written > 0) row.cut->rows[static_cast<uint32_t>(i)] = ways_[i].written;
  }
  return row;
}

Status Task::check_cut() const {
  if (busy() || offset_ < mark_.cut_end || !holding_back()) return {};
  return Status::fatal("rows of the firing that the last commit has cut do not come out again");
}

Status Task::resume(const Cut& cut) {
  mark();
  for (const auto& [way, rows] : cut.rows) {
    if (way >= ways_.size()) return Status::corruption("journal row: a cut with a way out that the job does not have");
    ways_[way].written = rows;
  }
  mark_.cut_end = cut.end;
  if (!cut.trigger) return {};
  WL_RETURN_IF_ERROR(apply(*cut.trigger));
  if (cut.trigger->kind == Decision::Kind::kIdle) decisions_.push_back(*cut.trigger);
  return {};
}

void Task::pass_move(Millis before, Millis after) {
  Batch batch;
  batch.schema = schema_;
  for (const Field& field : batch.schema->fields()) batch.columns.push_back(null_column(field, 0));
  batch.watermark = before;
  batch.moves.push_back({0, after});
  batch.origin = origin_;
  give({Plan::kSource, Port::kMain}, std::move(batch));
}

bool Task::busy() const {
  return std::any_of(inboxes_.begin(), inboxes_.end(), [](const auto& inbox) { return !inbox.empty(); }) ||
         std::any_of(steps_.begin(), steps_.end(), [](const auto& step) { return step->busy(); });
}

Status Task::advance() {
  for (size_t i = steps_.size(); i-- > 0;) {
    Step& step = *steps_[i];
    if (!step.busy()) {
      if (inboxes_[i].empty()) continue;
      if (trace_) trace_->taken(static_cast<int>(i) + 2, inboxes_[i].front());
      step.take(std::move(inboxes_[i].front()));
      inboxes_[i].pop_front();
      if (!step.busy()) return {};
    }
    current_ = static_cast<int>(i) + 2;
    WL_RETURN_IF_ERROR(step.advance(*this).with_context("step '" + step.name() + "'"));
    if (trace_ && !step.busy()) trace_->through(current_);
    WL_RETURN_IF_ERROR(flush_dead_letters());
    return std::exchange(emit_status_, Status());
  }
  return {};
}

void Task::before_commit() {
  for (const auto& step : steps_) step->before_commit();
}

void Task::emit(Port port, Batch batch) {
  if (trace_) trace_->emitted({current_, port}, batch);
  give({current_, port}, std::move(batch));
}

void Task::give(StreamRef from, Batch batch) {
  const auto node = static_cast<size_t>(from.node);
  for (Marks& marks : marks_) {
    if (plan_->sinks()[static_cast<size_t>(marks.sink)].streams.front() != from) continue;
    const Millis after = batch.watermark_after();
    marks.ended = after == kPlusInfinity;
    if (!marks.ended) marks.watermark = std::max(marks.watermark, after);
  }
  if (batch.length > 0) {
    for (const int sink : sinks_of_[node][index_of(from.port)]) {
      if (sink_->is_replayed()) rows_hash_ += hash_rows(batch, plan_->sinks()[static_cast<size_t>(sink)].topic);
      Way& way = ways_[way_out(sink, from)];
      const int64_t hold_back = std::clamp<int64_t>(way.written - way.given, 0, batch.length);
      way.given += batch.length;
      way.written = std::max(way.written, way.given);
      if (suppressed_ || !emit_status_.ok() || hold_back == batch.length) continue;
      emit_status_ =
          sink_->write(sink, input_.partition, hold_back == 0 ? batch : slice_rows(batch, hold_back, batch.length));
    }
  }
  const std::vector<int>& below = below_[node][index_of(from.port)];
  if (below.empty()) return;
  const auto inbox_of = [&](int below_node) -> std::deque<Batch>& {
    return inboxes_[static_cast<size_t>(below_node) - 2];
  };
  for (size_t i = 0; i + 1 < below.size(); ++i) inbox_of(below[i]).push_back(batch);
  inbox_of(below.back()).push_back(std::move(batch));
}

size_t Task::way_out(int sink, StreamRef from) const {
  const bool dead = from.node == Plan::kDeadLetters;
  const size_t node =
      static_cast<size_t>(sink) * plan_->nodes().size() + static_cast<size_t>(dead ? current_ : from.node);
  return node * kWaysOfNode + (dead ? kPorts : index_of(from.port));
}

void Task::dead_letter(const Batch& batch, int64_t row, std::string_view reason, std::string message) {
  const std::string& step = plan_->node(current_).name;
  if (trace_ && !batch.record_of.empty()) {
    trace_->fate(TaskTrace::offset_of(batch, row), Fate::kDeadLettered, step);
  }
  add_dead_row(batch, row, step, reason, std::move(message));
}

void Task::add_dead_row(const Batch& batch, int64_t row, std::string_view step, std::string_view reason,
                        std::string message) {
  if (batch.records) {
    add_dead_letter(batch.records, batch.record_of[static_cast<size_t>(row)], std::nullopt, step, reason,
                    std::move(message));
  } else {
    add_dead_letter(nullptr, -1, row_as_json(batch, row), step, reason, std::move(message));
  }
}

void Task::dead_pane(Millis /*event_time*/, std::string_view reason, std::string message) {
  add_dead_letter(nullptr, -1, std::nullopt, plan_->node(current_).name, reason, std::move(message));
}

void Task::add_dead_letter(const std::shared_ptr<const Records>& records, int64_t record,
                           std::optional<std::string> own_value, std::string_view step, std::string_view reason,
                           std::string message) {
  ++dead_count_;
  last_dead_ = "step '" + std::string(step) + "', " + std::string(reason) + ": " + message;
  dead_.push_back({records, record, std::move(own_value), std::string(step), std::string(reason), std::move(message)});
}

std::string Task::row_as_json(const Batch& batch, int64_t row) const {
  Records out;
  JsonEncoder::all_columns(batch.schema).encode(batch, row, row + 1, 0, out);
  return std::string(out.value(0));
}

Status Task::flush_dead_letters() {
  if (on_probation_) return {};
  size_t begin = 0;
  while (begin < dead_.size()) {
    // One batch per run of letters from the same poll.
    size_t end = begin + 1;
    while (end < dead_.size() && dead_[end].records == dead_[begin].records) ++end;
    Column key(Type::kBytes), value(Type::kBytes), reason(Type::kString), message(Type::kString), step(Type::kString);
    Column topic(Type::kString), partition(Type::kInt64), offset(Type::kInt64), timestamp(Type::kTimestamp);
    Batch batch;
    batch.schema = dead_letter_schema();
    batch.records = dead_[begin].records;
    batch.origin = origin_;
    for (size_t i = begin; i < end; ++i) {
      const DeadLetter& letter = dead_[i];
      reason.append_string(letter.reason);
      message.append_string(letter.message);
      step.append_string(letter.step);
      if (letter.records) {
        const Records& records = *letter.records;
        records.has_key(letter.record) ? key.append_string(records.key(letter.record)) : key.append_null();
        value.append_string(records.value(letter.record));
        topic.append_string(input_.topic);
        partition.append_int64(input_.partition);
        offset.append_int64(records.offset(letter.record));
        timestamp.append_int64(records.timestamp(letter.record));
        batch.record_of.push_back(static_cast<uint32_t>(letter.record));
      } else {
        key.append_null();
        letter.own_value ? value.append_string(*letter.own_value) : value.append_null();
        topic.append_null();
        partition.append_null();
        offset.append_null();
        timestamp.append_null();
      }
      batch.event_times.push_back(last_watermark());
    }
    batch.length = static_cast<int64_t>(end - begin);
    for (Column* column : {&key, &value, &reason, &message, &step, &topic, &partition, &offset, &timestamp}) {
      batch.columns.push_back(std::make_shared<const Column>(std::move(*column)));
    }
    give({Plan::kDeadLetters, Port::kMain}, std::move(batch));
    begin = end;
  }
  dead_.clear();
  return std::exchange(emit_status_, Status());
}

Ledger Task::ledger() const { return ledger_of(counts()); }

std::vector<StepCounts> Task::counts() const {
  // On probation nothing is committed, so that the corrected job reads it all again.
  std::vector<StepCounts> counts{on_probation_ ? StepCounts{} : read_};
  for (const auto& step : steps_) counts.push_back(step->counts());
  return counts;
}

Ledger Task::ledger_of(const std::vector<StepCounts>& counts) const {
  Ledger ledger{{plan_->node(Plan::kSource).name, counts.front()}};
  for (size_t i = 0; i < steps_.size(); ++i) ledger.push_back({steps_[i]->name(), counts[i + 1]});
  return ledger;
}

int64_t Task::panes() const {
  int64_t panes = 0;
  for (const auto& step : steps_) panes += step->counts().panes;
  return panes;
}

int64_t Task::state_bytes() const {
  int64_t bytes = 0;
  for (const auto& step : steps_) bytes += step->state_bytes();
  return bytes;
}

JournalRow Task::seal() {
  JournalRow row;
  row.offset = on_probation_ ? start_offset_ : offset_;
  row.watermark = last_watermark();
  row.auto_unit = time_ ? unit_number(time_->decided_unit()) : uint8_t{0};
  row.refused = on_probation_ ? 0 : refused_;
  row.ledger = ledger();
  if (!on_probation_) row.decisions = std::exchange(decisions_, {});
  return row;
}

std::vector<Step*> Task::steps() {
  std::vector<Step*> steps;
  for (const auto& step : steps_) steps.push_back(step.get());
  return steps;
}

std::string Task::save_time() const {
  ByteWriter writer;
  if (time_)
    time_->save(writer);
  else
    inputs_->save(writer);
  writer.put(on_probation_);
  writer.put(start_offset_);
  writer.put(refused_);
  writer.put(ended_);
  return std::string(writer.view());
}

Status Task::restore_time(std::string_view bytes) {
  ByteReader reader(bytes);
  WL_RETURN_IF_ERROR(time_ ? time_->restore(reader) : inputs_->restore(reader));
  on_probation_ = reader.get<bool>();
  start_offset_ = reader.get<int64_t>();
  refused_ = reader.get<int64_t>();
  ended_ = reader.get<bool>();
  return reader.finish("time state");
}

void Task::restore_ledger(const Ledger& ledger) {
  for (const LedgerEntry& entry : ledger) {
    if (entry.step == plan_->node(Plan::kSource).name) read_ = entry.counts;
  }
}

}  // namespace wrackline
