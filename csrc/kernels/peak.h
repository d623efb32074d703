// Nothing but FMAs, for the benchmark: the machine's limit in the very instructions that the kernels use.
#pragma once
#include "simd/vec.h"

namespace fastdw {
namespace {

// Twelve independent chains: enough for two FMAs a cycle of latency 4, and they fit the 16 registers of AVX2.
constexpr int kFmaChains = 12;

template <class V>
void fma_loop(std::ptrdiff_t iterations, float* y) {
  V acc[kFmaChains];
  unroll<kFmaChains>([&](auto i) FASTDW_INLINE_LAMBDA { acc[i] = V::load(y + i * V::lanes, All{}); });
  const V a = V::set1(0.999f), b = V::set1(0.001f);
  for (std::ptrdiff_t n = 0; n < iterations; ++n) {
    unroll<kFmaChains>([&](auto i) FASTDW_INLINE_LAMBDA { acc[i] = fma(acc[i], a, b); });
  }
  unroll<kFmaChains>([&](auto i) FASTDW_INLINE_LAMBDA { acc[i].store(y + i * V::lanes, All{}); });
}

}  // namespace
}  // namespace fastdw
