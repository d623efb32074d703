// What the pointwise tiles of all NEON sets share.
#pragma once
#include "kernels/contract.h"
#include "simd/vec_neon.h"

namespace fastdw {
namespace neon {
namespace {

constexpr int kGroup = 4;

FASTDW_INLINE ptrdiff_t pixel_offset(int i, const PixelStrides& s) {
  return (i & 1) * s.one + (i >> 1 & 1) * s.two + (i >> 2) * s.four;
}

// What a tile leaves to its memory: channels that fill no vector, and the residuals of woven tiles. Code for
// them within the tile would cost registers in its loop.
__attribute__((noinline)) void finish_tile(const PwTile& t, ptrdiff_t tile, const float* sums, int pixels,
                                           int sums_stride) {
  const Vec lo = Vec::set1(t.lo), hi = Vec::set1(t.hi);
  const ptrdiff_t fours = tile * (pixels / kGroup);
  float* const y = t.y + fours * t.y_stride.four;
  const float* const residual = t.residual ? t.residual + fours * t.residual_stride.four : nullptr;
  for (int i = 0; i < pixels; ++i) {
    for_vectors<Vec>(t.channels, [&](ptrdiff_t c, auto n) FASTDW_INLINE_LAMBDA {
      Vec v = Vec::load(sums + i * sums_stride + c, All{});
      if (residual) v = add(v, Vec::load(residual + pixel_offset(i, t.residual_stride) + c, n));
      min(hi, max(lo, v)).store(y + pixel_offset(i, t.y_stride) + c, n);
    });
  }
}

}  // namespace
}  // namespace neon
}  // namespace fastdw
