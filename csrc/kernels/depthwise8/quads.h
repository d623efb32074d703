// Depthwise 3×3 by dot products: four neighbouring pixels of a row, interleaved to four bytes a channel, meet
// the weights (w0 w1 w2 0), and at stride 1 those of the next output too (0 w0 w1 w2).
//
// Two columns of outputs, rows rolling down: each row of quads is read once, for all outputs that it belongs
// to. At stride 1 that is 3 rows × 2 columns × 4 vectors of sums, 24 registers. Where a group has so few
// channels that they leave half of it empty or more, P = 2 or 4 pairs of columns share it, each a chunk.
#pragma once
#include "kernels/contract8.h"
#include "simd/unroll.h"

namespace fastdw {
namespace {

// The quads of four pixels of a row, from column `at` on, and of P − 1 more `Apart` pixels each after the
// last.
template <class B, int P, int Apart>
FASTDW_INLINE void quads_of(const Depthwise8& t, ptrdiff_t row, ptrdiff_t at, ptrdiff_t channel, int live,
                            typename B::Ints (&quad)[kGroup8]) {
  const uint8_t* pixels[kQuad][P];
  const bool inside = row >= 0 && row < t.height && at >= 0 && at + (P - 1) * Apart + kQuad <= t.width;
  const uint8_t* const first = inside ? t.pixel(row, at) + channel : nullptr;
  unroll<kQuad * P>([&](auto i) FASTDW_INLINE_LAMBDA {
    constexpr ptrdiff_t j = i % P * Apart + i / P;
    pixels[i / P][i % P] = inside ? first + j * t.column_stride : t.pixel(row, at + j) + channel;
  });
  typename B::Ints bytes[kQuad];
  unroll<kQuad>([&](auto i)
                    FASTDW_INLINE_LAMBDA { bytes[i] = B::template chunks<P>(pixels[i], live, t.flip); });
  B::interleave(bytes, quad);
}

template <class B, int S, int P>
struct Quads8 {
  static constexpr int kLive = S == 1 ? 3 : 2;  // rows of outputs that one row of the image may belong to
  static constexpr ptrdiff_t kVector = B::lanes * 4;            // bytes
  static constexpr ptrdiff_t kWeights = 2 * kGroup8 * kVector;  // from row to row
  using Ints = typename B::Ints;

  const Depthwise8& t;
  const typename B::Rescale rescale;
  const uint8_t* weights;
  const uint8_t* factors;
  ptrdiff_t channel, column;
  int live;
  int left, right;  // pairs whose first, and whose second column is there
  Ints acc[kLive][2][kGroup8];

  // Row `kernel_row` of the window, for the sums in `slot`.
  template <int Slot, int Row>
  FASTDW_INLINE void meet(const Ints (&left)[kGroup8], const Ints (&right)[kGroup8]) {
    const uint8_t* w = weights + Row * kWeights;
    unroll<kGroup8>([&](auto v) FASTDW_INLINE_LAMBDA {
      if constexpr (Row == 0) acc[Slot][0][v] = acc[Slot][1][v] = B::load(factors - (kGroup8 - v) * kVector);
      B::dot_memory(acc[Slot][0][v], left[v], w + v * kVector);
      B::dot_memory(acc[Slot][1][v], right[v], w + ((S == 1 ? kGroup8 : 0) + v) * kVector);
    });
  }

  FASTDW_INLINE void quads(ptrdiff_t row, ptrdiff_t at, Ints (&quad)[kGroup8]) const {
    quads_of<B, P, 2 * S>(t, row, at, channel, live, quad);
  }

  template <int Slot>
  FASTDW_INLINE void store(ptrdiff_t row) {
    uint8_t* y = t.y + row * t.y_row_stride + column * t.y_column_stride + channel;
    const ptrdiff_t stride = 2 * t.y_column_stride;
    rescale.template store_chunks<P>(acc[Slot][0], factors, y, stride, live, left);
    if (right > 0) {
      rescale.template store_chunks<P>(acc[Slot][1], factors, y + t.y_column_stride, stride, live, right);
    }
  }

