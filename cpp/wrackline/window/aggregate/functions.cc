#include "wrackline/window/aggregate/functions.h"

#include <algorithm>
#include <array>
#include <limits>
#include <string_view>

#include "wrackline/core/hint.h"
#include "wrackline/window/aggregate/numbers.h"
#include "wrackline/window/cells.h"

namespace wrackline {

namespace {

bool is_any(Type type) { return type != Type::kList && type != Type::kDecimal; }
bool is_number(Type type) { return type == Type::kInt64 || type == Type::kFloat64 || type == Type::kBool; }
bool is_ordered(Type type) { return type == Type::kInt64 || type == Type::kFloat64 || type == Type::kTimestamp; }
bool is_measure(Type type) { return is_ordered(type) || type == Type::kBool; }
bool is_bool(Type type) { return type == Type::kBool; }
bool is_anything(Type) { return true; }

enum Options : uint8_t { kPlain = 0, kWide = 1, kQ = 2, kK = 4, kBy = 8 };

constexpr size_t kMostK = 10'000;  // values of top_k and approx_most_common

constexpr std::array<std::string_view, 6> kInterpolations = {"nearest",  "lower",  "higher",
                                                             "midpoint", "linear", "equiprobable"};

Interpolation interpolation_of(std::string_view name) {
  const auto at = std::find(kInterpolations.begin(), kInterpolations.end(), name);
  return static_cast<Interpolation>(at - kInterpolations.begin());
}

}  // namespace

struct Function {
  std::string_view name;
  bool (*takes)(Type);
  uint8_t options;
  void (*add)(Layout& layout, const AggregateSpec& spec);
};

namespace {

using Spec = const AggregateSpec&;

constexpr Function kFunctions[] = {
    {"count", is_anything, kPlain, [](Layout& l, Spec) { l.rows(); }},
    {"sum", is_number, kWide, [](Layout& l, Spec) { l.sum(); }},
    {"mean", is_number, kPlain, [](Layout& l, Spec) { l.mean(); }},
    {"min", is_any, kPlain, [](Layout& l, Spec) { l.extreme(true); }},
    {"max", is_any, kPlain, [](Layout& l, Spec) { l.extreme(false); }},
    {"var", is_number, kPlain, [](Layout& l, Spec) { l.moments(Answer::kVar); }},
    {"std", is_number, kPlain, [](Layout& l, Spec) { l.moments(Answer::kStd); }},
    {"first", is_any, kPlain, [](Layout& l, Spec) { l.edge(true); }},
    {"last", is_any, kPlain, [](Layout& l, Spec) { l.edge(false); }},
    {"n_unique", is_any, kPlain, [](Layout& l, Spec) { l.counted(Answer::kDistinct, PartKind::kDistinct); }},
    {"collect", is_any, kPlain, [](Layout& l, Spec) { l.listed(Answer::kCollect, l.of(PartKind::kCollect)); }},
    {"collect_set", is_any, kPlain,
     [](Layout& l, Spec) { l.listed(Answer::kSet, l.of(l.is_text() ? PartKind::kTextSet : PartKind::kDistinct)); }},
    {"quantile", is_ordered, kQ,
     [](Layout& l, Spec spec) { l.quantile(spec.q, interpolation_of(spec.interpolation)); }},
    {"median", is_measure, kPlain, [](Layout& l, Spec) { l.quantile(0.5, Interpolation::kLinear); }},
    {"top_k", is_any, kK,
     [](Layout& l, Spec spec) {
       Part part = l.of(l.is_text() ? PartKind::kTopText : PartKind::kTop);
       part.k = static_cast<size_t>(spec.k);
       l.listed(Answer::kTop, part);
     }},
    {"arg_min", is_any, kBy, [](Layout& l, Spec) { l.arg(true); }},
    {"arg_max", is_any, kBy, [](Layout& l, Spec) { l.arg(false); }},
    {"bool_and", is_bool, kPlain, [](Layout& l, Spec) { l.extreme(true); }},
    {"bool_or", is_bool, kPlain, [](Layout& l, Spec) { l.extreme(false); }},
    {"approx_n_unique", is_any, kPlain,
     [](Layout& l, Spec) { l.counted(Answer::kApproxDistinct, PartKind::kApproxDistinct); }},
    {"approx_quantile", is_ordered, kQ, [](Layout& l, Spec) { l.approx_quantile(); }},
    {"approx_most_common", is_any, kK,
     [](Layout& l, Spec spec) {
       Part part = l.of(PartKind::kFrequent);
       part.k = static_cast<size_t>(spec.k);
       l.listed(Answer::kFrequent, part);
     }},
};

// What an entry starts with in the cells.
template <typename T>
void append_cell(Buffer<uint8_t>& initial, T value) {
  initial.resize(initial.size() + sizeof(T));
  store_cell(initial.data() + initial.size() - sizeof(T), value);
}

void append_initial(Buffer<uint8_t>& initial, PartKind kind) {
  constexpr int64_t kLowest = std::numeric_limits<int64_t>::min();
  constexpr int64_t kHighest = std::numeric_limits<int64_t>::max();
  switch (kind) {
    case PartKind::kRows:
    case PartKind::kNonNull:
    case PartKind::kMinText:
    case PartKind::kMaxText: return append_cell(initial, int64_t{0});
    case PartKind::kSumInteger: return append_cell(initial, __int128{0});
    case PartKind::kSumFloat: return append_cell(initial, DoubleDouble{});
    case PartKind::kMinInteger: return append_cell(initial, kHighest);
    case PartKind::kMaxInteger: return append_cell(initial, kLowest);
    case PartKind::kMinFloat:
    case PartKind::kMaxFloat: return append_cell(initial, std::numeric_limits<double>::quiet_NaN());
    case PartKind::kMoments: return append_cell(initial, Moments{});
    case PartKind::kFirst: append_cell(initial, kHighest); return append_cell(initial, int64_t{0});
    case PartKind::kLast: append_cell(initial, kLowest); return append_cell(initial, int64_t{0});
    case PartKind::kFirstText: return append_cell(initial, kHighest);
    case PartKind::kLastText: return append_cell(initial, kLowest);
    case PartKind::kArgMin:
    case PartKind::kArgMax: return append_cell(initial, ArgCell{});
    default: return;
  }
}

// Whether the part has objects in a pool, and which.
bool find_pool(Part& part) {
  switch (part.kind) {
    case PartKind::kMinText:
    case PartKind::kMaxText:
    case PartKind::kFirstText:
    case PartKind::kLastText: part.pool_kind = PoolKind::kTexts; return true;
    case PartKind::kArgMin:
    case PartKind::kArgMax:
      part.pool_kind = PoolKind::kChosen;
      return part.is_text() || part.by_type == Type::kString || part.by_type == Type::kBytes;
    case PartKind::kCollect: part.pool_kind = PoolKind::kLists; return true;
    case PartKind::kDistinct: part.pool_kind = PoolKind::kSets; return true;
    case PartKind::kTextSet: part.pool_kind = PoolKind::kTextSets; return true;
    case PartKind::kValues: part.pool_kind = PoolKind::kValues; return true;
    case PartKind::kTop: part.pool_kind = PoolKind::kTops; return true;
    case PartKind::kTopText: part.pool_kind = PoolKind::kTopTexts; return true;
    case PartKind::kApproxDistinct: part.pool_kind = PoolKind::kHyperLogLogs; return true;
    case PartKind::kApproxQuantile: part.pool_kind = PoolKind::kKlls; return true;
    case PartKind::kFrequent: part.pool_kind = PoolKind::kFrequents; return true;
    case PartKind::kCustom: part.pool_kind = PoolKind::kCustom; return true;
    default: return false;
  }
}

}  // namespace

Status Layout::add() {
  if (spec_.custom != nullptr) return add_custom();
  const auto known = std::find_if(std::begin(kFunctions), std::end(kFunctions),
                                  [&](const Function& function) { return function.name == spec_.function; });
  if (known == std::end(kFunctions)) {
    std::vector<std::string> names;
    for (const Function& function : kFunctions) names.emplace_back(function.name);
    return Status::invalid("'" + spec_.name + "': no aggregate '" + spec_.function + "'" +
                           nearest_hint(spec_.function, names));
  }
  function_ = known;
  WL_RETURN_IF_ERROR(check_options());
  WL_RETURN_IF_ERROR(find_columns());
  result_ = {spec_.name, Type::kInt64, false};
  function_->add(*this, spec_);
  aggregates_.fingerprint_ += (aggregates_.fingerprint_.empty() ? "" : ", ") + fingerprint();
  return {};
}

Status Layout::check_options() {
  const auto refuse = [&](const std::string& what) { return Status::invalid("'" + spec_.name + "': " + what); };
  if (spec_.wide && (function_->options & kWide) == 0) return refuse("wide is an option of sum");
  if ((function_->options & kQ) != 0) {
    if (!(spec_.q >= 0 && spec_.q <= 1)) return refuse("q must lie between 0 and 1");
    if (std::find(kInterpolations.begin(), kInterpolations.end(), spec_.interpolation) == kInterpolations.end()) {
      return refuse("no interpolation '" + spec_.interpolation + "'" +
                    nearest_hint(spec_.interpolation, {kInterpolations.begin(), kInterpolations.end()}));
    }
  }
  if ((function_->options & kK) != 0 && (spec_.k < 1 || spec_.k > static_cast<int64_t>(kMostK)))
    return refuse("k must lie between 1 and " + std::to_string(kMostK));
  return {};
}

Status Layout::find_columns() {
  const auto refuse = [&](const std::string& what) { return Status::invalid("'" + spec_.name + "': " + what); };
  const auto find = [&](const std::string& name, int& column, const Field*& field) -> Status {
    column = input_.index_of(name);
    if (column < 0) return refuse("no column '" + name + "'" + nearest_hint(name, input_.names()));
    field = &input_.field(column);
    return {};
  };
  const auto check = [&](bool takes, const Field& field) {
    return takes ? Status()
                 : refuse(spec_.function + " does not take column '" + field.name + "' (" +
                          std::string(type_name(field.type)) + ")");
  };
  if (spec_.column.empty()) {
    return spec_.function == "count" ? Status() : refuse(spec_.function + " needs a column");
  }
  WL_RETURN_IF_ERROR(find(spec_.column, column_, field_));
  WL_RETURN_IF_ERROR(check(function_->takes(field_->type), *field_));
  if (spec_.wide && is_float()) return refuse("wide is for sums of integers");
  if ((function_->options & kBy) == 0) return {};
  if (spec_.by.empty()) return refuse(spec_.function + " needs a column to choose by");
  WL_RETURN_IF_ERROR(find(spec_.by, by_column_, by_field_));
  return check(is_any(by_field_->type), *by_field_);
}

Status Layout::add_custom() {
  const CustomAggregate& custom = *spec_.custom;
  Part whole{.kind = PartKind::kCustom, .custom = spec_.custom};
  std::vector<Field> fields;
  std::string inputs;
  for (size_t i = 0; i < spec_.columns.size(); ++i) {
    const int column = input_.index_of(spec_.columns[i]);
    if (column < 0) {
      return Status::invalid("'" + spec_.name + "': no column '" + spec_.columns[i] + "'" +
                             nearest_hint(spec_.columns[i], input_.names()));
    }
    fields.push_back(input_.field(column));
    if (fields.back().type == Type::kDecimal) {
      return Status::invalid("'" + spec_.name + "': " + custom.name() + " does not take column '" + spec_.columns[i] +
                             "' (decimal)");
    }
    inputs += (i == 0 ? "" : ", ") + spec_.columns[i] + " " + std::string(type_name(fields.back().type));
    fields.back().name = custom.row_names()[i];
    whole.columns.push_back(column);
  }
  if (!spec_.by.empty()) {
    whole.by = input_.index_of(spec_.by);
    WL_CHECK(whole.by >= 0 && input_.field(whole.by).type == Type::kBool);
    inputs += ", where " + spec_.by;
  }
  whole.rows = std::make_shared<const Schema>(std::move(fields));
  std::string state;
  for (const Field& field : custom.initial()->schema->fields())
    state += (state.empty() ? "" : ", ") + field.name + " " + std::string(type_name(field.type));
  result_ = custom.result();
  result_.name = spec_.name;
  answer({.answer = Answer::kCustom, .part = part(whole)}, result_.type, true);
  aggregates_.fingerprint_ +=
      (aggregates_.fingerprint_.empty() ? "" : ", ") + custom.name() + "(" + inputs + ": " + state + ")";
  return {};
}

std::string Layout::fingerprint() const {
  const auto typed = [](const std::string& name, const Field* field) {
    if (field == nullptr) return name;
    return name + " " + std::string(type_name(field->type)) + (field->nullable ? "?" : "");
  };
  std::string text = spec_.function + "(" + typed(spec_.column, field_);
  if (by_field_ != nullptr) text += ", " + typed(spec_.by, by_field_);
  return text + describe_options(spec_) + ")";
}

Part Layout::of(PartKind kind) const {
  return {.kind = kind, .column = column_, .type = field_->type, .nullable = field_->nullable};
}

int Layout::part(Part part) {
  std::vector<Part>& parts = aggregates_.parts_;
  const auto same = std::find_if(parts.begin(), parts.end(), [&](const Part& p) { return p.same_state(part); });
  if (same != parts.end()) return static_cast<int>(same - parts.begin());
  part.offset = static_cast<uint32_t>(aggregates_.initial_.size());
  if (find_pool(part)) part.pool = aggregates_.pool_count_++;
  append_initial(aggregates_.initial_, part.kind);
  parts.push_back(part);
  return static_cast<int>(parts.size()) - 1;
}

int Layout::count_part() {
  if (field_ == nullptr || !field_->nullable) return part({.kind = PartKind::kRows});
  return part(of(PartKind::kNonNull));
}

void Layout::answer(Output output, Type type, bool nullable) {
  result_.type = type;
  result_.nullable = nullable;
  aggregates_.outputs_.push_back(output);
  aggregates_.fields_.push_back(result_);
}

void Layout::rows() { answer({.answer = Answer::kCount, .part = count_part()}, Type::kInt64, false); }

void Layout::sum() {
  if (!spec_.wide && !is_float()) aggregates_.checked_sums_.push_back(static_cast<int>(aggregates_.outputs_.size()));
  answer({.answer = spec_.wide ? Answer::kWideSum : Answer::kSum,
          .part = part(of(is_float() ? PartKind::kSumFloat : PartKind::kSumInteger))},
         spec_.wide   ? Type::kDecimal
         : is_float() ? Type::kFloat64
                      : Type::kInt64,
         false);
}

void Layout::mean() {
  const int filled = count_part();
  const int sum = part(of(is_float() ? PartKind::kSumFloat : PartKind::kSumInteger));
  answer({.answer = Answer::kMean, .part = sum, .filled = filled}, Type::kFloat64, true);
}

void Layout::moments(Answer which) {
  answer({.answer = which, .part = part(of(PartKind::kMoments))}, Type::kFloat64, true);
}

void Layout::extreme(bool low) {
  const int filled = field_->nullable && !is_text() ? count_part() : -1;
  const PartKind kind = is_text()    ? (low ? PartKind::kMinText : PartKind::kMaxText)
                        : is_float() ? (low ? PartKind::kMinFloat : PartKind::kMaxFloat)
                                     : (low ? PartKind::kMinInteger : PartKind::kMaxInteger);
  answer({.answer = low ? Answer::kMin : Answer::kMax, .part = part(of(kind)), .filled = filled}, field_->type, true);
}

void Layout::edge(bool first) {
  const PartKind kind =
      is_text() ? (first ? PartKind::kFirstText : PartKind::kLastText) : (first ? PartKind::kFirst : PartKind::kLast);
  answer({.answer = first ? Answer::kFirst : Answer::kLast, .part = part(of(kind))}, field_->type, true);
}

void Layout::arg(bool low) {
  Part chosen = of(low ? PartKind::kArgMin : PartKind::kArgMax);
  chosen.by = by_column_;
  chosen.by_type = by_field_->type;
  answer({.answer = Answer::kArg, .part = part(chosen)}, field_->type, true);
}

void Layout::listed(Answer which, const Part& of_values) {
  result_.item = field_->type;
  answer({.answer = which, .part = part(of_values)}, Type::kList, false);
}

void Layout::counted(Answer which, PartKind kind) {
  answer({.answer = which, .part = part(of(kind))}, Type::kInt64, false);
}

void Layout::quantile(double q, Interpolation interpolation) {
  answer({.answer = Answer::kQuantile, .part = part(of(PartKind::kValues)), .q = q, .interpolation = interpolation},
         field_->type == Type::kTimestamp ? Type::kTimestamp : Type::kFloat64, true);
}

void Layout::approx_quantile() {
  answer({.answer = Answer::kApproxQuantile, .part = part(of(PartKind::kApproxQuantile)), .q = spec_.q},
         field_->type == Type::kTimestamp ? Type::kTimestamp : Type::kFloat64, true);
}

}  // namespace wrackline
