// Transposition into planes whose distance is a multiple of 4 KB, as of 32×32 or 64×64 pixels. Their lines
// fall into one set of L1, which holds 8 or 12: sixteen planes at a time throw each other out. Eight at a
// time, 256 pixels × 64 channels: 1.6 → 2.5 floats a cycle (at other distances 3.5 → 2.5).
#pragma once
#include "kernels/transpose/transpose.h"
#include "simd/vec_avx512.h"

namespace fastdw {
namespace avx512 {
namespace {

// 16×8. A vector begins as a pair of rows, so its four zips end as those of a whole block: see transpose.h.
FASTDW_INLINE void transpose_half_block(const float* from, ptrdiff_t from_stride, float* to,
                                        ptrdiff_t to_stride) {
  constexpr int kHalf = Vec::lanes / 2;
  Vec v[kHalf];
  unroll<kHalf>([&](auto i) FASTDW_INLINE_LAMBDA {
    const float* const pair = from + 2 * i * from_stride;
    v[i] = Vec::load_halves(pair, pair + from_stride);
  });
  unroll<log2(Vec::lanes)>([&](auto) FASTDW_INLINE_LAMBDA {
    Vec zipped[kHalf];
    unroll<kHalf / 2>([&](auto i) FASTDW_INLINE_LAMBDA {
      zipped[2 * i] = zip_low(v[i], v[i + kHalf / 2]);
      zipped[2 * i + 1] = zip_high(v[i], v[i + kHalf / 2]);
    });
    unroll<kHalf>([&](auto i) FASTDW_INLINE_LAMBDA { v[i] = zipped[i]; });
  });
  unroll<kHalf>([&](auto j) FASTDW_INLINE_LAMBDA { v[j].store(to + j * to_stride, All{}); });
}

void transpose_by_halves(const TransposeTile& t) {
  constexpr ptrdiff_t kSetDistance = 4096 / sizeof(float), kHalf = Vec::lanes / 2;
  if (t.to_stride % kSetDistance != 0 || t.from_stride > t.to_stride) return transpose<Vec>(t);
  const ptrdiff_t rows = t.rows / Vec::lanes * Vec::lanes, columns = t.columns / kHalf * kHalf;
  for (ptrdiff_t j = 0; j < columns; j += kHalf) {
    for (ptrdiff_t i = 0; i < rows; i += Vec::lanes) {
      transpose_half_block(t.from + i * t.from_stride + j, t.from_stride, t.to + j * t.to_stride + i,
                           t.to_stride);
    }
  }
  // What is left below, and on the right.
  TransposeTile rest = t;
  rest.from += rows * t.from_stride;
  rest.to += rows;
  rest.rows -= rows;
  transpose<Vec>(rest);
  rest = t;
  rest.from += columns;
  rest.to += columns * t.to_stride;
  rest.columns -= columns;
  rest.rows = rows;
  transpose<Vec>(rest);
}

}  // namespace
}  // namespace avx512
}  // namespace fastdw
