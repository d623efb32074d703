// A run of pixels by one panel where products are of 16 bits, of which two fit: two inputs of a pixel, for
// all lanes, meet those of eight channels; two such products are added, and by twos go to the sums of four
// channels. Tiles of MR pixels × NV vectors of channels.
#pragma once
#include "kernels/pointwise8/tiles.h"

namespace fastdw {
namespace {

constexpr int kPairedInputs = 2;

// The sums of MR pixels: four pairs of inputs at a time, then one.
template <class B, int MR, int NV, bool kLowest>
FASTDW_INLINE void pw8_sums_of_pairs(const Pointwise8& t, const uint8_t* x, typename B::Ints (&acc)[MR][NV]) {
  constexpr int width = NV * B::lanes;
  const ptrdiff_t x_stride = t.x_stride;
  const uint8_t* w = t.panel + 8 * width;
  const auto step = [&](auto pairs) FASTDW_INLINE_LAMBDA {
    const auto weights = B::template weight_pairs<pairs, NV>(w);
    unroll<MR>([&](auto i) FASTDW_INLINE_LAMBDA {
      const auto inputs = B::template input_pairs<pairs>(x + i * x_stride);
      B::template add_pairs<kLowest>(acc[i], inputs, weights);
    });
    x += pairs * kPairedInputs;
    w += pairs * kPairedInputs * width;
  };
  pw8_begin<B>(t, acc);
  ptrdiff_t k = t.steps;
  for (; k >= 4; k -= 4) step(std::integral_constant<int, 4>{});
  for (; k > 0; --k) step(std::integral_constant<int, 1>{});
}

template <class B, int MR, int NV, bool kLowest>
FASTDW_INLINE void pw8_pairs_tile(const Pointwise8& t, const typename B::Rescale* rescale, const uint8_t* x,
                                  uint8_t* y) {
  constexpr int width = NV * B::lanes;
  typename B::Ints acc[MR][NV];
  if constexpr (B::template woven<MR, NV> && !kLowest) {
    B::sums_of(acc, x, t.x_stride, t.panel, t.steps);
  } else {
    pw8_sums_of_pairs<B, MR, NV, kLowest>(t, x, acc);
  }
  const typename B::template Factors<NV> factors(t.panel + 4 * width);
  const ptrdiff_t y_stride = t.y_stride;
  const auto store = [&](auto plain, int channels) FASTDW_INLINE_LAMBDA {
    unroll<MR>([&](auto i) FASTDW_INLINE_LAMBDA {
      rescale->template store<NV, plain>(acc[i], factors, y + i * y_stride, channels);
    });
  };
  const int channels = t.channels;
  if (channels != width) return store(std::false_type{}, channels);
  rescale->plain ? store(std::true_type{}, width) : store(std::false_type{}, width);
}

template <class B, int MR, int NV>
void pw8_pairs(const Pointwise8& call) {
  const Pointwise8 t = call;  // what is stored cannot change it
  const typename B::Rescale held(t.rescale);
  const auto* const rescale = opaque_to_gcc(&held);  // in memory: the tile needs all registers
  const auto run = [&](auto lowest) FASTDW_INLINE_LAMBDA {
    pw8_tiles<MR>(t, [&](auto rows, const uint8_t* x, uint8_t* y)
                         FASTDW_INLINE_LAMBDA { pw8_pairs_tile<B, rows, NV, lowest>(t, rescale, x, y); });
  };
  t.lowest ? run(std::true_type{}) : run(std::false_type{});
}

template <class B, int MR, int NV>
constexpr PwKernel8 kPwPairs8 = {MR, pw8_pairs<B, MR, NV>};

}  // namespace
}  // namespace fastdw
