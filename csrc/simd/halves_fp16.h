// The words of kernels on sums of halves with FEAT_FP16: eight halves a vector, and FMA of halves.
#pragma once
#include <arm_neon.h>

#include <cstddef>
#include <cstdint>

#include "simd/vec.h"

namespace fastdw {
namespace fp16 {
namespace {

struct Halves {
  static constexpr int lanes = 8;
  float16x8_t v;

  static FASTDW_INLINE Halves zero() { return {vdupq_n_f16(0)}; }
  static FASTDW_INLINE Halves load(const uint16_t* p) { return {vreinterpretq_f16_u16(vld1q_u16(p))}; }
  // Of n, with zeros behind them.
  static FASTDW_INLINE Halves load(const uint16_t* p, int n) {
    if (n == lanes) return load(p);
    uint16_t line[lanes] = {};
    for (int i = 0; i < n; ++i) line[i] = p[i];
    return load(line);
  }
  // One for all lanes.
  static FASTDW_INLINE Halves set1(uint16_t bits) { return {vreinterpretq_f16_u16(vdupq_n_u16(bits))}; }
  static FASTDW_INLINE Halves broadcast(const uint16_t* p) {
    return {vreinterpretq_f16_u16(vld1q_dup_u16(p))};
  }
  FASTDW_INLINE void store(uint16_t* p) const { vst1q_u16(p, vreinterpretq_u16_f16(v)); }
  FASTDW_INLINE void store(uint16_t* p, int n) const {
    if (n == lanes) return store(p);
    uint16_t line[lanes];
    store(line);
    for (int i = 0; i < n; ++i) p[i] = line[i];
  }
};

FASTDW_INLINE void multiply_add(Halves& sum, Halves a, Halves b) { sum.v = vfmaq_f16(sum.v, a.v, b.v); }
// By a lane of x. It must lie in one of the first 16 registers, which GCC does not ask for by its own word:
// it copies lanes, 1.95 instructions an FMA instead of 1.25.
template <int Lane>
FASTDW_INLINE void multiply_add_lane(Halves& sum, Halves x, Halves w) {
  __asm__("fmla %0.8h, %1.8h, %2.h[%3]" : "+w"(sum.v) : "w"(w.v), "x"(x.v), "i"(Lane));
}
FASTDW_INLINE Halves clamp(Halves a, Halves low, Halves high) {
  return {vminq_f16(high.v, vmaxq_f16(low.v, a.v))};
}

// As many floats.
struct Totals {
  float32x4_t low, high;

  static FASTDW_INLINE Totals load(const float* p) { return {vld1q_f32(p), vld1q_f32(p + 4)}; }
  // Of n, with zeros behind them.
  static FASTDW_INLINE Totals load(const float* p, int n) {
    float line[Halves::lanes] = {};
    for (int i = 0; i < n; ++i) line[i] = p[i];
    return load(line);
  }
  FASTDW_INLINE void store(float* p) const {
    vst1q_f32(p, low);
    vst1q_f32(p + 4, high);
  }
  FASTDW_INLINE Totals plus(Halves h) const {
    return {vaddq_f32(low, vcvt_f32_f16(vget_low_f16(h.v))), vaddq_f32(high, vcvt_high_f32_f16(h.v))};
  }
  FASTDW_INLINE Totals times(Halves h) const {
    return {vmulq_f32(low, vcvt_f32_f16(vget_low_f16(h.v))), vmulq_f32(high, vcvt_high_f32_f16(h.v))};
  }
  FASTDW_INLINE Halves rounded() const { return {vcvt_high_f16_f32(vcvt_f16_f32(low), high)}; }
};

}  // namespace
}  // namespace fp16
}  // namespace fastdw
