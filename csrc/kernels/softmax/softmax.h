// Shares of 1: contract in kernels/network_contract.h.
#pragma once
#include "kernels/curves/curves.h"
#include "kernels/network_contract.h"
#include "simd/vec.h"

namespace fastdw {
namespace {

// Number by number, as the sum has to be: rows are short.
inline float greatest(const float* x, ptrdiff_t channels) {
  float top = x[0];
  for (ptrdiff_t c = 1; c < channels; ++c) {
    if (x[c] > top || x[c] != x[c]) top = x[c];  // a NaN stays: nothing is greater
  }
  return top;
}

template <class V>
void apply_softmax(const SoftmaxRow& r) {
  const V beta = V::set1(r.beta), lowest = V::set1(-104.0f);
  for (ptrdiff_t i = 0; i < r.pixels; ++i) {
    const float* x = r.x + i * r.x_stride;
    float* y = r.y + i * r.y_stride;
    const V top = V::set1(greatest(x, r.channels));
    for_vectors<V>(r.channels, [&](ptrdiff_t c, auto n) FASTDW_INLINE_LAMBDA {
      exp_bounded(max(lowest, mul(beta, sub(V::load(x + c, n), top)))).store(y + c, n);
    });
    float total = 0.0f;
    for (ptrdiff_t c = 0; c < r.channels; ++c) total += y[c];
    const V sum = V::set1(total);
    for_vectors<V>(r.channels, [&](ptrdiff_t c, auto n)
                                   FASTDW_INLINE_LAMBDA { div(V::load(y + c, n), sum).store(y + c, n); });
  }
}

}  // namespace
}  // namespace fastdw
