// Depthwise 3×3 by dot products: four neighbouring pixels of a row, interleaved to four bytes a channel, meet
// the weights (w0 w1 w2 0), and at stride 1 those of the next output too (0 w0 w1 w2).
//
// Two columns of outputs, rows rolling down: each row of quads is read once, for all outputs that it belongs
// to, the oldest first: its sums are stored before the newest takes their place. At stride 1 that is 2 rows ×
// 2 columns × 4 vectors of sums, 16 registers, and 2 vectors, 8 registers, where there are sixteen. Where a
// group has so few channels that they leave half of it empty or more, P = 2 or 4 pairs of columns share it,
// each a chunk.
#pragma once
#include "kernels/contract8.h"
#include "simd/unroll.h"

namespace fastdw {
namespace {

template <class B>
constexpr ptrdiff_t kQuadGroup = ptrdiff_t{B::quad_vectors} * B::lanes;  // channels

// Columns of the image from `at` on, N of them, and of P − 1 more pairs `Apart` pixels each after the last.
template <int N, int P, int Apart>
struct ImageColumns8 {
  const uint8_t* x[N][P];  // in row 0, or a pixel of padding
  ptrdiff_t inside[N][P];  // all bits, or none: of what lies between row 0 and another
  const uint8_t* outside;

  FASTDW_INLINE ImageColumns8(const Depthwise8& t, ptrdiff_t at, ptrdiff_t channel)
      : outside(t.outside + channel) {
    for (int i = 0; i < N * P; ++i) {
      const ptrdiff_t column = at + i / P + i % P * Apart;
      const bool there = column >= 0 && column < t.width;
      x[i / P][i % P] = there ? t.x + column * t.column_stride + channel : outside;
      inside[i / P][i % P] = there ? -1 : 0;
    }
  }

  // The quads of four pixels of a row, from column `First` on.
  template <class B, int First, class Live>
  FASTDW_INLINE void quads(const Depthwise8& t, ptrdiff_t row, Live live,
                           typename B::Quad (&quad)[B::quad_vectors]) const {
    const bool there = row >= 0 && row < t.height;
    const ptrdiff_t offset = row * t.row_stride;
    typename B::Pixel bytes[kQuad];
    unroll<kQuad>([&](auto i) FASTDW_INLINE_LAMBDA {
      const uint8_t* pixels[P];
      unroll<P>([&](auto p) FASTDW_INLINE_LAMBDA {
        pixels[p] = there ? x[First + i][p] + (offset & inside[First + i][p]) : outside;
      });
      bytes[i] = B::template chunks<P>(pixels, live, t.flip);
    });
    B::interleave(bytes, quad);
  }
};

// Live: int, or that number of a full group, for which loads and stores ask nothing.
template <class B, int S, int P, class Live>
struct Quads8 {
  static constexpr int kLive = 3 - S;  // rows of outputs under way between two steps
  static constexpr int kVectors = B::quad_vectors;
  static constexpr ptrdiff_t kVector = B::lanes * 4;                        // bytes of sums
  static constexpr ptrdiff_t kPart = kVectors * kVector * B::weight_bytes;  // of weights of a column
  static constexpr ptrdiff_t kWeights = 2 * kPart;                          // from row to row
  using Ints = typename B::Ints;
  using Quad = typename B::Quad;

  const Depthwise8& t;
  const typename B::Rescale rescale;
  const uint8_t* weights;
  const uint8_t* factors;
  ptrdiff_t channel, column;
  Live live;
  ImageColumns8<S == 1 ? 4 : 6, P, 2 * S> image;
  int left, right;  // pairs whose first, and whose second column is there
  Ints acc[kLive][2][kVectors];

