// Resizing bytes by mixing neighbours, in whole numbers of 30 bits: contract in kernels/contract8.h.
#pragma once
#include <cstring>

#include "kernels/contract8.h"
#include "simd/compiler.h"

namespace fastdw {
namespace {

// Vectors, names and chunks as in add8().
template <class B>
void bilinear8(const Bilinear8Row& row) {
  constexpr ptrdiff_t kChunk = 64;
  constexpr int32_t kOne = 2048, kBits = 22;
  const Bilinear8Row r = row;
  const int32_t zero = r.origin << kBits, half = 1 << (kBits - 1);
  for (ptrdiff_t j = 0; j < r.pixels; ++j) {
    const ptrdiff_t low = r.low[j] * r.x_stride, high = r.high[j] * r.x_stride;
    const int32_t right = r.weight[j], left = kOne - right;
    const auto mix = [&](ptrdiff_t first, ptrdiff_t size) FASTDW_INLINE_LAMBDA {
      const uint8_t *top = r.top + first, *bottom = r.bottom + first;
      uint8_t chunk[kChunk];
      for (ptrdiff_t c = 0; c < size; ++c) {
        const int32_t above = left * (top[low + c] ^ r.flip) + right * (top[high + c] ^ r.flip);
        const int32_t below = left * (bottom[low + c] ^ r.flip) + right * (bottom[high + c] ^ r.flip);
        const int32_t sum = kOne * above + r.row_weight * (below - above) - zero;
        const int32_t steps = (sum + half + (sum >> 31)) >> kBits;
        chunk[c] = static_cast<uint8_t>((steps + r.origin) ^ r.flip);
      }
      std::memcpy(r.y + j * r.y_stride + first, chunk, static_cast<size_t>(size));
    };
    ptrdiff_t c = 0;
    for (; r.channels - c >= kChunk; c += kChunk) mix(c, kChunk);
    if (c < r.channels) mix(c, r.channels - c);
  }
}

}  // namespace
}  // namespace fastdw
