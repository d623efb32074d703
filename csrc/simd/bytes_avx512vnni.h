// The words of the 8-bit kernels (contract8.h) with AVX-512 VNNI: sixteen sums a vector.
#pragma once
#include <immintrin.h>

#include "kernels/contract8.h"
#include "simd/compiler.h"

namespace fastdw {
namespace avx512vnni {
namespace {

// The first n lanes of 64.
FASTDW_INLINE __mmask64 first(int n) { return n >= 64 ? ~__mmask64{0} : (__mmask64{1} << n) - 1; }

struct Bytes {
  static constexpr int lanes = 16;
  using Ints = __m512i;

  static FASTDW_INLINE Ints load(const uint8_t* p) { return _mm512_loadu_si512(p); }
  static FASTDW_INLINE Ints broadcast(const uint8_t* p) {
    int32_t quad;
    __builtin_memcpy(&quad, p, sizeof quad);
    return _mm512_set1_epi32(quad);
  }
  static FASTDW_INLINE Ints widen(const uint8_t* p, int n, uint8_t flip) {
    const __m128i bytes = _mm_maskz_loadu_epi8(static_cast<__mmask16>(first(n)), p);
    return _mm512_cvtepu8_epi32(_mm_xor_si128(bytes, _mm_set1_epi8(static_cast<char>(flip))));
  }
  static FASTDW_INLINE Ints widen_signed(const uint8_t* p) {
    return _mm512_cvtepi8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)));
  }
  // The upper halves of a's lanes are 0: a product of 16 bits by 16 is enough, at half the cost.
  static FASTDW_INLINE void multiply_add(Ints& acc, Ints a, Ints b) {
    acc = _mm512_add_epi32(acc, _mm512_madd_epi16(a, b));
  }
  // By hand, for GCC 12 copies the sums around its own intrinsic: half the speed of the whole loop.
  static FASTDW_INLINE void dot(Ints& acc, Ints x, Ints w) {
    __asm__("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(x), "v"(w));
  }
  static FASTDW_INLINE void dot_memory(Ints& acc, Ints x, const uint8_t* w) {
    __asm__("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(x), "m"(*reinterpret_cast<const __m512i_u*>(w)));
  }
  static FASTDW_INLINE void interleave(const uint8_t* a, const uint8_t* b, const uint8_t* c, const uint8_t* d,
                                       int n, uint8_t flip, Ints (&quad)[4]) {
    const __mmask64 live = first(n);
    const __m512i sign = _mm512_set1_epi8(static_cast<char>(flip));
    const auto pixel = [&](const uint8_t* p) FASTDW_INLINE_LAMBDA {
      return _mm512_xor_si512(_mm512_maskz_loadu_epi8(live, p), sign);
    };
    const __m512i pa = pixel(a), pb = pixel(b), pc = pixel(c), pd = pixel(d);
    const __m512i low_ab = _mm512_unpacklo_epi8(pa, pb), high_ab = _mm512_unpackhi_epi8(pa, pb);
    const __m512i low_cd = _mm512_unpacklo_epi8(pc, pd), high_cd = _mm512_unpackhi_epi8(pc, pd);
    quad[0] = _mm512_unpacklo_epi16(low_ab, low_cd);
    quad[1] = _mm512_unpackhi_epi16(low_ab, low_cd);
    quad[2] = _mm512_unpacklo_epi16(high_ab, high_cd);
    quad[3] = _mm512_unpackhi_epi16(high_ab, high_cd);
  }

  struct Rescale {
    const Rescale8& r;
    explicit FASTDW_INLINE Rescale(const Rescale8& rescale) : r(rescale) {}

    template <int NV>
    FASTDW_INLINE void store(const Ints (&acc)[NV], const uint8_t* factors, uint8_t* y, int n) const {
      __m512i rounded[4];
      const bool saturates = r.saturates;
      for (int v = 0; v < 4; ++v) {
        if (v >= NV) {
          rounded[v] = rounded[0];
          continue;
        }
        __m512 t = _mm512_mul_ps(_mm512_cvtepi32_ps(acc[v]), _mm512_loadu_ps(factors + v * 64));
        if (!saturates) {
          t = _mm512_min_ps(_mm512_max_ps(t, _mm512_set1_ps(r.low)), _mm512_set1_ps(r.high));
        }
        rounded[v] = _mm512_cvtps_epi32(t);
      }
      __m512i low = _mm512_packs_epi32(rounded[0], rounded[1]);
      __m512i high = NV > 2 ? _mm512_packs_epi32(rounded[2], rounded[3]) : low;
      if (!saturates) {
        const __m512i zero = _mm512_set1_epi16(static_cast<int16_t>(r.zero_point));
        low = _mm512_adds_epi16(low, zero);
        high = _mm512_adds_epi16(high, zero);
      }
      __m512i bytes = _mm512_packus_epi16(low, high);
      if constexpr (NV == 1) {
        bytes = _mm512_permutexvar_epi32(_mm512_setr_epi32(0, 4, 8, 12, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0),
                                         bytes);
      } else if constexpr (NV == 2) {
        bytes = _mm512_permutexvar_epi64(_mm512_setr_epi64(0, 2, 4, 6, 0, 0, 0, 0), bytes);
      } else if constexpr (NV == 3) {
        bytes = _mm512_permutexvar_epi32(
            _mm512_setr_epi32(0, 1, 2, 4, 5, 6, 8, 9, 10, 12, 13, 14, 0, 0, 0, 0), bytes);
      }
      bytes = _mm512_xor_si512(bytes, _mm512_set1_epi8(static_cast<char>(r.flip)));
      _mm512_mask_storeu_epi8(y, first(n), bytes);
    }
  };
};

}  // namespace
}  // namespace avx512vnni
}  // namespace fastdw
