// Pointwise (1×1) convolution, one register tile: contract in kernels.h, sizes in the data sheets of isa/.
//
// Every output sums bias first, then its input channels in ascending order.
#pragma once
#include "../kernels.h"
#include "unroll.h"

namespace fastdw {
namespace {

// MR pixels × NV vectors of output channels. Registers: MR·NV accumulators, NV weights, one broadcast input.
template <class V, int MR, int NV>
void pwconv_tile(const PwTile& t) {
  V acc[MR][NV];
  const float* w = t.panel;
  unroll<NV>([&](auto j) FASTDW_INLINE_LAMBDA {
    const V bias = V::load(w + j * V::lanes, All{});
    unroll<MR>([&](auto i) FASTDW_INLINE_LAMBDA { acc[i][j] = bias; });
  });
  const float* x = t.x;
  const ptrdiff_t stride = t.x_stride;
  for (ptrdiff_t k = 0; k < t.input_channels; ++k) {
    w += NV * V::lanes;
    V wv[NV];
    unroll<NV>([&](auto j) FASTDW_INLINE_LAMBDA { wv[j] = V::load(w + j * V::lanes, All{}); });
    unroll<MR>([&](auto i) FASTDW_INLINE_LAMBDA {
      const V xv = V::set1(x[i * stride + k]);
      unroll<NV>([&](auto j) FASTDW_INLINE_LAMBDA { acc[i][j] = fma(xv, wv[j], acc[i][j]); });
    });
  }
  const V lo = V::set1(t.lo), hi = V::set1(t.hi);
  const auto finish = [&](auto i, auto j, auto n) FASTDW_INLINE_LAMBDA {
    V v = acc[i][j];
    if (t.residual) v = add(v, V::load(t.residual + i * t.residual_stride.one + j * V::lanes, n));
    min(hi, max(lo, v)).store(t.y + i * t.y_stride.one + j * V::lanes, n);
  };
  unroll<NV>([&](auto j) FASTDW_INLINE_LAMBDA {
    const ptrdiff_t left = t.channels - j * V::lanes;
    if (left >= V::lanes) {
      unroll<MR>([&](auto i) FASTDW_INLINE_LAMBDA { finish(i, j, All{}); });
    } else if (left > 0) {
      unroll<MR>([&](auto i) FASTDW_INLINE_LAMBDA { finish(i, j, static_cast<int>(left)); });
    }
  });
}

}  // namespace
}  // namespace fastdw
