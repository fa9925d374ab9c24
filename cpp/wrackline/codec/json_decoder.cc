#include "wrackline/codec/json_decoder.h"

#include <algorithm>
#include <cstring>
#include <limits>
#include <memory>
#include <utility>

#include <simdjson.h>

#include "wrackline/codec/column_filler.h"
#include "wrackline/codec/json_keys.h"
#include "wrackline/codec/json_text.h"
#include "wrackline/core/base64.h"
#include "wrackline/core/step.h"

namespace wrackline {
namespace {

using json::Number;

// Bytes of records whose structure is found in one go: its indexes stay in the cache, and a record
// that spoils a run costs little.
constexpr int64_t kRunBytes = 32 * 1024;
constexpr size_t kShownBytes = 60;  // of a value in a message

// What JsonEncoder writes for doubles that JSON has no numbers for.
bool read_no_number(const uint8_t* value, double* number) {
  constexpr std::pair<std::string_view, double> kNames[] = {
      {"\"NaN\"", std::numeric_limits<double>::quiet_NaN()},
      {"\"Infinity\"", std::numeric_limits<double>::infinity()},
      {"\"-Infinity\"", -std::numeric_limits<double>::infinity()}};
  for (const auto& [name, meant] : kNames) {
    if (std::memcmp(value, name.data(), name.size()) != 0) continue;
    *number = meant;
    return true;
  }
  return false;
}

// The record's bytes are as expected so far; else `bad` of the walk says why.
using Good = bool;

}  // namespace

class JsonDecoder::Impl {
 public:
  Impl(Schema schema, JsonDecoderOptions options);

  Status init();
  const SchemaPtr& schema() const { return used_schema_; }
  Decoded decode(std::shared_ptr<const Records> records);

 private:
  struct Slot {  // one field of the schema
    Type type = Type::kInt64;
    bool nullable = false;
    bool is_time = false;
    bool has_path = false;  // the name has dots
    bool plain = true;      // it has not, and its values are scalars
    bool json = false;
    TimeUnit unit = TimeUnit::kMillis;
    uint64_t seen = 0;          // the walk (stamp_) that met it
    uint64_t literal_seen = 0;  // has_path: that met the whole name as one key
    uint64_t path_failed = 0;   // has_path: that met a bad value at the end of the path
    std::string_view path_reason;
    std::string path_message;
    ColumnFiller column;
  };

  void take_run(int64_t begin, int64_t end);
  void take_alone(int64_t record);
  bool find_structure_of(int64_t begin, int64_t end, simdjson::error_code* error);
  void take_record(int64_t record);
  void refuse(int64_t record, std::string_view reason, std::string message);

  Good walk_record();
  Good walk_object(KeyNode& node, int depth);
  bool take_value(Slot& slot, const uint8_t* value, uint32_t bound);
  Good walk_path(const KeyEntry& entry, int depth);
  Good walk_field(int field);
  Good walk_spelled(int field, bool literal, int depth);
  Good walk_null(Slot& slot, int field);
  Good walk_text(Slot& slot, int field);
  Good walk_timestamp(Slot& slot, int field);
  Good walk_json(Slot& slot, int field);
  Good walk_list(Slot& slot, int field);
  bool take_item(Type type, Column& items);
  Good skip_value(int depth);
  Good finish_fields();
  Good check_paths();
  Good look_up(KeyNode& node, const uint8_t* open, KeyEntry** entry);

  Good fail(std::string_view reason, std::string message);
  Good not_json(const uint8_t* at);
  Good wrong_value(int field, std::string_view why = {});
  std::string shown(const uint8_t* at) const;

  int64_t value_end(int64_t record) const {
    uint32_t end;
    std::memcpy(&end, layout_.value_ends + 4 * record, sizeof end);
    return end;
  }
  int64_t value_begin(int64_t record) const { return record == 0 ? 0 : value_end(record - 1) + 1; }
  const uint8_t* here() const { return text_ + *next_; }

  // Constant after init().
  Schema schema_;
  JsonDecoderOptions options_;
  SchemaPtr used_schema_;

  std::unique_ptr<simdjson::internal::dom_parser_implementation> parser_;
  size_t capacity_ = 0;
  std::vector<Slot> slots_;
  KeyNode root_;
  Bytes scratch_;  // an unescaped key, a string that is not stored
  Bytes padded_;

  // Of the call.
  const Records* records_ = nullptr;
  Records::Layout layout_;
  const uint8_t* values_ = nullptr;
  Decoded* out_ = nullptr;
  int64_t row_ = 0;
  TimeForms forms_;
  bool any_forms_ = false;

