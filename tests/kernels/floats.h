// What the tests of Vec's words have for floats: odd numbers, comparisons to the bit.
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <vector>

#include "words.h"

namespace {

uint32_t bits_of(float f) {
  uint32_t u;
  std::memcpy(&u, &f, sizeof u);
  return u;
}
float from_bits(uint32_t u) {
  float f;
  std::memcpy(&f, &u, sizeof f);
  return f;
}
bool is_nan(float f) { return (bits_of(f) & 0x7fffffffu) > 0x7f800000u; }

void fail(int lane, float got, float wanted) { fail(lane, bits_of(got), bits_of(wanted)); }

// Whether a lane is right: to the bit; or as a number, where any NaN is as good as another.
bool same_bits(float got, float wanted) { return bits_of(got) == bits_of(wanted); }
bool same_number(float got, float wanted) {
  return same_bits(got, wanted) || (is_nan(got) && is_nan(wanted));
}

// Halves by numbers, not by bits: 1 bit of sign, 5 of exponent, 10 of significand.
float plain_widened(uint16_t half) {
  const int exponent = half >> 10 & 31, significand = half & 0x3ff;
  const uint32_t sign = static_cast<uint32_t>(half & 0x8000) << 16;
  if (exponent == 31 && significand) {
    return from_bits(sign | 0x7fc00000u | static_cast<uint32_t>(significand) << 13);
  }
  if (exponent == 31) return from_bits(sign | 0x7f800000u);
  const int whole = exponent == 0 ? significand : significand + 1024;
  return from_bits(sign | bits_of(std::ldexp(static_cast<float>(whole), std::max(exponent, 1) - 25)));
}
uint16_t plain_narrowed(float f) {
  const uint32_t sign = bits_of(f) >> 16 & 0x8000;
  uint32_t half = 0x7c00;
  if (is_nan(f)) {
    half = 0x7e00 | (bits_of(f) >> 13 & 0x3ff);
  } else if (std::fabs(f) < 65520.0f) {  // half a step beyond the largest
    int exponent = 0;
    std::frexp(f, &exponent);                                         // |f| is at least 2^(exponent − 1)
    const int last = f == 0.0f ? -24 : std::max(exponent - 11, -24);  // of the last bit that stays
    const double units = std::ldexp(std::fabs(static_cast<double>(f)), -last);
    double whole = std::floor(units);
    const double rest = units - whole;
    if (rest > 0.5 || (rest == 0.5 && std::fmod(whole, 2.0) == 1.0)) whole += 1;
    // 1024 units and more carry into the exponent by themselves.
    half = static_cast<uint32_t>(whole) + static_cast<uint32_t>(last + 24) * 1024;
  }
  return static_cast<uint16_t>(sign | half);
}

// Zeros, subnormals, the ends of the range, infinities and NaNs of both signs, and some between.
constexpr uint32_t kOdd[] = {0x00000000, 0x80000000, 0x00000001, 0x80000001, 0x007fffff, 0x807fffff,
                             0x00800000, 0x80800000, 0x3f800000, 0xbf800000, 0x3f800001, 0x3effffff,
                             0x40490fdb, 0xc2c80000, 0x33800000, 0x4b800001, 0x7f7fffff, 0xff7fffff,
                             0x7f800000, 0xff800000, 0x7fc00000, 0xffc12345};
constexpr uint32_t kOdds = sizeof kOdd / sizeof *kOdd;

// Number i of operand 0, 1 or 2: all triples of odd ones, then bits drawn at random (a multiplicative hash),
// but no signalling NaN, of which C++ may make a quiet one on any way.
constexpr uint32_t kOperands = kOdds * kOdds * kOdds + 20000;
float operand(int which, uint32_t i) {
  if (i < kOdds * kOdds * kOdds) {
    for (int k = 0; k < which; ++k) i /= kOdds;
    return from_bits(kOdd[i % kOdds]);
  }
  uint32_t u = (3 * i + static_cast<uint32_t>(which)) * 0x9e3779b1u;
  u = (u ^ u >> 15) * 0x85ebca77u;
  u ^= u >> 13;
  // Every second near 1, where sums and products neither vanish nor overflow.
  if (i % 2 == 0) u = (u & 0x80ffffffu) | 0x3f000000u;
  return is_nan(from_bits(u)) ? from_bits(u | 0x00400000u) : from_bits(u);
}

using Guarded = GuardedPage<float>;

}  // namespace
