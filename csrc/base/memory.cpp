#include "base/memory.h"

#include <algorithm>
#include <new>

#include "base/math.h"
#include "base/platform.h"

namespace fastdw {

FloatBuffer allocate_floats(ptrdiff_t count) {
  const ptrdiff_t bytes = std::max(checked_product(count, sizeof(float)), ptrdiff_t{1});
  const ptrdiff_t unit = bytes < kHugePageBytes ? ptrdiff_t{kLineBytes} : kHugePageBytes;
  void* memory =
      std::aligned_alloc(static_cast<size_t>(unit), static_cast<size_t>(ceil_div(bytes, unit) * unit));
  if (!memory) throw std::bad_alloc();
  // The rest is not asked for: a whole page for a part of one would be memory that nobody uses.
  ask_for_huge_pages(memory, bytes / kHugePageBytes * kHugePageBytes);
  return FloatBuffer(static_cast<float*>(memory));
}

SharedFloats FloatStore::take(ptrdiff_t count) {
  const ptrdiff_t whole = ceil_div(count, kLineFloats) * kLineFloats;
  if (whole > left_) return allocate_floats(count);
  SharedFloats taken = memory_;
  memory_ = SharedFloats(memory_, memory_.get() + whole);
  left_ -= whole;
  return taken;
}

}  // namespace fastdw
