#include "wrackline/transform/transform.h"

#include <algorithm>
#include <deque>
#include <utility>

#include "wrackline/core/hint.h"
#include "wrackline/transform/metadata.h"

namespace wrackline {
namespace {

constexpr int kCalls = 64;  // for one batch that fails

class PassOn final : public Transform {
 public:
  Result<Transformed> apply(const std::shared_ptr<const Batch>& batch) const override {
    return Transformed{.columns = batch->columns, .length = batch->length, .from = std::nullopt};
  }
};

class TransformStep final : public Step {
 public:
  TransformStep(std::string name, const TransformSpec& spec, const Schema& input, SchemaPtr output)
      : Step(std::move(name)), output_(std::move(output)), on_error_(spec.on_error), function_(spec.function) {
    std::vector<Field> read;
    for (const std::string& column : spec.reads) {
      reads_.push_back(input.index_of(column));
      read.push_back(reads_.back() >= 0 ? input.field(reads_.back()) : metadata_field(column).value());
    }
    read_schema_ = std::make_shared<const Schema>(std::move(read));
    for (const Field& field : output_->fields()) {
      const auto made = std::find_if(spec.makes.begin(), spec.makes.end(),
                                     [&](const Field& makes) { return makes.name == field.name; });
      if (made != spec.makes.end()) {
        origin_of_.push_back({true, static_cast<size_t>(made - spec.makes.begin())});
      } else {
        origin_of_.push_back({false, passed_.size()});
        passed_.push_back(input.index_of(field.name));
      }
    }
    makes_ = spec.makes.size();
  }

  bool busy() const override { return !parts_.empty(); }

  void take(Batch batch) override {
    calls_ = 0;
    parts_.push_back(std::move(batch));
  }

  Status advance(Emitter& out) override {
    Batch batch = std::move(parts_.front());
    parts_.pop_front();
    if (batch.length == 0) {
      emit(std::move(batch), Transformed{.columns = nothing(), .length = 0, .from = std::nullopt}, out);
      return {};
    }
    ++calls_;
    Result<Transformed> made = function_->apply(read_part(batch));
    if (made.ok()) {
      WL_RETURN_IF_ERROR(check_shape(*made, batch.length));
      for (const Transformed::Failed& failed : made->failed) WL_RETURN_IF_ERROR(reject(batch, failed, out));
      counts_.in += batch.length;
      count(*made, batch.length);
      emit(std::move(batch), std::move(made).value(), out);
      return {};
    }
    const Status& why = made.status();
    if (why.code() != Code::kInvalidArgument || on_error_ == OnError::kFail) return stop(why);
    if (batch.length == 1) {
      counts_.in += 1;
      WL_RETURN_IF_ERROR(reject(batch, {.row = 0, .message = why.message()}, out));
      emit(std::move(batch), Transformed{.columns = nothing(), .length = 0, .from = Buffer<int64_t>{}}, out);
      return {};
    }
    if (calls_ >= kCalls) {
      return stop(Status::invalid(why.message() + "; so many rows fail that " + std::to_string(kCalls) +
                                  " calls did not part them from the others"));
    }
    const int64_t half = batch.length / 2;
    parts_.push_front(slice_rows(batch, half, batch.length));
    parts_.push_front(slice_rows(batch, 0, half));
    return {};
  }

 private:
  struct From {
    bool made = false;  // by the function; else passed on
    size_t index = 0;
  };

  // What ends a run is nobody's argument.
  static Status stop(const Status& why) {
    return why.code() == Code::kInvalidArgument ? Status::fatal(why.message()) : why;
  }

  std::vector<ColumnPtr> nothing() const {
    std::vector<ColumnPtr> columns(makes_);
    for (size_t i = 0; i < origin_of_.size(); ++i) {
      if (origin_of_[i].made) columns[origin_of_[i].index] = null_column(output_->field(static_cast<int>(i)), 0);
    }
    return columns;
  }

  std::shared_ptr<const Batch> read_part(const Batch& batch) const {
    auto part = std::make_shared<Batch>();
    part->schema = read_schema_;
    part->length = batch.length;
    for (size_t i = 0; i < reads_.size(); ++i) {
      part->columns.push_back(reads_[i] >= 0 ? batch.columns[static_cast<size_t>(reads_[i])]
                                             : metadata_column(read_schema_->field(static_cast<int>(i)).name, batch));
    }
    return part;
  }

