// What the tiles of all sets share: a run of pixels in tiles of MR, then of half as many where fewer are
// left, down to one; how sums begin, and how they are stored.
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

template <class B, int MR, int NV>
FASTDW_INLINE void pw8_begin(const Pointwise8& t, typename B::Ints (&acc)[MR][NV]) {
  unroll<NV>([&](auto v) FASTDW_INLINE_LAMBDA {
    const auto start = B::load(t.panel + v * B::lanes * 4);
    unroll<MR>([&](auto i) FASTDW_INLINE_LAMBDA { acc[i][v] = start; });
  });
}

template <class B, int MR, int NV>
FASTDW_INLINE void pw8_store(const Pointwise8& t, const typename B::Rescale& rescale,
                             const typename B::Ints (&acc)[MR][NV], uint8_t* y) {
  constexpr int width = NV * B::lanes;
  const typename B::template Factors<NV> factors(t.panel + 4 * width);
  const ptrdiff_t y_stride = t.y_stride;
  const auto store = [&](int channels) FASTDW_INLINE_LAMBDA {
    unroll<MR>([&](auto i) FASTDW_INLINE_LAMBDA {
      rescale.template store<NV>(acc[i], factors, y + i * y_stride, channels);
    });
  };
  // Most panels are full: then stores ask nothing.
  const int channels = t.channels;
  channels == width ? store(width) : store(channels);
}

}  // namespace
}  // namespace fastdw
