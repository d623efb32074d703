// A run of pixels by one panel where products are of 16 bits: inputs of a tile's pixels, some hundred at a
// time, are widened beside the tile, so the loop has nothing but products and sums. Apart from that it is the
// loop of run.h, by twos. Tiles whose every step took bytes apart were 0.88 times as fast.
#pragma once
#include "kernels/pointwise8/tiles.h"

namespace fastdw {
namespace {

constexpr ptrdiff_t kWidened = 256;  // inputs: with those of six pixels a tenth of L1

template <class B, int MR, int NV>
FASTDW_INLINE void pw8_widened_tile(const Pointwise8& t, const typename B::Rescale& rescale, const uint8_t* x,
                                    uint8_t* y) {
  constexpr ptrdiff_t width = ptrdiff_t{NV} * B::lanes;
  typename B::Ints acc[MR][NV];
  pw8_begin<B>(t, acc);
  const uint8_t* w = t.panel + 8 * width;
  const ptrdiff_t inputs = 2 * t.steps;
  for (ptrdiff_t first = 0; first < inputs; first += kWidened) {
    alignas(64) int16_t widened[MR][kWidened];
    const ptrdiff_t count = inputs - first < kWidened ? inputs - first : kWidened;
    // All pixels by sixteen inputs: 1.05 times as fast as one pixel after the other.
    for (ptrdiff_t k = 0; k < count; k += 16) {
      const uint8_t* const some = x + first + k;
      const int n = static_cast<int>(count - k < 16 ? count - k : 16);
      const auto widen = [&](auto live) FASTDW_INLINE_LAMBDA {
        for (int i = 0; i < MR; ++i) B::widen_line(some + i * t.x_stride, live, widened[i] + k);
      };
      n == 16 ? widen(std::integral_constant<ptrdiff_t, 16>{}) : widen(ptrdiff_t{n});
    }
    for (const int16_t* in = widened[0], *end = in + count; in < end; in += 2, w += 4 * width) {
      typename B::Ints row[NV];
      unroll<NV>([&](auto v) FASTDW_INLINE_LAMBDA { row[v] = B::load(w + v * B::lanes * 4); });
      unroll<MR>([&](auto i) FASTDW_INLINE_LAMBDA {
        const auto pair = B::broadcast(in + i * kWidened);
        unroll<NV>([&](auto v) FASTDW_INLINE_LAMBDA { B::dot(acc[i][v], pair, row[v]); });
      });
    }
  }
  pw8_store<B>(t, rescale, acc, y);
}

template <class B, int MR, int NV>
void pw8_widened(const Pointwise8& t) {
  const typename B::Rescale rescale(t.rescale);
  pw8_tiles<MR>(t, [&](auto rows, const uint8_t* x, uint8_t* y)
                       FASTDW_INLINE_LAMBDA { pw8_widened_tile<B, rows, NV>(t, rescale, x, y); });
}

template <class B, int MR, int NV>
constexpr PwKernel8 kPwWidened8 = {MR, pw8_widened<B, MR, NV>};

}  // namespace
}  // namespace fastdw
