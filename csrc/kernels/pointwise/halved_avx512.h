// A pointwise tile of a halved panel. F = 24 or 40, as in MobileNetV2 and EfficientNet, would leave a quarter
// or a sixth of the lanes empty: 1.2 to 1.3 times as fast so.
#pragma once
#include "kernels/contract.h"
#include "kernels/pointwise/pixels.h"
#include "simd/vec_avx512.h"

namespace fastdw {
namespace avx512 {
namespace {

// MR pixels × NV − ½ vectors of output channels. The last half vector's accumulators hold two pixels: the
// lower lanes the odd one, the upper lanes the even one. Same order of sums as in pwconv_tile.
template <int MR, int NV, int kSteps, class Tile = PwTile>
void pwconv_halved_tile(const Tile& t) {
  constexpr int kWhole = NV - 1, kPairs = (MR + 1) / 2;
  const char* ahead = t.ahead;
  for (ptrdiff_t tile = 0; tile < t.tiles; ++tile) {
    [[maybe_unused]] Vec acc[MR][kWhole == 0 ? 1 : kWhole];
    Vec pair[kPairs];
    const float* w = t.panel;
    unroll<kWhole>([&](auto j) FASTDW_INLINE_LAMBDA {
      const Vec bias = Vec::load(w + j * Vec::lanes, All{});
      unroll<MR>([&](auto i) FASTDW_INLINE_LAMBDA { acc[i][j] = bias; });
    });
    const Vec half_bias = Vec::load(w + kWhole * Vec::lanes, All{});
    unroll<kPairs>([&](auto p) FASTDW_INLINE_LAMBDA { pair[p] = half_bias; });
    const auto step = [&](const PixelInputs<MR>& x, ptrdiff_t k) FASTDW_INLINE_LAMBDA {
      w += NV * Vec::lanes;
      Vec wv[NV];
      unroll<NV>([&](auto j) FASTDW_INLINE_LAMBDA { wv[j] = Vec::load(w + j * Vec::lanes, All{}); });
      unroll<kPairs>([&](auto p) FASTDW_INLINE_LAMBDA {
        constexpr int even = 2 * decltype(p)::value;
        const auto input = [&](auto i) FASTDW_INLINE_LAMBDA {
          const Vec xv = Vec::set1(x.template at<decltype(i)::value>(k));
          unroll<kWhole>([&](auto j) FASTDW_INLINE_LAMBDA { acc[i][j] = fma(xv, wv[j], acc[i][j]); });
          return xv;
        };
        Vec both = input(std::integral_constant<int, even>{});
        if constexpr (even + 1 < MR) both = halves(input(std::integral_constant<int, even + 1>{}), both);
        pair[p] = fma(both, wv[kWhole], pair[p]);
      });
    };
    ahead = multiply<MR, kSteps>(t, t.x + tile * MR * t.x_stride, ahead, step);
    const ptrdiff_t y_stride = t.y_stride.one, residual_stride = t.residual_stride.one;
    float* const y = t.y + tile * MR * y_stride;
    const float* const residual = t.residual ? t.residual + tile * MR * residual_stride : nullptr;
    const Vec lo = Vec::set1(t.lo), hi = Vec::set1(t.hi);
    const auto finish = [&](Vec v, ptrdiff_t to, ptrdiff_t from, auto n) FASTDW_INLINE_LAMBDA {
      if (residual) v = add(v, Vec::load(residual + from, n));
      min(hi, max(lo, v)).store(y + to, n);
    };
    const auto finish_pixel = [&](auto i) FASTDW_INLINE_LAMBDA {
      const ptrdiff_t to = i * y_stride, from = i * residual_stride;
      unroll<kWhole>([&](auto j) FASTDW_INLINE_LAMBDA {
        finish(acc[i][j], to + j * Vec::lanes, from + j * Vec::lanes, All{});
      });
      constexpr int rest = kWhole * Vec::lanes;
      const Vec both = pair[i / 2];
      finish(i % 2 ? both : upper_half(both), to + rest, from + rest, static_cast<int>(t.channels - rest));
    };
    // Where pixels follow each other, two of them are a whole number of vectors, which lie on lines of cache:
    // better than two stores that part a line and two of half a vector.
    constexpr ptrdiff_t kDense = kWhole * Vec::lanes + Vec::lanes / 2;
    if (t.channels == kDense && y_stride == kDense && (!residual || residual_stride == kDense)) {
      unroll<MR / 2>([&](auto p) FASTDW_INLINE_LAMBDA {
        const auto finish_vector = [&](Vec v, int j) FASTDW_INLINE_LAMBDA {
          const ptrdiff_t at = 2 * p * kDense + j * Vec::lanes;
          finish(v, at, at, All{});
        };
        Vec last = pair[p];
        unroll<kWhole>([&](auto j) FASTDW_INLINE_LAMBDA { finish_vector(acc[2 * p][j], j); });
        unroll<kWhole>([&](auto j) FASTDW_INLINE_LAMBDA {
          const Vec whole = acc[2 * p + 1][j];
          finish_vector(Vec::slide<Vec::lanes / 2>(last, whole), kWhole + j);
          last = whole;
        });
        finish_vector(Vec::slide<Vec::lanes / 2>(last, pair[p]), 2 * kWhole);
      });
      if constexpr (MR % 2 == 1) finish_pixel(std::integral_constant<int, MR - 1>{});
      continue;
    }
    unroll<MR>([&](auto i) FASTDW_INLINE_LAMBDA { finish_pixel(i); });
  }
}

}  // namespace
}  // namespace avx512
}  // namespace fastdw
