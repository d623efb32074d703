// Depthwise convolution on NEON: a band of one, two or four output rows, swept from left to right. The sums
// of all output columns that an input column reaches are under way at once, so it is loaded once, and where
// four outputs are complete the transposing store makes a group of them.
//
// Counted with bench/count_neon, instructions for each multiply-add of a whole block, against the common tile
// and a pass that packs its outputs: 56×56×144 → 24 has 0.59 fewer. Three columns of four outputs of a 3×3 at
// stride 1 take 174 instructions, 108 of them multiply-adds, and no stack.
#pragma once
#include "kernels/pointwise/quads_neon.h"

namespace fastdw {
namespace neon {
namespace {

// As in pointwise/quads_neon.h: plain GCC takes 15 instructions more for three columns.
FASTDW_BEGIN_UNSCHEDULED

// The weights of a vector of channels: a 3×3's in registers, a larger kernel's in memory, where it finds them
// in L1.
template <int K>
class Taps {
 public:
  explicit Taps(const float* weights) : weights_(weights) {}
  template <int I>
  FASTDW_INLINE Vec at() const {
    return Vec::load(weights_ + I * Vec::lanes, All{});
  }
  // Else GCC would load all before the loop, and copy them to the stack.
  FASTDW_INLINE void forget() { weights_ = opaque_to_gcc(weights_); }

 private:
  const float* weights_;
};

template <>
class Taps<3> {
 public:
  explicit Taps(const float* weights) {
    unroll<9>([&](auto i) FASTDW_INLINE_LAMBDA { w_[i] = Vec::load(weights + i * Vec::lanes, All{}); });
  }
  template <int I>
  FASTDW_INLINE Vec at() const {
    return w_[I];
  }
  FASTDW_INLINE void forget() {}

