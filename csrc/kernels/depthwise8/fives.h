// Depthwise kernels whose rows have five taps, by dot products: four columns of outputs lie over eight pixels
// of a row at stride 1, over twelve at stride 2, so each meets two quads of pixels, its taps shifted among
// zeros. 40 dot products for 64 outputs of 5×5; tap by tap it would be 100 products and as many sums.
#pragma once
#include "kernels/contract8.h"
#include "kernels/depthwise8/quads.h"

namespace fastdw {
namespace {

template <class B, int S>
struct Fives8 {
  static constexpr int kColumns = 4, kQuads = S == 1 ? 2 : 3;
  static constexpr int kVectors = B::quad_vectors;
  static constexpr ptrdiff_t kVector = B::lanes * 4, kSums = kVectors * kVector;  // bytes
  static constexpr ptrdiff_t kPart = kSums * B::weight_bytes, kRow = 2 * shifts_of_fives(S) * kPart;

  static FASTDW_INLINE void tile(const Depthwise8& t, const typename B::Rescale& rescale, const uint8_t* w,
                                 ptrdiff_t row, ptrdiff_t column, ptrdiff_t channel, int live) {
    typename B::Ints acc[kColumns][kVectors];
    unroll<kVectors>([&](auto v) FASTDW_INLINE_LAMBDA {
      const auto start = B::load(w + v * kVector);
      unroll<kColumns>([&](auto j) FASTDW_INLINE_LAMBDA { acc[j][v] = start; });
    });
    const typename B::template Factors<kVectors> factors(w + kSums);
    const uint8_t* taps = w + 2 * kSums;
    const ptrdiff_t top = t.first_row + row * t.stride_h, left = t.first_column + column * S;
    ImageColumns8<B, kQuads * kQuad, 1, 0, (B::lanes > 8)> image(t, top, left, channel);
    for (ptrdiff_t i = 0; i < t.kernel_h; ++i, image.down(), taps += kRow) {
      unroll<kQuads>([&](auto q) FASTDW_INLINE_LAMBDA {
        typename B::Pixel pixels[kQuad];
        typename B::Quad quad[kVectors];
        image.template read<q * kQuad>(t, top + i * t.dilation_h, live, pixels);
        B::interleave(pixels, quad);
        unroll<kColumns>([&](auto j) FASTDW_INLINE_LAMBDA {
          constexpr int part = q - j * S / kQuad, shift = j * S % kQuad / S;
          if constexpr (part == 0 || part == 1) {
            unroll<kVectors>([&](auto v) FASTDW_INLINE_LAMBDA {
              B::dot_memory(acc[j][v], quad[v], taps + (2 * shift + part) * kPart + v * kVector);
            });
          }
        });
      });
    }
    uint8_t* const y = t.y + row * t.y_row_stride + column * t.y_column_stride + channel;
    unroll<kColumns>([&](auto j) FASTDW_INLINE_LAMBDA {
      if (column + j < t.columns) {
        rescale.template store<kVectors>(acc[j], factors, y + j * t.y_column_stride, live);
      }
    });
  }
};

template <class B, int S>
void dw8_fives(const Depthwise8& t) {
  using Fives = Fives8<B, S>;
  constexpr ptrdiff_t group = kQuadGroup<B>;
  const typename B::Rescale rescale(t.rescale);
  const uint8_t* w = t.weights;
  for (ptrdiff_t c = 0; c < t.channels; c += group, w += 2 * Fives::kSums + t.kernel_h * Fives::kRow) {
    const int live = static_cast<int>(t.channels - c < group ? t.channels - c : group);
    for (ptrdiff_t row = 0; row < t.rows; ++row) {
      for (ptrdiff_t column = 0; column < t.columns; column += Fives::kColumns) {
        Fives::tile(t, rescale, w, row, column, c, live);
      }
    }
  }
}

template <class B>
constexpr Kernels8 with_fives(Kernels8 set) {
  set.depthwise_fives[0] = {"dwconv8_fives_s1", dw8_fives<B, 1>, Layout8::kFives};
  set.depthwise_fives[1] = {"dwconv8_fives_s2", dw8_fives<B, 2>, Layout8::kFives};
  return set;
}

}  // namespace
}  // namespace fastdw
