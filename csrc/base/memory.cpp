#include "base/memory.h"

#include <algorithm>
#include <new>

#include "base/math.h"

namespace fastdw {

FloatBuffer allocate_floats(ptrdiff_t count) {
  const ptrdiff_t bytes = ceil_div(checked_product(count, sizeof(float)), kLineBytes) * kLineBytes;
  FloatBuffer buffer(static_cast<float*>(
      std::aligned_alloc(kLineBytes, static_cast<size_t>(std::max<ptrdiff_t>(bytes, kLineBytes)))));
  if (!buffer) throw std::bad_alloc();
  return buffer;
}

}  // namespace fastdw
