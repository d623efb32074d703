// Resizing by mixing neighbours: contract in kernels/network_contract.h.
#pragma once
#include "kernels/network_contract.h"
#include "simd/vec.h"

namespace fastdw {
namespace {

template <class V>
FASTDW_INLINE V mixed(V a, V b, V w) {
  return fma(sub(b, a), w, a);
}

template <class V>
void apply_bilinear(const BilinearRow& r) {
  const V row_weight = V::set1(r.row_weight);
  for (ptrdiff_t j = 0; j < r.pixels; ++j) {
    const ptrdiff_t low = r.low[j] * r.x_stride, high = r.high[j] * r.x_stride;
    const V weight = V::set1(r.weight[j]);
    float* y = r.y + j * r.y_stride;
    for_vectors<V>(r.channels, [&](ptrdiff_t c, auto n) FASTDW_INLINE_LAMBDA {
      const V top = mixed(V::load(r.top + low + c, n), V::load(r.top + high + c, n), weight);
      const V bottom = mixed(V::load(r.bottom + low + c, n), V::load(r.bottom + high + c, n), weight);
      mixed(top, bottom, row_weight).store(y + c, n);
    });
  }
}

}  // namespace
}  // namespace fastdw
