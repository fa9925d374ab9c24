#include "wrackline/core/bytes.h"

namespace wrackline {

// Not inline: g++ 12 warns of overflows that are not there when it sees several in a row.
void ByteWriter::put_bytes(const void* data, size_t size) {
  const auto* from = static_cast<const uint8_t*>(data);
  bytes_.insert(bytes_.end(), from, from + size);
}

}  // namespace wrackline
