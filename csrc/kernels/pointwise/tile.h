// Pointwise (1×1) convolution, register tiles one after the other: contract in kernels/contract.h, sizes in
// the data sheets of isa/.
//
// Every output sums bias first, then its input channels in ascending order.
#pragma once
#include "kernels/contract.h"
#include "kernels/pointwise/pixels.h"
#include "simd/vec.h"

namespace fastdw {
namespace {

// MR pixels × NV vectors of output channels. Registers: MR·NV accumulators, NV weights, one broadcast input.
template <class V, int MR, int NV, int kSteps = 1, class Tile = PwTile>
void pwconv_tile(const Tile& t) {
  const char* ahead = t.ahead;
  for (ptrdiff_t tile = 0; tile < t.tiles; ++tile) {
    V acc[MR][NV];
    const float* w = t.panel;
    unroll<NV>([&](auto j) FASTDW_INLINE_LAMBDA {
      const V bias = V::load(w + j * V::lanes, All{});
      unroll<MR>([&](auto i) FASTDW_INLINE_LAMBDA { acc[i][j] = bias; });
    });
    const auto step = [&](const PixelInputs<MR>& x, ptrdiff_t k) FASTDW_INLINE_LAMBDA {
      w += NV * V::lanes;
      V wv[NV];
      unroll<NV>([&](auto j) FASTDW_INLINE_LAMBDA { wv[j] = V::load(w + j * V::lanes, All{}); });
      unroll<MR>([&](auto i) FASTDW_INLINE_LAMBDA {
        const V xv = V::set1(x.template at<decltype(i)::value>(k));
        unroll<NV>([&](auto j) FASTDW_INLINE_LAMBDA { acc[i][j] = fma(xv, wv[j], acc[i][j]); });
      });
    };
    ahead = multiply<MR, kSteps>(t, t.x + tile * MR * t.x_stride, ahead, step);
    // Locals: after a store through a pointer the compiler would read the tile's fields anew.
    const ptrdiff_t y_stride = t.y_stride.one, channels = t.channels;
    float* const y = t.y + tile * MR * y_stride;
    const V lo = V::set1(t.lo), hi = V::set1(t.hi);
    const auto finish = [&](auto value) FASTDW_INLINE_LAMBDA {
      unroll<NV>([&](auto j) FASTDW_INLINE_LAMBDA {
        const ptrdiff_t left = channels - j * V::lanes;
        const auto column = [&](auto n) FASTDW_INLINE_LAMBDA {
          unroll<MR>([&](auto i) FASTDW_INLINE_LAMBDA {
            min(hi, max(lo, value(i, j, n))).store(y + i * y_stride + j * V::lanes, n);
          });
        };
        if (left >= V::lanes) {
          column(All{});
        } else if (left > 0) {
          column(static_cast<int>(left));
        }
      });
    };
    if (t.residual) {
      const ptrdiff_t residual_stride = t.residual_stride.one;
      const float* const residual = t.residual + tile * MR * residual_stride;
      finish([&](auto i, auto j, auto n) FASTDW_INLINE_LAMBDA {
        return add(acc[i][j], V::load(residual + i * residual_stride + j * V::lanes, n));
      });
    } else {
      finish([&](auto i, auto j, auto) FASTDW_INLINE_LAMBDA { return acc[i][j]; });
    }
  }
}

}  // namespace
}  // namespace fastdw
