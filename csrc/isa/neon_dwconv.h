// Depthwise convolution on NEON: a band of one, two or four output rows, swept from left to right. The sums
// of all output columns that an input column reaches are under way at once, so it is loaded once, and where
// four outputs are complete the transposing store makes a group of them.
//
// Counted with bench/count_neon, instructions for each multiply-add of a whole block, against the common tile
// and a pass that packs its outputs: 112×112×32 → 64 has 1.61 instead of 1.88, 56×56×144 → 24 has 1.41
// instead of 2.00.
#pragma once
#include "neon_pwconv.h"

namespace fastdw {
namespace neon {
namespace {

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC push_options
#pragma GCC optimize("no-schedule-insns", "live-range-shrinkage")
#endif

// K×K taps at stride S, TH output rows. Registers: TH·⌈K/S⌉ sums, a column of inputs, the weights of a 3×3.
// For channels from `first` on: whole vectors up to `last`, or the n that are left. kRowsInside: no input row
// lies outside the image.
template <int K, int S, int TH, bool kGrouped, bool kRowsInside, class N>
void dwconv_sweep(const DwTile& t, ptrdiff_t first, ptrdiff_t last, N n) {
  constexpr int kInputRows = (TH - 1) * S + K;
  constexpr int kSums = (K + S - 1) / S;  // columns of outputs under way
  constexpr int kGroupColumns = kGrouped ? kGroup / TH : 1;
  constexpr int kSteps = kSums % kGroupColumns == 0 ? kSums : kSums * kGroupColumns;
  // In registers, since a store might change what t refers to for all the compiler knows.
  const uint32_t live_input_rows = t.live_input_rows;
  const ptrdiff_t column_stride = t.column_stride, columns = t.columns;
  const ptrdiff_t y_row_stride = t.y_row_stride, y_step = kGrouped ? t.y_group_stride : t.y_column_stride;
  ptrdiff_t rows[kInputRows];
  unroll<kInputRows>([&](auto row) FASTDW_INLINE_LAMBDA { rows[row] = row * t.row_stride; });

  // Input columns [begin, end) of the sweep lie in the image, and all that the first `safe` outputs need.
  const ptrdiff_t begin = -t.first_column, end = t.width - t.first_column;
  const ptrdiff_t inside = begin <= K - S && end >= K ? (end - K) / S + 1 : 0;
  const ptrdiff_t safe = inside < columns ? inside : columns;

  const float* weights = t.weights + first / Vec::lanes * t.block_stride;
  for (ptrdiff_t c = first; c < last; c += Vec::lanes, weights += t.block_stride) {
    const float* x = t.x + c;
    float* y = t.y + (kGrouped ? kGroup * c : c);
    Vec w[K * K];
    unroll<K * K>([&](auto tap)
                      FASTDW_INLINE_LAMBDA { w[tap] = Vec::load(weights + tap * Vec::lanes, All{}); });
    const Vec bias = Vec::load(weights + t.bias_offset, All{});
    const Vec lo = Vec::set1(t.lo), hi = Vec::set1(t.hi);
    Vec sums[kSums][TH];
    [[maybe_unused]] Vec group[kGroup];
    unroll<kSums>([&](auto s) FASTDW_INLINE_LAMBDA {
      unroll<TH>([&](auto i) FASTDW_INLINE_LAMBDA { sums[s][i] = bias; });
    });

    // Adds the input column at x, which is `column` columns to the right of the first one that the outputs of
    // sums[slot] need.
    const auto add_column = [&](auto slot, auto column) FASTDW_INLINE_LAMBDA {
      constexpr int kSlot = decltype(slot)::value, kColumn = decltype(column)::value;
      Vec v[kInputRows];
      unroll<kInputRows>([&](auto row) FASTDW_INLINE_LAMBDA {
        if (!kRowsInside && !(live_input_rows >> row & 1)) {
          v[row] = Vec::set1(0.0f);
        } else {
          v[row] = Vec::load(x + rows[row], n);
        }
      });
      x += column_stride;
      unroll<kSums>([&](auto s) FASTDW_INLINE_LAMBDA {
        constexpr int dj = kColumn - decltype(s)::value * S, at = (kSlot + decltype(s)::value) % kSums;
        if constexpr (dj >= 0 && dj < K) {
          unroll<K>([&](auto di) FASTDW_INLINE_LAMBDA {
            unroll<TH>([&](auto i) FASTDW_INLINE_LAMBDA {
              sums[at][i] = fma(v[i * S + di], w[dj * K + di], sums[at][i]);
            });
          });
        }
      });
    };
    const auto clamped = [&](Vec v) FASTDW_INLINE_LAMBDA { return min(hi, max(lo, v)); };
    const auto store_group = [&]() FASTDW_INLINE_LAMBDA {
      store_transposed(y, group[0], group[1], group[2], group[3]);
      y += y_step;
    };
    const auto store_column = [&](const Vec(&column)[TH]) FASTDW_INLINE_LAMBDA {
      unroll<TH>([&](auto i) FASTDW_INLINE_LAMBDA { column[i].store(y + i * y_row_stride, n); });
      y += y_step;
    };

    // The careful step, which looks at each column. It is small: the columns of sums move instead of their
    // names.
    ptrdiff_t at = 0;
    const auto add_live_column = [&](auto column) FASTDW_INLINE_LAMBDA {
      if (at >= begin && at < end) {
        add_column(std::integral_constant<int, 0>{}, column);
      } else {
        x += column_stride;
      }
      ++at;
    };
    unroll<K - S>([&](auto column) FASTDW_INLINE_LAMBDA { add_live_column(column); });

    ptrdiff_t j = 0;
    if constexpr (std::is_same_v<N, All>) {
      for (; j + kSteps <= safe; j += kSteps) {
        unroll<kSteps>([&](auto step) FASTDW_INLINE_LAMBDA {
          constexpr int kStep = decltype(step)::value, slot = kStep % kSums;
          unroll<S>([&](auto column) FASTDW_INLINE_LAMBDA {
            add_column(step, std::integral_constant<int, K - S + decltype(column)::value>{});
          });
          unroll<TH>([&](auto i) FASTDW_INLINE_LAMBDA {
            sums[slot][i] = clamped(sums[slot][i]);
            if constexpr (kGrouped) group[(kStep * TH + i) % kGroup] = sums[slot][i];
          });
          if constexpr (!kGrouped) {
            store_column(sums[slot]);
          } else if constexpr ((kStep + 1) % kGroupColumns == 0) {
            store_group();
          }
          unroll<TH>([&](auto i) FASTDW_INLINE_LAMBDA { sums[slot][i] = bias; });
        });
      }
    }
    at += j * S;
    if constexpr (kGrouped) unroll<kGroup>([&](auto i) FASTDW_INLINE_LAMBDA { group[i] = bias; });
    while (j < columns) {
      unroll<S>([&](auto column) FASTDW_INLINE_LAMBDA {
        add_live_column(std::integral_constant<int, K - S + decltype(column)::value>{});
      });
      unroll<TH>([&](auto i) FASTDW_INLINE_LAMBDA { sums[0][i] = clamped(sums[0][i]); });
      ++j;
      if constexpr (kGrouped) {
        unroll<kGroup>([&](auto i) FASTDW_INLINE_LAMBDA {
          if constexpr (i + TH < kGroup) {
            group[i] = group[i + TH];
          } else {
            group[i] = sums[0][i + TH - kGroup];
          }
        });
        if (j % kGroupColumns == 0) store_group();
      } else {
        store_column(sums[0]);
      }
      unroll<kSums>([&](auto s) FASTDW_INLINE_LAMBDA {
        unroll<TH>([&](auto i) FASTDW_INLINE_LAMBDA {
          if constexpr (s + 1 < kSums) {
            sums[s][i] = sums[s + 1][i];
          } else {
            sums[s][i] = bias;
          }
        });
      });
    }
    if constexpr (kGroupColumns > 1) {
      // The last group is short of columns: those that are there move to its front.
      for (; j % kGroupColumns != 0; ++j) {
        unroll<kGroup - TH>([&](auto i) FASTDW_INLINE_LAMBDA { group[i] = group[i + TH]; });
        if ((j + 1) % kGroupColumns == 0) store_group();
      }
    }
  }
}

template <int K, int S, int TH, bool kGrouped>
void dwconv_rows(const DwTile& t) {
  const ptrdiff_t whole = t.channels / Vec::lanes * Vec::lanes;
  if (t.live_input_rows == (1u << ((TH - 1) * S + K)) - 1) {
    dwconv_sweep<K, S, TH, kGrouped, true>(t, 0, whole, All{});
  } else {
    dwconv_sweep<K, S, TH, kGrouped, false>(t, 0, whole, All{});
  }
  dwconv_sweep<K, S, TH, kGrouped, false>(t, whole, t.channels, static_cast<int>(t.channels - whole));
}

template <int K, int S>
void dwconv_band(const DwTile& t) {
  const auto sweep = [&](auto grouped) {
    constexpr bool kGrouped = decltype(grouped)::value;
    if (t.rows == 1) return dwconv_rows<K, S, 1, kGrouped>(t);
    if (t.rows == 2) return dwconv_rows<K, S, 2, kGrouped>(t);
    dwconv_rows<K, S, 4, kGrouped>(t);
  };
  t.y_group_stride ? sweep(std::true_type{}) : sweep(std::false_type{});
}

#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC pop_options
#endif

}  // namespace
}  // namespace neon
}  // namespace fastdw
