// The words of the 8-bit kernels (contract8.h) with AVX2: eight sums a vector. Products are of 16 bits, by
// pairs: vpmaddubsw would saturate.
#pragma once
#include <immintrin.h>

#include "kernels/contract8.h"
#include "simd/compiler.h"

namespace fastdw {
namespace avx2 {
namespace {

struct Bytes {
  static constexpr int lanes = 8, offset = 128, tap_vectors = 1;
  static constexpr bool dots_by_lane = false;
  using Ints = __m256i;

  static FASTDW_INLINE Ints load(const uint8_t* p) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(p));
  }
  static FASTDW_INLINE Ints broadcast(const uint8_t* p) {
    int32_t quad;
    __builtin_memcpy(&quad, p, sizeof quad);
    return _mm256_set1_epi32(quad);
  }
  static FASTDW_INLINE __m128i load_bytes(const uint8_t* p, int n) {
    if (n >= lanes) return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(p));
    uint64_t bytes = 0;
    for (int i = 0; i < n; ++i) bytes |= static_cast<uint64_t>(p[i]) << 8 * i;
    return _mm_cvtsi64_si128(static_cast<long long>(bytes));
  }
  static FASTDW_INLINE Ints widen(const uint8_t* p, int n, uint8_t flip) {
    const __m128i sign = _mm_set1_epi8(static_cast<char>(flip));
    return _mm256_cvtepu8_epi32(_mm_xor_si128(load_bytes(p, n), sign));
  }
  static FASTDW_INLINE Ints widen_signed(const uint8_t* p) {
    return _mm256_cvtepi8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(p)));
  }
  // The upper halves of a's lanes are 0.
  static FASTDW_INLINE void multiply_add(Ints (&acc)[1], Ints a, Ints b) {
    acc[0] = _mm256_add_epi32(acc[0], _mm256_madd_epi16(a, b));
  }
  // Bytes 0 and 2 of each lane, then bytes 1 and 3. What depends on x or w alone is computed once a tile.
  static FASTDW_INLINE void dot(Ints& acc, Ints x, Ints w) {
    const __m256i low = _mm256_set1_epi16(0xff);
    const __m256i even =
        _mm256_madd_epi16(_mm256_and_si256(x, low), _mm256_srai_epi16(_mm256_slli_epi16(w, 8), 8));
    const __m256i odd = _mm256_madd_epi16(_mm256_srli_epi16(x, 8), _mm256_srai_epi16(w, 8));
    acc = _mm256_add_epi32(acc, _mm256_add_epi32(even, odd));
  }

  // Of NV vectors: read where they are needed.
  template <int>
  using Factors = const uint8_t*;

  struct Rescale {
    const Rescale8& r;
    explicit FASTDW_INLINE Rescale(const Rescale8& rescale) : r(rescale) {}

    FASTDW_INLINE __m256i rounded(Ints acc, const uint8_t* factors) const {
      const __m256 factor = _mm256_loadu_ps(reinterpret_cast<const float*>(factors));
      __m256 t = _mm256_mul_ps(_mm256_cvtepi32_ps(acc), factor);
      t = _mm256_min_ps(_mm256_max_ps(t, _mm256_set1_ps(r.low)), _mm256_set1_ps(r.high));
      return _mm256_add_epi32(_mm256_cvtps_epi32(t), _mm256_set1_epi32(r.zero_point));
    }

    template <int NV>
    FASTDW_INLINE void store(const Ints (&acc)[NV], const uint8_t* factors, uint8_t* y, int n) const {
      const __m256i first = rounded(acc[0], factors);
      const __m256i second = NV > 1 ? rounded(acc[NV - 1], factors + 32) : first;
      const __m256i low = _mm256_packs_epi32(first, second);
      __m256i bytes = _mm256_packus_epi16(low, low);
      bytes = _mm256_xor_si256(bytes, _mm256_set1_epi8(static_cast<char>(r.flip)));
      // Each half holds channels side by side.
      const __m128i a = _mm256_castsi256_si128(bytes), b = _mm256_extracti128_si256(bytes, 1);
      const __m128i all = NV > 1 ? _mm_unpacklo_epi64(a, b) : _mm_unpacklo_epi32(a, b);
      if (NV > 1 && n >= 2 * lanes) {
        _mm_storeu_si128(reinterpret_cast<__m128i*>(y), all);
      } else if (NV == 1 && n >= lanes) {
        _mm_storel_epi64(reinterpret_cast<__m128i*>(y), all);
      } else {
        uint8_t some[16];
        _mm_storeu_si128(reinterpret_cast<__m128i*>(some), all);
        for (int i = 0; i < n; ++i) y[i] = some[i];
      }
    }
  };
};

}  // namespace
}  // namespace avx2
}  // namespace fastdw