  // Row i of the image under the block, at stride 1: the last row of output i − 2, the first of output i.
  template <int Phase>
  FASTDW_INLINE void step_1(ptrdiff_t i) {
    Ints quad[kGroup8];
    quads(t.first_row + i, t.first_column + column, quad);
    meet<Phase, 0>(quad, quad);
    meet<(Phase + 2) % 3, 1>(quad, quad);
    meet<(Phase + 1) % 3, 2>(quad, quad);
    if (i >= 2) store<(Phase + 1) % 3>(i - 2);
  }

  // At stride 2 rows 2i and 2i + 1: the last row of output i − 1, the first two of output i.
  template <int Phase>
  FASTDW_INLINE void step_2(ptrdiff_t i) {
    const ptrdiff_t at = t.first_column + 2 * column;
    Ints one[kGroup8], other[kGroup8];
    quads(t.first_row + 2 * i, at, one);
    quads(t.first_row + 2 * i, right > 0 ? at + 2 : at, other);
    meet<1 - Phase, 2>(one, other);
    if (i >= 1) store<1 - Phase>(i - 1);
    if (i == t.rows) return;
    meet<Phase, 0>(one, other);
    quads(t.first_row + 2 * i + 1, at, one);
    quads(t.first_row + 2 * i + 1, right > 0 ? at + 2 : at, other);
    meet<Phase, 1>(one, other);
  }

  FASTDW_INLINE void columns() {
    const ptrdiff_t steps = t.rows + (S == 1 ? 2 : 1);
    unroll<kLive>([&](auto slot) FASTDW_INLINE_LAMBDA {
      unroll<2 * kGroup8>([&](auto v) FASTDW_INLINE_LAMBDA {
        acc[slot][v / kGroup8][v % kGroup8] = B::load(factors - kGroup8 * kVector);
      });
    });
    ptrdiff_t i = 0;
    while (i < steps) {
      unroll<kLive>([&](auto phase) FASTDW_INLINE_LAMBDA {
        if (i == steps) return;
        if constexpr (S == 1) step_1<phase>(i);
        if constexpr (S == 2) step_2<phase>(i);
        ++i;
      });
    }
  }
};

// The channels of one group.
template <class B, int S, int P>
void dw8_quad_group(const Depthwise8& t, ptrdiff_t c, int live, const uint8_t* w) {
  constexpr ptrdiff_t group = ptrdiff_t{kGroup8} * B::lanes;
  for (ptrdiff_t column = 0; column < t.columns; column += 2 * P) {
    const ptrdiff_t count = t.columns - column;
    Quads8<B, S, P> quads{t,
                          typename B::Rescale(t.rescale),
                          w + 8 * group,
                          w + 4 * group,
                          c,
                          column,
                          live,
                          static_cast<int>(count < 2 * P ? (count + 1) / 2 : P),
                          static_cast<int>(count < 2 * P ? count / 2 : P),
                          {}};
    quads.columns();
  }
}

template <class B, int S>
void dw8_quads(const Depthwise8& t) {
  constexpr ptrdiff_t group = ptrdiff_t{kGroup8} * B::lanes;
  const uint8_t* w = t.weights;
  for (ptrdiff_t c = 0; c < t.channels; c += group) {
    const int live = static_cast<int>(t.channels - c < group ? t.channels - c : group);
    switch (pairs_of(group, live, B::most_pairs)) {
      case 1:
        dw8_quad_group<B, S, 1>(t, c, live, w);
        break;
      case 2:
        dw8_quad_group<B, S, B::most_pairs == 1 ? 1 : 2>(t, c, live, w);
        break;
      default:
        dw8_quad_group<B, S, B::most_pairs>(t, c, live, w);
    }
    w += 8 * group + 3 * Quads8<B, S, 1>::kWeights;
  }
}

template <class B>
constexpr Kernels8 with_quads(Kernels8 set) {
  set.quad_vectors = kGroup8;
  set.most_pairs = B::most_pairs;
  set.depthwise_3x3[0] = dw8_quads<B, 1>;
  set.depthwise_3x3[1] = dw8_quads<B, 2>;
  return set;
}

}  // namespace
}  // namespace fastdw
