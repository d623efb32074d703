// Vec (vec.h) for AVX-512 F+BW+VL+DQ: sixteen floats.
#pragma once
#include <immintrin.h>

#include <cstdint>

#include "simd/vec.h"

namespace fastdw {
namespace avx512 {
namespace {

// The first n lanes.
FASTDW_INLINE __mmask16 mask(int n) { return static_cast<__mmask16>((1u << n) - 1); }

struct Vec {
  static constexpr int lanes = 16;
  static constexpr bool has_ldexp = true;
  __m512 v;

  static FASTDW_INLINE Vec set1(float f) { return {_mm512_set1_ps(f)}; }
  static FASTDW_INLINE Vec load(const float* p, All) { return {_mm512_loadu_ps(p)}; }
  static FASTDW_INLINE Vec load(const float* p, int n) { return {_mm512_maskz_loadu_ps(mask(n), p)}; }
  static FASTDW_INLINE Vec load_halves(const float* p, const float* q) {
    return {_mm512_insertf32x8(_mm512_castps256_ps512(_mm256_loadu_ps(p)), _mm256_loadu_ps(q), 1)};
  }
  FASTDW_INLINE void store(float* p, All) const { _mm512_storeu_ps(p, v); }
  FASTDW_INLINE void store(float* p, int n) const { _mm512_mask_storeu_ps(p, mask(n), v); }

  static FASTDW_INLINE Vec load_half(const uint16_t* p, All) {
    return {_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(p)))};
  }
  static FASTDW_INLINE Vec load_half(const uint16_t* p, int n) {
    return {_mm512_cvtph_ps(_mm256_maskz_loadu_epi16(mask(n), p))};
  }
  FASTDW_INLINE void store_half(uint16_t* p, All) const {
    const __m256i halves = _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(p), halves);
  }
  FASTDW_INLINE void store_half(uint16_t* p, int n) const {
    _mm256_mask_storeu_epi16(p, mask(n), _mm512_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT));
  }

  using Lanes = __mmask16;
  static FASTDW_INLINE Lanes inside(ptrdiff_t first, ptrdiff_t size) {
    const auto below = [](ptrdiff_t n) { return n <= 0 ? 0u : n >= lanes ? 0xffffu : (1u << n) - 1; };
    return static_cast<Lanes>(below(size - first) & ~below(-first));
  }
  static FASTDW_INLINE Vec load_where(Lanes live, const float* p) { return {_mm512_maskz_loadu_ps(live, p)}; }
  template <int N>
  static FASTDW_INLINE Vec slide(Vec a, Vec b) {
    if constexpr (N == 0) return a;
    return {_mm512_castsi512_ps(_mm512_alignr_epi32(_mm512_castps_si512(b.v), _mm512_castps_si512(a.v), N))};
  }

  static FASTDW_INLINE Vec spread(const float* p, int n, const float* index) {
    return {_mm512_permutexvar_ps(_mm512_castps_si512(_mm512_loadu_ps(index)), load(p, n).v)};
  }
  static FASTDW_INLINE int last_index(const float* index, All) { return last_index(index, lanes); }
  static FASTDW_INLINE int last_index(const float* index, int n) {
    return _mm_cvtsi128_si32(_mm_castps_si128(_mm_load_ss(index + n - 1)));
  }
  template <int N>
  FASTDW_INLINE Vec shift_left() const {
    return {_mm512_castsi512_ps(_mm512_slli_epi32(_mm512_castps_si512(v), N))};
  }
  template <int N>
  FASTDW_INLINE Vec shift_right() const {
    return {_mm512_castsi512_ps(_mm512_srli_epi32(_mm512_castps_si512(v), N))};
  }
};

struct Slide {
  __m512i index;
  explicit Slide(int n)
      : index(_mm512_add_epi32(_mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
                               _mm512_set1_epi32(n))) {}
  FASTDW_INLINE Vec operator()(Vec a, Vec b) const { return {_mm512_permutex2var_ps(a.v, index, b.v)}; }
};

