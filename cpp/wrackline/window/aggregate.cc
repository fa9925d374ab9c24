#include "wrackline/window/aggregate.h"

#include <algorithm>
#include <cmath>
#include <limits>

#include "wrackline/core/hint.h"
#include "wrackline/window/cells.h"
#include "wrackline/window/numbers.h"

namespace wrackline {
namespace {

constexpr int64_t kLowest = std::numeric_limits<int64_t>::min();
constexpr int64_t kHighest = std::numeric_limits<int64_t>::max();

bool is_text(Type type) { return type == Type::kString || type == Type::kBytes; }
bool is_number(Type type) { return type == Type::kInt64 || type == Type::kFloat64 || type == Type::kBool; }

uint32_t width_of(PartKind kind) {
  switch (kind) {
    case PartKind::kSumInteger:
    case PartKind::kSumFloat:
    case PartKind::kFirst:
    case PartKind::kLast: return 16;
    case PartKind::kMoments: return sizeof(Moments);
    case PartKind::kCollect:
    case PartKind::kDistinct: return 0;
    default: return 8;
  }
}

bool has_pool(PartKind kind) {
  return kind == PartKind::kMinText || kind == PartKind::kMaxText || kind == PartKind::kFirstText ||
         kind == PartKind::kLastText || kind == PartKind::kCollect || kind == PartKind::kDistinct;
}

template <typename T>
void append_initial(Buffer<uint8_t>& initial, T value) {
  initial.resize(initial.size() + sizeof(T));
  store_cell(initial.data() + initial.size() - sizeof(T), value);
}

void append_initial(Buffer<uint8_t>& initial, PartKind kind) {
  switch (kind) {
    case PartKind::kRows:
    case PartKind::kNonNull:
    case PartKind::kMinText:
    case PartKind::kMaxText: return append_initial(initial, int64_t{0});
    case PartKind::kSumInteger: return append_initial(initial, __int128{0});
    case PartKind::kSumFloat: return append_initial(initial, DoubleDouble{});
    case PartKind::kMinInteger: return append_initial(initial, kHighest);
    case PartKind::kMaxInteger: return append_initial(initial, kLowest);
    case PartKind::kMinFloat:
    case PartKind::kMaxFloat: return append_initial(initial, std::numeric_limits<double>::quiet_NaN());
    case PartKind::kMoments: return append_initial(initial, Moments{});
    case PartKind::kFirst: append_initial(initial, kHighest); return append_initial(initial, int64_t{0});
    case PartKind::kLast: append_initial(initial, kLowest); return append_initial(initial, int64_t{0});
    case PartKind::kFirstText: return append_initial(initial, kHighest);
    case PartKind::kLastText: return append_initial(initial, kLowest);
    default: return;
  }
}

}  // namespace

Result<Aggregates> Aggregates::make(const std::vector<AggregateSpec>& specs, const Schema& input, bool with_head) {
  Aggregates aggregates;
  aggregates.with_head_ = with_head;
  if (with_head) append_initial(aggregates.initial_, EntryHead());
  for (const AggregateSpec& spec : specs) WL_RETURN_IF_ERROR(aggregates.add(spec, input));
  aggregates.find_fused();
  return aggregates;
}

void Aggregates::find_fused() {
  const auto find = [&](PartKind kind, int column) {
    const auto it =
        std::find_if(parts_.begin(), parts_.end(), [&](const Part& p) { return p.kind == kind && p.column == column; });
    return it == parts_.end() ? nullptr : &*it;
  };
  other_parts_ = parts_;
  const Part* rows = find(PartKind::kRows, -1);
  for (const Part& part : parts_) {
    const bool is_float = part.kind == PartKind::kSumFloat;
    if (!is_float && part.kind != PartKind::kSumInteger) continue;
    const Part* low = find(is_float ? PartKind::kMinFloat : PartKind::kMinInteger, part.column);
    const Part* high = find(is_float ? PartKind::kMaxFloat : PartKind::kMaxInteger, part.column);
    if (rows == nullptr || low == nullptr || high == nullptr || part.nullable || part.type == Type::kBool) continue;
    fused_ = {part.column, is_float, rows->offset, part.offset, low->offset, high->offset};
    std::erase_if(other_parts_, [&](const Part& p) {
      return p.kind == PartKind::kRows ||
             (p.column == fused_.column && (p.kind == part.kind || p.kind == low->kind || p.kind == high->kind));
    });
    return;
  }
}

int Aggregates::part(PartKind kind, int column, const Field* field) {
  for (size_t i = 0; i < parts_.size(); ++i) {
    if (parts_[i].kind == kind && parts_[i].column == column) return static_cast<int>(i);
  }
  Part part{kind,
            column,
            field ? field->type : Type::kInt64,
            field != nullptr && field->nullable,
            static_cast<uint32_t>(initial_.size()),
            has_pool(kind) ? pool_count_++ : -1};
  append_initial(initial_, kind);
  WL_CHECK(initial_.size() == part.offset + width_of(kind));
  parts_.push_back(part);
  return static_cast<int>(parts_.size()) - 1;
}

int Aggregates::count_part(int column, const Field* field) {
  if (field == nullptr || !field->nullable) return part(PartKind::kRows, -1, nullptr);
  return part(PartKind::kNonNull, column, field);
}

Status Aggregates::add(const AggregateSpec& spec, const Schema& input) {
  static const std::vector<std::string> functions = {"count", "sum",   "mean", "min",      "max",    "var",
                                                     "std",   "first", "last", "n_unique", "collect"};
  const auto known = std::find(functions.begin(), functions.end(), spec.function);
  if (known == functions.end()) {
    return Status::invalid("'" + spec.name + "': no aggregate '" + spec.function + "'" +
                           nearest_hint(spec.function, functions));
  }
  if (spec.wide && spec.function != "sum") return Status::invalid("'" + spec.name + "': wide is an option of sum");
  const Field* field = nullptr;
  int column = -1;
  if (!spec.column.empty()) {
    column = input.index_of(spec.column);
    if (column < 0) {
      return Status::invalid("'" + spec.name + "': no column '" + spec.column + "'" +
                             nearest_hint(spec.column, input.names()));
    }
    field = &input.field(column);
  } else if (spec.function != "count") {
    return Status::invalid("'" + spec.name + "': " + spec.function + " needs a column");
  }
  const auto refuse = [&] {
    return Status::invalid("'" + spec.name + "': " + spec.function + " does not take column '" + spec.column + "' (" +
                           std::string(type_name(field->type)) + ")");
  };
  const std::string& function = spec.function;
  const bool arithmetic = function == "sum" || function == "mean" || function == "var" || function == "std";
  if (arithmetic && !is_number(field->type)) return refuse();
  if (function != "count" && !arithmetic && (field->type == Type::kList || field->type == Type::kDecimal))
    return refuse();

  const bool is_float = field != nullptr && field->type == Type::kFloat64;
  const bool text = field != nullptr && is_text(field->type);
  Field result{spec.name, Type::kInt64, false};
  Output output{};
  if (function == "count") {
    output = {Answer::kCount, count_part(column, field)};
  } else if (function == "sum") {
    if (spec.wide && is_float) return Status::invalid("'" + spec.name + "': wide is for sums of integers");
    output = {spec.wide ? Answer::kWideSum : Answer::kSum,
              part(is_float ? PartKind::kSumFloat : PartKind::kSumInteger, column, field)};
    result.type = spec.wide ? Type::kDecimal : is_float ? Type::kFloat64 : Type::kInt64;
    if (!spec.wide && !is_float) checked_sums_.push_back(static_cast<int>(outputs_.size()));
  } else if (function == "mean") {
    const int filled = count_part(column, field);
    output = {Answer::kMean, part(is_float ? PartKind::kSumFloat : PartKind::kSumInteger, column, field), filled};
    result.type = Type::kFloat64;
    result.nullable = true;
  } else if (function == "var" || function == "std") {
    output = {function == "var" ? Answer::kVar : Answer::kStd, part(PartKind::kMoments, column, field)};
    result.type = Type::kFloat64;
    result.nullable = true;
  } else if (function == "n_unique") {
    output = {Answer::kDistinct, part(PartKind::kDistinct, column, field)};
  } else if (function == "collect") {
    output = {Answer::kCollect, part(PartKind::kCollect, column, field)};
    result.type = Type::kList;
    result.item = field->type;
  } else if (function == "min" || function == "max") {
    const bool low = function == "min";
    const int filled = field->nullable && !text ? count_part(column, field) : -1;
    const PartKind kind = text       ? (low ? PartKind::kMinText : PartKind::kMaxText)
                          : is_float ? (low ? PartKind::kMinFloat : PartKind::kMaxFloat)
                                     : (low ? PartKind::kMinInteger : PartKind::kMaxInteger);
    output = {low ? Answer::kMin : Answer::kMax, part(kind, column, field), filled};
    result.type = field->type;
    result.nullable = true;
  } else {
    const bool first = function == "first";
    const PartKind kind =
        text ? (first ? PartKind::kFirstText : PartKind::kLastText) : (first ? PartKind::kFirst : PartKind::kLast);
    output = {first ? Answer::kFirst : Answer::kLast, part(kind, column, field)};
    result.type = field->type;
    result.nullable = true;
  }
  outputs_.push_back(output);
  fields_.push_back(std::move(result));
  fingerprint_ += (fingerprint_.empty() ? "" : ", ") + function + "(" + spec.column;
  if (field != nullptr) fingerprint_ += " " + std::string(type_name(field->type)) + (field->nullable ? "?" : "");
  fingerprint_ += spec.wide ? ", wide)" : ")";
  return {};
}

}  // namespace wrackline
