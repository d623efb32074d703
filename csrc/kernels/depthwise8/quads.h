// Depthwise 3×3 by dot products: four neighbouring pixels of a row, interleaved to four bytes a channel, meet
// the weights (w0 w1 w2 0), and at stride 1 those of the next output too (0 w0 w1 w2).
//
// Two columns of outputs, rows rolling down: each row of quads is read once, for all outputs that it belongs
// to. At stride 1 the quads of three rows are held, 12 registers where there are thirty-two, and the sums of
// one column at a time, 4; kept sums of two rows would be 16. Starts and factors are held too where there is
// room, for loads of vectors of 64 bytes, one a cycle, bind. Where a group has so few channels that they
// leave half of it empty or more, P = 2 or 4 pairs of columns share it, each a chunk.
#pragma once
#include "kernels/contract8.h"
#include "simd/unroll.h"

namespace fastdw {
namespace {

template <class B>
constexpr ptrdiff_t kQuadGroup = ptrdiff_t{B::quad_vectors} * B::lanes;  // channels

// Columns of the image from `at` on, N of them, and of P − 1 more pairs `Apart` pixels each after the last.
// Stepping: from one row down to the next, 1.1 times as fast as from any to any, but for AVX-512 at stride 1
// and AVX2 with eight columns.
template <class B, int N, int P, int Apart, bool Stepping = true>
class ImageColumns8 {
 public:
  FASTDW_INLINE ImageColumns8(const Depthwise8& t, ptrdiff_t row, ptrdiff_t at, ptrdiff_t channel)
      : outside_(t.outside + channel) {
    const ptrdiff_t first = Stepping ? row * t.row_stride : 0;
    const ptrdiff_t step = Stepping ? t.row_stride * t.dilation_h : -1;
    for (int i = 0; i < N * P; ++i) {
      const ptrdiff_t column = at + i / P + i % P * Apart;
      const bool there = column >= 0 && column < t.width;
      x_[i / P][i % P] = there ? t.x + first + column * t.column_stride + channel : outside_;
      step_[i / P][i % P] = there ? step : 0;
    }
  }

  // M columns of a row, from the given one on.
  template <int First, int M, class Live>
  FASTDW_INLINE void read(const Depthwise8& t, ptrdiff_t row, Live live,
                          typename B::Pixel (&pixels)[M]) const {
    const bool there = row >= 0 && row < t.height;
    const ptrdiff_t offset = row * t.row_stride;
    unroll<M>([&](auto i) FASTDW_INLINE_LAMBDA {
      const uint8_t* of[P];
      unroll<P>([&](auto p) FASTDW_INLINE_LAMBDA {
        const ptrdiff_t from_first = Stepping ? 0 : offset & step_[First + i][p];
        of[p] = there ? x_[First + i][p] + from_first : outside_;
      });
      pixels[i] = B::template chunks<P>(of, live, t.flip);
    });
  }

  FASTDW_INLINE void down() {
    if constexpr (Stepping) {
      unroll<N * P>([&](auto i) FASTDW_INLINE_LAMBDA { x_[i / P][i % P] += step_[i / P][i % P]; });
    }
  }

 private:
  const uint8_t* x_[N][P];  // in the next row, or in row 0, or a pixel of padding
  ptrdiff_t step_[N][P];    // from row to row, or all bits; of padding 0
  const uint8_t* outside_;
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
  const typename B::template Factors<kVectors> factors;
  ptrdiff_t channel, column;
  Live live;
  using Image = ImageColumns8<B, S + 3, P, 2 * S, (S > 1 || P > 1 || B::lanes < 16)>;
  int left, right;  // pairs whose first, and whose second column is there
  Ints starts[kVectors];

  // A row of the window, for one of the two columns.
  template <int Row, int Column>
  FASTDW_INLINE void meet(Ints (&acc)[kVectors], const Quad (&quad)[kVectors]) const {
    const uint8_t* const start = opaque_to_gcc(group);  // else it would keep 24 addresses
    const uint8_t* const w = start + 8 * kQuadGroup<B> + Row * kWeights + (S == 1 ? Column * kPart : 0);
    unroll<kVectors>([&](auto v) FASTDW_INLINE_LAMBDA {
      if constexpr (Row == 0) acc[v] = starts[v];
      B::dot_memory(acc[v], quad[v], w + v * kVector);
    });
  }

