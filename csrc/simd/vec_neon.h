// Vec (vec.h) for NEON on AArch64: four floats.
#pragma once
#include <arm_neon.h>

#include <cstdint>

#include "simd/vec.h"

namespace fastdw {
namespace neon {
namespace {

// Byte b of lane i is byte 4·index[i] + b of a table.
FASTDW_INLINE uint8x16_t table_bytes(uint32x4_t index) {
  return vreinterpretq_u8_u32(vmlaq_n_u32(vdupq_n_u32(0x03020100u), index, 0x04040404u));
}

struct Vec {
  static constexpr int lanes = 4;
  static constexpr bool has_ldexp = false;
  float32x4_t v;

  static FASTDW_INLINE Vec set1(float f) { return {vdupq_n_f32(f)}; }
  static FASTDW_INLINE Vec load(const float* p, All) { return {vld1q_f32(p)}; }
  static FASTDW_INLINE Vec load(const float* p, int n) {
    float32x4_t v = vdupq_n_f32(0.0f);
    if (n == 1) return {vld1q_lane_f32(p, v, 0)};
    if (n >= 2) v = vcombine_f32(vld1_f32(p), vget_high_f32(v));
    if (n == 3) return {vld1q_lane_f32(p + 2, v, 2)};
    if (n == 4) return {vld1q_f32(p)};
    return {v};
  }
  static FASTDW_INLINE Vec all_bits(bool set) { return {vreinterpretq_f32_u32(vdupq_n_u32(set ? ~0u : 0u))}; }
  // Two or three vectors by one instruction that can step p as well. (Clang spills then.)
  template <int N>
  static FASTDW_INLINE void load_line(const float* p, Vec (&v)[N]) {
#if defined(__GNUC__) && !defined(__clang__)
    if constexpr (N == 2) {
      const float32x4x2_t line = vld1q_f32_x2(p);
      unroll<N>([&](auto i) FASTDW_INLINE_LAMBDA { v[i] = {line.val[i]}; });
      return;
    } else if constexpr (N == 3) {
      const float32x4x3_t line = vld1q_f32_x3(p);
      unroll<N>([&](auto i) FASTDW_INLINE_LAMBDA { v[i] = {line.val[i]}; });
      return;
    }
#endif
    unroll<N>([&](auto i) FASTDW_INLINE_LAMBDA { v[i] = load(p + i * lanes, All{}); });
  }
  FASTDW_INLINE void store(float* p, All) const { vst1q_f32(p, v); }
  FASTDW_INLINE void store(float* p, int n) const {
    if (n == 1) return vst1q_lane_f32(p, v, 0);
    if (n >= 2) vst1_f32(p, vget_low_f32(v));
    if (n == 3) vst1q_lane_f32(p + 2, v, 2);
    if (n == 4) vst1_f32(p + 2, vget_high_f32(v));
  }

  static FASTDW_INLINE Vec load_half(const uint16_t* p, All) {
    return {vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(p)))};
  }
  static FASTDW_INLINE Vec load_half(const uint16_t* p, int n) {
    uint16_t halves[lanes] = {};
    for (int i = 0; i < n; ++i) halves[i] = p[i];
    return load_half(halves, All{});
  }
  FASTDW_INLINE void store_half(uint16_t* p, All) const {
    vst1_u16(p, vreinterpret_u16_f16(vcvt_f16_f32(v)));
  }
  FASTDW_INLINE void store_half(uint16_t* p, int n) const {
    uint16_t halves[lanes];
    store_half(halves, All{});
    for (int i = 0; i < n; ++i) p[i] = halves[i];
  }

