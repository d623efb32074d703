// One row of the windows of some pixels, into lines of floats: contract in kernels/contract.h.
#pragma once
#include "kernels/contract.h"
#include "simd/unroll.h"

namespace fastdw {
namespace {

template <class V>
void copy_patches(const PatchTile& t) {
  for (ptrdiff_t i = 0; i < t.pixels; ++i) {
    const float* x = t.x + i * t.x_stride;
    float* y = t.y + i * t.y_stride;
    for (ptrdiff_t tap = 0; tap < t.taps; ++tap, x += t.tap_stride, y += t.channels) {
      if (t.channel_stride == 1) {
        for_vectors<V>(t.channels,
                       [&](ptrdiff_t c, auto n) FASTDW_INLINE_LAMBDA { V::load(x + c, n).store(y + c, n); });
      } else {
        for (ptrdiff_t c = 0; c < t.channels; ++c) y[c] = x[c * t.channel_stride];
      }
    }
  }
}

}  // namespace
}  // namespace fastdw
