// Depthwise 3×3 at stride 1 where products are of 16 bits and added by pairs: two rows by two columns of
// outputs at a time, by sums and differences of the four columns x0 … x3 under them (Winograd's F(2, 3)):
//
//     2·y0 = 2·g0·(x0 − x2) + (g0 + g1 + g2)·(x1 + x2) + (g0 − g1 + g2)·(x2 − x1)
//     2·y1 =                  (g0 + g1 + g2)·(x1 + x2) − (g0 − g1 + g2)·(x2 − x1) − 2·g2·(x1 − x3)
//
// with g0 g1 g2 a row of taps. So three rows of two outputs are 12 products, not 18, and all of them pairs of
// rows, which both rows of outputs share. Everything is whole, sums are twice what they stand for, and their
// factors half: 1.25 times as fast as quads.
#pragma once
#include "kernels/contract8.h"
#include "kernels/depthwise8/quads.h"

namespace fastdw {
namespace {

// Two columns of outputs of a group. Live as in Quads8.
template <class B, class Live>
FASTDW_INLINE void dw8_differences_columns(const Depthwise8& t, const typename B::Rescale& rescale,
                                           ptrdiff_t column, ptrdiff_t channel, Live live,
                                           const uint8_t* group) {
  constexpr int kVectors = B::quad_vectors;
  constexpr ptrdiff_t kVector = B::lanes * 4, kPart = kVectors * kVector * B::weight_bytes;
  using Ints = typename B::Ints;
  ImageColumns8<B, 4, 1, 0> image(t, t.first_row, t.first_column + column, channel);
  typename B::Pixel upper[4], lower[4];  // of two rows
  const auto next_rows = [&](ptrdiff_t row) FASTDW_INLINE_LAMBDA {
    for (auto* const pixels : {&upper, &lower}) {
      image.template read<0>(t, t.first_row + row++, live, *pixels);
      image.down();
      B::differences(*pixels);
    }
  };
  Ints above[4][kVectors];
  next_rows(0);
  unroll<4>([&](auto k) FASTDW_INLINE_LAMBDA { B::pairs(upper[k], lower[k], above[k]); });

  for (ptrdiff_t row = 0; row < t.rows; row += 2) {
    next_rows(row + 2);
    const uint8_t* const start = opaque_to_gcc(group);
    const typename B::template Factors<kVectors> factors(start + 4 * kQuadGroup<B>);
    const auto meet = [&](auto k, Ints(&acc)[2][kVectors]) FASTDW_INLINE_LAMBDA {
      Ints below[kVectors];
      B::pairs(upper[k], lower[k], below);
      unroll<kVectors>([&](auto v) FASTDW_INLINE_LAMBDA {
        const uint8_t* const w = start + 8 * kQuadGroup<B> + 2 * k * kPart + v * kVector;
        unroll<2>([&](auto i) FASTDW_INLINE_LAMBDA {
          B::dot_memory(acc[i][v], {above[k][v], below[v]}, w + i * kPart);
        });
        above[k][v] = below[v];
      });
    };
    Ints left[2][kVectors], right[2][kVectors];
    const auto for_all = [](const auto& f) FASTDW_INLINE_LAMBDA {
      unroll<2 * kVectors>([&](auto j) FASTDW_INLINE_LAMBDA { f(j / kVectors, j % kVectors); });
    };
    for_all([&](int i, int v) FASTDW_INLINE_LAMBDA {
      left[i][v] = B::load(start + v * kVector);
      right[i][v] = Ints{};
    });
    meet(std::integral_constant<int, 1>{}, left);
    meet(std::integral_constant<int, 2>{}, right);
    for_all([&](int i, int v) FASTDW_INLINE_LAMBDA { B::sum_and_difference(left[i][v], right[i][v]); });
    meet(std::integral_constant<int, 0>{}, left);
    meet(std::integral_constant<int, 3>{}, right);
    unroll<2>([&](auto i) FASTDW_INLINE_LAMBDA {
      if (row + i >= t.rows) return;
      uint8_t* const y = t.y + (row + i) * t.y_row_stride + column * t.y_column_stride + channel;
      rescale.template store<kVectors>(left[i], factors, y, live);
      if (column + 1 < t.columns) {
        rescale.template store<kVectors>(right[i], factors, y + t.y_column_stride, live);
      }
    });
  }
}

template <class B, class Live>
void dw8_differences_group(const Depthwise8& call, ptrdiff_t channel, Live live, const uint8_t* group) {
  const Depthwise8 t = call;  // what is stored cannot change it
  const typename B::Rescale rescale(t.rescale);
  for (ptrdiff_t column = 0; column < t.columns; column += 2) {
    dw8_differences_columns<B>(t, rescale, column, channel, live, group);
  }
}

template <class B>
void dw8_differences(const Depthwise8& t) {
  constexpr ptrdiff_t group = kQuadGroup<B>;
  const uint8_t* w = t.weights;
  for (ptrdiff_t c = 0; c < t.channels; c += group) {
    const int live = static_cast<int>(t.channels - c < group ? t.channels - c : group);
    live == group ? dw8_differences_group<B>(t, c, std::integral_constant<int, group>{}, w)
                  : dw8_differences_group<B>(t, c, live, w);
    w += group * (8 + 8 * kQuad * B::weight_bytes);
  }
}

template <class B>
constexpr Kernels8 with_differences(Kernels8 set) {
  set.depthwise_3x3[0] = {"dwconv8_3x3_s1_differences", dw8_differences<B>, Layout8::kDifferences};
  return set;
}

}  // namespace
}  // namespace fastdw
