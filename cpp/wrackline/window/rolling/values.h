// Single values of columns as bytes: a byte, 0 for null; then 8 bytes (bool 1, decimal 16), a string, or of a list the
// number of its items (uint32) and they.
#pragma once

#include "wrackline/core/batch.h"
#include "wrackline/core/bytes.h"

namespace wrackline {

void write_value(const Column& column, int64_t row, ByteWriter& out);
// Appends one value.
void read_value(Column& column, ByteReader& in);

}  // namespace wrackline
