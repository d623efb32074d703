// A run of pixels in tiles: of MR, then of half as many where fewer are left, down to one.
#pragma once
#include "kernels/contract8.h"
#include "simd/unroll.h"

namespace fastdw {
namespace {

// tile(count of pixels, x, y)
template <int MR, class Tile>
FASTDW_INLINE void pw8_tiles(const Pointwise8& t, const Tile& tile, ptrdiff_t pixel = 0) {
  for (; t.pixels - pixel >= MR; pixel += MR) {
    tile(std::integral_constant<int, MR>{}, t.x + pixel * t.x_stride, t.y + pixel * t.y_stride);
  }
  if constexpr (MR > 1) pw8_tiles<MR / 2>(t, tile, pixel);
}

}  // namespace
}  // namespace fastdw
