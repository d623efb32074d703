// The words of the 8-bit kernels (words8.inc) with AVX-512 VNNI: sixteen sums a vector.
#pragma once
#include <immintrin.h>

#include "kernels/contract8.h"
#include "simd/compiler.h"
#include "simd/unroll.h"

namespace fastdw {
namespace avx512vnni {
namespace {

// The first n lanes of 64.
FASTDW_INLINE __mmask64 first(int n) { return n >= 64 ? ~__mmask64{0} : (__mmask64{1} << n) - 1; }

struct Bytes {
  static constexpr int lanes = 16, offset = 128, tap_vectors = 1, most_pairs = 4;
  static constexpr int quad_vectors = 4, weight_bytes = 1;
  static constexpr bool dots_by_lane = false;
  using Ints = __m512i;
  using Pixel = Ints;
  using Quad = Ints;

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
  static FASTDW_INLINE void multiply_add(Ints (&acc)[1], Ints a, Ints b) {
    acc[0] = _mm512_add_epi32(acc[0], _mm512_madd_epi16(a, b));
  }
  // By hand, for GCC 12 copies the sums around its own intrinsic: half the speed of the whole loop.
  static FASTDW_INLINE void dot(Ints& acc, Ints x, Ints w) {
    __asm__("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(x), "v"(w));
  }
  static FASTDW_INLINE void dot_memory(Ints& acc, Ints x, const uint8_t* w) {
    __asm__("vpdpbusd %2, %1, %0" : "+v"(acc) : "v"(x), "m"(*reinterpret_cast<const __m512i_u*>(w)));
  }
  template <int P>
  static FASTDW_INLINE Ints chunks(const uint8_t* const (&pixels)[P], int n, uint8_t flip) {
    const __m512i sign = _mm512_set1_epi8(static_cast<char>(flip));
    if constexpr (P == 1) return _mm512_xor_si512(_mm512_maskz_loadu_epi8(first(n), pixels[0]), sign);
    __m512i all;
    if constexpr (P == 2) {
      const auto live = static_cast<__mmask32>(first(n));
      all = _mm512_castsi256_si512(_mm256_maskz_loadu_epi8(live, pixels[0]));
      all = _mm512_inserti64x4(all, _mm256_maskz_loadu_epi8(live, pixels[1]), 1);
    } else {
      const auto live = static_cast<__mmask16>(first(n));
      const auto chunk = [&](int i)
                             FASTDW_INLINE_LAMBDA { return _mm_maskz_loadu_epi8(live, pixels[i % P]); };
      const __m256i low = _mm256_inserti128_si256(_mm256_castsi128_si256(chunk(0)), chunk(1), 1);
      const __m256i high = _mm256_inserti128_si256(_mm256_castsi128_si256(chunk(2)), chunk(3), 1);
      all = _mm512_inserti64x4(_mm512_castsi256_si512(low), high, 1);
    }
    return _mm512_xor_si512(all, sign);
  }
  static FASTDW_INLINE void interleave(const Ints (&pixels)[4], Ints (&quad)[4]) {
    const __m512i pa = pixels[0], pb = pixels[1], pc = pixels[2], pd = pixels[3];
    const __m512i low_ab = _mm512_unpacklo_epi8(pa, pb), high_ab = _mm512_unpackhi_epi8(pa, pb);
    const __m512i low_cd = _mm512_unpacklo_epi8(pc, pd), high_cd = _mm512_unpackhi_epi8(pc, pd);
    quad[0] = _mm512_unpacklo_epi16(low_ab, low_cd);
    quad[1] = _mm512_unpackhi_epi16(low_ab, low_cd);
    quad[2] = _mm512_unpacklo_epi16(high_ab, high_cd);
    quad[3] = _mm512_unpackhi_epi16(high_ab, high_cd);
  }

  // 128 words of two entries. VBMI, which looks up bytes, would take half the time, a hundredth of a
  // network's.
  struct Table {
    static constexpr ptrdiff_t width = 64;
    __m512i words[4];
    explicit FASTDW_INLINE Table(const uint8_t* table) {
      for (int i = 0; i < 4; ++i) words[i] = load(table + 64 * i);
    }

    // Of a pair the even bytes of x need the entry in the lower half, the odd ones that in the upper half.
    FASTDW_INLINE void look_up(const uint8_t* x, uint8_t* y) const {
      const __m512i bytes = load(x), eight = _mm512_set1_epi16(8);
      const __m512i even =
          pairs(_mm512_srli_epi16(bytes, 1), _mm512_test_epi16_mask(bytes, _mm512_set1_epi16(0x80)));
      const __m512i odd = pairs(_mm512_srli_epi16(bytes, 9), _mm512_movepi16_mask(bytes));
      const __m512i down = _mm512_and_si512(_mm512_slli_epi16(bytes, 3), eight);
      const __m512i up = _mm512_andnot_si512(_mm512_srli_epi16(bytes, 5), eight);
      _mm512_storeu_si512(y, _mm512_mask_mov_epi8(_mm512_srlv_epi16(even, down), 0xAAAAAAAAAAAAAAAA,
                                                  _mm512_sllv_epi16(odd, up)));
    }

   private:
    // By words, of whose index the highest bit picks the half.
    FASTDW_INLINE __m512i pairs(__m512i index, __mmask32 upper) const {
      const __m512i low = _mm512_permutex2var_epi16(words[0], index, words[1]);
      return _mm512_mask_mov_epi16(low, upper, _mm512_permutex2var_epi16(words[2], index, words[3]));
    }
  };

  template <int NV>
  struct Factors {
    __m512 of[NV];
    explicit FASTDW_INLINE Factors(const uint8_t* p) {
      for (int v = 0; v < NV; ++v) of[v] = _mm512_loadu_ps(p + v * 64);
    }
  };

  struct Rescale {
    const Rescale8& r;
    explicit FASTDW_INLINE Rescale(const Rescale8& rescale) : r(rescale) {}

    template <int NV>
    FASTDW_INLINE void store(const Ints (&acc)[NV], const Factors<NV>& factors, uint8_t* y, int n) const {
      _mm512_mask_storeu_epi8(y, first(n), bytes_of<NV>(acc, factors));
    }

    template <int P>
    FASTDW_INLINE void store_chunks(const Ints (&acc)[4], const Factors<4>& factors, uint8_t* y,
                                    ptrdiff_t stride, int n, int count) const {
      const __m512i bytes = bytes_of<4>(acc, factors);
      if constexpr (P == 1) {
        _mm512_mask_storeu_epi8(y, first(n), bytes);
      } else if constexpr (P == 2) {
        const auto live = static_cast<__mmask32>(first(n));
        _mm256_mask_storeu_epi8(y, live, _mm512_castsi512_si256(bytes));
        if (count > 1) _mm256_mask_storeu_epi8(y + stride, live, _mm512_extracti64x4_epi64(bytes, 1));
      } else {
        const auto live = static_cast<__mmask16>(first(n));
        _mm_mask_storeu_epi8(y, live, _mm512_castsi512_si128(bytes));
        if (count > 1) _mm_mask_storeu_epi8(y + stride, live, _mm512_extracti32x4_epi32(bytes, 1));
        if (count > 2) _mm_mask_storeu_epi8(y + 2 * stride, live, _mm512_extracti32x4_epi32(bytes, 2));
        if (count > 3) _mm_mask_storeu_epi8(y + 3 * stride, live, _mm512_extracti32x4_epi32(bytes, 3));
      }
    }

   private:
    // As they are stored, the channels in their order from the lowest byte on.
    template <int NV>
    FASTDW_INLINE __m512i bytes_of(const Ints (&acc)[NV], const Factors<NV>& factors) const {
      __m512i rounded[4];
      const bool saturates = r.saturates;
      unroll<NV>([&](auto v) FASTDW_INLINE_LAMBDA {
        __m512 t = _mm512_mul_ps(_mm512_cvtepi32_ps(acc[v]), factors.of[v]);
        if (!saturates) {
          t = _mm512_min_ps(_mm512_max_ps(t, _mm512_set1_ps(r.low)), _mm512_set1_ps(r.high));
        }
        rounded[v] = _mm512_cvtps_epi32(t);
      });
      if constexpr (NV % 2) rounded[NV] = rounded[0];
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
      return _mm512_xor_si512(bytes, _mm512_set1_epi8(static_cast<char>(r.flip)));
    }
  };
};

}  // namespace
}  // namespace avx512vnni
}  // namespace fastdw
