// Depthwise convolution, one register tile: contract in kernels/contract.h, sizes in the data sheets of isa/.
//
// Every output sums bias first, then its taps column by column from left to right, each column from top to
// bottom: the order in which a window slides along a row, so that each input vector is loaded once a tile.
#pragma once
#include "kernels/depthwise/input_channels.h"

namespace fastdw {
namespace {

// A kernel and its stride.
template <int kKernelH, int kKernelW, int kStrideH, int kStrideW>
struct KernelShape {
  static constexpr int KH = kKernelH, KW = kKernelW, SH = kStrideH, SW = kStrideW;
};

// What sets a body apart: any of these.
enum class TileOptions : unsigned {
  kNone = 0,
  kShuffled = 1,  // vectors of channels in the order of for_vectors_shuffled
  kPrefetched =
      2,  // asks for every input's next line; shuffled for its next vector, or the next tile's first
  kMultiplied = 4,  // with a channel multiplier above 1
  kBorder = 8,      // some outputs may not be live, some inputs outside the image
};
constexpr TileOptions operator|(TileOptions a, TileOptions b) {
  return static_cast<TileOptions>(static_cast<unsigned>(a) | static_cast<unsigned>(b));
}
constexpr bool has(TileOptions options, TileOptions one) { return (options | one) == options; }
constexpr TileOptions only_if(bool wanted, TileOptions options) {
  return wanted ? options : TileOptions::kNone;
}

// TH×TW outputs. Registers: TH·TW accumulators and one column of (TH−1)·SH+KH inputs; the weights come from
// L1, each used TH times a load.
//
// Shuffled: where vectors of channels follow each other every load of the unrolled tile has a constant
// stride, and Zen 5 fetches along it past the pixel's end.
template <class V, class Shape, int TH, int TW, TileOptions kOptions, class Tile>
void dwconv_tile(const Tile& t) {
  constexpr bool kShuffled = has(kOptions, TileOptions::kShuffled),
                 kPrefetched = has(kOptions, TileOptions::kPrefetched),
                 kMultiplied = has(kOptions, TileOptions::kMultiplied),
                 kBorder = has(kOptions, TileOptions::kBorder);
  constexpr int KH = Shape::KH, KW = Shape::KW, SH = Shape::SH, SW = Shape::SW;
  constexpr int kInputRows = (TH - 1) * SH + KH;
  constexpr int kInputColumns = (TW - 1) * SW + KW;
  [[maybe_unused]] const ptrdiff_t row_stride = t.row_stride;
  [[maybe_unused]] int rows = TH;
  [[maybe_unused]] ptrdiff_t columns = TW;
  [[maybe_unused]] uint32_t live_rows = 0, live_columns = 0;
  if constexpr (kBorder) {
    rows = t.rows;
    columns = t.columns;
    live_rows = t.live_input_rows;
    live_columns = t.live_input_columns;
  }
  for (ptrdiff_t tile = 0; tile < t.tiles; ++tile) {
    const float* const first_x = t.x + tile * t.tile_columns * SW * t.column_stride;
    float* const first_y = t.y + tile * t.tile_columns * t.y_column_stride;
    const float* weights = t.weights;
    InputChannels<V, kMultiplied> inputs(t);
    const auto step = [&](ptrdiff_t c, auto n, [[maybe_unused]] ptrdiff_t ahead) FASTDW_INLINE_LAMBDA {
      V acc[TH][TW];
      const V bias = V::load(weights + t.bias_offset, All{});
      inputs.begin(weights + t.bias_offset, n);
      unroll<TH>([&](auto i) FASTDW_INLINE_LAMBDA {
        unroll<TW>([&](auto j) FASTDW_INLINE_LAMBDA { acc[i][j] = bias; });
      });
      unroll<kInputColumns>([&](auto column) FASTDW_INLINE_LAMBDA {
        if (kBorder && !(live_columns >> column & 1)) return;
        V x[kInputRows];
        [[maybe_unused]] const float* walk = first_x + column * t.column_stride + inputs.first;
        unroll<kInputRows>([&](auto row) FASTDW_INLINE_LAMBDA {
          const float* input = first_x + row * t.row_stride + column * t.column_stride + inputs.first;
          if constexpr (kBorder) {
            // Walking down, opaque to the compiler, which else works out every address anew behind every
            // branch. The interior, which has no branches, is slower so.
            input = walk;
            walk += row_stride;
            FASTDW_OPAQUE(walk);
          }
          if (kBorder && __builtin_expect(!(live_rows >> row & 1), 0)) {
            x[row] = V::set1(0.0f);
          } else {
            if constexpr (kPrefetched) __builtin_prefetch(input + (ahead - c));
            x[row] = inputs.load(input, n);
          }
        });
        unroll<TW>([&](auto j) FASTDW_INLINE_LAMBDA {
          constexpr int dj = decltype(column)::value - decltype(j)::value * SW;
          if constexpr (dj >= 0 && dj < KW) {
            unroll<KH>([&](auto di) FASTDW_INLINE_LAMBDA {
              const V w = V::load(weights + (dj * KH + di) * V::lanes, All{});
              unroll<TH>([&](auto i) FASTDW_INLINE_LAMBDA {
                constexpr int row = decltype(i)::value * SH + decltype(di)::value;
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
    };
    if constexpr (kShuffled) {
      static_assert(!kMultiplied, "a multiplier's input channels come in order");
      const auto shuffled = [&](ptrdiff_t c, auto n, ptrdiff_t next) FASTDW_INLINE_LAMBDA {
        weights = t.weights + c * (1 + KH * KW);  // by blocks: c is a whole number of vectors
        inputs.first = c;
        step(c, n, next);
      };
      for_vectors_shuffled<V>(t.channels, t.tile_columns * SW * t.column_stride, shuffled);
    } else {
      for_vectors<V>(t.channels, [&](ptrdiff_t c, auto n) FASTDW_INLINE_LAMBDA {
        step(c, n, c + kLineFloats);
        weights += t.block_stride;
        inputs.next();
      });
    }
  }
}

}  // namespace
}  // namespace fastdw
