// Depthwise 3×3 at stride 1 for channels that fill less than a vector: a row of pixels is one line of floats,
// its lanes all full, and the taps beside lie so many floats before and after as there are channels. Same
// order of sums as in tile.h.
#pragma once
#include "simd/vec_avx512.h"

namespace fastdw {
namespace avx512 {
namespace {

// TH rows of any number of columns. A load that began at each tap would lie across two lines nearly every
// time; instead each vector of input is loaded once, and what lies beside it slides in: 0.6 to 0.7 times as
// long as by lane-packed tiles. (Channels of two vectors want five vectors of each row at hand, more than
// there are registers.)
template <int TH, bool kBorder>
void packed_rows(const DwRowPacked& t) {
  constexpr int K = 3, kInputRows = TH + K - 1;
  const ptrdiff_t channels = t.channels, floats = t.columns * channels;
  const ptrdiff_t row_stride = t.row_stride, y_row_stride = t.y_row_stride;
  const ptrdiff_t bias_offset = t.bias_offset, block_stride = t.block_stride;
  const uint32_t live_rows = t.live_input_rows;
  // Under the middle column of taps. From there on those floats are live that lie in the image, and under a
  // tap.
  const float* const x = t.x + channels;
  const ptrdiff_t middle = t.first_column + 1,
                  columns = t.width - middle < t.columns + 1 ? t.width - middle : t.columns + 1;
  const ptrdiff_t begin = (middle > 0 ? -1 : -middle) * channels, size = columns * channels - begin;
  float* y = t.y;
  const Slide left(Vec::lanes - static_cast<int>(channels)), right(static_cast<int>(channels));
  const Vec lo = Vec::set1(t.lo), hi = Vec::set1(t.hi);

  Vec last[kInputRows], now[kInputRows], next[kInputRows];
  const auto load = [&](Vec(&to)[kInputRows], ptrdiff_t i) FASTDW_INLINE_LAMBDA {
    const Vec::Lanes inside = Vec::inside(i - begin, size);
    unroll<kInputRows>([&](auto row) FASTDW_INLINE_LAMBDA {
      if (kBorder && !(live_rows >> row & 1)) {
        to[row].v = Vec::set1(0.0f).v;
      } else {
        to[row].v = Vec::load_where(inside, x + row * row_stride + i).v;
      }
    });
  };
  load(last, -Vec::lanes);
  load(now, 0);
  const float* weights = t.weights;
  const float* const weights_end = weights + t.blocks * block_stride;
  for (ptrdiff_t i = 0; i < floats; i += Vec::lanes) {
    load(next, i + Vec::lanes);
    Vec acc[TH];
    const Vec bias = Vec::load(weights + bias_offset, All{});
    unroll<TH>([&](auto row) FASTDW_INLINE_LAMBDA { acc[row] = bias; });
    unroll<K>([&](auto dj) FASTDW_INLINE_LAMBDA {
      Vec in[kInputRows];
      unroll<kInputRows>([&](auto row) FASTDW_INLINE_LAMBDA {
        if constexpr (dj == 0) in[row] = left(last[row], now[row]);
        if constexpr (dj == 1) in[row] = now[row];
        if constexpr (dj == 2) in[row] = right(now[row], next[row]);
      });
      unroll<K>([&](auto di) FASTDW_INLINE_LAMBDA {
        const Vec w = Vec::load(weights + (dj * K + di) * Vec::lanes, All{});
        unroll<TH>([&](auto row) FASTDW_INLINE_LAMBDA { acc[row] = fma(in[row + di], w, acc[row]); });
      });
    });
    weights += block_stride;
    if (weights == weights_end) weights = t.weights;
    const int n = floats - i < Vec::lanes ? static_cast<int>(floats - i) : Vec::lanes;
    unroll<TH>([&](auto row)
                   FASTDW_INLINE_LAMBDA { min(hi, max(lo, acc[row])).store(y + row * y_row_stride + i, n); });
    // The members: see planar/planes.h.
    unroll<kInputRows>([&](auto row) FASTDW_INLINE_LAMBDA {
      last[row].v = now[row].v;
      now[row].v = next[row].v;
    });
  }
}

void dwconv_row_packed(const DwRowPacked& t) {
  const auto rows = [&](auto count) {
    constexpr uint32_t kAll = (1u << (count + 2)) - 1;
    t.live_input_rows == kAll ? packed_rows<count, false>(t) : packed_rows<count, true>(t);
  };
  if (t.rows == 1) return rows(std::integral_constant<int, 1>{});
  if (t.rows == 2) return rows(std::integral_constant<int, 2>{});
  rows(std::integral_constant<int, 4>{});
}

}  // namespace
}  // namespace avx512
}  // namespace fastdw
