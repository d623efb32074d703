// A rectangle of depthwise outputs, eight channels at a time. A kernel of its own computes four neighbours of
// a row together: where fewer than four are left, some of them twice. Narrower rectangles go one by one, and
// so do fewer than eight channels. Taps that lie outside the image are left out.
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

  FASTDW_INLINE Group16(const Depthwise16& call, ptrdiff_t channel)
      : t(call),
        c(channel),
        n(static_cast<int>(t.channels - c < Halves::lanes ? t.channels - c : Halves::lanes)),
        finish(t.finish),
        bias(t.bias + c),
        weights(t.weights + c) {
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
  // By way of memory.
  template <int N>
  FASTDW_INLINE void finish_row(const Totals (&totals)[N], uint16_t* y) const {
    alignas(16) float line[N * Halves::lanes];
    unroll<N>([&](auto j) FASTDW_INLINE_LAMBDA { totals[j].store(line + j * Halves::lanes); });
    finish.run(finish, line, {N, n, Halves::lanes, nullptr, 0, y, t.y_column_stride});
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

// A function gives them back in registers.
struct Sums16 {
  Halves of[kColumns16];
};

// What four outputs add up to. `weight` gives that of a tap, `row` and `column` say which of theirs lie in
// the image. Column by column, so that each output takes the taps of a row in their order.
template <int K, int S, class Weight, class Row, class Column>
FASTDW_INLINE Sums16 dw16_sums(const uint16_t* x, ptrdiff_t row_stride, ptrdiff_t column_stride,
                               const Weight& weight, const Row& row, const Column& column) {
  static_assert(K * K <= kChunk, "one sum");
  constexpr int columns = (kColumns16 - 1) * S + K;
  Sums16 sums;
  unroll<kColumns16>([&](auto j) FASTDW_INLINE_LAMBDA { sums.of[j] = Halves::zero(); });
  unroll<K>([&](auto di) FASTDW_INLINE_LAMBDA {
    if (!row(di)) return;
    unroll<columns>([&](auto c) FASTDW_INLINE_LAMBDA {
      if (!column(c)) return;
      const Halves pixel = Halves::load(x + di * row_stride + c * column_stride);
      unroll<kColumns16>([&](auto j) FASTDW_INLINE_LAMBDA {
        constexpr int dj = c - j * S;
        if constexpr (dj >= 0 && dj < K) multiply_add(sums.of[j], pixel, weight(di * K + dj));
      });
    });
  });
  return sums;
}

// At a border: the tile of which `first` is the leftmost output.
template <int K, int S>
__attribute__((noinline)) Sums16 dw16_border(const Group16& g, ptrdiff_t row, ptrdiff_t first) {
  const Depthwise16& t = g.t;
  const ptrdiff_t top = t.first_row + row * S, left = t.first_column + first * S;
  const ptrdiff_t height = t.height, width = t.width, weight_stride = t.weight_stride;
  const uint16_t* const x = t.x + top * t.row_stride + left * t.column_stride + g.c;
  const uint16_t* const weights = g.weights;
  return dw16_sums<K, S>(
      x, t.row_stride, t.column_stride,
      [&](auto tap) FASTDW_INLINE_LAMBDA { return Halves::load(weights + tap * weight_stride); },
      [&](int di) FASTDW_INLINE_LAMBDA { return top + di >= 0 && top + di < height; },
      [&](int c) FASTDW_INLINE_LAMBDA { return left + c >= 0 && left + c < width; });
}

// A row of four outputs at least, of eight channels. Those from `begin` to `end` meet no border.
template <int K, int S, class Finish>
FASTDW_INLINE void dw16_row(const Group16& g, ptrdiff_t row, ptrdiff_t begin, ptrdiff_t end,
                            const Finish& finish) {
  const Depthwise16& t = g.t;
  const ptrdiff_t row_stride = t.row_stride, column_stride = t.column_stride, y_stride = t.y_column_stride;
  const ptrdiff_t columns = t.columns, last = columns - kColumns16;
  const uint16_t* const x = t.x + (t.first_row + row * S) * row_stride + t.first_column * column_stride + g.c;
  uint16_t* const y = g.y(row, 0);
  const Totals bias = Totals::load(g.bias);
  const auto store = [&](const Sums16& sums, uint16_t* to) FASTDW_INLINE_LAMBDA {
    Totals totals[kColumns16];
    unroll<kColumns16>([&](auto i) FASTDW_INLINE_LAMBDA { totals[i] = bias.plus(sums.of[i]); });
    finish(totals, to, y_stride);
  };
  for (ptrdiff_t j = 0; j < columns;) {
    if (j < begin || j > last || j + kColumns16 > end) {
      const ptrdiff_t first = j < last ? j : last;
      store(dw16_border<K, S>(g, row, first), y + first * y_stride);
      j += kColumns16;
      continue;
    }
    Halves weights[K * K];
    unroll<K * K>([&](auto i)
                      FASTDW_INLINE_LAMBDA { weights[i] = Halves::load(g.weights + i * t.weight_stride); });
    const auto weight = [&](auto tap) FASTDW_INLINE_LAMBDA { return weights[tap]; };
    const auto all = [](int) FASTDW_INLINE_LAMBDA { return true; };
    const uint16_t* from = x + j * S * column_stride;
    uint16_t* to = y + j * y_stride;
    for (; j <= last && j + kColumns16 <= end; j += kColumns16) {
      store(dw16_sums<K, S>(from, row_stride, column_stride, weight, all, all), to);
      from += kColumns16 * S * column_stride;
      to += kColumns16 * y_stride;
    }
  }
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
  const ptrdiff_t before = -t.first_column, room = t.width - K + before;
  const ptrdiff_t begin = before > 0 ? (before + S - 1) / S : 0, end = room >= 0 ? room / S + 1 : 0;
  dw16_groups(t, [&](const Group16& g, ptrdiff_t row) FASTDW_INLINE_LAMBDA {
    if (g.n < Halves::lanes || g.t.columns < kColumns16) {
      for (ptrdiff_t j = 0; j < g.t.columns; ++j) dw16_one(g, row, j);
      return;
    }
    const ptrdiff_t top = g.t.first_row + row * S;
    const bool inside = top >= 0 && top + K <= g.t.height;
    const auto run = [&](const auto& finish)
                         FASTDW_INLINE_LAMBDA { dw16_row<K, S>(g, row, begin, inside ? end : 0, finish); };
    const auto each = [&](const auto& finish) FASTDW_INLINE_LAMBDA {
      run([&](const Totals(&totals)[kColumns16], uint16_t* y, ptrdiff_t stride) FASTDW_INLINE_LAMBDA {
        unroll<kColumns16>([&](auto j) FASTDW_INLINE_LAMBDA { finish(totals[j]).store(y + j * stride); });
      });
    };
    if (in_registers(g.finish, each)) return;
    run([&](const Totals(&totals)[kColumns16], uint16_t* y, ptrdiff_t)
            FASTDW_INLINE_LAMBDA { g.finish_row(totals, y); });
  });
}

}  // namespace
}  // namespace fp16
}  // namespace fastdw
