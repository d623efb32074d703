// Pointwise convolution on NEON, where FMA takes a lane of a vector for a factor: one load of a group brings
// an input of four pixels, and nothing is broadcast.
//
// Counted with bench/count_neon, instructions for each multiply-add of a whole block: 14×14×512 → 512
// has 1.12 instead of the common body's 1.73, 7×7×1024 → 1024 1.14 instead of 1.68.
#pragma once
#include "kernels/pointwise/tile_neon.h"

namespace fastdw {
namespace neon {
namespace {

// 422 instructions for 16 input channels of the 8×3 tile instead of 672, 384 of them multiply-adds.
FASTDW_BEGIN_UNSCHEDULED

// Calls at(i, pointer) for each of a tile's pixels. Opaque pointers, here and below: GCC would share an index
// register among pixels, and carry loads over.
template <int MR, class T, class At>
FASTDW_INLINE void for_pixels(T* first, PixelStrides stride, const At& at) {
  T* p[MR];
  p[0] = opaque_to_gcc(first);
  unroll<MR>([&](auto i) FASTDW_INLINE_LAMBDA {
    if constexpr (i % 2 == 1) {
      p[i] = opaque_to_gcc(p[i - 1] + stride.one);
    } else if constexpr (i % 4 == 2) {
      p[i] = opaque_to_gcc(p[i - 2] + stride.two);
    } else if constexpr (i > 0) {
      p[i] = opaque_to_gcc(p[i - 4] + stride.four);
    }
    at(i, p[i]);
  });
}

// MR pixels × NV vectors of output channels. Registers: MR·NV accumulators, the weights of an input channel,
// and inputs in pairs of channels that one instruction loads.
template <int MR, int NV>
void pwconv_grouped(const PwTile& t) {
  constexpr int kGroups = (MR + kGroup - 1) / kGroup;
  // Input channels; few in the tiles at an edge, but for that of a dense layer.
  constexpr int kUnroll = MR % kGroup == 0 || MR == 1 ? 16 : 4;
  constexpr int kWeights = NV * Vec::lanes;
  // Locals: after a store through a pointer the compiler would read the tile's fields anew.
  const ptrdiff_t input_channels = t.input_channels, tiles = t.tiles, x_stride = t.x_stride;
  const float* const panel = t.panel;
  const PixelStrides stride = t.y_stride;
  const bool whole = t.channels == kWeights;
  const bool linear = t.lo == -__builtin_inff() && t.hi == __builtin_inff();
  const float* first_x = t.x;
  float* y = t.y;
  for (ptrdiff_t tile = 0; tile < tiles; ++tile, first_x += kGroups * x_stride, y += kGroups * stride.four) {
    Vec acc[MR][NV];
    const float* w = opaque_to_gcc(panel);
    // Loaded for each pixel, by pairs: 16 instructions in the 8×3 tile, where copies take 24.
    unroll<MR>([&](auto i) FASTDW_INLINE_LAMBDA {
      unroll<NV>([&](auto j) FASTDW_INLINE_LAMBDA { acc[i][j] = Vec::load(w + j * Vec::lanes, All{}); });
      w = opaque_after(w, acc[i][NV - 1]);
    });
    w += kWeights;
    const float* x[kGroups];
    unroll<kGroups>([&](auto g) FASTDW_INLINE_LAMBDA { x[g] = first_x + g * x_stride; });

    // `channels` input channels, one or two.
    const auto step = [&](auto first, auto channels) FASTDW_INLINE_LAMBDA {
      constexpr int kChannels = decltype(channels)::value, kFirst = decltype(first)::value;
      Vec xv[kGroups][kChannels];
      unroll<kGroups>([&](auto g) FASTDW_INLINE_LAMBDA {
        unroll<kChannels>(
            [&](auto k) FASTDW_INLINE_LAMBDA { xv[g][k] = Vec::load(x[g] + (kFirst + k) * kGroup, All{}); });
      });
      unroll<kChannels>([&](auto k) FASTDW_INLINE_LAMBDA {
        Vec wv[NV];
        Vec::load_line(w, wv);
        w = opaque_to_gcc(w + kWeights);
        unroll<NV>([&](auto j) FASTDW_INLINE_LAMBDA {
          unroll<MR>([&](auto i) FASTDW_INLINE_LAMBDA {
            acc[i][j] = fma_lane<i % kGroup>(wv[j], xv[i / kGroup][k], acc[i][j]);
          });
        });
      });
    };
    const auto advance = [&](int channels) FASTDW_INLINE_LAMBDA {
      unroll<kGroups>([&](auto g) FASTDW_INLINE_LAMBDA { x[g] = opaque_to_gcc(x[g] + channels * kGroup); });
    };
    using One = std::integral_constant<int, 1>;
    using Two = std::integral_constant<int, 2>;
    for (ptrdiff_t left = input_channels / kUnroll; left > 0; --left) {
      unroll<kUnroll / 2>([&](auto i) FASTDW_INLINE_LAMBDA {
        step(std::integral_constant<int, 2 * decltype(i)::value>{}, Two{});
      });
      advance(kUnroll);
    }
    for (ptrdiff_t left = input_channels % kUnroll / 2; left > 0; --left) {
      step(std::integral_constant<int, 0>{}, Two{});
      advance(2);
    }
    if (input_channels % 2) step(std::integral_constant<int, 0>{}, One{});

    if (!whole) {
      float sums[MR * kWeights];
      unroll<MR * NV>([&](auto i)
                          FASTDW_INLINE_LAMBDA { acc[i / NV][i % NV].store(sums + i * Vec::lanes, All{}); });
      finish_tile(t, tile, sums, MR, kWeights);
      continue;
    }
    // Read anew for each tile: over the loop there are no registers for it.
    if (const float* const residual = t.residual) {
      const float* const first = residual + tile * kGroups * t.residual_stride.four;
      for_pixels<MR>(first, t.residual_stride, [&](auto i, const float* r) FASTDW_INLINE_LAMBDA {
        unroll<NV>([&](auto j) FASTDW_INLINE_LAMBDA {
          acc[i][j] = add(acc[i][j], Vec::load(r + j * Vec::lanes, All{}));
        });
      });
    }
    if (!linear) {
      // The bounds come now: over the loop there are no registers for them.
      const Vec lo = Vec::set1(t.lo), hi = Vec::set1(t.hi);
      unroll<MR * NV>(
          [&](auto i) FASTDW_INLINE_LAMBDA { acc[i / NV][i % NV] = min(hi, max(lo, acc[i / NV][i % NV])); });
    }
    for_pixels<MR>(y, stride, [&](auto i, float* to) FASTDW_INLINE_LAMBDA {
      unroll<NV>([&](auto j) FASTDW_INLINE_LAMBDA { acc[i][j].store(to + j * Vec::lanes, All{}); });
    });
  }
}

FASTDW_END_UNSCHEDULED

void pack_groups(const PackTile& t) {
  float* y = t.y;
  for (ptrdiff_t i = 0; i < t.pixels; i += kGroup) {
    const float* x[kGroup];
    for (int p = 0; p < kGroup; ++p) x[p] = t.x + (i + p < t.pixels ? i + p : i) * t.x_stride;
    for_vectors_together<Vec, 4>(t.channels, [&](ptrdiff_t c, auto n, auto count) FASTDW_INLINE_LAMBDA {
      unroll<count>([&](auto k) FASTDW_INLINE_LAMBDA {
        const ptrdiff_t at = c + k * Vec::lanes;
        y = store_transposed(y, kGroup * Vec::lanes, Vec::load(x[0] + at, n), Vec::load(x[1] + at, n),
                             Vec::load(x[2] + at, n), Vec::load(x[3] + at, n));
      });
    });
  }
  transposed_stored();
}

}  // namespace
}  // namespace neon
}  // namespace fastdw