  static FASTDW_INLINE Vec spread(const float* p, int n, const float* index) {
    const uint8x16_t table = vreinterpretq_u8_f32(load(p, n).v);
    return {vreinterpretq_f32_u8(vqtbl1q_u8(table, table_bytes(vreinterpretq_u32_f32(vld1q_f32(index)))))};
  }
  static FASTDW_INLINE int last_index(const float* index, All) { return last_index(index, lanes); }
  static FASTDW_INLINE int last_index(const float* index, int n) {
    return vget_lane_s32(vreinterpret_s32_f32(vld1_dup_f32(index + n - 1)), 0);
  }
  template <int N>
  FASTDW_INLINE Vec shift_left() const {
    return {vreinterpretq_f32_u32(vshlq_n_u32(vreinterpretq_u32_f32(v), N))};
  }
  template <int N>
  FASTDW_INLINE Vec shift_right() const {
    return {vreinterpretq_f32_u32(vshrq_n_u32(vreinterpretq_u32_f32(v), N))};
  }
};

FASTDW_INLINE Vec add(Vec a, Vec b) { return {vaddq_f32(a.v, b.v)}; }
FASTDW_INLINE Vec sub(Vec a, Vec b) { return {vsubq_f32(a.v, b.v)}; }
FASTDW_INLINE Vec mul(Vec a, Vec b) { return {vmulq_f32(a.v, b.v)}; }
FASTDW_INLINE Vec div(Vec a, Vec b) { return {vdivq_f32(a.v, b.v)}; }
FASTDW_INLINE Vec sqrt(Vec a) { return {vsqrtq_f32(a.v)}; }
FASTDW_INLINE Vec fma(Vec a, Vec b, Vec c) { return {vfmaq_f32(c.v, a.v, b.v)}; }
template <int I>
FASTDW_INLINE Vec fma_lane(Vec a, Vec b, Vec c) {
  return {vfmaq_laneq_f32(c.v, a.v, b.v, I)};
}
// In GCC a struct of vectors is live from the top of the loop that fills it: three of them in the depthwise
// loop cost 7 of its 187 instructions and four accesses to the stack.
FASTDW_INLINE float* store_transposed(float* p, std::ptrdiff_t step, Vec a, Vec b, Vec c, Vec d) {
#if defined(__GNUC__) && !defined(__clang__)
  register float32x4_t column0 asm("v28") = a.v;
  register float32x4_t column1 asm("v29") = b.v;
  register float32x4_t column2 asm("v30") = c.v;
  register float32x4_t column3 asm("v31") = d.v;
  asm volatile("st4 {v28.4s-v31.4s}, [%0], %1"
               : "+r"(p)
               : "r"(step * sizeof(float)), "w"(column0), "w"(column1), "w"(column2), "w"(column3));
  return p;
#else
  const float32x4x4_t columns = {{a.v, b.v, c.v, d.v}};
  vst4q_f32(p, columns);
  return p + step;
#endif
}
// Only here does GCC learn that memory has changed: told at each store_transposed, it keeps all that the
// loop's lambdas refer to in memory, 285 instructions instead of 174.
FASTDW_INLINE void transposed_stored() { asm volatile("" ::: "memory"); }
// p, of which GCC knows nothing (simd/compiler.h).
FASTDW_INLINE const float* opaque_after(const float* p, [[maybe_unused]] Vec loaded) {
#if defined(__GNUC__) && !defined(__clang__)
  asm("" : "+r"(p) : "w"(loaded.v));
#endif
  return p;
}
FASTDW_INLINE Vec min(Vec a, Vec b) { return {vminq_f32(a.v, b.v)}; }
FASTDW_INLINE Vec max(Vec a, Vec b) { return {vmaxq_f32(a.v, b.v)}; }
FASTDW_INLINE Vec max_or_nan(Vec a, Vec b) { return max(a, b); }
FASTDW_INLINE Vec abs(Vec a) { return {vabsq_f32(a.v)}; }
FASTDW_INLINE Vec minus_abs(Vec a) { return {vnegq_f32(vabsq_f32(a.v))}; }
FASTDW_INLINE Vec copysign(Vec a, Vec sign) { return {vbslq_f32(vdupq_n_u32(0x80000000u), sign.v, a.v)}; }
FASTDW_INLINE Vec and_bits(Vec a, Vec b) {
  return {vreinterpretq_f32_u32(vandq_u32(vreinterpretq_u32_f32(a.v), vreinterpretq_u32_f32(b.v)))};
}
FASTDW_INLINE Vec select_less(Vec a, Vec b, Vec x, Vec y) {
  return {vbslq_f32(vcltq_f32(a.v, b.v), x.v, y.v)};
}
FASTDW_INLINE Vec zip_low(Vec a, Vec b) { return {vzip1q_f32(a.v, b.v)}; }
FASTDW_INLINE Vec zip_high(Vec a, Vec b) { return {vzip2q_f32(a.v, b.v)}; }
FASTDW_INLINE Vec add_bits(Vec a, Vec b) {
  return {vreinterpretq_f32_u32(vaddq_u32(vreinterpretq_u32_f32(a.v), vreinterpretq_u32_f32(b.v)))};
}
FASTDW_INLINE Vec look_up(const uint32_t (&table)[16], Vec index) {
  const uint32x4_t low = vandq_u32(vreinterpretq_u32_f32(index.v), vdupq_n_u32(15));
  const uint8x16x4_t bytes = vld1q_u8_x4(reinterpret_cast<const uint8_t*>(table));
  return {vreinterpretq_f32_u8(vqtbl4q_u8(bytes, table_bytes(low)))};
}

}  // namespace
}  // namespace neon
}  // namespace fastdw