  // Row `kernel_row` of the window, for the sums in `slot`.
  template <int Slot, int Row>
  FASTDW_INLINE void meet(const Quad (&left)[kVectors], const Quad (&right)[kVectors]) {
    const uint8_t* w = weights + Row * kWeights;
    unroll<kVectors>([&](auto v) FASTDW_INLINE_LAMBDA {
      if constexpr (Row == 0) acc[Slot][0][v] = acc[Slot][1][v] = B::load(factors - (kVectors - v) * kVector);
      B::dot_memory(acc[Slot][0][v], left[v], w + v * kVector);
      B::dot_memory(acc[Slot][1][v], right[v], w + (S == 1 ? kPart : 0) + v * kVector);
    });
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
    Quad quad[kVectors];
    image.template quads<B, 0>(t, t.first_row + i, live, quad);
    meet<Phase, 2>(quad, quad);
    if (i >= 2) store<Phase>(i - 2);
    meet<1 - Phase, 1>(quad, quad);
    meet<Phase, 0>(quad, quad);
  }

  // At stride 2 rows 2i and 2i + 1: the last row of output i − 1, the first two of output i.
  FASTDW_INLINE void step_2(ptrdiff_t i) {
    Quad one[kVectors], other[kVectors];
    image.template quads<B, 0>(t, t.first_row + 2 * i, live, one);
    image.template quads<B, 2>(t, t.first_row + 2 * i, live, other);
    meet<0, 2>(one, other);
    if (i >= 1) store<0>(i - 1);
    if (i == t.rows) return;
    meet<0, 0>(one, other);
    image.template quads<B, 0>(t, t.first_row + 2 * i + 1, live, one);
    image.template quads<B, 2>(t, t.first_row + 2 * i + 1, live, other);
    meet<0, 1>(one, other);
  }

  FASTDW_INLINE void columns() {
    const ptrdiff_t steps = t.rows + (S == 1 ? 2 : 1);
    unroll<kLive>([&](auto slot) FASTDW_INLINE_LAMBDA {
      unroll<2 * kVectors>([&](auto v) FASTDW_INLINE_LAMBDA {
        acc[slot][v / kVectors][v % kVectors] = B::load(factors - kVectors * kVector);
      });
    });
    ptrdiff_t i = 0;
    while (i < steps) {
      unroll<kLive>([&](auto phase) FASTDW_INLINE_LAMBDA {
        if (i == steps) return;
        if constexpr (S == 1) step_1<phase>(i);
        if constexpr (S == 2) step_2(i);
        ++i;
      });
    }
  }
};

// The channels of one group.
template <class B, int S, int P, class Live>
void dw8_quad_group(const Depthwise8& t, ptrdiff_t c, Live live, const uint8_t* w) {
  constexpr ptrdiff_t group = kQuadGroup<B>;
  for (ptrdiff_t column = 0; column < t.columns; column += 2 * P) {
    const ptrdiff_t count = t.columns - column;
    Quads8<B, S, P, Live> quads{t,
                                typename B::Rescale(t.rescale),
                                w + 8 * group,
                                w + 4 * group,
                                c,
                                column,
                                live,
                                {t, t.first_column + S * column, c},
                                static_cast<int>(count < 2 * P ? (count + 1) / 2 : P),
                                static_cast<int>(count < 2 * P ? count / 2 : P),
                                {}};
    quads.columns();
  }
}

template <class B, int S>
void dw8_quads(const Depthwise8& t) {
  constexpr ptrdiff_t group = kQuadGroup<B>;
  const uint8_t* w = t.weights;
  for (ptrdiff_t c = 0; c < t.channels; c += group) {
    const int live = static_cast<int>(t.channels - c < group ? t.channels - c : group);
    switch (pairs_of(group, live, B::most_pairs)) {
      case 1:
        live == group ? dw8_quad_group<B, S, 1>(t, c, std::integral_constant<int, group>{}, w)
                      : dw8_quad_group<B, S, 1>(t, c, live, w);
        break;
      case 2:
        dw8_quad_group<B, S, B::most_pairs == 1 ? 1 : 2>(t, c, live, w);
        break;
      default:
        dw8_quad_group<B, S, B::most_pairs>(t, c, live, w);
    }
    w += 8 * group + 3 * Quads8<B, S, 1, int>::kWeights;
  }
}

template <class B>
constexpr Kernels8 with_quads(Kernels8 set) {
  set.quad_vectors = B::quad_vectors;
  set.most_pairs = B::most_pairs;
  set.depthwise_3x3[0] = dw8_quads<B, 1>;
  set.depthwise_3x3[1] = dw8_quads<B, 2>;
  return set;
}

}  // namespace
}  // namespace fastdw
