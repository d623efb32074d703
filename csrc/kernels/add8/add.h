// The sum of two tensors of bytes: whole numbers of 32 bits, 20 to 21 bits of each factor.
#pragma once
#include "kernels/contract8.h"
#include "simd/compiler.h"

namespace fastdw {
namespace {

// Compilers make vectors of this by themselves.
void add8(const Sum8& s, const uint8_t* a, const uint8_t* b, uint8_t* y, ptrdiff_t count) {
  const int32_t start = (1 << (s.shift - 1)) - s.zero_a * s.factor_a - s.zero_b * s.factor_b;
  for (ptrdiff_t i = 0; i < count; ++i) {
    const int32_t p = a[i] ^ s.flip_a, q = b[i] ^ s.flip_b;
    const int32_t sum = ((start + p * s.factor_a + q * s.factor_b) >> s.shift) + s.zero;
    const int32_t held = sum < s.low ? s.low : sum > s.high ? s.high : sum;
    y[i] = static_cast<uint8_t>(held ^ s.flip);
  }
}

}  // namespace
}  // namespace fastdw
