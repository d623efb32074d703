// Depthwise convolution, one register tile: contract in kernels.h, sizes in the data sheets of isa/.
//
// Every output sums bias first, then its taps column by column from left to right, each column from top to
// bottom: the order in which a window slides along a row, so that each input vector is loaded once a tile.
#pragma once
#include "../kernels.h"
#include "unroll.h"

namespace fastdw {
namespace {

// K×K taps at stride S, TH×TW outputs. Registers: TH·TW accumulators and one column of (TH−1)·S+K inputs;
// the weights come from L1, each used TH times a load. kPrefetch asks for the next line of every input.
template <class V, int K, int S, int TH, int TW, bool kPrefetch, bool kBorder>
void dwconv_tile(const DwTile& t) {
  constexpr int kInputRows = (TH - 1) * S + K;
  constexpr int kInputColumns = (TW - 1) * S + K;
  constexpr int kLine = 64 / sizeof(float);
  [[maybe_unused]] const ptrdiff_t row_stride = t.row_stride;
  [[maybe_unused]] const int rows = t.rows, columns = t.columns;
  [[maybe_unused]] const uint32_t live_rows = t.live_input_rows, live_columns = t.live_input_columns;
  for (ptrdiff_t tile = 0; tile < t.tiles; ++tile) {
    const float* const first_x = t.x + tile * TW * S * t.column_stride;
    float* const first_y = t.y + tile * TW * t.y_column_stride;
    const float* weights = t.weights;
    for_vectors<V>(t.channels, [&](ptrdiff_t c, auto n) FASTDW_INLINE_LAMBDA {
      V acc[TH][TW];
      const V bias = V::load(weights + t.bias_offset, All{});
      unroll<TH>([&](auto i) FASTDW_INLINE_LAMBDA {
        unroll<TW>([&](auto j) FASTDW_INLINE_LAMBDA { acc[i][j] = bias; });
      });
      unroll<kInputColumns>([&](auto column) FASTDW_INLINE_LAMBDA {
        if (kBorder && !(live_columns >> column & 1)) return;
        V x[kInputRows];
        [[maybe_unused]] const float* walk = first_x + column * t.column_stride + c;
        unroll<kInputRows>([&](auto row) FASTDW_INLINE_LAMBDA {
          const float* input = first_x + row * t.row_stride + column * t.column_stride + c;
          if constexpr (kBorder) {
            // Walking down, opaque to the compiler, which else works out every address anew behind every
            // branch: 165 → 120 cycles for a tile of 3×3 at stride 2. The interior is slower so, 74 → 80.
            input = walk;
            walk += row_stride;
            __asm__("" : "+r"(walk));
          }
          if (kBorder && __builtin_expect(!(live_rows >> row & 1), 0)) {
            x[row] = V::set1(0.0f);
          } else {
            if constexpr (kPrefetch) __builtin_prefetch(input + kLine);
            x[row] = V::load(input, n);
          }
        });
        unroll<TW>([&](auto j) FASTDW_INLINE_LAMBDA {
          constexpr int dj = decltype(column)::value - decltype(j)::value * S;
          if constexpr (dj >= 0 && dj < K) {
            unroll<K>([&](auto di) FASTDW_INLINE_LAMBDA {
              const V w = V::load(weights + (dj * K + di) * V::lanes, All{});
              unroll<TH>([&](auto i) FASTDW_INLINE_LAMBDA {
                constexpr int row = decltype(i)::value * S + decltype(di)::value;
                acc[i][j] = fma(x[row], w, acc[i][j]);
              });
            });
          }
        });
      });
      const V lo = V::set1(t.lo), hi = V::set1(t.hi);
      unroll<TH>([&](auto i) FASTDW_INLINE_LAMBDA {
        unroll<TW>([&](auto j) FASTDW_INLINE_LAMBDA {
          if (kBorder && !(i < rows && j < columns)) return;
          min(hi, max(lo, acc[i][j])).store(first_y + i * t.y_row_stride + j * t.y_column_stride + c, n);
        });
      });
      weights += t.block_stride;
    });
  }
}

// Any kernel, stride, dilation and multiplier: taps outside, TW neighbouring outputs of one row in registers,
// so a weight is loaded once a tap and dilation costs nothing.
template <class V, int TW, bool kBorder, bool kMultiplied>
void dwconv_generic(const DwTile& t) {
  const ptrdiff_t pixel = t.stride * t.column_stride;
  for (ptrdiff_t tile = 0; tile < t.tiles; ++tile) {
    const float* const first_x = t.x + tile * TW * pixel;
    float* const first_y = t.y + tile * TW * t.y_column_stride;
    const float* weights = t.weights;
    for_vectors<V>(t.channels, [&](ptrdiff_t c, auto n) FASTDW_INLINE_LAMBDA {
      // A multiplier spreads few input channels over the lanes: a load of just those and one permutation.
      const float* index = weights + t.bias_offset - V::lanes;
      [[maybe_unused]] int spread = 0;
      ptrdiff_t input_channel = t.first_channel + c;
      if constexpr (kMultiplied) {
        input_channel = (t.first_channel + c) / t.multiplier;
        spread = V::last_index(index, n) + 1;
      }
      const float* x = first_x + input_channel;
      V acc[TW];
      unroll<TW>([&](auto j) FASTDW_INLINE_LAMBDA {
        if (!t.accumulate) {
          acc[j] = V::load(weights + t.bias_offset, All{});
        } else if (!kBorder || j < t.columns) {
          acc[j] = V::load(first_y + j * t.y_column_stride + c, n);
        } else {
          acc[j] = V::set1(0.0f);
        }
      });
      for (ptrdiff_t dj = 0; dj < t.kernel_w; ++dj) {
        const float* w = weights + (dj * t.kernel_h + t.live_row) * V::lanes;
        [[maybe_unused]] uint32_t live = 0;
        if constexpr (kBorder) {
          for (int j = 0; j < t.columns; ++j) {
            const ptrdiff_t column = t.first_column + j * t.stride + dj * t.dilation_w;
            live |= static_cast<uint32_t>(column >= 0 && column < t.width) << j;
          }
        }
        const float* column = x + dj * t.dilation_w * t.column_stride;
        for (ptrdiff_t di = t.live_row; di < t.live_end; ++di, w += V::lanes) {
          const V wv = V::load(w, All{});
          const float* tap = column + di * t.dilation_h * t.row_stride;
          unroll<TW>([&](auto j) FASTDW_INLINE_LAMBDA {
            if (kBorder && !(live >> j & 1)) return;
            if constexpr (kMultiplied) {
              acc[j] = fma(V::spread(tap + j * pixel, spread, index), wv, acc[j]);
            } else {
              acc[j] = fma(V::load(tap + j * pixel, n), wv, acc[j]);
            }
          });
        }
      }
      const V lo = V::set1(t.lo), hi = V::set1(t.hi);
      unroll<TW>([&](auto j) FASTDW_INLINE_LAMBDA {
        if (kBorder && !(j < t.columns)) return;
        min(hi, max(lo, acc[j])).store(first_y + j * t.y_column_stride + c, n);
      });
      weights += t.block_stride;
    });
  }
}

}  // namespace
}  // namespace fastdw
