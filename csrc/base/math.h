// Sizes: rounding up, and products that cannot overflow.
#pragma once
#include <cstddef>
#include <limits>
#include <new>

namespace fastdw {

using std::ptrdiff_t;

inline ptrdiff_t ceil_div(ptrdiff_t a, ptrdiff_t b) { return a / b + (a % b > 0); }

// a·b, or std::bad_alloc where the product could be no size of an array.
inline ptrdiff_t checked_product(ptrdiff_t a, ptrdiff_t b) {
  // What is summed or rounded up later stays a size. With 32 bits that leaves 256 MiB: a network's weights.
  constexpr ptrdiff_t kLargest = std::numeric_limits<ptrdiff_t>::max() / (sizeof(ptrdiff_t) == 4 ? 8 : 256);
  if (a < 0 || b < 0 || (b != 0 && a > kLargest / b)) throw std::bad_alloc();
  return a * b;
}

}  // namespace fastdw
