// A matrix turned over, by blocks of vectors: contract in kernels/contract.h.
#pragma once
#include "kernels/contract.h"
#include "simd/vec.h"

namespace fastdw {
namespace {

constexpr int log2(int n) { return n == 1 ? 0 : 1 + log2(n / 2); }

// Rows and columns of a block are All, or how many there are. Zipping row i with row i + lanes/2 rotates the
// bits of an element's address, row then column, by one; after log₂ lanes times they have changed places.
template <class V, class Rows, class Columns>
FASTDW_INLINE void transpose_block(const float* from, ptrdiff_t from_stride, float* to, ptrdiff_t to_stride,
                                   Rows rows, Columns columns) {
  V v[V::lanes];
  unroll<V::lanes>([&](auto i) FASTDW_INLINE_LAMBDA {
    v[i] = is_live(i, rows) ? V::load(from + i * from_stride, columns) : V::set1(0.0f);
  });
  unroll<log2(V::lanes)>([&](auto) FASTDW_INLINE_LAMBDA {
    V zipped[V::lanes];
    unroll<V::lanes / 2>([&](auto i) FASTDW_INLINE_LAMBDA {
      zipped[2 * i] = zip_low(v[i], v[i + V::lanes / 2]);
      zipped[2 * i + 1] = zip_high(v[i], v[i + V::lanes / 2]);
    });
    unroll<V::lanes>([&](auto i) FASTDW_INLINE_LAMBDA { v[i] = zipped[i]; });
  });
  unroll<V::lanes>([&](auto j) FASTDW_INLINE_LAMBDA {
    if (is_live(j, columns)) v[j].store(to + j * to_stride, rows);
  });
}

// Three planes, as of images, into pixels that follow each other: compilers make whole vectors of it.
inline void interleave_three(const TransposeTile& t) {
  const float *const first = t.from, *const second = first + t.from_stride,
                     *const third = second + t.from_stride;
  float* to = t.to;
  for (ptrdiff_t j = 0; j < t.columns; ++j, to += 3) {
    to[0] = first[j];
    to[1] = second[j];
    to[2] = third[j];
  }
}

// The side with the longer stride is walked along its lines, so that its streams are as few as lanes: else
// planes whose size is a power of two throw each other out of L1 (1024 pixels × 64 channels: 0.7 → 1.6 floats
// a cycle with AVX-512, 0.3 → 2.4 with AVX2).
template <class V>
void transpose(const TransposeTile& t) {
  if (t.rows == 3 && t.to_stride == 3) return interleave_three(t);
  const auto block = [&](ptrdiff_t i, ptrdiff_t j, auto rows, auto columns) FASTDW_INLINE_LAMBDA {
    transpose_block<V>(t.from + i * t.from_stride + j, t.from_stride, t.to + j * t.to_stride + i, t.to_stride,
                       rows, columns);
  };
  if (t.from_stride > t.to_stride) {
    for_vectors<V>(t.rows, [&](ptrdiff_t i, auto rows) FASTDW_INLINE_LAMBDA {
      for_vectors<V>(t.columns, [&](ptrdiff_t j, auto columns) { block(i, j, rows, columns); });
    });
  } else {
    for_vectors<V>(t.columns, [&](ptrdiff_t j, auto columns) FASTDW_INLINE_LAMBDA {
      for_vectors<V>(t.rows, [&](ptrdiff_t i, auto rows) { block(i, j, rows, columns); });
    });
  }
}

}  // namespace
}  // namespace fastdw
