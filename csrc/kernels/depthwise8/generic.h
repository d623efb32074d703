// Depthwise convolution of bytes for any kernel, stride, dilation and multiplier: a vector of channels of
// four neighbouring outputs at a time. Whole numbers need no care for order, nor for large sums.
#pragma once
#include "kernels/contract8.h"
#include "simd/unroll.h"

namespace fastdw {
namespace {

template <class B, int TW, bool kMultiplied>
FASTDW_INLINE void dw8_tile(const Depthwise8& t, ptrdiff_t row, ptrdiff_t column, ptrdiff_t c,
                            const uint8_t* w) {
  const int live = static_cast<int>(t.channels - c < B::lanes ? t.channels - c : B::lanes);
  typename B::Ints acc[TW];
  unroll<TW>([&](auto j) FASTDW_INLINE_LAMBDA { acc[j] = B::load(w); });
  const uint8_t* factors = w + B::lanes * 4;
  w += B::lanes * 8;
  const ptrdiff_t top = t.first_row + row * t.stride_h, left = t.first_column + column * t.stride_w;
  for (ptrdiff_t di = 0; di < t.kernel_h; ++di) {
    for (ptrdiff_t dj = 0; dj < t.kernel_w; ++dj, w += B::lanes) {
      const auto tap = B::widen_signed(w);
      unroll<TW>([&](auto j) FASTDW_INLINE_LAMBDA {
        const uint8_t* x = t.pixel(top + di * t.dilation_h, left + j * t.stride_w + dj * t.dilation_w);
        if constexpr (kMultiplied) {
          uint8_t spread[B::lanes] = {};
          for (int i = 0; i < live; ++i) spread[i] = x[(c + i) / t.multiplier];
          B::multiply_add(acc[j], B::widen(spread, B::lanes, t.flip), tap);
        } else {
          B::multiply_add(acc[j], B::widen(x + c, live, t.flip), tap);
        }
      });
    }
  }
  const typename B::Rescale rescale(t.rescale);
  unroll<TW>([&](auto j) FASTDW_INLINE_LAMBDA {
    typename B::Ints one[1] = {acc[j]};
    uint8_t* y = t.y + row * t.y_row_stride + (column + j) * t.y_column_stride + c;
    rescale.template store<1>(one, factors, y, live);
  });
}

template <class B, bool kMultiplied>
void dw8_rows(const Depthwise8& t) {
  const ptrdiff_t step = B::lanes * (8 + t.kernel_h * t.kernel_w);
  for (ptrdiff_t row = 0; row < t.rows; ++row) {
    const uint8_t* w = t.weights;
    for (ptrdiff_t c = 0; c < t.channels; c += B::lanes, w += step) {
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
