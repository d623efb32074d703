// Depthwise 3×3 where registers hold the weights of eight channels: two columns of outputs, rows rolling
// down, each row of the image read once for all outputs that it belongs to. At stride 1 that is 3 rows × 2
// columns × 2 vectors of sums, and as many vectors of weights.
#pragma once
#include "kernels/contract8.h"
#include "simd/unroll.h"

namespace fastdw {
namespace {

constexpr ptrdiff_t kRollingGroup = 8;   // channels
constexpr ptrdiff_t kRollingChunk = 64;  // channels, a line, of which all columns come before the next

// The columns of the image under two columns of outputs.
template <int S>
struct Columns8 {
  static constexpr int kPixels = S + 3;
  const uint8_t* x[kPixels];  // of the first row of the window, or a pixel of padding
  ptrdiff_t step[kPixels];    // to the next row, which padding has none of
  bool inside;                // all of them

  FASTDW_INLINE Columns8(const Depthwise8& t, ptrdiff_t column) {
    const ptrdiff_t first = t.first_column + S * column;
    inside = first >= 0 && first + kPixels <= t.width;
    for (int j = 0; j < kPixels; ++j) {
      const ptrdiff_t at = first + j;
      const bool there = at >= 0 && at < t.width;
      x[j] = there ? t.x + t.first_row * t.row_stride + at * t.column_stride : t.outside;
      step[j] = there ? t.row_stride : 0;
    }
  }
};

// Eight channels, or the `live` last ones, of two columns: all in local variables, for GCC keeps members of a
// struct in memory.
template <class B, int S, bool kFull>
void dw8_roll(const Depthwise8& t, const Columns8<S>& columns, ptrdiff_t column, ptrdiff_t channel, int live,
              const uint8_t* start) {
  constexpr int kPixels = Columns8<S>::kPixels;
  constexpr int kLive = S == 1 ? 3 : 2;  // rows of outputs that one row of the image may belong to
  using Row = typename B::Row;
  using Taps = typename B::Taps;
  const int n = kFull ? kRollingGroup : live;
  const uint8_t* const weights = start + 8 * kRollingGroup;
  const Taps taps[] = {Taps::template load<S>(weights), Taps::template load<S>(weights + Taps::bytes),
                       Taps::template load<S>(weights + 2 * Taps::bytes)};
  const typename B::Rescale rescale(t.rescale);
  const auto flip = B::flip(t.flip);
  const uint8_t* const outside = t.outside + channel;
  const ptrdiff_t y_stride = t.y_row_stride;
  uint8_t* y = t.y + column * t.y_column_stride + channel;
  const ptrdiff_t second = column + 1 < t.columns ? t.y_column_stride : 0;  // none: the first once more
  const uint8_t* x[kPixels];
  unroll<kPixels>([&](auto j) FASTDW_INLINE_LAMBDA { x[j] = columns.x[j] + channel; });
  ptrdiff_t at = t.first_row;
  const auto height = static_cast<size_t>(t.height);
  typename B::Ints acc[kLive][2][2];

  const auto next_row = [&]() FASTDW_INLINE_LAMBDA {
    typename B::Eight pixel[kPixels];
    if (static_cast<size_t>(at) < height) {  // not negative either
      unroll<kPixels>([&](auto j) FASTDW_INLINE_LAMBDA { pixel[j] = B::load_first(x[j], n); });
    } else {
      pixel[0] = B::load_first(outside, n);
      unroll<kPixels>([&](auto j) FASTDW_INLINE_LAMBDA { pixel[j] = pixel[0]; });
    }
    unroll<kPixels>([&](auto j) FASTDW_INLINE_LAMBDA { x[j] += columns.step[j]; });
    ++at;
    return Row::template of<S>(pixel, flip);
  };
  const auto begin = [&](auto slot) FASTDW_INLINE_LAMBDA {
    unroll<2>([&](auto v)
                  FASTDW_INLINE_LAMBDA { acc[slot][0][v] = acc[slot][1][v] = B::load(start + 16 * v); });
  };
  const auto end = [&](auto slot) FASTDW_INLINE_LAMBDA {
    const typename B::template Factors<2> factors(start + 4 * kRollingGroup);
    rescale.store_two(acc[slot], factors, y, y + second, n);
    y += y_stride;
  };
  // The last row of output i − 2, the second of output i − 1, the first of output i; or of output i − 1 the
  // last two rows, and the first of output i.
  const auto step = [&](auto phase) FASTDW_INLINE_LAMBDA {
    constexpr int first = phase, last = (phase + 1) % kLive;
    if constexpr (S == 2) B::meet(acc[last], next_row(), taps[1]);
    const Row row = next_row();
    B::meet(acc[last], row, taps[2]);
    end(std::integral_constant<int, last>{});
    if constexpr (S == 1) B::meet(acc[(phase + 2) % 3], row, taps[1]);
    begin(std::integral_constant<int, first>{});
    B::meet(acc[first], row, taps[0]);
  };

  constexpr int before = kLive - 1;  // steps that end no output
  unroll<before>([&](auto phase) FASTDW_INLINE_LAMBDA {
    const Row row = next_row();
    if constexpr (phase > 0) B::meet(acc[0], row, taps[1]);
    begin(phase);
    B::meet(acc[phase], row, taps[0]);
  });
  ptrdiff_t left = t.rows;
  while (left > 0) {
    unroll<kLive>([&](auto i) FASTDW_INLINE_LAMBDA {
      if (left == 0) return;
      step(std::integral_constant<int, (i + before) % kLive>{});
      --left;
    });
  }
}

// Calls roll(columns, column, channel, weights) for every two columns of outputs and eight channels, or the
// last ones.
template <int S, class Roll>
FASTDW_INLINE void for_columns(const Depthwise8& t, ptrdiff_t group_bytes, const Roll& roll) {
  for (ptrdiff_t first = 0; first < t.channels; first += kRollingChunk) {
    const ptrdiff_t end = t.channels - first < kRollingChunk ? t.channels : first + kRollingChunk;
    for (ptrdiff_t column = 0; column < t.columns; column += 2) {
      const Columns8<S> columns(t, column);
      const uint8_t* w = t.weights + first / kRollingGroup * group_bytes;
      for (ptrdiff_t c = first; c < end; c += kRollingGroup, w += group_bytes) roll(columns, column, c, w);
    }
  }
}

template <class B, int S>
void dw8_rolling(const Depthwise8& t) {
  const auto roll = [&](const Columns8<S>& columns, ptrdiff_t column, ptrdiff_t c, const uint8_t* w) {
    const ptrdiff_t live = t.channels - c;
    live >= kRollingGroup ? dw8_roll<B, S, true>(t, columns, column, c, kRollingGroup, w)
                          : dw8_roll<B, S, false>(t, columns, column, c, static_cast<int>(live), w);
  };
  for_columns<S>(t, 8 * kRollingGroup + 3 * B::Taps::bytes, roll);
}

}  // namespace
}  // namespace fastdw