  // Of the run: structural characters and the beginnings of scalars, as offsets from text_, in order;
  // two more behind the last that point to a '\n', which fits nowhere.
  const uint8_t* text_ = nullptr;
  const uint32_t* next_ = nullptr;

  // Of the record.
  const uint32_t* first_ = nullptr;
  uint32_t begin_ = 0;
  uint32_t end_ = 0;
  uint64_t stamp_ = 0;
  int fields_seen_ = 0;
  bool check_paths_ = false;             // a path met something bad: matters unless its whole name is a key
  const KeyEntry* no_object_ = nullptr;  // that path's last key, if there was no object behind it
  const uint8_t* no_object_value_ = nullptr;
  std::string_view reason_;
  std::string message_;
};

JsonDecoder::Impl::Impl(Schema schema, JsonDecoderOptions options)
    : schema_(std::move(schema)), options_(std::move(options)) {}

Status JsonDecoder::Impl::init() {
  const auto fields = static_cast<size_t>(schema_.size());
  if (options_.used.empty()) options_.used.assign(fields, true);
  if (options_.units.empty()) options_.units.assign(fields, TimeUnit::kMillis);
  if (options_.used.size() != fields || options_.units.size() != fields || options_.time_field >= schema_.size()) {
    return Status::invalid("the decoder's options do not fit its schema");
  }
  if (options_.max_record_bytes < 1 || options_.max_record_bytes > INT64_C(1) << 30) {
    return Status::invalid("max_record_bytes must be between 1 and 2^30");
  }
  if (options_.max_depth < 1 || options_.max_depth > 1'000)
    return Status::invalid("max_depth must be between 1 and 1000");
  std::vector<Field> used;
  for (int i = 0; i < schema_.size(); ++i) {
    const Field& field = schema_.field(i);
    const auto index = static_cast<size_t>(i);
    if (field.type == Type::kDecimal ||
        (field.type == Type::kList && (field.item == Type::kDecimal || field.item == Type::kList))) {
      return Status::invalid("field \"" + field.name + "\": a " + std::string(type_name(field.type)) +
                             (field.type == Type::kList ? " of " + std::string(type_name(field.item)) + "s" : "") +
                             " cannot be read from JSON");
    }
    if (!options_.encoded && (field.json || field.type == Type::kList)) {
      for (const Field& other : schema_.fields()) {
        if (other.name.starts_with(field.name + '.'))
          return Status::invalid("field \"" + other.name + "\" lies within field \"" + field.name +
                                 "\", which is read as a whole");
      }
    }
    if (schema_.index_of(field.name) != i)
      return Status::invalid("field \"" + field.name + "\" is in the schema twice");
    Slot slot;
    slot.type = field.type;
    slot.nullable = field.nullable;
    slot.is_time = i == options_.time_field;
    slot.unit = options_.units[index];
    if (field.type == Type::kTimestamp && !slot.is_time && slot.unit == TimeUnit::kAuto) {
      return Status::invalid("field \"" + field.name + "\": unit \"auto\" is for the event time only");
    }
    slot.has_path = !options_.encoded && field.name.find('.') != std::string::npos;
    slot.json = field.json;
    slot.plain = !slot.has_path && !field.json;
    slot.column = ColumnFiller(field.type, options_.used[index], field.item);
    slots_.push_back(std::move(slot));
    if (options_.used[index]) {
      used.push_back(field);
      // Its nulls are delivered, for the stage that judges times to refuse.
      if (i == options_.time_field) used.back().nullable = true;
    }
  }
  root_ = KeyNode::of(schema_, !options_.encoded);
  used_schema_ = std::make_shared<const Schema>(std::move(used));
  return {};
}

// --- runs of records ---------------------------------------------------------------------------

Decoded JsonDecoder::Impl::decode(std::shared_ptr<const Records> records) {
  Decoded result;
  records_ = records.get();
  layout_ = records->layout();
  out_ = &result;
  const Bytes& values = records->value_bytes();
  WL_CHECK(values.size() < size_t{1} << 31);
  if (values.capacity() - values.size() >= Records::kPadding) {
    values_ = values.data();
  } else {
    padded_.resize(values.size() + Records::kPadding);
    if (!values.empty()) std::memcpy(padded_.data(), values.data(), values.size());
    std::memset(padded_.data() + values.size(), 0, Records::kPadding);
    values_ = padded_.data();
  }

  const int64_t count = records->size();
  row_ = 0;
  any_forms_ = false;
  result.batch.record_of.resize(static_cast<size_t>(count));
  for (Slot& slot : slots_) slot.column.start(count);

  for (int64_t i = 0; i < count;) {
    int64_t end = i;
    const int64_t begin_byte = value_begin(i);
    bool too_large = false;
    while (end < count && !too_large && value_begin(end) - begin_byte < kRunBytes) {
      too_large = value_end(end) - value_begin(end) > options_.max_record_bytes;
      if (!too_large) ++end;
    }
    take_run(i, end);
    if (too_large) {
      refuse(end, reason::kTooLarge,
             "the value has " + std::to_string(value_end(end) - value_begin(end)) + " bytes, max_record_bytes is " +
                 std::to_string(options_.max_record_bytes));
      ++end;
    }
    i = end;
  }

  Batch& batch = result.batch;
  batch.schema = used_schema_;
  batch.length = row_;
  batch.record_of.resize(static_cast<size_t>(row_));
  for (size_t i = 0; i < slots_.size(); ++i) {
    if (options_.used[i]) batch.columns.push_back(slots_[i].column.finish(row_));
  }
  if (any_forms_) {
    forms_.resize(static_cast<size_t>(row_));
    result.time_forms = std::move(forms_);
    forms_ = {};
  }
  batch.records = std::move(records);
  records_ = nullptr;
  out_ = nullptr;
  return result;
}

// One pass finds the structure of all records of the run. That is the structure of each one alone: if
// it succeeds, every '\n' between two values lies outside of strings (a raw '\n' inside is an error),
// so nothing of one record reaches into the next.
void JsonDecoder::Impl::take_run(int64_t begin, int64_t end) {
  if (begin == end) return;
  simdjson::error_code error = simdjson::SUCCESS;
  if (find_structure_of(value_begin(begin), value_end(end - 1) + 1, &error)) {
    for (int64_t i = begin; i < end; ++i) take_record(i);
  } else {
    for (int64_t i = begin; i < end; ++i) take_alone(i);
  }
}

void JsonDecoder::Impl::take_alone(int64_t record) {
  simdjson::error_code error = simdjson::SUCCESS;
  if (find_structure_of(value_begin(record), value_end(record) + 1, &error)) {
    take_record(record);
  } else if (error == simdjson::UTF8_ERROR) {
    refuse(record, reason::kDecode, "not UTF-8");
  } else if (error == simdjson::UNESCAPED_CHARS || error == simdjson::UNCLOSED_STRING) {
    refuse(record, reason::kDecode, "not JSON: a string is not closed, or has a raw control character in it");
  } else {
    refuse(record, reason::kDecode, std::string("not JSON: ") + simdjson::error_message(error));
  }
}

// Bytes [begin, end) of the values; the last one is a '\n'.
bool JsonDecoder::Impl::find_structure_of(int64_t begin, int64_t end, simdjson::error_code* error) {
  const auto size = static_cast<size_t>(end - begin);
  text_ = values_ + begin;
  if (size > capacity_) {
    const size_t capacity = std::max(size + size / 2, static_cast<size_t>(2 * kRunBytes));
    *error = simdjson::get_active_implementation()->create_dom_parser_implementation(
        capacity, static_cast<size_t>(options_.max_depth), parser_);
    WL_CHECK(*error == simdjson::SUCCESS);
    capacity_ = capacity;
  }
  *error = parser_->stage1(text_, size, simdjson::stage1_mode::regular);
  if (*error == simdjson::EMPTY)
    parser_->n_structural_indexes = 0;
  else if (*error != simdjson::SUCCESS)
    return false;
  uint32_t* const indexes = parser_->structural_indexes.get();
  const auto newline = static_cast<uint32_t>(size - 1);
  indexes[parser_->n_structural_indexes] = newline;
  indexes[parser_->n_structural_indexes + 1] = newline;
  next_ = indexes;
  return true;
}

void JsonDecoder::Impl::take_record(int64_t record) {
  const int64_t base = text_ - values_;
  begin_ = static_cast<uint32_t>(value_begin(record) - base);
  end_ = static_cast<uint32_t>(value_end(record) - base);
  first_ = next_;
  if (layout_.value_null[record] != 0) {
    out_->tombstones.push_back(static_cast<uint32_t>(record));
    return;
  }
  if (walk_record()) {
    out_->batch.record_of[static_cast<size_t>(row_)] = static_cast<uint32_t>(record);
    ++row_;
    return;
  }
  for (Slot& slot : slots_) slot.column.drop_row(row_);
  next_ = first_;
  while (*next_ < end_) ++next_;
  out_->bad.push_back({static_cast<uint32_t>(record), reason_, std::move(message_)});
  message_.clear();
}

void JsonDecoder::Impl::refuse(int64_t record, std::string_view reason, std::string message) {
  if (layout_.value_null[record] != 0) {
    out_->tombstones.push_back(static_cast<uint32_t>(record));
  } else {
    out_->bad.push_back({static_cast<uint32_t>(record), reason, std::move(message)});
  }
}

// --- one record --------------------------------------------------------------------------------

Good JsonDecoder::Impl::walk_record() {
  ++stamp_;
  fields_seen_ = 0;
  check_paths_ = false;
  no_object_ = nullptr;
  if (*next_ >= end_) return fail(reason::kDecode, "not JSON: the value is empty");
  if (*here() != '{') return fail(reason::kDecode, "not a JSON object: " + shown(here()));
  if (!walk_object(root_, 1)) {
    // The walk may have read on in the next record, and complained of what it found there.
    if (*next_ >= end_) return fail(reason::kDecode, "not JSON: the object is not closed");
    return false;
  }
  if (next_[-1] >= end_) return fail(reason::kDecode, "not JSON: the object is not closed");
  if (*next_ < end_) return fail(reason::kDecode, "not JSON: after the object comes " + shown(here()));
  if (check_paths_ && !check_paths()) return false;
  return fields_seen_ == schema_.size() || finish_fields();
}

// The hot loop: what does not concern it every time is in functions of its own, and they go by next_.
Good JsonDecoder::Impl::walk_object(KeyNode& node, int depth) {
  const uint8_t* const text = text_;
  const uint32_t* next = next_ + 1;  // behind the brace
  if (text[*next] == '}') {
    next_ = next + 1;
    return true;
  }
  if (depth > options_.max_depth)
    return fail(reason::kDecode, "nested deeper than " + std::to_string(options_.max_depth));
  KeyEntry* const entries = node.entries.data();
  const size_t entry_count = node.entries.size();
  uint32_t* guess = &node.first;
  for (;;) {
    const uint8_t* const open = text + *next;
    KeyEntry* entry = *guess < entry_count ? entries + *guess : nullptr;
    if (entry == nullptr || !entry->spelled_at(open)) [[unlikely]] {
      next_ = next;
      if (*open != '"') return not_json(open);
      if (!look_up(node, open, &entry)) return false;
      if (entry != nullptr) *guess = static_cast<uint32_t>(entry - entries);
    }
    if (text[next[1]] != ':') [[unlikely]] {
      next_ = next + 1;
      return not_json(text + next[1]);
    }
    next += 2;
    if (entry != nullptr && entry->field >= 0) {
      guess = &entry->next;
      Slot& slot = slots_[static_cast<size_t>(entry->field)];
      if (!slot.plain || !take_value(slot, text + *next, next[1] - *next)) {
        next_ = next;
        if (!(slot.has_path ? walk_spelled(entry->field, depth == 1, depth) : walk_field(entry->field))) return false;
        next = next_;
      } else {
        ++next;
      }
    } else {
      next_ = next;
      if (entry != nullptr) guess = &entry->next;
      if (entry == nullptr ? !skip_value(depth + 1) : !walk_path(*entry, depth)) return false;
      next = next_;
    }
    const uint8_t after = text[*next];
    if (after == ',') {
      ++next;
      continue;
    }
    if (after != '}') {
      next_ = next;
      return not_json(text + *next);
    }
    next_ = next + 1;
    return true;
  }
}

// A good value of a frequent kind; false: nothing was done, walk_field has to see to it.
inline bool JsonDecoder::Impl::take_value(Slot& slot, const uint8_t* value, uint32_t bound) {
  if (slot.seen == stamp_) return false;
  switch (slot.type) {
    case Type::kInt64: {
      int64_t number = 0;
      if (json::read_int64(value, &number) != Number::kOk) return false;
      slot.column.set_int64(row_, number);
      break;
    }
    case Type::kTimestamp: {
      int64_t number = 0;
      if (!any_forms_ || !slot.is_time || json::read_int64(value, &number) != Number::kOk) return false;
      slot.column.set_int64(row_, number);
      forms_[static_cast<size_t>(row_)] = TimeForm::kInteger;
      break;
    }
    case Type::kFloat64: {
      double number = 0;
      bool integral = false;
      if (json::read_float64(value, &number, &integral) != Number::kOk) return false;
      slot.column.set_float64(row_, number);
      break;
    }
    case Type::kString:
      if (*value != '"' || !slot.column.set_plain_string(row_, value, bound)) return false;
      break;
    default: return false;
  }
  slot.seen = stamp_;
  ++fields_seen_;
  return true;
}

// What stands behind the beginning of a path.
Good JsonDecoder::Impl::walk_path(const KeyEntry& entry, int depth) {
  if (*here() == '{') return walk_object(*entry.child, depth + 1);
  if (*here() != 'n') {  // null: as if it were not there
    check_paths_ = true;
    no_object_ = &entry;
    no_object_value_ = here();
  }
  return skip_value(depth + 1);
}

// Null in *entry: the schema does not have this key.
Good JsonDecoder::Impl::look_up(KeyNode& node, const uint8_t* open, KeyEntry** entry) {
  bool plain = true;
  const uint8_t* const close = json::find_close(open, &plain);
  std::string_view key(reinterpret_cast<const char*>(open + 1), static_cast<size_t>(close - open - 1));
  if (!plain) {
    scratch_.resize(key.size());
    const uint8_t* const end = json::unescape(open + 1, close, scratch_.data());
    if (end == nullptr) return fail(reason::kDecode, "not JSON: wrong escape in key " + shown(open));
    key = {reinterpret_cast<const char*>(scratch_.data()), static_cast<size_t>(end - scratch_.data())};
  }
  *entry = node.find(key);
  return true;
}

// The value of a field of the schema.
Good JsonDecoder::Impl::walk_field(int field) {
  Slot& slot = slots_[static_cast<size_t>(field)];
  if (slot.seen == stamp_) return fail(reason::kSchema, "field \"" + schema_.field(field).name + "\" is there twice");
  slot.seen = stamp_;
  ++fields_seen_;
  const uint8_t* const value = here();
  if (slot.json) return walk_json(slot, field);
  switch (slot.type) {
    case Type::kInt64: {
      int64_t number = 0;
      const Number outcome = json::read_int64(value, &number);
      if (outcome != Number::kOk) {
        if (*value == 'n') return walk_null(slot, field);
        return wrong_value(field, outcome == Number::kOutOfRange ? "out of range" : std::string_view());
      }
      slot.column.set_int64(row_, number);
      break;
    }
    case Type::kFloat64: {
      double number = 0;
      bool integral = false;
      const Number outcome = json::read_float64(value, &number, &integral);
      if (outcome != Number::kOk && !(options_.encoded && read_no_number(value, &number))) {
        if (*value == 'n') return walk_null(slot, field);
        return wrong_value(field, outcome == Number::kOutOfRange ? "out of range" : std::string_view());
      }
      slot.column.set_float64(row_, number);
      break;
    }
    case Type::kBool: {
      const size_t size = json::literal_size(value);
      if (size == 0 || *value == 'n') return size == 0 ? wrong_value(field) : walk_null(slot, field);
      slot.column.set_bool(row_, size == 4);
      break;
    }
    case Type::kString:
      if (*value != '"') return *value == 'n' ? walk_null(slot, field) : wrong_value(field);
      // The structure behind the closing quote bounds the length.
      if (slot.column.set_plain_string(row_, value, next_[1] - *next_)) break;
      [[fallthrough]];
    case Type::kBytes: return walk_text(slot, field);
    case Type::kTimestamp: return walk_timestamp(slot, field);
    case Type::kList: return walk_list(slot, field);
    case Type::kDecimal: return wrong_value(field);
  }
  ++next_;
  return true;
}

Good JsonDecoder::Impl::walk_null(Slot& slot, int field) {
  if (json::literal_size(here()) != 4) return not_json(here());
  if (!slot.nullable && !slot.is_time) {
    return fail(reason::kSchema, "field \"" + schema_.field(field).name + "\" is null, but required");
  }
  slot.column.set_null(row_);
  if (slot.is_time && any_forms_) forms_[static_cast<size_t>(row_)] = TimeForm::kMillis;
  ++next_;
  return true;
}

// A string with escapes, or base64.
Good JsonDecoder::Impl::walk_text(Slot& slot, int field) {
  const uint8_t* const value = here();
  if (*value != '"') return *value == 'n' ? walk_null(slot, field) : wrong_value(field);
  bool plain = true;
  const uint8_t* const close = json::find_close(value, &plain);
  scratch_.resize(static_cast<size_t>(close - value));
  const uint8_t* const end = json::unescape(value + 1, close, scratch_.data());
  if (end == nullptr) {
    return fail(reason::kDecode, "field \"" + schema_.field(field).name + "\": wrong escape in string " + shown(value));
  }
  const std::string_view text(reinterpret_cast<const char*>(scratch_.data()),
                              static_cast<size_t>(end - scratch_.data()));
  if (slot.type == Type::kString) {
    slot.column.set_text(row_, text);
  } else {
    const std::optional<std::string> bytes = decode_base64(text);
    if (!bytes) {
      return fail(reason::kSchema,
                  "field \"" + schema_.field(field).name + "\": expected base64, found " + shown(value));
    }
    slot.column.set_text(row_, *bytes);
  }
  ++next_;
  return true;
}

Good JsonDecoder::Impl::walk_timestamp(Slot& slot, int field) {
  const uint8_t* const value = here();
  TimeForm form = TimeForm::kMillis;
  int64_t held = 0;
  if (*value == '"') {
    bool plain = true;
    const uint8_t* const close = json::find_close(value, &plain);
    std::string_view text(reinterpret_cast<const char*>(value + 1), static_cast<size_t>(close - value - 1));
    if (!plain) {  // even a time may be escaped
      scratch_.resize(text.size());
      const uint8_t* const end = json::unescape(value + 1, close, scratch_.data());
      if (end == nullptr) {
        return fail(reason::kDecode,
                    "field \"" + schema_.field(field).name + "\": wrong escape in string " + shown(value));
      }
      text = {reinterpret_cast<const char*>(scratch_.data()), static_cast<size_t>(end - scratch_.data())};
    }
    const std::optional<Millis> t = parse_iso(text);
    if (!t) {
      return fail(slot.is_time ? reason::kTimestamp : reason::kSchema,
                  "field \"" + schema_.field(field).name + "\": expected a time in ISO 8601, found " + shown(value));
    }
    held = *t;
  } else {
    double number = 0;
    bool integral = true;
    Number outcome = json::read_int64(value, &held);
    if (outcome == Number::kOtherForm) outcome = json::read_float64(value, &number, &integral);
    if (outcome != Number::kOk) {
      if (*value == 'n') return walk_null(slot, field);
      return wrong_value(field, outcome == Number::kOutOfRange ? "out of range" : std::string_view());
    }
    if (slot.is_time) {
      form = integral ? TimeForm::kInteger : TimeForm::kFloat;
      if (!integral) held = std::bit_cast<int64_t>(number);
    } else {
      const std::optional<Millis> t = integral ? to_millis(held, slot.unit) : to_millis(number, slot.unit);
      if (!t) return wrong_value(field, "out of range");
      held = *t;
    }
  }
  slot.column.set_int64(row_, held);
  if (slot.is_time) {
    if (form != TimeForm::kMillis && !any_forms_) {
      any_forms_ = true;
      forms_.assign(static_cast<size_t>(records_->size()), TimeForm::kMillis);
    }
    if (any_forms_) forms_[static_cast<size_t>(row_)] = form;
  }
  ++next_;
  return true;
}

// Any value, as it stands there.
Good JsonDecoder::Impl::walk_json(Slot& slot, int field) {
  const uint8_t* const value = here();
  if (*value == 'n') return walk_null(slot, field);
  if (!skip_value(1)) return false;
  const uint8_t* end = text_ + next_[-1] + 1;  // behind a bracket
  bool plain = true;
  if (*value == '"') {
    end = json::find_close(value, &plain) + 1;
  } else if (*value != '{' && *value != '[') {
    while (!json::ends_scalar(*end)) ++end;
  }
  slot.column.set_text(row_, {reinterpret_cast<const char*>(value), static_cast<size_t>(end - value)});
  return true;
}

Good JsonDecoder::Impl::walk_list(Slot& slot, int field) {
  if (*here() != '[') return *here() == 'n' ? walk_null(slot, field) : wrong_value(field);
  const Field& wanted = schema_.field(field);
  Column& items = slot.column.begin_list(row_);
  ++next_;
  if (*here() == ']') {
    ++next_;
    slot.column.end_list(row_);
    return true;
  }
  for (int64_t i = 0;; ++i) {
    const uint8_t* const item = here();
    if (!take_item(wanted.item, items)) {
      if (!skip_value(2)) return false;
      return fail(reason::kSchema, "field \"" + wanted.name + "\": item " + std::to_string(i) + ": expected " +
                                       std::string(type_name(wanted.item)) + ", found " + shown(item));
    }
    ++next_;
    const uint8_t after = *here();
    if (after != ',' && after != ']') return not_json(here());
    ++next_;
    if (after == ']') break;
  }
  slot.column.end_list(row_);
  return true;
}

// An item of a list; false: of another type.
bool JsonDecoder::Impl::take_item(Type type, Column& items) {
  const uint8_t* const value = here();
  int64_t integer = 0;
  double number = 0;
  bool integral = false;
  if (*value == 'n') {
    items.append_null();
    return json::literal_size(value) == 4;
  }
  switch (type) {
    case Type::kInt64:
      if (json::read_int64(value, &integer) != Number::kOk) return false;
      items.append_int64(integer);
      return true;
    case Type::kFloat64:
      if (json::read_float64(value, &number, &integral) != Number::kOk &&
          !(options_.encoded && read_no_number(value, &number))) {
        return false;
      }
      items.append_float64(number);
      return true;
    case Type::kBool:
      if (json::literal_size(value) == 0) return false;
      items.append_bool(*value == 't');
      return true;
    case Type::kTimestamp:
      if (*value != '"') {
        if (json::read_int64(value, &integer) != Number::kOk) return false;
        items.append_int64(integer);
        return true;
      }
      [[fallthrough]];
    case Type::kString:
    case Type::kBytes: {
      if (*value != '"') return false;
      bool plain = true;
      const uint8_t* const close = json::find_close(value, &plain);
      scratch_.resize(static_cast<size_t>(close - value));
      const uint8_t* const end = json::unescape(value + 1, close, scratch_.data());
      if (end == nullptr) return false;
      const std::string_view text(reinterpret_cast<const char*>(scratch_.data()),
                                  static_cast<size_t>(end - scratch_.data()));
      if (type == Type::kString) {
        items.append_string(text);
      } else if (type == Type::kBytes) {
        const std::optional<std::string> bytes = decode_base64(text);
        if (!bytes) return false;
        items.append_string(*bytes);
      } else {
        const std::optional<Millis> t = parse_iso(text);
        if (!t) return false;
        items.append_int64(*t);
      }
      return true;
    }
    case Type::kDecimal:
    case Type::kList: return false;
  }
  return false;
}

// A value that nothing of the schema asks for, at `next_`: only its grammar is checked.
Good JsonDecoder::Impl::skip_value(int depth) {
  const uint8_t* const value = here();
  switch (*value) {
    case '"': {
      bool plain = true;
      const uint8_t* const close = json::find_close(value, &plain);
      if (!plain) {
        scratch_.resize(static_cast<size_t>(close - value));
        if (json::unescape(value + 1, close, scratch_.data()) == nullptr) {
          return fail(reason::kDecode, "not JSON: wrong escape in string " + shown(value));
        }
      }
      ++next_;
      return true;
    }
    case '{':
    case '[': {
      if (depth > options_.max_depth)
        return fail(reason::kDecode, "nested deeper than " + std::to_string(options_.max_depth));
      const bool object = *value == '{';
      const uint8_t close = object ? '}' : ']';
      ++next_;
      if (*here() == close) {
        ++next_;
        return true;
      }
      for (;;) {
        if (object) {
          if (*here() != '"') return not_json(here());
          if (!skip_value(depth)) return false;
          if (*here() != ':') return not_json(here());
          ++next_;
        }
        if (!skip_value(depth + 1)) return false;
        const uint8_t after = *here();
        if (after != ',' && after != close) return not_json(here());
        ++next_;
        if (after == close) return true;
      }
    }
    case 't':
    case 'f':
    case 'n':
      if (json::literal_size(value) == 0) return not_json(value);
      ++next_;
      return true;
    default: {
      double number = 0;
      bool integral = false;
      if (json::read_float64(value, &number, &integral) == Number::kNotJson) return not_json(value);
      ++next_;
      return true;
    }
  }
}

// Fields that the object did not have.
Good JsonDecoder::Impl::finish_fields() {
  for (int i = 0; i < schema_.size(); ++i) {
    Slot& slot = slots_[static_cast<size_t>(i)];
    if (slot.seen == stamp_) continue;
    if (!slot.nullable && !slot.is_time) {
      return fail(reason::kSchema, "field \"" + schema_.field(i).name + "\" is missing");
    }
    slot.column.set_null(row_);
    if (slot.is_time && any_forms_) forms_[static_cast<size_t>(row_)] = TimeForm::kMillis;
  }
  return true;
}

// A field whose name has dots: the whole name as a key of the outermost object (`literal`) goes before
// the path, wherever they stand, so a bad value at the end of the path is only noted.
Good JsonDecoder::Impl::walk_spelled(int field, bool literal, int depth) {
  Slot& slot = slots_[static_cast<size_t>(field)];
  if (literal) {
    if (slot.literal_seen != stamp_ && slot.seen == stamp_) {  // the path came first: forget it
      slot.seen = 0;
      slot.path_failed = 0;
      --fields_seen_;
      slot.column.drop_row(row_);
    }
    slot.literal_seen = stamp_;
    return walk_field(field);
  }
  if (slot.literal_seen == stamp_) return skip_value(depth + 1);
  const uint32_t* const value = next_;
  if (walk_field(field)) return true;
  if (reason_ == reason::kDecode) return false;
  check_paths_ = true;
  slot.path_failed = stamp_;
  slot.path_reason = reason_;
  slot.path_message = std::move(message_);
  next_ = value;
  return skip_value(depth + 1);
}

Good JsonDecoder::Impl::check_paths() {
  for (int i = 0; i < schema_.size(); ++i) {
    const Slot& slot = slots_[static_cast<size_t>(i)];
    if (slot.path_failed == stamp_) return fail(slot.path_reason, slot.path_message);
    if (no_object_ != nullptr && slot.literal_seen != stamp_ &&
        schema_.field(i).name.starts_with(no_object_->path + '.')) {
      return fail(reason::kSchema,
                  "field \"" + no_object_->path + "\": expected an object, found " + shown(no_object_value_));
    }
  }
  return true;
}

// --- what was wrong ----------------------------------------------------------------------------

Good JsonDecoder::Impl::fail(std::string_view reason, std::string message) {
  reason_ = reason;
  message_ = std::move(message);
  return false;
}

// The structure at `at` does not go on as JSON.
Good JsonDecoder::Impl::not_json(const uint8_t* at) {
  if (at >= text_ + end_) return fail(reason::kDecode, "not JSON: the object is not closed");
  return fail(reason::kDecode, "not JSON at byte " + std::to_string(at - text_ - begin_) + ": " + shown(at));
}

// The value at next_ is not one of this field: of another type, or no JSON at all.
Good JsonDecoder::Impl::wrong_value(int field, std::string_view why) {
  const uint8_t* const value = here();
  if (!skip_value(1)) return false;
  const Field& wanted = schema_.field(field);
  std::string message = "field \"" + wanted.name + "\": expected " + std::string(type_name(wanted.type)) + ", found ";
  message += shown(value);
  if (!why.empty()) message.append(" (").append(why).append(")");
  return fail(reason::kSchema, std::move(message));
}

// The beginning of what stands at `at`, up to the end of the record or of the value.
std::string JsonDecoder::Impl::shown(const uint8_t* at) const {
  const uint8_t* const record_end = text_ + end_;
  if (at >= record_end) return "the end";
  size_t size = std::min(static_cast<size_t>(record_end - at), kShownBytes);
  if (*at != '"' && *at != '{' && *at != '[') {
    size_t scalar = 1;
    while (scalar < size && !json::ends_scalar(at[scalar])) ++scalar;
    size = scalar;
  } else if (*at == '"') {
    bool plain = true;
    size = std::min(size, static_cast<size_t>(json::find_close(at, &plain) + 1 - at));
  }
  std::string text(reinterpret_cast<const char*>(at), size);
  while (!text.empty() && size == kShownBytes && (static_cast<uint8_t>(text.back()) & 0xc0) == 0x80) text.pop_back();
  if (size == kShownBytes && !text.empty() && static_cast<uint8_t>(text.back()) >= 0xc0) text.pop_back();
  if (at + size < record_end && size == kShownBytes) text += "...";
  return text;
}

// --- the class itself --------------------------------------------------------------------------

JsonDecoder::JsonDecoder(std::unique_ptr<Impl> impl) : impl_(std::move(impl)) {}
JsonDecoder::JsonDecoder(JsonDecoder&&) noexcept = default;
JsonDecoder& JsonDecoder::operator=(JsonDecoder&&) noexcept = default;
JsonDecoder::~JsonDecoder() = default;

Result<JsonDecoder> JsonDecoder::make(Schema schema, JsonDecoderOptions options) {
  auto impl = std::make_unique<Impl>(std::move(schema), std::move(options));
  WL_RETURN_IF_ERROR(impl->init());
  return JsonDecoder(std::move(impl));
}

const SchemaPtr& JsonDecoder::schema() const { return impl_->schema(); }

Decoded JsonDecoder::decode(std::shared_ptr<const Records> records) { return impl_->decode(std::move(records)); }

}  // namespace wrackline
