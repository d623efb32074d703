// Taps of one axis that meet the image: the first of them lies at `first`.
#pragma once
#include <cstddef>

#include "simd/compiler.h"

namespace fastdw {
namespace {

struct Live16 {
  ptrdiff_t begin, end;

  FASTDW_INLINE Live16(ptrdiff_t first, ptrdiff_t dilation, ptrdiff_t taps, ptrdiff_t size)
      : begin(first < 0 ? (dilation - 1 - first) / dilation : 0),
        end(first < size ? (size - 1 - first) / dilation + 1 : 0) {
    if (end > taps) end = taps;
  }
};

}  // namespace
}  // namespace fastdw
