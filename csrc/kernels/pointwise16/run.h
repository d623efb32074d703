// A run of pixels by one panel: tiles of MR pixels × NV vectors of sums of halves, of which each chunk goes
// to totals of floats in L1. Eight inputs of a pixel are a vector, whose lanes FMA takes for nothing.
#pragma once
#include "kernels/finish16.h"

namespace fastdw {
namespace fp16 {
namespace {

template <int MR, int NV>
FASTDW_INLINE void pw16_chunk(const uint16_t* x, ptrdiff_t x_stride, const uint16_t* w, ptrdiff_t inputs,
                              Halves (&sums)[MR][NV]) {
  constexpr int lanes = Halves::lanes;
  unroll<MR>([&](auto i) FASTDW_INLINE_LAMBDA {
    unroll<NV>([&](auto v) FASTDW_INLINE_LAMBDA { sums[i][v] = Halves::zero(); });
  });
  for (; inputs >= lanes; inputs -= lanes) {
    Halves pixel[MR];
    unroll<MR>([&](auto i) FASTDW_INLINE_LAMBDA { pixel[i] = Halves::load(x + i * x_stride); });
    unroll<lanes>([&](auto k) FASTDW_INLINE_LAMBDA {
      unroll<NV>([&](auto v) FASTDW_INLINE_LAMBDA {
        const Halves row = Halves::load(w + (k * NV + v) * lanes);
        unroll<MR>([&](auto i) FASTDW_INLINE_LAMBDA { multiply_add_lane<k>(sums[i][v], pixel[i], row); });
      });
    });
    x += lanes;
    w += lanes * lanes * NV;
  }
  for (; inputs > 0; --inputs, ++x, w += lanes * NV) {
    unroll<MR>([&](auto i) FASTDW_INLINE_LAMBDA {
      const Halves one = Halves::broadcast(x + i * x_stride);
      unroll<NV>([&](auto v)
                     FASTDW_INLINE_LAMBDA { multiply_add(sums[i][v], one, Halves::load(w + v * lanes)); });
    });
  }
}

template <int MR, int NV>
FASTDW_INLINE void pw16_tile(const Pointwise16& t, ptrdiff_t pixel) {
  constexpr int lanes = Halves::lanes, width = NV * lanes;
  const uint16_t* x = t.x + pixel * t.x_stride;
  const uint16_t* w = t.panel;
  uint16_t* const y = t.y + pixel * t.y_stride;
  const uint16_t* const residual = t.residual ? t.residual + pixel * t.residual_stride : nullptr;
  alignas(16) float totals[MR * width];
  const auto vectors = [](const auto& step) FASTDW_INLINE_LAMBDA {
    unroll<MR>([&](auto i)
                   FASTDW_INLINE_LAMBDA { unroll<NV>([&](auto v) FASTDW_INLINE_LAMBDA { step(i, v); }); });
  };
  // Totals before a chunk: first the bias, the same for all pixels.
  const float* before = t.bias;
  ptrdiff_t before_stride = 0;
  for (ptrdiff_t left = t.inputs;; left -= kChunk, x += kChunk, w += kChunk * width) {
    Halves sums[MR][NV];
    pw16_chunk<MR, NV>(x, t.x_stride, w, left < kChunk ? left : kChunk, sums);
    const auto total = [&](auto i, auto v) FASTDW_INLINE_LAMBDA {
      return Totals::load(before + i * before_stride + v * lanes).plus(sums[i][v]);
    };
    const auto finished = [&](const auto& finish) FASTDW_INLINE_LAMBDA {
      vectors([&](auto i, auto v)
                  FASTDW_INLINE_LAMBDA { finish(total(i, v)).store(y + i * t.y_stride + v * lanes); });
    };
    if (left <= kChunk && !residual && t.channels == width && in_registers(t.finish, finished)) return;
    vectors([&](auto i, auto v) FASTDW_INLINE_LAMBDA { total(i, v).store(totals + i * width + v * lanes); });
    if (left <= kChunk) break;
    before = totals;
    before_stride = width;
  }
  t.finish.run(t.finish, totals, {MR, t.channels, width, residual, t.residual_stride, y, t.y_stride});
}

template <int MR, int NV>
FASTDW_INLINE void pw16_tiles(const Pointwise16& t, ptrdiff_t pixel) {
  for (; t.pixels - pixel >= MR; pixel += MR) pw16_tile<MR, NV>(t, pixel);
  if constexpr (MR > 1) pw16_tiles<MR / 2, NV>(t, pixel);
}

template <int MR, int NV>
void pw16_run(const Pointwise16& call) {
  const Pointwise16 t = call;  // what is stored cannot change it
  pw16_tiles<MR, NV>(t, 0);
}

}  // namespace
}  // namespace fp16
}  // namespace fastdw