  template <int Column>
  FASTDW_INLINE void store(const Ints (&acc)[kVectors], ptrdiff_t row) const {
    uint8_t* const y = t.y + row * t.y_row_stride + (column + Column) * t.y_column_stride + channel;
    rescale.template store_chunks<P>(acc, factors, y, 2 * t.y_column_stride, live, Column ? right : left);
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

  FASTDW_INLINE void next(Image& image, ptrdiff_t row, Quad (&quad)[kVectors]) const {
    typename B::Pixel pixels[4];
    image.template read<0>(t, t.first_row + row, live, pixels);
    image.down();
    B::interleave(pixels, quad);
  }

  FASTDW_INLINE void columns_1(Image image) const {
    Quad rows[3][kVectors];
    next(image, 0, rows[0]);
    next(image, 1, rows[1]);
    for (ptrdiff_t i = 0; i < t.rows;) {
      unroll<3>([&](auto phase) FASTDW_INLINE_LAMBDA {
        if (i == t.rows) return;
        constexpr int below = (phase + 2) % 3;
        next(image, i + 2, rows[below]);
        outputs(rows[phase], rows[(phase + 1) % 3], rows[below], i);
        ++i;
      });
    }
  }

  // Two quads of a row, one for each column; no tap meets the last pixel of the other one.
  FASTDW_INLINE void next_two(Image& image, ptrdiff_t row, Quad (&one)[kVectors],
                              Quad (&other)[kVectors]) const {
    typename B::Pixel pixels[5];
    image.template read<0>(t, t.first_row + row, live, pixels);
    image.down();
    B::interleave({pixels[0], pixels[1], pixels[2], pixels[3]}, one);
    B::interleave({pixels[2], pixels[3], pixels[4], pixels[4]}, other);
  }
  template <int Row>
  FASTDW_INLINE void meet_both(Ints (&acc)[2][kVectors], const Quad (&one)[kVectors],
                               const Quad (&other)[kVectors]) const {
    meet<Row, 0>(acc[0], one);
    meet<Row, 1>(acc[1], other);
  }

  // Row 2i + 2 is the last of output i and the first of the next.
  FASTDW_INLINE void columns_2(Image image) const {
    Quad one[kVectors], other[kVectors];
    Ints acc[2][kVectors], below[2][kVectors];
    next_two(image, 0, one, other);
    meet_both<0>(acc, one, other);
    for (ptrdiff_t i = 0; i < t.rows; ++i) {
      next_two(image, 2 * i + 1, one, other);
      meet_both<1>(acc, one, other);
      next_two(image, 2 * i + 2, one, other);
      meet_both<2>(acc, one, other);
      meet_both<0>(below, one, other);
      store<0>(acc[0], i);
      if (right > 0) store<1>(acc[1], i);
      unroll<kVectors>([&](auto v) FASTDW_INLINE_LAMBDA {
        acc[0][v] = below[0][v];
        acc[1][v] = below[1][v];
      });
    }
  }

  FASTDW_INLINE void columns() const {
    const Image image(t, t.first_row, t.first_column + S * column, channel);
    if constexpr (S == 1) columns_1(image);
    if constexpr (S == 2) columns_2(image);
  }
};

// The channels of one group.
template <class B, int S, int P, class Live>
void dw8_quad_group(const Depthwise8& call, ptrdiff_t c, Live live, const uint8_t* w) {
  const Depthwise8 t = call;  // what is stored cannot change it
  for (ptrdiff_t column = 0; column < t.columns; column += 2 * P) {
    const ptrdiff_t count = t.columns - column;
    Quads8<B, S, P, Live> quads{t,
                                typename B::Rescale(t.rescale),
                                w,
                                typename B::template Factors<B::quad_vectors>(w + 4 * kQuadGroup<B>),
                                c,
                                column,
                                live,
                                static_cast<int>(count < 2 * P ? (count + 1) / 2 : P),
                                static_cast<int>(count < 2 * P ? count / 2 : P),
                                {}};
    unroll<B::quad_vectors>([&](auto v)
                                FASTDW_INLINE_LAMBDA { quads.starts[v] = B::load(w + v * B::lanes * 4); });
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
