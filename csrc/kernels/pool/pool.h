// Maxima and averages of windows and of whole images: contracts in kernels/network_contract.h.
#pragma once
#include "kernels/network_contract.h"
#include "simd/vec.h"

namespace fastdw {
namespace {

template <class V, class Combine, class Finish>
FASTDW_INLINE void pool_row(const PoolRow& r, float start, const Combine& combine, const Finish& finish) {
  for (ptrdiff_t i = 0; i < r.pixels; ++i) {
    const float* first = r.x + i * r.x_stride;
    float* y = r.y + i * r.y_stride;
    for_vectors<V>(r.channels, [&](ptrdiff_t c, auto n) FASTDW_INLINE_LAMBDA {
      V acc = V::set1(start);
      for (ptrdiff_t row = 0; row < r.rows; ++row) {
        const float* cell = first + row * r.row_stride + c;
        for (ptrdiff_t column = r.columns; column > 0; --column, cell += r.column_stride) {
          acc = combine(V::load(cell, n), acc);
        }
      }
      finish(acc).store(y + c, n);
    });
  }
}

template <class V>
void apply_max_pool(const PoolRow& r) {
  pool_row<V>(
      r, r.start, [](V x, V acc) FASTDW_INLINE_LAMBDA { return max_or_nan(x, acc); },
      [](V acc) FASTDW_INLINE_LAMBDA { return acc; });
}

template <class V>
void apply_average_pool(const PoolRow& r) {
  const V count = V::set1(r.count);
  pool_row<V>(
      r, 0.0f, [](V x, V acc) FASTDW_INLINE_LAMBDA { return add(x, acc); },
      [&](V acc) FASTDW_INLINE_LAMBDA { return div(acc, count); });
}

// Four rows side by side: four chains of sums under way, in the order that the contract names.
template <class V, class Combine, class Finish>
FASTDW_INLINE void pool_image(const GlobalPool& p, float start, const Combine& combine,
                              const Finish& finish) {
  constexpr int kRows = 4;
  for_vectors<V>(p.channels, [&](ptrdiff_t c, auto n) FASTDW_INLINE_LAMBDA {
    V total = V::set1(start);
    const auto rows = [&](ptrdiff_t row, auto count) FASTDW_INLINE_LAMBDA {
      V acc[count];
      unroll<count>([&](auto i) FASTDW_INLINE_LAMBDA { acc[i] = V::set1(start); });
      const float* cell = p.x + row * p.row_stride + c;
      for (ptrdiff_t column = p.columns; column > 0; --column, cell += p.column_stride) {
        unroll<count>([&](auto i) FASTDW_INLINE_LAMBDA {
          acc[i] = combine(V::load(cell + i * p.row_stride, n), acc[i]);
        });
      }
      unroll<count>([&](auto i) FASTDW_INLINE_LAMBDA { total = combine(acc[i], total); });
    };
    ptrdiff_t row = 0;
    for (; row + kRows <= p.rows; row += kRows) rows(row, std::integral_constant<int, kRows>{});
    for (; row < p.rows; ++row) rows(row, std::integral_constant<int, 1>{});
    finish(total).store(p.y + c, n);
  });
}

template <class V>
void apply_global_max(const GlobalPool& p) {
  pool_image<V>(
      p, -__builtin_inff(), [](V x, V acc) FASTDW_INLINE_LAMBDA { return max_or_nan(x, acc); },
      [](V total) FASTDW_INLINE_LAMBDA { return total; });
}

template <class V>
void apply_global_average(const GlobalPool& p) {
  const V count = V::set1(p.count);
  pool_image<V>(
      p, 0.0f, [](V x, V acc) FASTDW_INLINE_LAMBDA { return add(x, acc); },
      [&](V total) FASTDW_INLINE_LAMBDA { return div(total, count); });
}

template <class V>
void apply_row_sums(const RowSums& p) {
  constexpr int kRows = 4;
  for_vectors<V>(p.channels, [&](ptrdiff_t c, auto n) FASTDW_INLINE_LAMBDA {
    const auto rows = [&](ptrdiff_t row, auto count) FASTDW_INLINE_LAMBDA {
      V acc[count];
      unroll<count>([&](auto i) FASTDW_INLINE_LAMBDA { acc[i] = V::set1(0.0f); });
      const float* cell = p.x + row * p.row_stride + c;
      for (ptrdiff_t column = p.columns; column > 0; --column, cell += p.column_stride) {
        unroll<count>(
            [&](auto i) FASTDW_INLINE_LAMBDA { acc[i] = add(V::load(cell + i * p.row_stride, n), acc[i]); });
      }
      unroll<count>([&](auto i) FASTDW_INLINE_LAMBDA { acc[i].store(p.y + (row + i) * p.y_stride + c, n); });
    };
    ptrdiff_t row = 0;
    for (; row + kRows <= p.rows; row += kRows) rows(row, std::integral_constant<int, kRows>{});
    for (; row < p.rows; ++row) rows(row, std::integral_constant<int, 1>{});
  });
}

}  // namespace
}  // namespace fastdw
