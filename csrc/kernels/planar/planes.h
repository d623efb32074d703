// A separable block over planes (NCHW), pixels in the lanes: contract in kernels/contract.h. Same order of
// sums as in depthwise/tile.h and pointwise/tile.h.
//
// Against a way through transposed copies it saves two passes over all of the data, or more: blocks of four
// rows copy half their input twice.
#pragma once
#include "kernels/contract.h"
#include "simd/vec.h"

namespace fastdw {
namespace {

// 3×3 taps at stride S: a band of TH rows, of which `rows` are live, vector by vector. A load that began at
// each tap would lie across two lines nearly every time; instead what follows slides in.
template <class V, int S, int TH, bool kBorder>
void plane_band(const DwPlanes& t, const float* x, float* y, ptrdiff_t rows, uint32_t live_rows) {
  constexpr int K = 3, kInputRows = (TH - 1) * S + K;
  const ptrdiff_t columns = t.columns, row_stride = t.row_stride;
  const ptrdiff_t first_column = t.first_column, width = t.width;
  const V lo = V::set1(t.lo), hi = V::set1(t.hi);
  const float* block = t.weights;
  for (ptrdiff_t c = 0; c < t.channels; ++c, x += t.plane_stride, y += t.y_plane_stride) {
    const ptrdiff_t lane = c % V::lanes;
    const float* const weights = block + lane;
    if (lane == V::lanes - 1) block += t.block_stride;
    const V bias = V::set1(*weights);
    // Of every row, from each of the first S columns on every S-th.
    V now[S][kInputRows], next[S][kInputRows];
    const auto load = [&](ptrdiff_t j) FASTDW_INLINE_LAMBDA {
      typename V::Lanes inside[S];
      unroll<S>([&](auto s) FASTDW_INLINE_LAMBDA {
        inside[s] = V::inside(first_column + j * S + s * V::lanes, width);
      });
      const float* input = x + j * S;
      unroll<kInputRows>([&](auto row) FASTDW_INLINE_LAMBDA {
        // The next plane, for which the CPU's own prefetcher would have to begin anew. (Its distance in a
        // local would cost address registers, and half of the gain at stride 2.)
        unroll<S>([&](auto s)
                      FASTDW_INLINE_LAMBDA { __builtin_prefetch(input + t.plane_stride + s * V::lanes); });
        if (kBorder && !(live_rows >> row & 1)) {
          unroll<S>([&](auto s) FASTDW_INLINE_LAMBDA { next[s][row] = V::set1(0.0f); });
        } else if constexpr (S == 1) {
          next[0][row] = V::load_where(inside[0], input);
        } else {
          const V a = V::load_where(inside[0], input), b = V::load_where(inside[1], input + V::lanes);
          next[0][row] = even(a, b);
          next[1][row] = odd(a, b);
        }
        input += row_stride;
      });
    };
    load(0);
    for (ptrdiff_t j = 0; j < columns; j += V::lanes) {
      // The members: a copy of the structs would keep the array in memory.
      unroll<S>([&](auto s) FASTDW_INLINE_LAMBDA {
        unroll<kInputRows>([&](auto row) FASTDW_INLINE_LAMBDA { now[s][row].v = next[s][row].v; });
      });
      load(j + V::lanes);
      V acc[TH];
      unroll<TH>([&](auto i) FASTDW_INLINE_LAMBDA { acc[i] = bias; });
      unroll<K>([&](auto dj) FASTDW_INLINE_LAMBDA {
        constexpr int s = decltype(dj)::value % S, shift = decltype(dj)::value / S;
        V in[kInputRows];
        unroll<kInputRows>([&](auto row) FASTDW_INLINE_LAMBDA {
          in[row] = V::template slide<shift>(now[s][row], next[s][row]);
        });
        unroll<K>([&](auto di) FASTDW_INLINE_LAMBDA {
          const V w = V::set1(weights[(1 + dj * K + di) * V::lanes]);
          unroll<TH>([&](auto i) FASTDW_INLINE_LAMBDA { acc[i] = fma(in[i * S + di], w, acc[i]); });
        });
      });
      const int n = columns - j < V::lanes ? static_cast<int>(columns - j) : V::lanes;
      unroll<TH>([&](auto i) FASTDW_INLINE_LAMBDA {
        if (kBorder && i >= rows) return;
        min(hi, max(lo, acc[i])).store(y + i * columns + j, n);
      });
    }
  }
}

template <class V, int S, int TH>
void plane_dwconv(const DwPlanes& t) {
  constexpr int kInputRows = (TH - 1) * S + 3;
  for (ptrdiff_t i = 0; i < t.rows; i += TH) {
    const float* const x = t.x + i * S * t.row_stride;
    float* const y = t.y + i * t.columns;
    const ptrdiff_t first = t.first_row + i * S;
    if (t.rows - i >= TH && first >= 0 && first + kInputRows <= t.height) {
      plane_band<V, S, TH, false>(t, x, y, TH, 0);
      continue;
    }
    uint32_t live_rows = 0;
    for (int row = 0; row < kInputRows; ++row) {
      live_rows |= static_cast<uint32_t>(first + row >= 0 && first + row < t.height) << row;
    }
    plane_band<V, S, TH, true>(t, x, y, t.rows - i, live_rows);
  }
}

// Rows of one plane in L1, with zeros around the image: of each row, from each of the first S columns on
// every S-th, NV vectors and one that windows reach into.
template <class V, int K, int S, int TH, int NV>
struct PlaneWindow {
  static constexpr int kInputRows = (TH - 1) * S + K;
  static constexpr ptrdiff_t kPhase = (NV + 1) * V::lanes, kRow = S * kPhase;
  alignas(kLineBytes) float rows[kInputRows * kRow] = {};
};

// TH rows × NV vectors. Row by row, so that an input waits in a register for its taps only: TH·NV
// accumulators, NV inputs, the K weights of a column.
template <class V, int K, int S, int TH, int NV>
FASTDW_INLINE void plane_window_sums(const PlaneWindow<V, K, S, TH, NV>& window, const float* weights,
                                     V (&acc)[TH][NV]) {
  using Window = PlaneWindow<V, K, S, TH, NV>;
  unroll<K>([&](auto dj) FASTDW_INLINE_LAMBDA {
    constexpr int s = decltype(dj)::value % S, shift = decltype(dj)::value / S;
    V w[K];
    unroll<K>([&](auto di) FASTDW_INLINE_LAMBDA { w[di] = V::set1(weights[(1 + dj * K + di) * V::lanes]); });
    unroll<Window::kInputRows>([&](auto row) FASTDW_INLINE_LAMBDA {
      V x[NV];
      unroll<NV>([&](auto v) FASTDW_INLINE_LAMBDA {
        x[v] = V::load(window.rows + row * Window::kRow + s * Window::kPhase + shift + v * V::lanes, All{});
        // Else GCC loads it anew for every tap.
        keep_in_register(x[v]);
      });
      unroll<TH>([&](auto i) FASTDW_INLINE_LAMBDA {
        constexpr int di = decltype(row)::value - decltype(i)::value * S;
        if constexpr (di >= 0 && di < K) {
          unroll<NV>([&](auto v) FASTDW_INLINE_LAMBDA { acc[i][v] = fma(x[v], w[di], acc[i][v]); });
        }
      });
    });
  });
}

// K×K taps at stride S by way of an L1 window: each row is loaded, and at stride 2 split into its even and
// odd columns, once for all of its taps; for 5×5 that is worth the way. TH rows × NV vectors, of which `rows`
// and `columns` are live.
template <class V, int K, int S, int TH, int NV>
void plane_patch(const DwPlanes& t, ptrdiff_t first_row, ptrdiff_t first_column, const float* x, float* y,
                 ptrdiff_t rows, ptrdiff_t columns) {
  using Window = PlaneWindow<V, K, S, TH, NV>;
  Window window;
  const bool reaches_on = columns + (K - 1) / S > NV * V::lanes;
  const ptrdiff_t row_stride = t.row_stride, input_rows = (rows - 1) * S + K;
  typename V::Lanes inside[(NV + 1) * S];
  for (int v = 0; v < (NV + 1) * S; ++v) inside[v] = V::inside(first_column + v * V::lanes, t.width);
  const V lo = V::set1(t.lo), hi = V::set1(t.hi);
  const float* block = t.weights;
  for (ptrdiff_t c = 0; c < t.channels; ++c, x += t.plane_stride, y += t.y_plane_stride) {
    const float* input = x;
    float* row = window.rows;
    for (int i = 0; i < Window::kInputRows; ++i, input += row_stride, row += Window::kRow) {
      const bool live = i < input_rows && first_row + i >= 0 && first_row + i < t.height;
      const auto split = [&](auto v) FASTDW_INLINE_LAMBDA {
        const float* from = input + v * S * V::lanes;
        float* to = row + v * V::lanes;
        // The next plane: see plane_band.
        unroll<S>([&](auto s)
                      FASTDW_INLINE_LAMBDA { __builtin_prefetch(from + t.plane_stride + s * V::lanes); });
        if (!live) return;  // zeros since the window began
        if constexpr (S == 1) {
          V::load_where(inside[v], from).store(to, All{});
        } else {
          const V a = V::load_where(inside[2 * v], from),
                  b = V::load_where(inside[2 * v + 1], from + V::lanes);
          even(a, b).store(to, All{});
          odd(a, b).store(to + Window::kPhase, All{});
        }
      };
      unroll<NV>(split);
      if (reaches_on) split(std::integral_constant<int, NV>{});
    }
    const ptrdiff_t lane = c % V::lanes;
    const float* const weights = block + lane;
    if (lane == V::lanes - 1) block += t.block_stride;
    V acc[TH][NV];
    unroll<TH>([&](auto i) FASTDW_INLINE_LAMBDA {
      unroll<NV>([&](auto v) FASTDW_INLINE_LAMBDA { acc[i][v] = V::set1(*weights); });
    });
    plane_window_sums<V, K, S>(window, weights, acc);
    // Else GCC moves the sums of a row behind the question whether it is live.
    unroll<TH>([&](auto i) FASTDW_INLINE_LAMBDA {
      unroll<NV>([&](auto v) FASTDW_INLINE_LAMBDA { keep_in_register(acc[i][v]); });
    });
    constexpr int last = (NV - 1) * V::lanes;
    const int n = static_cast<int>(columns) - last;
    unroll<TH>([&](auto i) FASTDW_INLINE_LAMBDA {
      if (i >= rows) return;
      float* const to = y + i * t.columns;
      unroll<NV - 1>(
          [&](auto v) FASTDW_INLINE_LAMBDA { min(hi, max(lo, acc[i][v])).store(to + v * V::lanes, All{}); });
      min(hi, max(lo, acc[i][NV - 1])).store(to + last, n);
    });
  }
}

template <class V, int K, int S>
void plane_dwconv_by_windows(const DwPlanes& t) {
  constexpr ptrdiff_t kRows = 8, kColumns = 2 * V::lanes;
  for (ptrdiff_t i = 0; i < t.rows; i += kRows) {
    const ptrdiff_t rows = t.rows - i < kRows ? t.rows - i : kRows, first_row = t.first_row + i * S;
    for (ptrdiff_t j = 0; j < t.columns; j += kColumns) {
      const ptrdiff_t columns = t.columns - j < kColumns ? t.columns - j : kColumns;
      const auto patch = [&](auto TH, auto NV) {
        plane_patch<V, K, S, TH, NV>(t, first_row, t.first_column + j * S, t.x + i * S * t.row_stride + j * S,
                                     t.y + i * t.columns + j, rows, columns);
      };
      constexpr std::integral_constant<int, 8> eight{};
      constexpr std::integral_constant<int, 4> four{};
      constexpr std::integral_constant<int, 2> two{};
      constexpr std::integral_constant<int, 1> one{};
      if (columns > V::lanes) {
        rows > 4 ? patch(eight, two) : patch(four, two);
      } else {
        rows > 4 ? patch(eight, one) : patch(four, one);
      }
    }
  }
}

// MC channels × NV vectors of pixels. Registers: MC·NV accumulators, NV inputs, one broadcast weight.
template <class V, int MC, int NV>
void plane_pwconv(const PwPlanes& t) {
  V acc[MC][NV];
  const float *w = t.panel, *x = t.x;
  unroll<MC>([&](auto c) FASTDW_INLINE_LAMBDA {
    const V bias = V::set1(w[c]);
    unroll<NV>([&](auto v) FASTDW_INLINE_LAMBDA { acc[c][v] = bias; });
  });
  const ptrdiff_t panel_channels = t.panel_channels, plane_stride = t.plane_stride;
  const ptrdiff_t ahead_lines = t.ahead_lines, ahead_plane_bytes = t.ahead_plane_bytes;
  const char* ahead = t.ahead;
  for (ptrdiff_t k = t.input_channels; k > 0; --k, x += plane_stride) {
    // Into L2, as in pixels.h.
    for (ptrdiff_t i = 0; i < ahead_lines; ++i) __builtin_prefetch(ahead + i * kLineBytes, 0, 2);
    ahead += ahead_plane_bytes;
    w += panel_channels;
    V xv[NV];
    unroll<NV>([&](auto v) FASTDW_INLINE_LAMBDA { xv[v] = V::load(x + v * V::lanes, All{}); });
    unroll<MC>([&](auto c) FASTDW_INLINE_LAMBDA {
      const V wv = V::set1(w[c]);
      unroll<NV>([&](auto v) FASTDW_INLINE_LAMBDA { acc[c][v] = fma(xv[v], wv, acc[c][v]); });
    });
  }
  const V lo = V::set1(t.lo), hi = V::set1(t.hi);
  const ptrdiff_t y_stride = t.y_plane_stride, residual_stride = t.residual_plane_stride;
  float* const y = t.y;
  const float* const residual = t.residual;
  const auto finish = [&](auto v, auto n) FASTDW_INLINE_LAMBDA {
    unroll<MC>([&](auto c) FASTDW_INLINE_LAMBDA {
      V value = acc[c][v];
      if (residual) value = add(value, V::load(residual + c * residual_stride + v * V::lanes, n));
      min(hi, max(lo, value)).store(y + c * y_stride + v * V::lanes, n);
    });
  };
  constexpr std::integral_constant<int, NV - 1> last{};
  unroll<last>([&](auto v) FASTDW_INLINE_LAMBDA { finish(v, All{}); });
  const ptrdiff_t left = t.pixels - last * V::lanes;
  if (left >= V::lanes) {
    finish(last, All{});
  } else {
    finish(last, static_cast<int>(left));
  }
}

template <class V, int NV, int... I>
constexpr void fill_plane_tiles(PlaneKernels& kernels, std::integer_sequence<int, I...>) {
  ((kernels.pointwise[NV - 1][I] = plane_pwconv<V, I + 1, NV>), ...);
}

// At stride 2 two rows are as many inputs as there are registers for.
template <class V>
constexpr PlaneKernels plane_kernels() {
  PlaneKernels kernels = {{{plane_dwconv<V, 1, 4>, plane_dwconv<V, 2, 2>},
                           {plane_dwconv_by_windows<V, 5, 1>, plane_dwconv_by_windows<V, 5, 2>}},
                          {}};
  constexpr std::make_integer_sequence<int, PlaneKernels::kChannels> channels{};
  fill_plane_tiles<V, 1>(kernels, channels);
  fill_plane_tiles<V, 2>(kernels, channels);
  fill_plane_tiles<V, 3>(kernels, channels);
  return kernels;
}

}  // namespace
}  // namespace fastdw
