// Depthwise convolution of bytes for any kernel, stride, dilation and multiplier: some vectors of channels of
// four neighbouring outputs at a time. Whole numbers need no care for order, nor for large sums.
#pragma once
#include "kernels/contract8.h"
#include "simd/unroll.h"

namespace fastdw {
namespace {

// Channels of a group.
template <class B>
constexpr ptrdiff_t kTapGroup = ptrdiff_t{B::tap_vectors} * B::lanes;

template <class B, int TW, bool kMultiplied>
FASTDW_INLINE void dw8_tile(const Depthwise8& t, ptrdiff_t row, ptrdiff_t column, ptrdiff_t c,
                            const uint8_t* w) {
  constexpr int width = static_cast<int>(kTapGroup<B>);
  const int live = static_cast<int>(t.channels - c < width ? t.channels - c : width);
  typename B::Ints acc[TW][B::tap_vectors];
  unroll<B::tap_vectors>([&](auto v) FASTDW_INLINE_LAMBDA {
    const auto start = B::load(w + v * B::lanes * 4);
    unroll<TW>([&](auto j) FASTDW_INLINE_LAMBDA { acc[j][v] = start; });
  });
  const uint8_t* const panel = w;
  w += width * 8;
  const ptrdiff_t top = t.first_row + row * t.stride_h, left = t.first_column + column * t.stride_w;
  const auto row_of_taps = [&](const auto& pixel) FASTDW_INLINE_LAMBDA {
    for (ptrdiff_t dj = 0; dj < t.kernel_w; ++dj, w += width) {
      const auto tap = B::widen_signed(w);
      unroll<TW>([&](auto j) FASTDW_INLINE_LAMBDA {
        const uint8_t* x = pixel(j * t.stride_w + dj * t.dilation_w);
        if constexpr (kMultiplied) {
          uint8_t spread[width] = {};
          for (int i = 0; i < live; ++i) spread[i] = x[(c + i) / t.multiplier];
          B::multiply_add(acc[j], B::widen(spread, width, t.flip), tap);
        } else {
          B::multiply_add(acc[j], B::widen(x + c, live, t.flip), tap);
        }
      });
    }
  };
  const ptrdiff_t right = left + (TW - 1) * t.stride_w + (t.kernel_w - 1) * t.dilation_w;
  const bool inside = left >= 0 && right < t.width;
  for (ptrdiff_t di = 0; di < t.kernel_h; ++di) {
    const ptrdiff_t at = top + di * t.dilation_h;
    if (inside && at >= 0 && at < t.height) {
      const uint8_t* first = t.pixel(at, left);
      row_of_taps([&](ptrdiff_t j) FASTDW_INLINE_LAMBDA { return first + j * t.column_stride; });
    } else {
      row_of_taps([&](ptrdiff_t j) FASTDW_INLINE_LAMBDA { return t.pixel(at, left + j); });
    }
  }
  const typename B::template Factors<B::tap_vectors> factors(panel + width * 4);
  const typename B::Rescale rescale(t.rescale);
  unroll<TW>([&](auto j) FASTDW_INLINE_LAMBDA {
    uint8_t* y = t.y + row * t.y_row_stride + (column + j) * t.y_column_stride + c;
    rescale.template store<B::tap_vectors>(acc[j], factors, y, live);
  });
}

template <class B, bool kMultiplied>
void dw8_rows(const Depthwise8& t) {
  const ptrdiff_t step = kTapGroup<B> * (8 + t.kernel_h * t.kernel_w);
  for (ptrdiff_t row = 0; row < t.rows; ++row) {
    const uint8_t* w = t.weights;
    for (ptrdiff_t c = 0; c < t.channels; c += kTapGroup<B>, w += step) {
      ptrdiff_t column = 0;
      for (; t.columns - column >= 4; column += 4) dw8_tile<B, 4, kMultiplied>(t, row, column, c, w);
      for (; column < t.columns; ++column) dw8_tile<B, 1, kMultiplied>(t, row, column, c, w);
    }
  }
}

template <class B>
void dw8_generic(const Depthwise8& t) {
  t.multiplier == 1 ? dw8_rows<B, false>(t) : dw8_rows<B, true>(t);
}

}  // namespace
}  // namespace fastdw
