// Pointwise convolution on NEON, where FMA takes a lane of a vector for a factor: one load of a group brings
// an input of four pixels, and nothing is broadcast.
//
// Counted with bench/count_neon, instructions for each multiply-add of a whole block: 14×14×512 → 512
// has 1.16 instead of the common body's 1.73, 7×7×1024 → 1024 1.17 instead of 1.68.
#pragma once
#include "../kernels.h"
#include "vec_neon.h"

namespace fastdw {
namespace neon {
namespace {

constexpr int kGroup = 4;

FASTDW_INLINE ptrdiff_t pixel_offset(int i, const PixelStrides& s) {
  return (i & 1) * s.one + (i >> 1 & 1) * s.two + (i >> 2) * s.four;
}

// What a tile leaves to its memory: residuals, and channels that fill no vector. Code for them within the
// tile would cost registers in its loop.
__attribute__((noinline)) void finish_tile(const PwTile& t, const float* sums, int pixels, int sums_stride) {
  const Vec lo = Vec::set1(t.lo), hi = Vec::set1(t.hi);
  for (int i = 0; i < pixels; ++i) {
    for_vectors<Vec>(t.channels, [&](ptrdiff_t c, auto n) FASTDW_INLINE_LAMBDA {
      Vec v = Vec::load(sums + i * sums_stride + c, All{});
      if (t.residual) v = add(v, Vec::load(t.residual + pixel_offset(i, t.residual_stride) + c, n));
      min(hi, max(lo, v)).store(t.y + pixel_offset(i, t.y_stride) + c, n);
    });
  }
}

// MR pixels × NV vectors of output channels. Registers: MR·NV accumulators; inputs and weights of two input
// channels come in pairs that one instruction loads.
template <int MR, int NV>
FASTDW_INLINE void pwconv_body(const PwTile& t) {
  constexpr int kGroups = (MR + kGroup - 1) / kGroup;
  constexpr int kUnroll = 16;
  Vec acc[MR][NV];
  const float* w = t.panel;
  unroll<NV>([&](auto j) FASTDW_INLINE_LAMBDA {
    const Vec bias = Vec::load(w + j * Vec::lanes, All{});
    unroll<MR>([&](auto i) FASTDW_INLINE_LAMBDA { acc[i][j] = bias; });
  });
  w += NV * Vec::lanes;
  const float* x[kGroups];
  unroll<kGroups>([&](auto g) FASTDW_INLINE_LAMBDA { x[g] = t.x + g * t.x_stride; });

  // `channels` input channels, one or two.
  const auto step = [&](auto first, auto channels) FASTDW_INLINE_LAMBDA {
    constexpr int kChannels = decltype(channels)::value, kFirst = decltype(first)::value;
    constexpr int kVectors = kChannels * NV;
    Vec xv[kGroups][kChannels], wv[kVectors];
    unroll<kGroups>([&](auto g) FASTDW_INLINE_LAMBDA {
      unroll<kChannels>(
          [&](auto k) FASTDW_INLINE_LAMBDA { xv[g][k] = Vec::load(x[g] + (kFirst + k) * kGroup, All{}); });
    });
    unroll<kVectors>([&](auto v) FASTDW_INLINE_LAMBDA {
      constexpr int j = decltype(v)::value % NV, k = decltype(v)::value / NV;
      if constexpr (decltype(v)::value % 2 == 0) {
        constexpr int kPair = decltype(v)::value + 1 < kVectors ? 2 : 1;
        unroll<kPair>([&](auto p) FASTDW_INLINE_LAMBDA {
          wv[v + p] = Vec::load(w + (kFirst * NV + v + p) * Vec::lanes, All{});
        });
      }
      unroll<MR>([&](auto i) FASTDW_INLINE_LAMBDA {
        acc[i][j] = fma_lane<i % kGroup>(wv[v], xv[i / kGroup][k], acc[i][j]);
      });
    });
  };
  const auto advance = [&](int channels) FASTDW_INLINE_LAMBDA {
    w += channels * NV * Vec::lanes;
    unroll<kGroups>([&](auto g) FASTDW_INLINE_LAMBDA { x[g] += channels * kGroup; });
  };
  using One = std::integral_constant<int, 1>;
  using Two = std::integral_constant<int, 2>;
  ptrdiff_t left = t.input_channels;
  for (; left >= kUnroll; left -= kUnroll) {
    unroll<kUnroll / 2>([&](auto i) FASTDW_INLINE_LAMBDA {
      step(std::integral_constant<int, 2 * decltype(i)::value>{}, Two{});
    });
    advance(kUnroll);
  }
  for (; left >= 2; left -= 2) {
    step(std::integral_constant<int, 0>{}, Two{});
    advance(2);
  }
  if (left) step(std::integral_constant<int, 0>{}, One{});

  if (t.residual || t.channels < NV * Vec::lanes) {
    float sums[MR * NV * Vec::lanes];
    unroll<MR * NV>([&](auto i)
                        FASTDW_INLINE_LAMBDA { acc[i / NV][i % NV].store(sums + i * Vec::lanes, All{}); });
    finish_tile(t, sums, MR, NV * Vec::lanes);
    return;
  }
  // Loaded only now: over the loop there are no registers for the bounds.
  const Vec lo = Vec::set1(t.lo), hi = Vec::set1(t.hi);
  const PixelStrides stride = t.y_stride;
  float* y[MR];
  y[0] = t.y;
  unroll<MR>([&](auto i) FASTDW_INLINE_LAMBDA {
    if constexpr (i % 2 == 1) {
      y[i] = y[i - 1] + stride.one;
    } else if constexpr (i % 4 == 2) {
      y[i] = y[i - 2] + stride.two;
    } else if constexpr (i > 0) {
      y[i] = y[i - 4] + stride.four;
    }
    unroll<NV>([&](auto j)
                   FASTDW_INLINE_LAMBDA { min(hi, max(lo, acc[i][j])).store(y[i] + j * Vec::lanes, All{}); });
  });
}

// Left to itself GCC loads so far ahead that registers spill, and lets sums wander from register to register.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC push_options
#pragma GCC optimize("no-schedule-insns", "no-schedule-fusion", "rename-registers")
#endif

template <int MR, int NV>
void pwconv_part(const PwTile& t) {
  pwconv_body<MR, NV>(t);
}

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC optimize("no-schedule-insns", "ira-algorithm=priority")
#endif

template <int MR, int NV>
void pwconv_whole(const PwTile& t) {
  pwconv_body<MR, NV>(t);
}

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC pop_options
#endif

template <int MR, int NV>
constexpr PwTileFn pwconv_grouped() {
  if constexpr (MR == 8 && NV == 3) {
    return pwconv_whole<MR, NV>;
  } else {
    return pwconv_part<MR, NV>;
  }
}

void pack_groups(const PackTile& t) {
  float* y = t.y;
  for (ptrdiff_t i = 0; i < t.pixels; i += kGroup) {
    const float* x[kGroup];
    for (int p = 0; p < kGroup; ++p) x[p] = t.x + (i + p < t.pixels ? i + p : i) * t.x_stride;
    for_vectors<Vec>(t.channels, [&](ptrdiff_t c, auto n) FASTDW_INLINE_LAMBDA {
      store_transposed(y, Vec::load(x[0] + c, n), Vec::load(x[1] + c, n), Vec::load(x[2] + c, n),
                       Vec::load(x[3] + c, n));
      y += kGroup * Vec::lanes;
    });
  }
}

}  // namespace
}  // namespace neon
}  // namespace fastdw
