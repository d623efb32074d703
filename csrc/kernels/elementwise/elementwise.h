// Sums, products, affine maps, bytes and halves as floats: contracts in kernels/network_contract.h.
#pragma once
#include "kernels/network_contract.h"
#include "simd/vec.h"

namespace fastdw {
namespace {

template <class V, class F>
FASTDW_INLINE void for_pairs(const PairRow& r, const F& f) {
  for (ptrdiff_t i = 0; i < r.pixels; ++i) {
    const float *a = r.a + i * r.a_stride, *b = r.b + i * r.b_stride;
    float* y = r.y + i * r.y_stride;
    for_vectors_together<V, 4>(r.channels, [&](ptrdiff_t c, auto n, auto count) FASTDW_INLINE_LAMBDA {
      V v[count];
      unroll<count>([&](auto k) FASTDW_INLINE_LAMBDA {
        v[k] = f(V::load(a + c + k * V::lanes, n), V::load(b + c + k * V::lanes, n));
      });
      unroll<count>([&](auto k) FASTDW_INLINE_LAMBDA { v[k].store(y + c + k * V::lanes, n); });
    });
  }
}

template <class V>
void apply_add(const PairRow& r) {
  for_pairs<V>(r, [](V a, V b) FASTDW_INLINE_LAMBDA { return add(a, b); });
}

template <class V>
void apply_multiply(const PairRow& r) {
  for_pairs<V>(r, [](V a, V b) FASTDW_INLINE_LAMBDA { return mul(a, b); });
}

template <class V>
void apply_divide(const PairRow& r) {
  for_pairs<V>(r, [](V a, V b) FASTDW_INLINE_LAMBDA { return div(a, b); });
}

template <class V>
void apply_maximum(const PairRow& r) {
  for_pairs<V>(r, [](V a, V b) FASTDW_INLINE_LAMBDA { return max_or_nan(a, b); });
}

template <class V>
void apply_minimum(const PairRow& r) {
  const V minus = V::set1(-1.0f);
  for_pairs<V>(
      r, [&](V a, V b) FASTDW_INLINE_LAMBDA { return mul(minus, max_or_nan(mul(minus, a), mul(minus, b))); });
}

template <class V>
void apply_affine(const AffineRow& r) {
  for (ptrdiff_t i = 0; i < r.pixels; ++i) {
    const float* x = r.x + i * r.x_stride;
    float* y = r.y + i * r.y_stride;
    for_vectors_together<V, 4>(r.channels, [&](ptrdiff_t c, auto n, auto count) FASTDW_INLINE_LAMBDA {
      V v[count];
      unroll<count>([&](auto k) FASTDW_INLINE_LAMBDA {
        const ptrdiff_t at = c + k * V::lanes;
        v[k] = fma(V::load(x + at, n), V::load(r.scale + at, n), V::load(r.offset + at, n));
      });
      unroll<count>([&](auto k) FASTDW_INLINE_LAMBDA { v[k].store(y + c + k * V::lanes, n); });
    });
  }
}

// The compiler's own vectors serve: there is nothing to round.
template <class V>
void apply_from_bytes(const BytesRow& r) {
  const uint8_t* x = r.x;
  float* y = r.y;
  for (ptrdiff_t i = 0; i < r.count; ++i) y[i] = static_cast<float>(x[i]);
}

template <class V>
void apply_from_halves(const FromHalves& r) {
  for_vectors<V>(
      r.count, [&](ptrdiff_t i, auto n) FASTDW_INLINE_LAMBDA { V::load_half(r.x + i, n).store(r.y + i, n); });
}

template <class V>
void apply_to_halves(const ToHalves& r) {
  for_vectors<V>(
      r.count, [&](ptrdiff_t i, auto n) FASTDW_INLINE_LAMBDA { V::load(r.x + i, n).store_half(r.y + i, n); });
}

}  // namespace
}  // namespace fastdw