  Status check_shape(const Transformed& made, int64_t rows) const {
    const int64_t length = made.from ? static_cast<int64_t>(made.from->size()) : rows;
    if (made.length != length) {
      const auto counted = [](int64_t count) { return std::to_string(count) + (count == 1 ? " row" : " rows"); };
      return Status::fatal("it returned " + counted(made.length) + " for " + counted(rows) +
                           ": as many as it was given are needed; .filter() leaves some out, .flat_map() makes more");
    }
    WL_CHECK(made.columns.size() == makes_);
    return {};
  }

  Status reject(const Batch& batch, const Transformed::Failed& failed, Emitter& out) {
    if (on_error_ == OnError::kFail) return Status::fatal(failed.message);
    if (on_error_ == OnError::kSkip) {
      ++counts_.skipped;
      return {};
    }
    out.dead_letter(batch, failed.row, reason::kFunction, failed.message);
    ++counts_.dead_lettered;
    return {};
  }

  // A record of which several rows are made is one of the step's input; one of which none is made is filtered.
  void count(const Transformed& made, int64_t rows) {
    int64_t used = rows;
    if (made.from) {
      used = 0;
      for (size_t i = 0; i < made.from->size(); ++i) used += i == 0 || (*made.from)[i] != (*made.from)[i - 1] ? 1 : 0;
    }
    counts_.out += used;
    counts_.filtered += rows - used - static_cast<int64_t>(made.failed.size());
  }

  void emit(Batch batch, Transformed made, Emitter& out) const {
    std::vector<ColumnPtr> passed;
    for (const int column : passed_) passed.push_back(std::move(batch.columns[static_cast<size_t>(column)]));
    batch.columns = std::move(passed);
    const bool all = !made.from || (made.length == batch.length && is_identity(*made.from));
    Batch rows = all ? std::move(batch) : take_rows(batch, *made.from);
    std::vector<ColumnPtr> columns;
    for (const From& from : origin_of_)
      columns.push_back(std::move(from.made ? made.columns[from.index] : rows.columns[from.index]));
    rows.schema = output_;
    rows.columns = std::move(columns);
    out.emit(Port::kMain, std::move(rows));
  }

  static bool is_identity(const Buffer<int64_t>& from) {
    for (size_t i = 0; i < from.size(); ++i) {
      if (from[i] != static_cast<int64_t>(i)) return false;
    }
    return true;
  }

  const SchemaPtr output_;
  const OnError on_error_;
  const std::shared_ptr<const Transform> function_;
  SchemaPtr read_schema_;
  std::vector<int> reads_;       // columns of the input, -1: of the log
  std::vector<int> passed_;      // columns of the input
  std::vector<From> origin_of_;  // per column of the output
  size_t makes_ = 0;
  std::deque<Batch> parts_;  // of the batch that was taken
  int calls_ = 0;
};

}  // namespace

std::shared_ptr<const Transform> pass_on() { return std::make_shared<PassOn>(); }

Result<OnError> parse_on_error(std::string_view text) {
  if (text == "dead_letter") return OnError::kDeadLetter;
  if (text == "skip") return OnError::kSkip;
  if (text == "fail") return OnError::kFail;
  return Status::invalid("on_error is 'dead_letter', 'skip' or 'fail', not '" + std::string(text) + "'");
}

Result<SchemaPtr> transform_output(const TransformSpec& spec, const Schema& input) {
  for (const std::string& column : spec.reads) {
    if (input.index_of(column) < 0 && !metadata_field(column))
      return Status::invalid("no column '" + column + "'" + nearest_hint(column, input.names()));
  }
  std::vector<Field> fields;
  if (spec.passes) {
    for (const Field& field : input.fields()) {
      if (std::find(spec.drops.begin(), spec.drops.end(), field.name) == spec.drops.end()) fields.push_back(field);
    }
  }
  for (size_t i = 0; i < spec.makes.size(); ++i) {
    const Field& made = spec.makes[i];
    const auto same = [&](const Field& field) { return field.name == made.name; };
    if (std::any_of(spec.makes.begin(), spec.makes.begin() + static_cast<std::ptrdiff_t>(i), same))
      return Status::invalid("there are two columns named '" + made.name + "'; rename one of them");
    const auto there = std::find_if(fields.begin(), fields.end(), same);
    if (there == fields.end())
      fields.push_back(made);
    else
      *there = made;
  }
  if (fields.empty()) return Status::invalid("no columns are left");
  return std::make_shared<const Schema>(std::move(fields));
}

Result<std::unique_ptr<Step>> make_transform_step(std::string name, const TransformSpec& spec, const SchemaPtr& input) {
  WL_CHECK(spec.function != nullptr);
  WL_ASSIGN_OR_RETURN(SchemaPtr output, transform_output(spec, *input));
  return std::unique_ptr<Step>(std::make_unique<TransformStep>(std::move(name), spec, *input, std::move(output)));
}

}  // namespace wrackline
