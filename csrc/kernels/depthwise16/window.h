// A rectangle of depthwise outputs, eight channels at a time. A kernel of its own computes four neighbours of
// a row together, where all their columns lie in the image: where fewer than four are left, some of them
// twice. All others go one by one, by the taps that lie in the image, and so do fewer than eight channels.
#pragma once
#include "kernels/finish16.h"
#include "kernels/live16.h"

namespace fastdw {
namespace fp16 {
namespace {

// Eight channels of a call, or as many as are left.
struct Group16 {
  const Depthwise16& t;
  ptrdiff_t c;
  int n;
  Finish16 finish;
  const float* bias;
  const uint16_t* weights;
  bool plain;

  FASTDW_INLINE Group16(const Depthwise16& call, ptrdiff_t channel)
      : t(call),
        c(channel),
        n(static_cast<int>(t.channels - c < Halves::lanes ? t.channels - c : Halves::lanes)),
        finish(t.finish),
        bias(t.bias + c),
        weights(t.weights + c),
        plain(!finish.curve && n == Halves::lanes) {
    if (finish.slopes) finish.slopes += c;
  }

  // Of the channels that these are filters of.
  FASTDW_INLINE Halves pixel(ptrdiff_t row, ptrdiff_t column) const {
    const uint16_t* const x = t.x + row * t.row_stride + column * t.column_stride;
    if (t.multiplier == 1) return Halves::load(x + c, n);
    uint16_t line[Halves::lanes] = {};
    for (int i = 0; i < n; ++i) line[i] = x[(c + i) / t.multiplier];
    return Halves::load(line);
  }
  FASTDW_INLINE uint16_t* y(ptrdiff_t row, ptrdiff_t column) const {
    return t.y + row * t.y_row_stride + column * t.y_column_stride + c;
  }
  template <int N>
  FASTDW_INLINE void finish_row(const Totals (&totals)[N], uint16_t* y) const {
    if (plain) {
      const Clamp clamped(finish);
      unroll<N>([&](auto j) FASTDW_INLINE_LAMBDA { clamped(totals[j]).store(y + j * t.y_column_stride); });
      return;
    }
    alignas(16) float line[N * Halves::lanes];
    unroll<N>([&](auto j) FASTDW_INLINE_LAMBDA { totals[j].store(line + j * Halves::lanes); });
    finish_totals(finish, line, {N, n, Halves::lanes, nullptr, 0, y, t.y_column_stride});
  }
};

__attribute__((noinline)) void dw16_one(const Group16& g, ptrdiff_t row, ptrdiff_t column) {
  const Depthwise16& t = g.t;
  const ptrdiff_t top = t.first_row + row * t.stride_h, left = t.first_column + column * t.stride_w;
  const Live16 down(top, t.dilation_h, t.kernel_h, t.height);
  const Live16 across(left, t.dilation_w, t.kernel_w, t.width);
  Totals totals[1] = {Totals::load(g.bias)};
  Halves sum = Halves::zero();
  ptrdiff_t last = kChunk;  // the tap behind those of the sum
  for (ptrdiff_t di = down.begin; di < down.end; ++di) {
    for (ptrdiff_t dj = across.begin; dj < across.end; ++dj) {
      const ptrdiff_t tap = di * t.kernel_w + dj;
      if (tap >= last) {
        totals[0] = totals[0].plus(sum);
        sum = Halves::zero();
        last = (tap / kChunk + 1) * kChunk;
      }
      multiply_add(sum, g.pixel(top + di * t.dilation_h, left + dj * t.dilation_w),
                   Halves::load(g.weights + tap * t.weight_stride));
    }
  }
  totals[0] = totals[0].plus(sum);
  g.finish_row(totals, g.y(row, column));
}

// Outputs side by side of a tile.
constexpr int kColumns16 = 4;

// What four outputs add up to, whose columns lie in the image. `live` says whether a row of theirs does.
template <int K, int S, class Live>
FASTDW_INLINE void dw16_sums(const uint16_t* x, ptrdiff_t row_stride, ptrdiff_t column_stride,
                             const Halves (&weights)[K * K], const Live& live, Halves (&sums)[kColumns16]) {
  static_assert(K * K <= kChunk, "one sum");
  constexpr int columns = (kColumns16 - 1) * S + K;
  unroll<kColumns16>([&](auto j) FASTDW_INLINE_LAMBDA { sums[j] = Halves::zero(); });
  unroll<K>([&](auto di) FASTDW_INLINE_LAMBDA {
    if (!live(di)) return;
    Halves line[columns];
    unroll<columns>([&](auto j) FASTDW_INLINE_LAMBDA {
      line[j] = Halves::load(x + di * row_stride + j * column_stride);
    });
    unroll<K>([&](auto dj) FASTDW_INLINE_LAMBDA {
      unroll<kColumns16>([&](auto j) FASTDW_INLINE_LAMBDA {
        multiply_add(sums[j], line[j * S + dj], weights[di * K + dj]);
      });
    });
  });
}

// Outputs of a row from `begin` to `end`, four at least, whose columns lie in the image.
template <int K, int S>
FASTDW_INLINE void dw16_columns(const Group16& g, ptrdiff_t row, ptrdiff_t begin, ptrdiff_t end) {
  const Depthwise16& t = g.t;
  const ptrdiff_t row_stride = t.row_stride, column_stride = t.column_stride, y_stride = t.y_column_stride;
  const ptrdiff_t top = t.first_row + row * S;
  const uint16_t* const x = t.x + top * row_stride + t.first_column * column_stride + g.c;
  uint16_t* const y = g.y(row, 0);
  const Totals bias = Totals::load(g.bias);
  Halves weights[K * K];
  unroll<K * K>([&](auto i)
                    FASTDW_INLINE_LAMBDA { weights[i] = Halves::load(g.weights + i * t.weight_stride); });
  const auto tiles = [&](const auto& live, const auto& finish) FASTDW_INLINE_LAMBDA {
    for (ptrdiff_t left = end - begin, j = begin; left > 0; left -= kColumns16, j += kColumns16) {
      if (left < kColumns16) j = end - kColumns16;
      Halves sums[kColumns16];
      dw16_sums<K, S>(x + j * S * column_stride, row_stride, column_stride, weights, live, sums);
      finish(sums, y + j * y_stride);
    }
  };
  const Clamp clamped(g.finish);
  if (g.plain && top >= 0 && top + K <= t.height) {
    return tiles([](int) FASTDW_INLINE_LAMBDA { return true; },
                 [&](const auto& sums, uint16_t* to) FASTDW_INLINE_LAMBDA {
                   unroll<kColumns16>([&](auto j) FASTDW_INLINE_LAMBDA {
                     clamped(bias.plus(sums[j])).store(to + j * y_stride);
                   });
                 });
  }
  tiles([&](int di) FASTDW_INLINE_LAMBDA { return top + di >= 0 && top + di < t.height; },
        [&](const auto& sums, uint16_t* to) FASTDW_INLINE_LAMBDA {
          Totals totals[kColumns16];
          unroll<kColumns16>([&](auto j) FASTDW_INLINE_LAMBDA { totals[j] = bias.plus(sums[j]); });
          g.finish_row(totals, to);
        });
}

template <class Row>
FASTDW_INLINE void dw16_groups(const Depthwise16& call, const Row& row) {
  const Depthwise16 t = call;  // what is stored cannot change it
  for (ptrdiff_t c = 0; c < t.channels; c += Halves::lanes) {
    const Group16 g(t, c);
    for (ptrdiff_t i = 0; i < t.rows; ++i) row(g, i);
  }
}

// Any kernel.
void dw16_generic(const Depthwise16& t) {
  dw16_groups(t, [](const Group16& g, ptrdiff_t row) FASTDW_INLINE_LAMBDA {
    for (ptrdiff_t j = 0; j < g.t.columns; ++j) dw16_one(g, row, j);
  });
}

// K×K at stride S of both axes, neither dilation nor multiplier.
template <int K, int S>
void dw16_square(const Depthwise16& t) {
  dw16_groups(t, [](const Group16& g, ptrdiff_t row) FASTDW_INLINE_LAMBDA {
    const ptrdiff_t columns = g.t.columns, before = -g.t.first_column;
    const ptrdiff_t room = g.t.width - K + before;
    // Those whose columns lie in the image.
    ptrdiff_t begin = before > 0 ? (before + S - 1) / S : 0, end = room >= 0 ? room / S + 1 : 0;
    if (end > columns) end = columns;
    if (g.n < Halves::lanes || end - begin < kColumns16) begin = end = columns;
    for (ptrdiff_t j = 0; j < begin; ++j) dw16_one(g, row, j);
    if (begin < end) dw16_columns<K, S>(g, row, begin, end);
    for (ptrdiff_t j = end; j < columns; ++j) dw16_one(g, row, j);
  });
}

}  // namespace
}  // namespace fp16
}  // namespace fastdw
