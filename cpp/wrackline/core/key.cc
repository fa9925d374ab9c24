#include "wrackline/core/key.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <cstring>

#include "wrackline/core/bytes.h"
#include "wrackline/core/hint.h"

namespace wrackline {
namespace {

bool is_text(Type type) { return type == Type::kString || type == Type::kBytes; }

int64_t canonical_bits(double value) {
  if (std::isnan(value)) return 0x7ff8000000000000;
  return std::bit_cast<int64_t>(value == 0 ? 0.0 : value);
}

// A key may be a megabyte long; messages are not.
std::string shown_text(std::string_view text) {
  constexpr size_t kMost = 200;
  if (text.size() <= kMost) return "'" + std::string(text) + "'";
  size_t end = kMost;
  while (end > 0 && (static_cast<uint8_t>(text[end]) & 0xc0) == 0x80) --end;  // not within a character
  return "'" + std::string(text.substr(0, end)) + "...' (" + std::to_string(text.size()) + " bytes)";
}

template <typename T>
void store(uint8_t* place, T value) {
  std::memcpy(place, &value, sizeof(T));
}

}  // namespace

Result<KeyPacker> KeyPacker::make(const Schema& schema, const std::vector<std::string>& columns, bool null_group) {
  KeyPacker packer;
  packer.null_group_ = null_group;
  for (const std::string& name : columns) {
    const int index = schema.index_of(name);
    if (index < 0) return Status::invalid("no column '" + name + "'" + nearest_hint(name, schema.names()));
    if (std::find(packer.columns_.begin(), packer.columns_.end(), index) != packer.columns_.end()) {
      return Status::invalid("column '" + name + "' is in the key twice");
    }
    Field field = schema.field(index);
    if (field.type == Type::kList || field.type == Type::kDecimal) {
      return Status::invalid("column '" + name + "' (" + std::string(type_name(field.type)) + ") cannot be a key");
    }
    field.nullable = field.nullable && null_group;
    packer.columns_.push_back(index);
    packer.fields_.push_back(std::move(field));
  }
  packer.single_ = packer.fields_.size() == 1 && !packer.fields_[0].nullable;
  packer.fixed_form_ = packer.single_ && !is_text(packer.fields_[0].type) && packer.fields_[0].type != Type::kBool;
  return packer;
}

void KeyPacker::pack(const Batch& batch) {
  const auto length = static_cast<size_t>(batch.length);
  null_rows_ = 0;
  if (!null_group_) {
    for (const int index : columns_) {
      const Column& column = batch.column(index);
      if (column.null_count() == 0) continue;
      if (null_rows_ == 0) nulls_.assign(length, 0);
      for (size_t row = 0; row < length; ++row) {
        if (!column.is_null(static_cast<int64_t>(row))) continue;
        nulls_[row] = 1;
        ++null_rows_;
      }
    }
  }
  if (!single_) return pack_parts(batch);
  const Column& column = batch.column(columns_[0]);
  switch (column.type()) {
    case Type::kString:
    case Type::kBytes:
      bytes_ = reinterpret_cast<const char*>(column.values().data());
      offsets_ = column.offsets();
      return;
    case Type::kFloat64:
      own_fixed_.resize(length);
      for (size_t row = 0; row < length; ++row) own_fixed_[row] = canonical_bits(column.float64s()[row]);
      fixed_ = own_fixed_.data();
      return;
    case Type::kBool: return pack_parts(batch);
    default: fixed_ = column.int64s(); return;
  }
}

// Two passes over each column: how long each row's key is, then the bytes.
void KeyPacker::pack_parts(const Batch& batch) {
  const auto length = static_cast<size_t>(batch.length);
  own_offsets_.assign(length + 1, 0);
  if (fields_.empty()) {
    bytes_ = "";
    offsets_ = own_offsets_.data();
    return;
  }
  const size_t last = fields_.size() - 1;
  for (size_t part = 0; part < fields_.size(); ++part) {
    const Column& column = batch.column(columns_[part]);
    const int32_t tag = fields_[part].nullable ? 1 : 0;
    for (size_t row = 0; row < length; ++row) {
      int32_t size = tag;
      if (!column.is_null(static_cast<int64_t>(row)) || tag == 0) {
        if (is_text(column.type())) {
          size += static_cast<int32_t>(column.string_at(static_cast<int64_t>(row)).size()) + (part == last ? 0 : 4);
        } else {
          size += column.type() == Type::kBool ? 1 : 8;
        }
      }
      own_offsets_[row + 1] += size;
    }
  }
  for (size_t row = 0; row < length; ++row) own_offsets_[row + 1] += own_offsets_[row];
  own_bytes_.resize(static_cast<size_t>(own_offsets_[length]));
  own_fixed_.resize(length);  // where the next part of each row goes
  for (size_t row = 0; row < length; ++row) own_fixed_[row] = own_offsets_[row];
  for (size_t part = 0; part < fields_.size(); ++part) {
    const Column& column = batch.column(columns_[part]);
    for (size_t row = 0; row < length; ++row) {
      const auto at = static_cast<int64_t>(row);
      uint8_t* place = own_bytes_.data() + own_fixed_[row];
      uint8_t* const begin = place;
      if (fields_[part].nullable) {
        *place++ = column.is_null(at) ? 0 : 1;
        if (column.is_null(at)) {
          own_fixed_[row] += 1;
          continue;
        }
      }
      switch (column.type()) {
        case Type::kString:
        case Type::kBytes: {
          const std::string_view text = column.string_at(at);
          if (part != last) {
            store(place, static_cast<uint32_t>(text.size()));
            place += 4;
          }
          if (!text.empty()) std::memcpy(place, text.data(), text.size());
          place += text.size();
          break;
        }
        case Type::kBool: *place++ = column.bool_at(at) ? 1 : 0; break;
        case Type::kFloat64:
          store(place, canonical_bits(column.float64s()[row]));
          place += 8;
          break;
        default: store(place, column.int64s()[row]); place += 8;
      }
      own_fixed_[row] += place - begin;
    }
  }
  bytes_ = reinterpret_cast<const char*>(own_bytes_.data());
  offsets_ = own_offsets_.data();
}

void KeyPacker::unpack(std::string_view key, std::vector<Column>& columns) const {
  ByteReader reader(key);
  for (size_t part = 0; part < fields_.size(); ++part) {
    Column& column = columns[part];
    if (fields_[part].nullable && reader.get<uint8_t>() == 0) {
      column.append_null();
      continue;
    }
    switch (fields_[part].type) {
      case Type::kString:
      case Type::kBytes:
        column.append_string(part + 1 == fields_.size() ? reader.get_bytes(reader.left()) : reader.get_string());
        break;
      case Type::kBool: column.append_bool(reader.get<uint8_t>() != 0); break;
      case Type::kFloat64: column.append_float64(reader.get<double>()); break;
      default: column.append_int64(reader.get<int64_t>());
    }
  }
}

std::string KeyPacker::describe(std::string_view key) const {
  std::vector<Column> columns;
  for (const Field& field : fields_) columns.emplace_back(field.type);
  unpack(key, columns);
  std::string text;
  for (size_t part = 0; part < fields_.size(); ++part) {
    const Column& column = columns[part];
    text += (part == 0 ? "" : ", ") + fields_[part].name + "=";
    if (column.is_null(0))
      text += "null";
    else if (is_text(column.type()))
      text += shown_text(column.string_at(0));
    else if (column.type() == Type::kBool)
      text += column.bool_at(0) ? "true" : "false";
    else if (column.type() == Type::kFloat64)
      text += std::to_string(column.float64s()[0]);
    else
      text += std::to_string(column.int64s()[0]);
  }
  return text.empty() ? "the whole stream" : text;
}

std::string KeyPacker::fingerprint() const {
  std::string text = "(";
  for (size_t part = 0; part < fields_.size(); ++part) {
    text += (part == 0 ? "" : ", ") + fields_[part].name + " " + std::string(type_name(fields_[part].type));
    if (fields_[part].nullable) text += '?';
  }
  return text + (null_group_ ? ") null_key=group" : ")");
}

}  // namespace wrackline
