// One row of the windows of some pixels, into lines of floats: contract in kernels/contract.h.
#pragma once
#include "kernels/contract.h"
#include "simd/unroll.h"

namespace fastdw {
namespace {

// Calls copy(x, y) for each tap of each pixel. By value: else its fields are read again for each.
template <class Copy>
FASTDW_INLINE void for_taps(const PatchTile t, const Copy& copy) {
  for (ptrdiff_t i = 0; i < t.pixels; ++i) {
    const float* x = t.x + i * t.x_stride;
    float* y = t.y + i * t.y_stride;
    for (ptrdiff_t tap = 0; tap < t.taps; ++tap, x += t.tap_stride, y += t.channels) copy(x, y);
  }
}

// Lines of kVectors vectors and less than one more: the last one overlaps the one before.
template <class V, int kVectors>
FASTDW_INLINE void copy_lines(const PatchTile t) {
  const ptrdiff_t last = t.channels - V::lanes;
  const float* x = t.x;
  float* y = t.y;
  for (ptrdiff_t i = t.pixels; i > 0; --i, x += t.x_stride, y += t.y_stride) {
    V v[kVectors];
    unroll<kVectors>([&](auto k) FASTDW_INLINE_LAMBDA { v[k] = V::load(x + k * V::lanes, All{}); });
    const V overlapping = V::load(x + last, All{});
    unroll<kVectors>([&](auto k) FASTDW_INLINE_LAMBDA { v[k].store(y + k * V::lanes, All{}); });
    overlapping.store(y + last, All{});
  }
}

template <class V>
void copy_patches(const PatchTile& t) {
  const ptrdiff_t channels = t.channels, stride = t.channel_stride;
  // 3×3 windows of three channels, where vectors are short: a row takes NEON 8 instructions, not 39.
  if (V::lanes == 4 && stride == 1 && t.taps == 1 && channels / V::lanes == 2) return copy_lines<V, 2>(t);
  if (stride == 1) {
    // Whole vectors are written, for what comes next is written over the rest: masked stores cost AVX2 a
    // third of a stem's time.
    return for_taps(t, [&](const float* x, float* y) FASTDW_INLINE_LAMBDA {
      for_vectors<V>(
          channels, [&](ptrdiff_t c, auto n) FASTDW_INLINE_LAMBDA { V::load(x + c, n).store(y + c, All{}); });
    });
  }
  for_taps(t, [&](const float* x, float* y) FASTDW_INLINE_LAMBDA {
    for (ptrdiff_t c = 0; c < channels; ++c) y[c] = x[c * stride];
  });
}

}  // namespace
}  // namespace fastdw
