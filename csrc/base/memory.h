// Memory that begins on a cache line.
#pragma once
#include <cstddef>
#include <cstdlib>
#include <memory>

#include "base/line.h"

namespace fastdw {

struct FreeMemory {
  void operator()(float* p) const { std::free(p); }
};
using FloatBuffer = std::unique_ptr<float[], FreeMemory>;

// `count` floats, not set. Throws std::bad_alloc.
FloatBuffer allocate_floats(std::ptrdiff_t count);

}  // namespace fastdw
