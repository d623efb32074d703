// A run of pixels by one panel where products are of 16 bits, of which two fit: sixteen inputs of a pixel
// meet those of a channel, and each sum is a vector whose four parts are added at the end. Tiles of MR pixels
// × NV vectors of channels.
#pragma once
#include "kernels/contract8.h"
#include "simd/unroll.h"

namespace fastdw {
namespace {

constexpr int kPairedInputs = 16;

template <class B, int MR, int NV, bool kLowest>
FASTDW_INLINE void pw8_pairs_tile(const Pointwise8& t, const typename B::Rescale& rescale, const uint8_t* x,
                                  uint8_t* y) {
  constexpr int width = NV * B::lanes;
  typename B::Ints acc[MR][width];
  const ptrdiff_t x_stride = t.x_stride;
  const uint8_t* w = t.panel + 8 * width;
  const auto step = [&](auto first) FASTDW_INLINE_LAMBDA {
    typename B::Ints inputs[MR];
    unroll<MR>([&](auto i) FASTDW_INLINE_LAMBDA { inputs[i] = B::load(x + i * x_stride); });
    unroll<width>([&](auto c) FASTDW_INLINE_LAMBDA {
      const auto weights = B::load(w + kPairedInputs * c);
      unroll<MR>([&](auto i) FASTDW_INLINE_LAMBDA {
        B::template add_products<first, kLowest>(acc[i][c], inputs[i], weights);
      });
    });
    x += kPairedInputs;
    w += kPairedInputs * width;
  };
  step(std::true_type{});
  for (ptrdiff_t k = t.steps - 1; k > 0; --k) step(std::false_type{});
  const typename B::template Factors<NV> factors(t.panel + 4 * width);
  const ptrdiff_t y_stride = t.y_stride;
  const auto store = [&](int channels) FASTDW_INLINE_LAMBDA {
    unroll<MR>([&](auto i) FASTDW_INLINE_LAMBDA {
      typename B::Ints sums[NV];
      unroll<NV>([&](auto v) FASTDW_INLINE_LAMBDA {
        sums[v] = B::across(&acc[i][v * B::lanes], B::load(t.panel + v * B::lanes * 4));
      });
      rescale.template store<NV>(sums, factors, y + i * y_stride, channels);
    });
  };
  const int channels = t.channels;
  channels == width ? store(width) : store(channels);
}

template <class B, int MR, int NV, bool kLowest>
FASTDW_INLINE void pw8_pairs_tiles(const Pointwise8& t, const typename B::Rescale& rescale, ptrdiff_t pixel) {
  for (; t.pixels - pixel >= MR; pixel += MR) {
    pw8_pairs_tile<B, MR, NV, kLowest>(t, rescale, t.x + pixel * t.x_stride, t.y + pixel * t.y_stride);
  }
  if constexpr (MR > 1) pw8_pairs_tiles<B, MR / 2, NV, kLowest>(t, rescale, pixel);
}

template <class B, int MR, int NV>
void pw8_pairs(const Pointwise8& t) {
  const typename B::Rescale rescale(t.rescale);
  t.lowest ? pw8_pairs_tiles<B, MR, NV, true>(t, rescale, 0)
           : pw8_pairs_tiles<B, MR, NV, false>(t, rescale, 0);
}

}  // namespace
}  // namespace fastdw
