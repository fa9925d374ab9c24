#include "wrackline/transform/filter.h"

#include <cmath>
#include <optional>

#include "wrackline/core/hint.h"

namespace wrackline {
namespace {

// Of two values: < 0, 0 or > 0.
int order(int64_t a, int64_t b) { return a < b ? -1 : a > b ? 1 : 0; }

int order(double a, double b) {
  if (std::isnan(a) || std::isnan(b)) return static_cast<int>(std::isnan(a)) - static_cast<int>(std::isnan(b));
  return a < b ? -1 : a > b ? 1 : 0;
}

// Exact, where a cast would round.
int order(int64_t a, double b) {
  if (std::isnan(b)) return -1;
  if (b >= 0x1p63) return -1;
  if (b < -0x1p63) return 1;
  const double whole = std::floor(b);
  const int by_whole = order(a, static_cast<int64_t>(whole));
  return by_whole != 0 ? by_whole : (b > whole ? -1 : 0);
}

bool passes(Compare compare, int order) {
  switch (compare) {
    case Compare::kEqual: return order == 0;
    case Compare::kNotEqual: return order != 0;
    case Compare::kLess: return order < 0;
    case Compare::kLessEqual: return order <= 0;
    case Compare::kGreater: return order > 0;
    case Compare::kGreaterEqual: return order >= 0;
  }
  return false;
}

std::string_view scalar_type(const Scalar& value) {
  constexpr std::string_view kNames[] = {"null", "bool", "int64", "float64", "string", "timestamp"};
  return kNames[value.index()];
}

bool comparable(Type type, const Scalar& value) {
  switch (type) {
    case Type::kBool: return std::holds_alternative<bool>(value);
    case Type::kInt64:
    case Type::kFloat64: return std::holds_alternative<int64_t>(value) || std::holds_alternative<double>(value);
    case Type::kString: return std::holds_alternative<std::string>(value);
    case Type::kTimestamp: return std::holds_alternative<Timestamp>(value) || std::holds_alternative<int64_t>(value);
    default: return false;
  }
}

class FilterStep final : public Step {
 public:
  FilterStep(std::string name, int column, Compare compare, Scalar value)
      : Step(std::move(name)), column_(column), compare_(compare), value_(std::move(value)) {}

  void take(Batch batch) override { batch_ = std::move(batch); }
  bool busy() const override { return batch_.has_value(); }

  Status advance(Emitter& out) override {
    Batch batch = std::move(*batch_);
    batch_.reset();
    rows_.clear();
    select(batch.column(column_));
    const auto kept = static_cast<int64_t>(rows_.size());
    counts_.in += batch.length;
    counts_.out += kept;
    counts_.filtered += batch.length - kept;
    if (kept == batch.length)
      out.emit(Port::kMain, std::move(batch));
    else
      out.emit(Port::kMain, take_rows(batch, rows_));
    return {};
  }

 private:
  template <typename OrderOf>
  void select_by(const Column& column, OrderOf order_of) {
    for (int64_t row = 0; row < column.length(); ++row) {
      if (!column.is_null(row) && passes(compare_, order_of(row))) rows_.push_back(row);
    }
  }

  void select(const Column& column) {
    if (const auto* wanted = std::get_if<bool>(&value_)) {
      select_by(column, [&](int64_t row) { return order(int64_t{column.bool_at(row)}, int64_t{*wanted}); });
    } else if (const auto* text = std::get_if<std::string>(&value_)) {
      select_by(column, [&](int64_t row) { return column.string_at(row).compare(*text); });
    } else if (column.type() == Type::kFloat64) {
      const double* values = column.float64s();
      if (const auto* whole = std::get_if<int64_t>(&value_)) {
        select_by(column, [&](int64_t row) { return -order(*whole, values[row]); });
      } else {
        const double number = std::get<double>(value_);
        select_by(column, [&](int64_t row) { return order(values[row], number); });
      }
    } else {
      const int64_t* values = column.int64s();
      if (const auto* number = std::get_if<double>(&value_)) {
        select_by(column, [&](int64_t row) { return order(values[row], *number); });
      } else {
        const auto* time = std::get_if<Timestamp>(&value_);
        const int64_t whole = time ? time->millis : std::get<int64_t>(value_);
        select_by(column, [&](int64_t row) { return order(values[row], whole); });
      }
    }
  }

  const int column_;
  const Compare compare_;
  const Scalar value_;
  std::optional<Batch> batch_;
  Buffer<int64_t> rows_;
};

}  // namespace

Result<Compare> parse_compare(std::string_view text) {
  if (text == "==") return Compare::kEqual;
  if (text == "!=") return Compare::kNotEqual;
  if (text == "<") return Compare::kLess;
  if (text == "<=") return Compare::kLessEqual;
  if (text == ">") return Compare::kGreater;
  if (text == ">=") return Compare::kGreaterEqual;
  return Status::invalid("unknown comparison '" + std::string(text) + "': one of == != < <= > >=");
}

Result<std::unique_ptr<Step>> make_filter_step(std::string name, const FilterSpec& spec, const SchemaPtr& input) {
  const int column = input->index_of(spec.column);
  if (column < 0) {
    return Status::invalid("no column '" + spec.column + "'" + nearest_hint(spec.column, input->names()));
  }
  const Type type = input->field(column).type;
  if (!comparable(type, spec.value)) {
    return Status::invalid("column '" + spec.column + "' (" + std::string(type_name(type)) +
                           ") does not compare with a value of type " + std::string(scalar_type(spec.value)));
  }
  return std::unique_ptr<Step>(std::make_unique<FilterStep>(std::move(name), column, spec.compare, spec.value));
}

}  // namespace wrackline
