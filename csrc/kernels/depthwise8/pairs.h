// Depthwise 3×3 where products are of 16 bits, of which two fit: rows rolling down as in rolling.h, but it is
// three rows of the image that stay in registers, two pixels of a row side by side for each channel. Of the
// nine taps four pairs meet them so, and one tap alone: for sixteen outputs 30 instructions, not the 36 of
// products of 32 bits.
#pragma once
#include "kernels/depthwise8/rolling.h"

namespace fastdw {
namespace {

constexpr ptrdiff_t kPairsGroupBytes = (8 + 9) * kRollingGroup;

// Eight channels, or the last ones, of two columns. kPlain: no column is padding, bytes in memory are as
// inside, and the ends of what is stored are a byte's.
template <class B, int S, bool kFull, bool kPlain, bool kLowest>
void dw8_roll_pairs(const Depthwise8& t, const typename B::Rescale* rescale, const Columns8<S>& columns,
                    ptrdiff_t column, ptrdiff_t channel, const uint8_t* start) {
  constexpr int kPixels = Columns8<S>::kPixels;
  constexpr int kRows =
      S == 1 ? 3 : 2;  // of the image: those that the next row of outputs needs too, and one
  using Row = typename B::Row;
  const int n = kFull ? kRollingGroup : static_cast<int>(t.channels - channel);
  const typename B::template Taps<S> taps(start + 8 * kRollingGroup);
  const auto flip = B::flip(t.flip);
  const uint8_t* const outside = t.outside + channel;
  const ptrdiff_t y_stride = t.y_row_stride;
  uint8_t* y = t.y + column * t.y_column_stride + channel;
  const ptrdiff_t second = column + 1 < t.columns ? t.y_column_stride : 0;  // none: the first once more
  constexpr int kPointers = kPlain ? 1 : kPixels;  // pixels that are all there lie evenly
  const ptrdiff_t row_stride = t.row_stride;
  const uint8_t* x[kPointers];
  ptrdiff_t steps[kPointers];
  unroll<kPointers>([&](auto j) FASTDW_INLINE_LAMBDA {
    x[j] = columns.x[j] + channel;
    steps[j] = kPlain ? row_stride : columns.step[j];
  });
  ptrdiff_t one = t.column_stride, three = 3 * one;
  FASTDW_OPAQUE_2(one, three);  // else each pixel's address is an addition
  ptrdiff_t at = t.first_row;
  const auto height = static_cast<size_t>(t.height);
  Row rows[kRows];

  const auto next_row = [&]() FASTDW_INLINE_LAMBDA {
    typename B::Eight pixel[kPixels];
    if (static_cast<size_t>(at) < height) {  // not negative either
      unroll<kPixels>([&](auto j) FASTDW_INLINE_LAMBDA {
        constexpr int threes = j / 3, ones = j % 3;
        pixel[j] = B::load_first(kPlain ? x[0] + threes * three + ones * one : x[j % kPointers], n);
      });
    } else {
      pixel[0] = B::load_first(outside, n);
      unroll<kPixels>([&](auto j) FASTDW_INLINE_LAMBDA { pixel[j] = pixel[0]; });
    }
    unroll<kPointers>([&](auto j) FASTDW_INLINE_LAMBDA { x[j] += steps[j]; });
    if constexpr (!kPlain) {
      unroll<kPixels>([&](auto j) FASTDW_INLINE_LAMBDA { pixel[j] = B::flipped(pixel[j], flip); });
    }
    ++at;
    return Row::template of<S>(pixel);
  };
  const auto step = [&](auto phase) FASTDW_INLINE_LAMBDA {
    constexpr int top = phase, last = (phase + kRows - 1) % kRows;
    Row middle = S == 1 ? rows[(phase + 1) % kRows] : next_row();
    rows[last] = next_row();
    typename B::Ints acc[2][2];
    B::template meet<S, kLowest>(acc, {rows[top], middle, rows[last]}, taps, start);
    const typename B::template Factors<2> factors(start + 4 * kRollingGroup);
    rescale->template store_two<kPlain>(acc, factors, y, y + second, n);
    y += y_stride;
  };

  unroll<kRows - 1>([&](auto row) FASTDW_INLINE_LAMBDA { rows[row] = next_row(); });
  ptrdiff_t left = t.rows;
  while (left > 0) {
    unroll<kRows>([&](auto phase) FASTDW_INLINE_LAMBDA {
      if (left == 0) return;
      step(phase);
      --left;
    });
  }
}

template <class B, int S>
void dw8_pairs(const Depthwise8& t) {
  const typename B::Rescale held(t.rescale);
  const auto* const rescale = opaque_to_gcc(&held);  // in memory: rows and weights need all registers
  const auto roll = [&](auto full, auto plain, auto lowest)
                        FASTDW_INLINE_LAMBDA { return dw8_roll_pairs<B, S, full, plain, lowest>; };
  const auto yes = std::true_type{};
  const auto no = std::false_type{};
  const auto whole = t.lowest ? roll(yes, no, yes) : roll(yes, no, no);
  const auto inner = !t.lowest && held.plain && t.flip == 0 ? roll(yes, yes, no) : whole;
  for_columns<S>(
      t, kPairsGroupBytes, [&](const Columns8<S>& columns, ptrdiff_t column, ptrdiff_t c, const uint8_t* w) {
        const auto some = t.channels - c < kRollingGroup ? roll(no, no, yes) : columns.inside ? inner : whole;
        some(t, rescale, columns, column, c, w);
      });
}

}  // namespace
}  // namespace fastdw
