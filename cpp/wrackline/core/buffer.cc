#include "wrackline/core/buffer.h"

#include <new>

#include <sys/mman.h>

namespace wrackline {

void* allocate_huge(size_t bytes) {
  constexpr size_t kHugePage = size_t{2} << 20;
  const size_t rounded = (bytes + kHugePage - 1) / kHugePage * kHugePage;
  void* const memory = std::aligned_alloc(kHugePage, rounded);
  if (memory == nullptr) throw std::bad_alloc();
  madvise(memory, rounded, MADV_HUGEPAGE);  // a wish: small pages do, too
  return memory;
}

}  // namespace wrackline
