// The sum of two tensors of bytes: whole numbers of 32 bits, 20 to 21 bits of each factor.
#pragma once
#include <cstring>

#include "kernels/contract8.h"
#include "simd/compiler.h"

namespace fastdw {
namespace {

// Compilers make vectors of this: what is written goes to a place of its own first, for bytes may lie
// anywhere, even across the numbers of the sum. B gives the name of its instruction set to the function.
template <class B>
void add8(const Sum8& sum, const uint8_t* a, const uint8_t* b, uint8_t* y, ptrdiff_t count) {
  constexpr ptrdiff_t kChunk = 64;
  const Sum8 s = sum;
  const int32_t start = (1 << (s.shift - 1)) - s.zero_a * s.factor_a - s.zero_b * s.factor_b;
  const auto add = [&](ptrdiff_t first, ptrdiff_t size) FASTDW_INLINE_LAMBDA {
    uint8_t chunk[kChunk];
    for (ptrdiff_t i = 0; i < size; ++i) {
      const int32_t p = a[first + i] ^ s.flip_a, q = b[first + i] ^ s.flip_b;
      const int32_t steps = ((start + p * s.factor_a + q * s.factor_b) >> s.shift) + s.zero;
      const int32_t raised = steps < s.low ? s.low : steps;
      chunk[i] = static_cast<uint8_t>((raised > s.high ? s.high : raised) ^ s.flip);
    }
    std::memcpy(y + first, chunk, static_cast<size_t>(size));
  };
  ptrdiff_t i = 0;
  for (; count - i >= kChunk; i += kChunk) add(i, kChunk);
  if (i < count) add(i, count - i);
}

}  // namespace
}  // namespace fastdw
