// The product of two tensors of bytes: whole numbers, then one factor of float32.
#pragma once
#include <cstring>

#include "kernels/contract8.h"
#include "simd/compiler.h"

namespace fastdw {
namespace {

// Vectors, names and chunks as in add8().
template <class B>
void multiply8(const Product8& product, const uint8_t* a, const uint8_t* b, uint8_t* y, ptrdiff_t count) {
  constexpr ptrdiff_t kChunk = 64;
  const Product8 m = product;
  const auto multiply = [&](ptrdiff_t first, ptrdiff_t size) FASTDW_INLINE_LAMBDA {
    uint8_t chunk[kChunk];
    for (ptrdiff_t i = 0; i < size; ++i) {
      const int32_t p = (a[first + i] ^ m.flip_a) - m.zero_a, q = (b[first + i] ^ m.flip_b) - m.zero_b;
      chunk[i] = m.rescale(static_cast<float>(p * q) * m.factor);
    }
    std::memcpy(y + first, chunk, static_cast<size_t>(size));
  };
  ptrdiff_t i = 0;
  for (; count - i >= kChunk; i += kChunk) multiply(i, kChunk);
  if (i < count) multiply(i, count - i);
}

}  // namespace
}  // namespace fastdw
