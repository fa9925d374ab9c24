#include "wrackline/window/rolling/values.h"

namespace wrackline {

void write_value(const Column& column, int64_t row, ByteWriter& out) {
  const bool valid = !column.is_null(row);
  out.put(static_cast<uint8_t>(valid));
  if (!valid) return;
  switch (column.type()) {
    case Type::kBool: return out.put(static_cast<uint8_t>(column.bool_at(row)));
    case Type::kInt64:
    case Type::kTimestamp: return out.put(column.int64s()[row]);
    case Type::kFloat64: return out.put(column.float64s()[row]);
    case Type::kString:
    case Type::kBytes: return out.put_string(column.string_at(row));
    case Type::kDecimal: {
      const __int128 value = column.decimal_at(row);
      return out.put_bytes(&value, sizeof(value));
    }
    case Type::kList: break;
  }
  const int32_t begin = column.offsets()[row];
  const int32_t end = column.offsets()[row + 1];
  out.put(static_cast<uint32_t>(end - begin));
  for (int32_t i = begin; i < end; ++i) write_value(column.items(), i, out);
}

void read_value(Column& column, ByteReader& in) {
  if (in.get<uint8_t>() == 0) return column.append_null();
  switch (column.type()) {
    case Type::kBool: return column.append_bool(in.get<uint8_t>() != 0);
    case Type::kInt64:
    case Type::kTimestamp: return column.append_int64(in.get<int64_t>());
    case Type::kFloat64: return column.append_float64(in.get<double>());
    case Type::kString:
    case Type::kBytes: return column.append_string(in.get_string());
    case Type::kDecimal: {
      __int128 value = 0;
      const std::string_view bytes = in.get_bytes(sizeof(value));
      if (!bytes.empty()) std::memcpy(&value, bytes.data(), sizeof(value));
      return column.append_decimal(value);
    }
    case Type::kList: break;
  }
  const auto count = in.get<uint32_t>();
  for (uint32_t i = 0; i < count && !in.failed(); ++i) read_value(column.mutable_items(), in);
  column.append_list_end();
}

}  // namespace wrackline
