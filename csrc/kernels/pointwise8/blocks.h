// A run of pixels by one panel where an instruction multiplies two pixels by two channels, eight inputs of
// each: tiles of MR pixels × NV vectors, the sums in blocks of 2×2. A lane of the panel has eight inputs, so
// a vector of it is two channels as they lie. The last of an odd number of pixels is its own partner.
#pragma once
#include "kernels/pointwise8/tiles.h"

namespace fastdw {
namespace {

constexpr int kBlockInputs = 8;

template <class B, int MR, int NV>
FASTDW_INLINE void pw8_block_tile(const Pointwise8& t, const typename B::Rescale* rescale, const uint8_t* x,
                                  uint8_t* y) {
  constexpr int width = NV * B::lanes, pairs = (MR + 1) / 2;
  const ptrdiff_t x_stride = t.x_stride;
  typename B::Ints acc[pairs][NV][2];  // the first two channels of a vector, the last two
  unroll<NV>([&](auto v) FASTDW_INLINE_LAMBDA {
    const auto start = B::load(t.panel + v * B::lanes * 4);
    unroll<pairs>([&](auto i) FASTDW_INLINE_LAMBDA {
      acc[i][v][0] = B::lower(start, start);
      acc[i][v][1] = B::upper(start, start);
    });
  });
  const uint8_t* w = t.panel + 8 * width;
  const auto step = [&](auto eights) FASTDW_INLINE_LAMBDA {
    typename B::Two inputs[pairs][eights];
    unroll<pairs>([&](auto i) FASTDW_INLINE_LAMBDA {
      constexpr int first = 2 * i, second = first + 1 < MR ? first + 1 : first;
      B::inputs(inputs[i], x + first * x_stride, x + second * x_stride);
    });
    // Both vectors of four channels are one load.
    unroll<eights * NV>([&](auto j) FASTDW_INLINE_LAMBDA {
      constexpr int eight = j / NV, v = j % NV;
      const typename B::Two weights[2] = {B::weights(w + 32 * j), B::weights(w + 32 * j + 16)};
      unroll<2 * pairs>([&](auto i) FASTDW_INLINE_LAMBDA {
        B::add_block(acc[i / 2][v][i % 2], inputs[i / 2][eight], weights[i % 2]);
      });
    });
    x += eights * kBlockInputs;
    w += eights * kBlockInputs * width;
  };
  ptrdiff_t k = t.steps;
  for (; k >= 2; k -= 2) step(std::integral_constant<int, 2>{});
  if (k > 0) step(std::integral_constant<int, 1>{});

  const typename B::template Factors<NV> factors(t.panel + 4 * width);
  const ptrdiff_t y_stride = t.y_stride;
  const auto store = [&](auto plain, int channels) FASTDW_INLINE_LAMBDA {
    unroll<MR>([&](auto i) FASTDW_INLINE_LAMBDA {
      typename B::Ints sums[NV];
      unroll<NV>([&](auto v) FASTDW_INLINE_LAMBDA {
        const auto& block = acc[i / 2][v];
        sums[v] = i % 2 ? B::upper(block[0], block[1]) : B::lower(block[0], block[1]);
      });
      rescale->template store<NV, plain>(sums, factors, y + i * y_stride, channels);
    });
  };
  const int channels = t.channels;
  if (channels != width) return store(std::false_type{}, channels);
  rescale->plain ? store(std::true_type{}, width) : store(std::false_type{}, width);
}

template <class B, int MR, int NV>
void pw8_blocks(const Pointwise8& call) {
  const Pointwise8 t = call;  // what is stored cannot change it
  const typename B::Rescale held(t.rescale);
  const auto* const rescale = opaque_to_gcc(&held);  // in memory: the tile needs all registers
  pw8_tiles<MR>(t, [&](auto rows, const uint8_t* x, uint8_t* y)
                       FASTDW_INLINE_LAMBDA { pw8_block_tile<B, rows, NV>(t, rescale, x, y); });
}

template <class B, int MR, int NV>
constexpr PwKernel8 kPwBlocks8 = {MR, pw8_blocks<B, MR, NV>};

}  // namespace
}  // namespace fastdw
