// Vec (vec.h) in portable C++: four floats in the compiler's own vector type, which every target lowers to
// what it has.
#pragma once
#include <cmath>
#include <cstdint>
#include <cstring>

#include "simd/vec.h"

namespace fastdw {
namespace scalar {
namespace {

typedef float Floats __attribute__((vector_size(16)));
typedef int32_t Ints __attribute__((vector_size(16)));
typedef uint32_t Bits __attribute__((vector_size(16)));

FASTDW_INLINE Bits bits(Floats v) { return reinterpret_cast<Bits>(v); }
FASTDW_INLINE Floats floats(Bits b) { return reinterpret_cast<Floats>(b); }
FASTDW_INLINE Bits select(Ints mask, Bits x, Bits y) {
  const Bits m = reinterpret_cast<Bits>(mask);
  return (x & m) | (y & ~m);
}
FASTDW_INLINE Floats select(Ints mask, Floats x, Floats y) { return floats(select(mask, bits(x), bits(y))); }

// Of halves in the lower bits, as floats. A half has ten bits less of 23, and exponents less by 112.
FASTDW_INLINE Floats widened(Bits h) {
  const Bits magnitude = (h & 0x7fff) << 13, quiet = magnitude | 0x7fc00000u;
  const Bits normal = magnitude + (112u << 23);
  // 2^-14 and so many of its 1024th parts, less 2^-14: no operand is a subnormal float.
  const Floats small = floats(magnitude | 0x38800000u) - 0x1p-14f;
  Bits r = select(magnitude < (1u << 23), bits(small), normal);
  r = select(magnitude == (31u << 23), Bits{} + 0x7f800000u, r);
  r = select(magnitude > (31u << 23), quiet, r);
  return floats(r | (h & 0x8000) << 16);
}
FASTDW_INLINE Bits narrowed(Floats v) {
  const Bits b = bits(v), a = b & 0x7fffffffu;
  // Half a last bit, and one if the last bit that stays is odd, less the least of them.
  const Bits normal = (a - (112u << 23) + 0xfff + (a >> 13 & 1)) >> 13;
  // The unit in the last place of 1/2 is the least half: adding rounds to it.
  const Bits small = bits(floats(a) + 0.5f) - 0x3f000000u;
  Bits r = select(a < 0x38800000u, small, normal);
  r = select(a >= 0x477ff000u, Bits{} + 0x7c00u, r);
  r = select(a > 0x7f800000u, 0x7e00u | (a >> 13 & 0x3ff), r);
  return r | (b >> 16 & 0x8000);
}

struct Vec {
  static constexpr int lanes = 4;
  static constexpr bool has_ldexp = false;
  Floats v;

  static FASTDW_INLINE Vec set1(float f) { return {Floats{f, f, f, f}}; }
  static FASTDW_INLINE Vec load(const float* p, All) {
    Vec r;
    std::memcpy(&r.v, p, sizeof r.v);
    return r;
  }
  static FASTDW_INLINE Vec load(const float* p, int n) {
    Vec r = set1(0.0f);
    for (int i = 0; i < n; ++i) r.v[i] = p[i];
    return r;
  }
  FASTDW_INLINE void store(float* p, All) const { std::memcpy(p, &v, sizeof v); }
  FASTDW_INLINE void store(float* p, int n) const {
    for (int i = 0; i < n; ++i) p[i] = v[i];
  }

  static FASTDW_INLINE Vec load_half(const uint16_t* p, All) { return load_half(p, lanes); }
  static FASTDW_INLINE Vec load_half(const uint16_t* p, int n) {
    Bits halves = {};
    for (int i = 0; i < n; ++i) halves[i] = p[i];
    return {widened(halves)};
  }
  FASTDW_INLINE void store_half(uint16_t* p, All) const { store_half(p, lanes); }
  FASTDW_INLINE void store_half(uint16_t* p, int n) const {
    const Bits halves = narrowed(v);
    for (int i = 0; i < n; ++i) p[i] = static_cast<uint16_t>(halves[i]);
  }

  static FASTDW_INLINE Vec spread(const float* p, int n, const float* index) {
    Vec r = set1(0.0f);
    for (int i = 0; i < lanes; ++i) {
      const int at = last_index(index, i + 1);
      if (at < n) r.v[i] = p[at];
    }
    return r;
  }
  static FASTDW_INLINE int last_index(const float* index, All) { return last_index(index, lanes); }
  static FASTDW_INLINE int last_index(const float* index, int n) {
    int32_t i;
    std::memcpy(&i, index + n - 1, sizeof i);
    return i;
  }
  template <int N>
  FASTDW_INLINE Vec shift_left() const {
    return {reinterpret_cast<Floats>(reinterpret_cast<Bits>(v) << N)};
  }
  template <int N>
  FASTDW_INLINE Vec shift_right() const {
    return {reinterpret_cast<Floats>(reinterpret_cast<Bits>(v) >> N)};
  }
};

FASTDW_INLINE Vec add(Vec a, Vec b) { return {a.v + b.v}; }
FASTDW_INLINE Vec sub(Vec a, Vec b) { return {a.v - b.v}; }
FASTDW_INLINE Vec mul(Vec a, Vec b) { return {a.v * b.v}; }
FASTDW_INLINE Vec div(Vec a, Vec b) { return {a.v / b.v}; }
FASTDW_INLINE Vec sqrt(Vec a) {
  Vec r;
  for (int i = 0; i < Vec::lanes; ++i) r.v[i] = std::sqrt(a.v[i]);
  return r;
}
FASTDW_INLINE Vec fma(Vec a, Vec b, Vec c) { return {a.v * b.v + c.v}; }
FASTDW_INLINE Vec min(Vec a, Vec b) { return {select(a.v < b.v, a.v, b.v)}; }
FASTDW_INLINE Vec max(Vec a, Vec b) { return {select(a.v > b.v, a.v, b.v)}; }
FASTDW_INLINE Vec max_or_nan(Vec a, Vec b) { return {select(a.v != a.v, a.v, max(a, b).v)}; }
FASTDW_INLINE Vec abs(Vec a) { return {floats(bits(a.v) & 0x7fffffffu)}; }
FASTDW_INLINE Vec minus_abs(Vec a) { return {floats(bits(a.v) | 0x80000000u)}; }
FASTDW_INLINE Vec copysign(Vec a, Vec sign) {
  return {floats((bits(a.v) & 0x7fffffffu) | (bits(sign.v) & 0x80000000u))};
}
FASTDW_INLINE Vec select_less(Vec a, Vec b, Vec x, Vec y) { return {select(a.v < b.v, x.v, y.v)}; }
FASTDW_INLINE Vec zip_low(Vec a, Vec b) { return {Floats{a.v[0], b.v[0], a.v[1], b.v[1]}}; }
FASTDW_INLINE Vec zip_high(Vec a, Vec b) { return {Floats{a.v[2], b.v[2], a.v[3], b.v[3]}}; }
FASTDW_INLINE Vec add_bits(Vec a, Vec b) { return {floats(bits(a.v) + bits(b.v))}; }
FASTDW_INLINE Vec look_up(const uint32_t (&table)[16], Vec index) {
  const Bits i = bits(index.v) & 15;
  return {floats(Bits{table[i[0]], table[i[1]], table[i[2]], table[i[3]]})};
}

}  // namespace
}  // namespace scalar
}  // namespace fastdw