FASTDW_INLINE Vec add(Vec a, Vec b) { return {_mm512_add_ps(a.v, b.v)}; }
FASTDW_INLINE Vec sub(Vec a, Vec b) { return {_mm512_sub_ps(a.v, b.v)}; }
FASTDW_INLINE Vec mul(Vec a, Vec b) { return {_mm512_mul_ps(a.v, b.v)}; }
FASTDW_INLINE Vec div(Vec a, Vec b) { return {_mm512_div_ps(a.v, b.v)}; }
FASTDW_INLINE Vec sqrt(Vec a) { return {_mm512_sqrt_ps(a.v)}; }
FASTDW_INLINE Vec fma(Vec a, Vec b, Vec c) { return {_mm512_fmadd_ps(a.v, b.v, c.v)}; }
FASTDW_INLINE Vec min(Vec a, Vec b) { return {_mm512_min_ps(a.v, b.v)}; }
FASTDW_INLINE Vec max(Vec a, Vec b) { return {_mm512_max_ps(a.v, b.v)}; }
FASTDW_INLINE Vec max_or_nan(Vec a, Vec b) {
  return {_mm512_mask_max_ps(a.v, _mm512_cmp_ps_mask(a.v, a.v, _CMP_ORD_Q), a.v, b.v)};
}
FASTDW_INLINE Vec abs(Vec a) { return {_mm512_andnot_ps(_mm512_set1_ps(-0.0f), a.v)}; }
FASTDW_INLINE Vec minus_abs(Vec a) { return {_mm512_or_ps(_mm512_set1_ps(-0.0f), a.v)}; }
FASTDW_INLINE Vec copysign(Vec a, Vec sign) {
  return {_mm512_or_ps(abs(a).v, _mm512_and_ps(_mm512_set1_ps(-0.0f), sign.v))};
}
FASTDW_INLINE Vec select_less(Vec a, Vec b, Vec x, Vec y) {
  return {_mm512_mask_blend_ps(_mm512_cmp_ps_mask(a.v, b.v, _CMP_LT_OQ), y.v, x.v)};
}
FASTDW_INLINE Vec halves(Vec a, Vec b) { return {_mm512_mask_blend_ps(0xff00, a.v, b.v)}; }
FASTDW_INLINE Vec upper_half(Vec a) { return {_mm512_shuffle_f32x4(a.v, a.v, 0x0e)}; }
FASTDW_INLINE Vec zip_low(Vec a, Vec b) {
  const __m512i i = _mm512_setr_epi32(0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23);
  return {_mm512_permutex2var_ps(a.v, i, b.v)};
}
FASTDW_INLINE Vec zip_high(Vec a, Vec b) {
  const __m512i i = _mm512_setr_epi32(8, 24, 9, 25, 10, 26, 11, 27, 12, 28, 13, 29, 14, 30, 15, 31);
  return {_mm512_permutex2var_ps(a.v, i, b.v)};
}
FASTDW_INLINE Vec even(Vec a, Vec b) {
  const __m512i i = _mm512_setr_epi32(0, 2, 4, 6, 8, 10, 12, 14, 16, 18, 20, 22, 24, 26, 28, 30);
  return {_mm512_permutex2var_ps(a.v, i, b.v)};
}
FASTDW_INLINE Vec odd(Vec a, Vec b) {
  const __m512i i = _mm512_setr_epi32(1, 3, 5, 7, 9, 11, 13, 15, 17, 19, 21, 23, 25, 27, 29, 31);
  return {_mm512_permutex2var_ps(a.v, i, b.v)};
}
FASTDW_INLINE void keep_in_register(Vec& a) { __asm__("" : "+v"(a.v)); }
FASTDW_INLINE Vec ldexp(Vec a, Vec n) { return {_mm512_scalef_ps(a.v, n.v)}; }
FASTDW_INLINE Vec add_bits(Vec a, Vec b) {
  return {_mm512_castsi512_ps(_mm512_add_epi32(_mm512_castps_si512(a.v), _mm512_castps_si512(b.v)))};
}
FASTDW_INLINE Vec look_up(const uint32_t (&table)[16], Vec index) {
  return {_mm512_permutexvar_ps(_mm512_castps_si512(index.v), _mm512_load_ps(table))};
}

}  // namespace
}  // namespace avx512
}  // namespace fastdw
