// Vec (vec.h) for AVX2 + FMA + F16C: eight floats.
#pragma once
#include <immintrin.h>

#include <cstdint>

#include "simd/vec.h"

namespace fastdw {
namespace avx2 {
namespace {

// The eight ints from 8 − n on: n times −1, then zeros.
alignas(64) constexpr int kMask[16] = {-1, -1, -1, -1, -1, -1, -1, -1, 0, 0, 0, 0, 0, 0, 0, 0};

// The first n lanes.
FASTDW_INLINE __m256i mask(int n) {
  return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(kMask + 8 - n));
}

struct Vec {
  static constexpr int lanes = 8;
  static constexpr bool has_ldexp = false;
  __m256 v;

  static FASTDW_INLINE Vec set1(float f) { return {_mm256_set1_ps(f)}; }
  static FASTDW_INLINE Vec load(const float* p, All) { return {_mm256_loadu_ps(p)}; }
  static FASTDW_INLINE Vec load(const float* p, int n) { return {_mm256_maskload_ps(p, mask(n))}; }
  FASTDW_INLINE void store(float* p, All) const { _mm256_storeu_ps(p, v); }
  FASTDW_INLINE void store(float* p, int n) const { _mm256_maskstore_ps(p, mask(n), v); }

  static FASTDW_INLINE Vec load_half(const uint16_t* p, All) {
    return {_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(p)))};
  }
  static FASTDW_INLINE Vec load_half(const uint16_t* p, int n) {
    uint16_t halves[lanes] = {};
    for (int i = 0; i < n; ++i) halves[i] = p[i];
    return load_half(halves, All{});
  }
  FASTDW_INLINE void store_half(uint16_t* p, All) const {
    const __m128i halves = _mm256_cvtps_ph(v, _MM_FROUND_TO_NEAREST_INT);
    _mm_storeu_si128(reinterpret_cast<__m128i*>(p), halves);
  }
  FASTDW_INLINE void store_half(uint16_t* p, int n) const {
    uint16_t halves[lanes];
    store_half(halves, All{});
    for (int i = 0; i < n; ++i) p[i] = halves[i];
  }

  static FASTDW_INLINE Vec spread(const float* p, int n, const float* index) {
    return {_mm256_permutevar8x32_ps(load(p, n).v, _mm256_castps_si256(_mm256_loadu_ps(index)))};
  }
  static FASTDW_INLINE int last_index(const float* index, All) { return last_index(index, lanes); }
  static FASTDW_INLINE int last_index(const float* index, int n) {
    return _mm_cvtsi128_si32(_mm_castps_si128(_mm_load_ss(index + n - 1)));
  }
  template <int N>
  FASTDW_INLINE Vec shift_left() const {
    return {_mm256_castsi256_ps(_mm256_slli_epi32(_mm256_castps_si256(v), N))};
  }
  template <int N>
  FASTDW_INLINE Vec shift_right() const {
    return {_mm256_castsi256_ps(_mm256_srli_epi32(_mm256_castps_si256(v), N))};
  }
};

FASTDW_INLINE Vec add(Vec a, Vec b) { return {_mm256_add_ps(a.v, b.v)}; }
FASTDW_INLINE Vec sub(Vec a, Vec b) { return {_mm256_sub_ps(a.v, b.v)}; }
FASTDW_INLINE Vec mul(Vec a, Vec b) { return {_mm256_mul_ps(a.v, b.v)}; }
FASTDW_INLINE Vec div(Vec a, Vec b) { return {_mm256_div_ps(a.v, b.v)}; }
FASTDW_INLINE Vec sqrt(Vec a) { return {_mm256_sqrt_ps(a.v)}; }
FASTDW_INLINE Vec fma(Vec a, Vec b, Vec c) { return {_mm256_fmadd_ps(a.v, b.v, c.v)}; }
FASTDW_INLINE Vec min(Vec a, Vec b) { return {_mm256_min_ps(a.v, b.v)}; }
FASTDW_INLINE Vec max(Vec a, Vec b) { return {_mm256_max_ps(a.v, b.v)}; }
FASTDW_INLINE Vec max_or_nan(Vec a, Vec b) {
  return {_mm256_blendv_ps(max(a, b).v, a.v, _mm256_cmp_ps(a.v, a.v, _CMP_UNORD_Q))};
}
FASTDW_INLINE Vec abs(Vec a) { return {_mm256_andnot_ps(_mm256_set1_ps(-0.0f), a.v)}; }
FASTDW_INLINE Vec minus_abs(Vec a) { return {_mm256_or_ps(_mm256_set1_ps(-0.0f), a.v)}; }
FASTDW_INLINE Vec copysign(Vec a, Vec sign) {
  return {_mm256_or_ps(abs(a).v, _mm256_and_ps(_mm256_set1_ps(-0.0f), sign.v))};
}
FASTDW_INLINE Vec select_less(Vec a, Vec b, Vec x, Vec y) {
  return {_mm256_blendv_ps(y.v, x.v, _mm256_cmp_ps(a.v, b.v, _CMP_LT_OQ))};
}
FASTDW_INLINE Vec zip_low(Vec a, Vec b) {
  return {_mm256_permute2f128_ps(_mm256_unpacklo_ps(a.v, b.v), _mm256_unpackhi_ps(a.v, b.v), 0x20)};
}
FASTDW_INLINE Vec zip_high(Vec a, Vec b) {
  return {_mm256_permute2f128_ps(_mm256_unpacklo_ps(a.v, b.v), _mm256_unpackhi_ps(a.v, b.v), 0x31)};
}
FASTDW_INLINE Vec add_bits(Vec a, Vec b) {
  return {_mm256_castsi256_ps(_mm256_add_epi32(_mm256_castps_si256(a.v), _mm256_castps_si256(b.v)))};
}
// Three bits choose in each half of the table, the fourth, as a sign, the half.
FASTDW_INLINE Vec look_up(const uint32_t (&table)[16], Vec index) {
  const auto in_half = [&](const uint32_t* half) FASTDW_INLINE_LAMBDA {
    const __m256i entries = _mm256_load_si256(reinterpret_cast<const __m256i*>(half));
    return _mm256_permutevar8x32_ps(_mm256_castsi256_ps(entries), _mm256_castps_si256(index.v));
  };
  return {_mm256_blendv_ps(in_half(table), in_half(table + 8), index.shift_left<28>().v)};
}

}  // namespace
}  // namespace avx2
}  // namespace fastdw
