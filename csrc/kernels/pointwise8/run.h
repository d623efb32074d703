// A run of pixels by one panel: tiles of MR pixels × NV vectors, up to 24 sums in registers and the panel's
// row.
#pragma once
#include "kernels/pointwise8/tiles.h"

namespace fastdw {
namespace {

// Four inputs of a pixel for all lanes, read from memory.
template <class B, int MR, int NV>
FASTDW_INLINE void pw8_by_quads(const Pointwise8& t, const uint8_t* x, const uint8_t* w,
                                typename B::Ints (&acc)[MR][NV]) {
  const ptrdiff_t x_stride = t.x_stride;
  for (ptrdiff_t k = t.steps; k > 0; --k) {
    typename B::Ints row[NV];
    unroll<NV>([&](auto v) FASTDW_INLINE_LAMBDA { row[v] = B::load(w + v * B::lanes * 4); });
    unroll<MR>([&](auto i) FASTDW_INLINE_LAMBDA {
      const auto quad = B::broadcast(x + i * x_stride);
      unroll<NV>([&](auto v) FASTDW_INLINE_LAMBDA { B::dot(acc[i][v], quad, row[v]); });
    });
    x += kQuad;
    w += ptrdiff_t{NV} * B::lanes * kQuad;
  }
}

// Sixteen inputs of a pixel in a register, a lane of which is four inputs for all: what NEON does for
// nothing.
template <class B, int MR, int NV>
FASTDW_INLINE void pw8_by_lanes(const Pointwise8& t, const uint8_t* x, const uint8_t* w,
                                typename B::Ints (&acc)[MR][NV]) {
  const ptrdiff_t x_stride = t.x_stride;
  const auto quads = [&](auto lanes) FASTDW_INLINE_LAMBDA {
    typename B::Ints inputs[MR];
    unroll<MR>([&](auto i) FASTDW_INLINE_LAMBDA {
      inputs[i] = lanes == 1 ? B::broadcast(x + i * x_stride) : B::load(x + i * x_stride);
    });
    unroll<lanes>([&](auto lane) FASTDW_INLINE_LAMBDA {
      typename B::Ints row[NV];
      unroll<NV>([&](auto v) FASTDW_INLINE_LAMBDA { row[v] = B::load(w + (lane * NV + v) * B::lanes * 4); });
      unroll<MR>([&](auto i) FASTDW_INLINE_LAMBDA {
        unroll<NV>([&](auto v)
                       FASTDW_INLINE_LAMBDA { B::template dot_lane<lane>(acc[i][v], inputs[i], row[v]); });
      });
    });
    x += lanes * kQuad;
    w += ptrdiff_t{NV} * B::lanes * kQuad * lanes;
  };
  ptrdiff_t k = t.steps;
  for (; k >= 4; k -= 4) quads(std::integral_constant<int, 4>{});
  for (; k > 0; --k) quads(std::integral_constant<int, 1>{});
}

template <class B, int MR, int NV>
FASTDW_INLINE void pw8_tile(const Pointwise8& t, const typename B::Rescale& rescale, const uint8_t* x,
                            uint8_t* y) {
  constexpr ptrdiff_t width = ptrdiff_t{NV} * B::lanes;
  const uint8_t* const w = t.panel + 8 * width;
  typename B::Ints acc[MR][NV];
  pw8_begin<B>(t, acc);
  if constexpr (B::dots_by_lane) {
    pw8_by_lanes<B>(t, x, w, acc);
  } else {
    pw8_by_quads<B>(t, x, w, acc);
  }
  pw8_store<B>(t, rescale, acc, y);
}

template <class B, int MR, int NV>
void pw8_run(const Pointwise8& t) {
  const typename B::Rescale rescale(t.rescale);
  pw8_tiles<MR>(t, [&](auto rows, const uint8_t* x, uint8_t* y)
                       FASTDW_INLINE_LAMBDA { pw8_tile<B, rows, NV>(t, rescale, x, y); });
}

template <class B, int MR, int NV>
constexpr PwKernel8 kPwRun8 = {MR, pw8_run<B, MR, NV>};

}  // namespace
}  // namespace fastdw
