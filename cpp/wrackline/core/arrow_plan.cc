#include "wrackline/core/arrow_plan.h"

#include <charconv>
#include <utility>

namespace wrackline::arrow {
namespace {

struct Format {
  std::string_view format;
  Layout layout;
  Type type;
};

constexpr Format kFormats[] = {
    {"n", Layout::kNull, Type::kString},      {"b", Layout::kBits, Type::kBool},
    {"c", Layout::kInt8, Type::kInt64},       {"C", Layout::kUint8, Type::kInt64},
    {"s", Layout::kInt16, Type::kInt64},      {"S", Layout::kUint16, Type::kInt64},
    {"i", Layout::kInt32, Type::kInt64},      {"I", Layout::kUint32, Type::kInt64},
    {"l", Layout::kInt64, Type::kInt64},      {"L", Layout::kUint64, Type::kInt64},
    {"f", Layout::kFloat32, Type::kFloat64},  {"g", Layout::kFloat64, Type::kFloat64},
    {"u", Layout::kText32, Type::kString},    {"U", Layout::kText64, Type::kString},
    {"vu", Layout::kTextView, Type::kString}, {"z", Layout::kText32, Type::kBytes},
    {"Z", Layout::kText64, Type::kBytes},     {"vz", Layout::kTextView, Type::kBytes},
    {"tdD", Layout::kDays, Type::kTimestamp}, {"tdm", Layout::kMillis, Type::kTimestamp},
    {"+l", Layout::kList32, Type::kList},     {"+L", Layout::kList64, Type::kList},
};

// What to do about a format that we do not take, where there is a usual answer.
std::string_view remedy(std::string_view format) {
  if (format.starts_with("+s")) return "; nested columns are not supported: select its fields as columns of their own";
  if (format.starts_with("d:")) return "; only whole numbers of 128 bits: cast it to float64 or string";
  if (format.starts_with("tt") || format.starts_with("tD")) return "; cast it to int64";
  if (format.starts_with("+w") || format.starts_with("+v")) return "; cast it to a list";
  return "; cast it to bool, int64, float64, string, bytes or timestamp";
}

Status refused(std::string_view column, std::string_view format) {
  return Status::invalid("column '" + std::string(column) + "': Arrow format '" + std::string(format) +
                         "' is not supported" + std::string(remedy(format)));
}

bool parse_decimal(std::string_view format) {  // d:precision,0 or d:precision,0,128
  const size_t comma = format.find(',');
  if (comma == std::string_view::npos) return false;
  const std::string_view rest = format.substr(comma + 1);
  return rest == "0" || rest == "0,128";
}

Status set_layout(Plan& plan) {
  const std::string_view format = plan.format;
  for (const Format& known : kFormats) {
    if (known.format == format) {
      plan.layout = known.layout;
      plan.type = known.type;
      return {};
    }
  }
  if (format.size() >= 4 && format.starts_with("ts") && format[3] == ':') {
    plan.type = Type::kTimestamp;
    switch (format[2]) {
      case 's': plan.layout = Layout::kSeconds; return {};
      case 'm': plan.layout = Layout::kMillis; return {};
      case 'u': plan.layout = Layout::kMicros; return {};
      case 'n': plan.layout = Layout::kNanos; return {};
      default: break;
    }
  } else if (format.starts_with("d:") && parse_decimal(format)) {
    plan.layout = Layout::kDecimal128;
    plan.type = Type::kDecimal;
    return {};
  } else if (format.starts_with("w:")) {
    const char* const end = format.data() + format.size();
    const auto [at, error] = std::from_chars(format.data() + 2, end, plan.width);
    if (error == std::errc() && at == end && plan.width >= 0) {
      plan.layout = Layout::kFixedText;
      plan.type = Type::kBytes;
      return {};
    }
  }
  return refused(plan.name, format);
}

bool is_index(Layout layout) { return layout >= Layout::kInt8 && layout <= Layout::kUint64; }

Result<Plan> make_plan(const ArrowSchema& schema, std::string name) {
  Plan plan;
  plan.name = std::move(name);
  plan.format = schema.format == nullptr ? "" : schema.format;
  plan.nullable = (schema.flags & ARROW_FLAG_NULLABLE) != 0;
  WL_RETURN_IF_ERROR(set_layout(plan));
  if (plan.type == Type::kList) {
    if (schema.n_children != 1) return wrong(plan, "a list without items");
    WL_ASSIGN_OR_RETURN(Plan item, make_plan(*schema.children[0], plan.name));
    if (item.type == Type::kList) return wrong(plan, "lists of lists are not supported");
    plan.item.push_back(std::move(item));
  }
  if (schema.dictionary != nullptr) {
    if (!is_index(plan.layout)) return wrong(plan, "a dictionary whose index is not an integer");
    WL_ASSIGN_OR_RETURN(Plan values, make_plan(*schema.dictionary, plan.name));
    if (values.type == Type::kList) return wrong(plan, "dictionaries of lists are not supported");
    plan.type = values.type;
    plan.dictionary.push_back(std::move(values));
  }
  return plan;
}

}  // namespace

Status wrong(const Plan& plan, std::string_view what) {
  return Status::invalid("column '" + plan.name + "' (Arrow format '" + plan.format + "'): " + std::string(what));
}

Result<TablePlan> make_table_plan(const ArrowSchema& schema) {
  const std::string_view format = schema.format == nullptr ? "" : schema.format;
  if (format != "+s") {
    return Status::invalid("a table is needed (columns with names), this is a single column of Arrow format '" +
                           std::string(format) + "'");
  }
  TablePlan table;
  for (int64_t i = 0; i < schema.n_children; ++i) {
    const ArrowSchema& child = *schema.children[i];
    WL_ASSIGN_OR_RETURN(Plan plan, make_plan(child, child.name == nullptr ? "" : child.name));
    for (const Plan& other : table.columns) {
      if (other.name == plan.name) return Status::invalid("two columns are named '" + plan.name + "'");
    }
    table.columns.push_back(std::move(plan));
  }
  return table;
}

}  // namespace wrackline::arrow
