// A run of pixels by one panel: tiles of MR pixels × NV vectors, 24 sums in registers and the panel's row.
#pragma once
#include "kernels/contract8.h"
#include "simd/unroll.h"

namespace fastdw {
namespace {

template <class B, int MR, int NV>
FASTDW_INLINE void pw8_tile(const Pointwise8& t, const uint8_t* x, uint8_t* y) {
  constexpr ptrdiff_t width = ptrdiff_t{NV} * B::lanes;
  const uint8_t* w = t.panel;
  typename B::Ints acc[MR][NV];
  unroll<NV>([&](auto v) FASTDW_INLINE_LAMBDA {
    const auto start = B::load(w + v * B::lanes * 4);
    unroll<MR>([&](auto i) FASTDW_INLINE_LAMBDA { acc[i][v] = start; });
  });
  w += width * 8;
  const ptrdiff_t x_stride = t.x_stride;
  for (ptrdiff_t k = t.quads; k > 0; --k) {
    typename B::Ints row[NV];
    unroll<NV>([&](auto v) FASTDW_INLINE_LAMBDA { row[v] = B::load(w + v * B::lanes * 4); });
    unroll<MR>([&](auto i) FASTDW_INLINE_LAMBDA {
      const auto quad = B::broadcast(x + i * x_stride);
      unroll<NV>([&](auto v) FASTDW_INLINE_LAMBDA { B::dot(acc[i][v], quad, row[v]); });
    });
    x += kQuad;
    w += width * kQuad;
  }
  const uint8_t* factors = t.panel + width * 4;
  const typename B::Rescale rescale(t.rescale);
  unroll<MR>([&](auto i) FASTDW_INLINE_LAMBDA {
    rescale.template store<NV>(acc[i], factors, y + i * t.y_stride, t.channels);
  });
}

template <class B, int MR, int NV>
FASTDW_INLINE void pw8_tiles(const Pointwise8& t, ptrdiff_t pixel) {
  for (; t.pixels - pixel >= MR; pixel += MR) {
    pw8_tile<B, MR, NV>(t, t.x + pixel * t.x_stride, t.y + pixel * t.y_stride);
  }
  if constexpr (MR > 1) pw8_tiles<B, MR / 2, NV>(t, pixel);
}

template <class B, int MR, int NV>
void pw8_run(const Pointwise8& t) {
  pw8_tiles<B, MR, NV>(t, 0);
}

}  // namespace
}  // namespace fastdw
