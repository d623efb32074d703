// Vec (vec.h) in portable C++: four floats in the compiler's own vector type, which every target lowers to
// what it has.
#pragma once
#include <cstdint>
#include <cstring>

#include "simd/vec.h"

namespace fastdw {
namespace scalar {
namespace {

typedef float Floats __attribute__((vector_size(16)));
typedef int32_t Ints __attribute__((vector_size(16)));
typedef uint32_t Bits __attribute__((vector_size(16)));

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
};

FASTDW_INLINE Bits bits(Floats v) { return reinterpret_cast<Bits>(v); }
FASTDW_INLINE Floats floats(Bits b) { return reinterpret_cast<Floats>(b); }
FASTDW_INLINE Floats select(Ints mask, Floats x, Floats y) {
  const Bits m = reinterpret_cast<Bits>(mask);
  return floats((bits(x) & m) | (bits(y) & ~m));
}

FASTDW_INLINE Vec add(Vec a, Vec b) { return {a.v + b.v}; }
FASTDW_INLINE Vec sub(Vec a, Vec b) { return {a.v - b.v}; }
FASTDW_INLINE Vec mul(Vec a, Vec b) { return {a.v * b.v}; }
FASTDW_INLINE Vec div(Vec a, Vec b) { return {a.v / b.v}; }
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
