// Depthwise 3×3 by dot products: four neighbouring pixels of a row, interleaved to four bytes a channel, meet
// the weights (w0 w1 w2 0), and at stride 1 those of the next output too (0 w0 w1 w2).
//
// Two columns of outputs, rows rolling down: each row of quads is read once, for all outputs that it belongs
// to. At stride 1 the quads of three rows are held, 12 registers where there are thirty-two, and the sums of
// one column at a time, 4; kept sums of two rows would be 16. Where a group has so few channels that they
// leave half of it empty or more, P = 2 or 4 pairs of columns share it, each a chunk.
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
  static constexpr int kVectors = B::quad_vectors;
  static constexpr ptrdiff_t kVector = B::lanes * 4;                        // bytes of sums
  static constexpr ptrdiff_t kPart = kVectors * kVector * B::weight_bytes;  // of weights of a column
  static constexpr ptrdiff_t kWeights = 2 * kPart;                          // from row to row
  using Ints = typename B::Ints;
  using Quad = typename B::Quad;

  const Depthwise8& t;
  const typename B::Rescale rescale;
  const uint8_t* group;  // of weights
  ptrdiff_t channel, column;
  Live live;
  ImageColumns8<S == 1 ? 4 : 6, P, 2 * S> image;
  int left, right;  // pairs whose first, and whose second column is there

  // A row of the window, for one of the two columns.
  template <int Row, int Column>
  FASTDW_INLINE void meet(Ints (&acc)[kVectors], const Quad (&quad)[kVectors]) const {
    const uint8_t* const start = opaque_to_gcc(group);  // else it would keep 24 addresses
    const uint8_t* const w = start + 8 * kQuadGroup<B> + Row * kWeights + (S == 1 ? Column * kPart : 0);
    unroll<kVectors>([&](auto v) FASTDW_INLINE_LAMBDA {
      if constexpr (Row == 0) acc[v] = B::load(start + v * kVector);
      B::dot_memory(acc[v], quad[v], w + v * kVector);
    });
  }

  template <int Column>
  FASTDW_INLINE void store(const Ints (&acc)[kVectors], ptrdiff_t row) const {
    uint8_t* const y = t.y + row * t.y_row_stride + (column + Column) * t.y_column_stride + channel;
    rescale.template store_chunks<P>(acc, group + 4 * kQuadGroup<B>, y, 2 * t.y_column_stride, live,
                                     Column ? right : left);
  }

  // Row i of the outputs at stride 1, of rows i to i + 2 under the block.
  FASTDW_INLINE void outputs(const Quad (&top)[kVectors], const Quad (&middle)[kVectors],
                             const Quad (&bottom)[kVectors], ptrdiff_t i) const {
    unroll<2>([&](auto j) FASTDW_INLINE_LAMBDA {
      if (j == 1 && right == 0) return;
      Ints acc[kVectors];
      meet<0, j>(acc, top);
      meet<1, j>(acc, middle);
      meet<2, j>(acc, bottom);
      store<j>(acc, i);
    });
  }

  FASTDW_INLINE void columns_1() const {
    Quad rows[3][kVectors];
    image.template quads<B, 0>(t, t.first_row, live, rows[0]);
    image.template quads<B, 0>(t, t.first_row + 1, live, rows[1]);
    for (ptrdiff_t i = 0; i < t.rows;) {
      unroll<3>([&](auto phase) FASTDW_INLINE_LAMBDA {
        if (i == t.rows) return;
        constexpr int next = (phase + 2) % 3;
        image.template quads<B, 0>(t, t.first_row + i + 2, live, rows[next]);
        outputs(rows[phase], rows[(phase + 1) % 3], rows[next], i);
        ++i;
      });
    }
  }

  // Two quads of a row, one for each column.
  template <int Row>
  FASTDW_INLINE void meet_both(Ints (&acc)[2][kVectors], const Quad (&one)[kVectors],
                               const Quad (&other)[kVectors]) const {
    meet<Row, 0>(acc[0], one);
    meet<Row, 1>(acc[1], other);
  }
  FASTDW_INLINE void both(ptrdiff_t row, Quad (&one)[kVectors], Quad (&other)[kVectors]) const {
    image.template quads<B, 0>(t, t.first_row + row, live, one);
    image.template quads<B, 2>(t, t.first_row + row, live, other);
  }

  // Row 2i + 2 is the last of output i and the first of the next.
  FASTDW_INLINE void columns_2() const {
    Quad one[kVectors], other[kVectors];
    Ints acc[2][kVectors];
    both(0, one, other);
    for (ptrdiff_t i = 0; i < t.rows; ++i) {
      meet_both<0>(acc, one, other);
      both(2 * i + 1, one, other);
      meet_both<1>(acc, one, other);
      both(2 * i + 2, one, other);
      meet_both<2>(acc, one, other);
      store<0>(acc[0], i);
      if (right > 0) store<1>(acc[1], i);
    }
  }

  FASTDW_INLINE void columns() const {
    if constexpr (S == 1) columns_1();
    if constexpr (S == 2) columns_2();
  }
};

// The channels of one group.
template <class B, int S, int P, class Live>
void dw8_quad_group(const Depthwise8& call, ptrdiff_t c, Live live, const uint8_t* w) {
  const Depthwise8 t = call;  // what is stored cannot change it
  for (ptrdiff_t column = 0; column < t.columns; column += 2 * P) {
    const ptrdiff_t count = t.columns - column;
    const Quads8<B, S, P, Live> quads{t,
                                      typename B::Rescale(t.rescale),
                                      w,
                                      c,
                                      column,
                                      live,
                                      {t, t.first_column + S * column, c},
                                      static_cast<int>(count < 2 * P ? (count + 1) / 2 : P),
                                      static_cast<int>(count < 2 * P ? count / 2 : P)};
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
  set.depthwise_3x3[0] = {"dwconv8_3x3_s1_quads", dw8_quads<B, 1>, Layout8::kQuads};
  set.depthwise_3x3[1] = {"dwconv8_3x3_s2_quads", dw8_quads<B, 2>, Layout8::kQuads};
  return set;
}

}  // namespace
}  // namespace fastdw
