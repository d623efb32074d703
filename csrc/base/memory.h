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

// `count` floats, not set, in huge pages where they are many. Throws std::bad_alloc.
FloatBuffer allocate_floats(std::ptrdiff_t count);

using SharedFloats = std::shared_ptr<float[]>;

// Memory for arrays that one thread makes, such as the weights of a network: together they fill huge pages.
// It lives as long as one of them.
class FloatStore {
 public:
  explicit FloatStore(std::ptrdiff_t count) : memory_(allocate_floats(count)), left_(count) {}

  // As allocate_floats, which it is where too few are left.
  SharedFloats take(std::ptrdiff_t count);

 private:
  SharedFloats memory_;  // what is left of it
  std::ptrdiff_t left_;
};

}  // namespace fastdw
