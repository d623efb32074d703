// Each pixel with mean 0 and variance 1: contract in kernels/network_contract.h.
#pragma once
#include "kernels/network_contract.h"
#include "simd/vec.h"

namespace fastdw {
namespace {

constexpr int kSums = 16;

// Σ f(channel, n), which has zeros beyond its n channels.
template <class V, class F>
FASTDW_INLINE float sum_of_sixteenths(ptrdiff_t channels, const F& f) {
  constexpr int kVectors = kSums / V::lanes;
  V acc[kVectors];
  unroll<kVectors>([&](auto k) FASTDW_INLINE_LAMBDA { acc[k] = V::set1(0.0f); });
  ptrdiff_t c = 0;
  for (; c + kSums <= channels; c += kSums) {
    unroll<kVectors>([&](auto k) FASTDW_INLINE_LAMBDA { acc[k] = add(f(c + k * V::lanes, All{}), acc[k]); });
  }
  unroll<kVectors>([&](auto k) FASTDW_INLINE_LAMBDA {
    const ptrdiff_t left = channels - c - k * V::lanes;
    if (left > 0) {
      const int n = left < V::lanes ? static_cast<int>(left) : V::lanes;
      acc[k] = add(f(c + k * V::lanes, n), acc[k]);
    }
  });
  float sums[kSums];
  unroll<kVectors>([&](auto k) FASTDW_INLINE_LAMBDA { acc[k].store(sums + k * V::lanes, All{}); });
  float total = 0.0f;
  for (const float sum : sums) total += sum;
  return total;
}

// The differences from the mean wait in y: so lanes beyond the channels stay zeros.
template <class V>
void apply_normalize(const NormalizeRow& r) {
  const auto count = static_cast<float>(r.channels);
  for (ptrdiff_t i = 0; i < r.pixels; ++i) {
    const float* x = r.x + i * r.x_stride;
    float* y = r.y + i * r.y_stride;
    const float total = sum_of_sixteenths<V>(
        r.channels, [&](ptrdiff_t c, auto n) FASTDW_INLINE_LAMBDA { return V::load(x + c, n); });
    const V mean = V::set1(total / count);
    for_vectors<V>(r.channels, [&](ptrdiff_t c, auto n)
                                   FASTDW_INLINE_LAMBDA { sub(V::load(x + c, n), mean).store(y + c, n); });
    const float squares = sum_of_sixteenths<V>(r.channels, [&](ptrdiff_t c, auto n) FASTDW_INLINE_LAMBDA {
      const V d = V::load(y + c, n);
      return mul(d, d);
    });
    const V deviation = sqrt(V::set1(squares / count + r.epsilon));
    for_vectors<V>(r.channels, [&](ptrdiff_t c, auto n) FASTDW_INLINE_LAMBDA {
      const V unit = div(V::load(y + c, n), deviation);
      fma(unit, V::load(r.scale + c, n), V::load(r.offset + c, n)).store(y + c, n);
    });
  }
}

}  // namespace
}  // namespace fastdw
