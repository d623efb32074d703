// Depthwise convolution of any kernel, stride, dilation and multiplier: one output row, any number of
// columns, at the image's edges too.
//
// The row is cut into tiles of 8, 4, 2 and 1 outputs, which stay in registers while all taps go by, so a
// weight is loaded once a tile, and dilation costs nothing. The order of the sums is that of tile.h.
//
// AVX-512, cycles from L1 for eight vectors of outputs: 20 and 4.6 a tap, of which the loads bind 4.5, and up
// to 6 a column of taps. Tiles of 16 save 4 inside the image, and lose as much at its edges.
#pragma once
#include "kernels/depthwise/input_channels.h"
#include "kernels/pointwise/pixels.h"

namespace fastdw {
namespace {

// `first_column` of the image lies under the first tap of the first output.
template <class V, int TW, bool kMultiplied>
void dwconv_generic_tile(const DwGenericBand& t, const float* first_x, float* first_y,
                         ptrdiff_t first_column) {
  // Unsigned, since the way to a pixel or a tap that is not there may overflow.
  const auto bytes = [](ptrdiff_t steps, ptrdiff_t step_floats) {
    return static_cast<size_t>(steps) * static_cast<size_t>(step_floats) * sizeof(float);
  };
  const ptrdiff_t rows = t.live_end - t.live_row;
  const size_t tap_below = bytes(t.dilation_h, t.row_stride),
               tap_beside = bytes(t.dilation_w, t.column_stride);
  const ptrdiff_t w_beside = t.kernel_h * V::lanes;
  const char* const x = reinterpret_cast<const char*>(first_x) + static_cast<size_t>(t.live_row) * tap_below;
  const float* first_w = t.weights + t.live_row * V::lanes;
  const ptrdiff_t bias_offset = t.bias_offset - t.live_row * V::lanes, block_stride = t.block_stride;
  const bool accumulate = t.accumulate;
  const V lo = V::set1(t.lo), hi = V::set1(t.hi);
  PixelDistance x_pixel(bytes(t.stride, t.column_stride)), y_pixel(bytes(1, t.y_column_stride));

  // Of the kernel's columns those from `whole` to `whole_end` meet the image for every output.
  const ptrdiff_t dilation = t.dilation_w, stride = t.stride, width = t.width;
  ptrdiff_t whole = 0, whole_end = t.kernel_w;
  if (const ptrdiff_t last = first_column + (TW - 1) * stride;
      first_column < 0 || last + (t.kernel_w - 1) * dilation >= width) {
    while (whole < whole_end && first_column + whole * dilation < 0) ++whole;
    while (whole_end > whole && last + (whole_end - 1) * dilation >= width) --whole_end;
  }

  InputChannels<V, kMultiplied> inputs(t);
  for_vectors<V>(t.channels, [&](ptrdiff_t c, auto n) FASTDW_INLINE_LAMBDA {
    inputs.begin(first_w + bias_offset, n);
    char* const out = reinterpret_cast<char*>(first_y + c);
    const auto y = [&](auto j)
                       FASTDW_INLINE_LAMBDA { return reinterpret_cast<float*>(out + y_pixel.to<j>()); };
    V acc[TW];
    if (__builtin_expect(accumulate, 0)) {
      unroll<TW>([&](auto j) FASTDW_INLINE_LAMBDA { acc[j] = V::load(y(j), n); });
    } else {
      const V bias = V::load(first_w + bias_offset, All{});
      unroll<TW>([&](auto j) FASTDW_INLINE_LAMBDA { acc[j] = bias; });
    }
    const char* beside = x + bytes(1, inputs.first);
    const float* w_column = first_w;
    const auto taps = [&](const auto& live) FASTDW_INLINE_LAMBDA {
      const char* tap = beside;
      const float* w = w_column;
      for (ptrdiff_t di = rows; di > 0; --di) {
        const V wv = V::load(w, All{});
        x_pixel.hide();
        unroll<TW>([&](auto j) FASTDW_INLINE_LAMBDA {
          if (!live(j)) return;
          const float* p = reinterpret_cast<const float*>(tap + x_pixel.to<j>());
          acc[j] = fma(inputs.load(p, n), wv, acc[j]);
        });
        tap += tap_below;
        w += V::lanes;
      }
      beside += tap_beside;
      w_column += w_beside;
    };
    const auto edge = [&](ptrdiff_t dj, ptrdiff_t end) FASTDW_INLINE_LAMBDA {
      for (; dj < end; ++dj) {
        uint32_t live = 0;
        ptrdiff_t column = first_column + dj * dilation;
        for (uint32_t bit = 1; bit < 1u << TW; bit *= 2, column += stride) {
          if (column >= 0 && column < width) live |= bit;
        }
        taps([live](auto j) FASTDW_INLINE_LAMBDA { return live >> j & 1; });
      }
    };
    if (__builtin_expect(whole > 0, 0)) edge(0, whole);
    for (ptrdiff_t dj = whole_end - whole; dj > 0; --dj) taps([](auto) FASTDW_INLINE_LAMBDA { return true; });
    if (__builtin_expect(whole_end < t.kernel_w, 0)) edge(whole_end, t.kernel_w);
    y_pixel.hide();
    unroll<TW>([&](auto j) FASTDW_INLINE_LAMBDA { min(hi, max(lo, acc[j])).store(y(j), n); });
    first_w += block_stride;
    inputs.next();
  });
}

template <class V, bool kMultiplied>
void dwconv_generic(const DwGenericBand& t) {
  ptrdiff_t j = 0;
  const auto cut_into = [&](auto columns) {
    for (; t.columns - j >= columns; j += columns) {
      dwconv_generic_tile<V, columns, kMultiplied>(t, t.x + j * t.stride * t.column_stride,
                                                   t.y + j * t.y_column_stride,
                                                   t.first_column + j * t.stride);
    }
  };
  cut_into(std::integral_constant<int, 8>{});
  cut_into(std::integral_constant<int, 4>{});
  cut_into(std::integral_constant<int, 2>{});
  cut_into(std::integral_constant<int, 1>{});
}

}  // namespace
}  // namespace fastdw