 private:
  Vec w_[9];
};

// Input column kColumn, counted from the first that the outputs of sums[kSlot] need, meets the first taps of
// some outputs: starts their sums.
//
// These two are functions, and no lambdas within lambdas, for the sake of GCC: it would keep the sums in
// memory.
template <int K, int S, int kSlot, int kColumn, int kSums, int TH>
FASTDW_INLINE void start_sums(Vec (&sums)[kSums][TH], Vec bias) {
  if constexpr (kColumn % S == 0 && kColumn / S < kSums) {
    unroll<TH>([&](auto i) FASTDW_INLINE_LAMBDA { sums[(kSlot + kColumn / S) % kSums][i] = bias; });
  }
}

// Adds it to the outputs s columns after those.
template <int K, int S, int kSlot, int kColumn, int s, int kSums, int TH, int kInputRows>
FASTDW_INLINE void add_taps(Vec (&sums)[kSums][TH], const Vec (&v)[kInputRows], const Taps<K>& taps) {
  constexpr int dj = kColumn - s * S, at = (kSlot + s) % kSums;
  if constexpr (dj >= 0 && dj < K) {
    // Two at a time: one instruction loads them, if they have to be.
    unroll<(K + 1) / 2>([&](auto pair) FASTDW_INLINE_LAMBDA {
      constexpr int first = 2 * decltype(pair)::value, count = first + 1 < K ? 2 : 1;
      Vec w[count];
      unroll<count>([&](auto k) FASTDW_INLINE_LAMBDA { w[k] = taps.template at<dj * K + first + k>(); });
      unroll<count>([&](auto k) FASTDW_INLINE_LAMBDA {
        unroll<TH>([&](auto i)
                       FASTDW_INLINE_LAMBDA { sums[at][i] = fma(v[i * S + first + k], w[k], sums[at][i]); });
      });
    });
  }
}

// Which input rows may lie outside the image: none; the first and the last, K/2 of each; any.
enum class Outside { kNone, kEdges, kAny };

// K×K taps at stride S, TH output rows. Registers: TH·⌈K/S⌉ sums, a column of inputs, the weights of a 3×3 or
// two of a larger kernel's.
// For channels from `first` on: whole vectors up to `last`, or the n that are left.
template <int K, int S, int TH, bool kGrouped, Outside kOutside, class N>
void dwconv_sweep(const DwBand& t, ptrdiff_t first, ptrdiff_t last, N n) {
  constexpr int kInputRows = (TH - 1) * S + K;
  constexpr int kSums = (K + S - 1) / S;  // columns of outputs under way
  constexpr int kGroupColumns = kGrouped ? kGroup / TH : 1;
  constexpr int kSteps = kSums % kGroupColumns == 0 ? kSums : kSums * kGroupColumns;
  // In registers, since a store might change what t refers to for all the compiler knows.
  const uint32_t live_input_rows = t.live_input_rows;
  const ptrdiff_t column_stride = t.column_stride, columns = t.columns;
  const ptrdiff_t y_row_stride = t.y_row_stride, y_step = kGrouped ? t.y_quad_stride : t.y_column_stride;
  ptrdiff_t rows[kInputRows];
  unroll<kInputRows>([&](auto row) FASTDW_INLINE_LAMBDA { rows[row] = row * t.row_stride; });
  // In place of a row outside, its neighbour is loaded and erased: 187 instructions instead of 174 for three
  // columns of four outputs, where a branch for each row makes it 219.
  constexpr int kEdge = K / 2;
  [[maybe_unused]] Vec first_masks[kEdge], last_masks[kEdge];
  if constexpr (kOutside == Outside::kEdges) {
    unroll<kEdge>([&](auto i) FASTDW_INLINE_LAMBDA {
      constexpr int first = kEdge - 1 - i, last = kInputRows - kEdge + i;
      const bool first_inside = live_input_rows >> first & 1, last_inside = live_input_rows >> last & 1;
      if (!first_inside) rows[first] = rows[first + 1];
      if (!last_inside) rows[last] = rows[last - 1];
      first_masks[first] = Vec::all_bits(first_inside);
      last_masks[i] = Vec::all_bits(last_inside);
    });
  }

  // Input columns [begin, end) of the sweep lie in the image, and all that the first `safe` outputs need.
  const ptrdiff_t begin = -t.first_column, end = t.width - t.first_column;
  const ptrdiff_t inside = begin <= K - S && end >= K ? (end - K) / S + 1 : 0;
  const ptrdiff_t safe = inside < columns ? inside : columns;

  const float* weights = t.weights + first / Vec::lanes * t.block_stride;
  for (ptrdiff_t c = first; c < last; c += Vec::lanes, weights += t.block_stride) {
    const float* x = t.x + c;
    float* y = t.y + (kGrouped ? kGroup * c : c);
    Taps<K> w(weights);
    const Vec bias = Vec::load(weights + t.bias_offset, All{});
    const Vec lo = Vec::set1(t.lo), hi = Vec::set1(t.hi);
    Vec sums[kSums][TH];
    [[maybe_unused]] Vec group[kGroup];
    unroll<kSums>([&](auto s) FASTDW_INLINE_LAMBDA {
      unroll<TH>([&](auto i) FASTDW_INLINE_LAMBDA { sums[s][i] = bias; });
    });
    Vec v[kInputRows];
    const auto load_column = [&]() FASTDW_INLINE_LAMBDA {
      unroll<kInputRows>([&](auto row) FASTDW_INLINE_LAMBDA {
        if (kOutside == Outside::kAny && !(live_input_rows >> row & 1)) {
          v[row] = Vec::set1(0.0f);
        } else {
          v[row] = Vec::load(x + rows[row], n);
        }
      });
      if constexpr (kOutside == Outside::kEdges) {
        unroll<kEdge>([&](auto i) FASTDW_INLINE_LAMBDA {
          v[i] = and_bits(v[i], first_masks[i]);
          v[kInputRows - kEdge + i] = and_bits(v[kInputRows - kEdge + i], last_masks[i]);
        });
      }
      w.forget();
    };

    // The careful step, which looks at each column. It is small: the columns of sums move instead of their
    // names.
    ptrdiff_t at = 0;
    const auto add_live_column = [&](auto column) FASTDW_INLINE_LAMBDA {
      start_sums<K, S, 0, decltype(column)::value>(sums, bias);
      if (at >= begin && at < end) {
        load_column();
        unroll<kSums>([&](auto s) FASTDW_INLINE_LAMBDA {
          add_taps<K, S, 0, decltype(column)::value, decltype(s)::value>(sums, v, w);
        });
      }
      x += column_stride;
      ++at;
    };
    unroll<K - S>([&](auto column) FASTDW_INLINE_LAMBDA { add_live_column(column); });

    ptrdiff_t j = 0;
    if constexpr (kOutside != Outside::kAny) {
      j = safe / kSteps * kSteps;
      at += j * S;
      for (ptrdiff_t left = safe / kSteps; left > 0; --left) {
        unroll<kSteps>([&](auto step) FASTDW_INLINE_LAMBDA {
          constexpr int kStep = decltype(step)::value, slot = kStep % kSums;
          unroll<S>([&](auto column) FASTDW_INLINE_LAMBDA {
            constexpr int kColumn = K - S + decltype(column)::value;
            load_column();
            x += column_stride;
            add_taps<K, S, slot, kColumn, 0>(sums, v, w);
            // Complete outputs leave before new ones begin, which take their registers.
            if constexpr (kColumn == K - 1) {
              unroll<TH>([&](auto i) FASTDW_INLINE_LAMBDA {
                const Vec sum = min(hi, max(lo, sums[slot][i]));
                if constexpr (kGrouped) {
                  group[(kStep * TH + i) % kGroup] = sum;
                } else {
                  sum.store(y + i * y_row_stride, n);
                }
              });
              if constexpr (!kGrouped) {
                y += y_step;
              } else if constexpr ((kStep + 1) % kGroupColumns == 0) {
                y = store_transposed(y, y_step, group[0], group[1], group[2], group[3]);
              }
            }
            start_sums<K, S, slot, kColumn>(sums, bias);
            unroll<kSums - 1>([&](auto s) FASTDW_INLINE_LAMBDA {
              add_taps<K, S, slot, kColumn, decltype(s)::value + 1>(sums, v, w);
            });
          });
        });
      }
    }
    if constexpr (kGrouped) unroll<kGroup>([&](auto i) FASTDW_INLINE_LAMBDA { group[i] = bias; });
    while (j < columns) {
      unroll<S>([&](auto column) FASTDW_INLINE_LAMBDA {
        add_live_column(std::integral_constant<int, K - S + decltype(column)::value>{});
      });
      ++j;
      unroll<TH>([&](auto i) FASTDW_INLINE_LAMBDA {
        const Vec sum = min(hi, max(lo, sums[0][i]));
        if constexpr (kGrouped) {
          sums[0][i] = sum;
        } else {
          sum.store(y + i * y_row_stride, n);
        }
      });
      if constexpr (kGrouped) {
        unroll<kGroup>([&](auto i) FASTDW_INLINE_LAMBDA {
          if constexpr (i + TH < kGroup) {
            group[i] = group[i + TH];
          } else {
            group[i] = sums[0][i + TH - kGroup];
          }
        });
        if (j % kGroupColumns == 0) y = store_transposed(y, y_step, group[0], group[1], group[2], group[3]);
      } else {
        y += y_step;
      }
      unroll<kSums - 1>([&](auto s) FASTDW_INLINE_LAMBDA {
        unroll<TH>([&](auto i) FASTDW_INLINE_LAMBDA { sums[s][i] = sums[s + 1][i]; });
      });
    }
    if constexpr (kGrouped) {
      // The last group's columns move to its front.
      for (; j % kGroupColumns != 0; ++j) {
        unroll<kGroup - TH>([&](auto i) FASTDW_INLINE_LAMBDA { group[i] = group[i + TH]; });
        if ((j + 1) % kGroupColumns == 0) store_transposed(y, y_step, group[0], group[1], group[2], group[3]);
      }
    }
  }
}

template <int K, int S, int TH, bool kGrouped>
void dwconv_rows(const DwBand& t) {
  const ptrdiff_t whole = t.channels / Vec::lanes * Vec::lanes;
  constexpr uint32_t kRows = (1u << ((TH - 1) * S + K)) - 1, kFirst = (1u << K / 2) - 1;
  constexpr uint32_t kEdgeRows = (kRows & ~(kRows >> K / 2)) | kFirst;
  if (t.live_input_rows == kRows) {
    dwconv_sweep<K, S, TH, kGrouped, Outside::kNone>(t, 0, whole, All{});
  } else if ((t.live_input_rows | kEdgeRows) == kRows) {
    dwconv_sweep<K, S, TH, kGrouped, Outside::kEdges>(t, 0, whole, All{});
  } else {
    dwconv_sweep<K, S, TH, kGrouped, Outside::kAny>(t, 0, whole, All{});
  }
  if (whole < t.channels) {
    const int left = static_cast<int>(t.channels - whole);
    dwconv_sweep<K, S, TH, kGrouped, Outside::kAny>(t, whole, t.channels, left);
  }
}

template <int K, int S>
void dwconv_band(const DwBand& t) {
  const auto sweep = [&](auto grouped) {
    constexpr bool kGrouped = decltype(grouped)::value;
    if (t.rows == 1) return dwconv_rows<K, S, 1, kGrouped>(t);
    if (t.rows == 2) return dwconv_rows<K, S, 2, kGrouped>(t);
    dwconv_rows<K, S, 4, kGrouped>(t);
  };
  t.y_quad_stride ? sweep(std::true_type{}) : sweep(std::false_type{});
  transposed_stored();
}

FASTDW_END_UNSCHEDULED

}  // namespace
}  // namespace neon
}  // namespace fastdw
