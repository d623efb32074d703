// The activations that are no clamp. Bound for every float v: |error| ≤ 4·2⁻²⁴·(|f(v)| + |v|); sigmoid and
// tanh within 4 ulp; the right limits at ±inf; NaN stays NaN, because max and min return a NaN second
// operand.
//
// Only correctly rounded operations, in one order: every set with FMA gives the same bits. The polynomials
// are minimax fits on the intervals named beside them.
#pragma once
#include "kernels/contract.h"
#include "simd/vec.h"

namespace fastdw {
namespace {

// 1.5·2²³: a sum with it is rounded to a whole number, which stands in its low bits.
constexpr float kRound = 12582912.0f;

template <class V>
FASTDW_INLINE V polynomial(V, float c0) {
  return V::set1(c0);
}

// c0 + c1·x + … by Horner's rule.
template <class V, class... C>
FASTDW_INLINE V polynomial(V x, float c0, C... rest) {
  return fma(polynomial(x, rest...), x, V::set1(c0));
}

// 2ⁿ for a whole n in [−126, 127]: n + 127 lands in the low bits of the significand of 1.5·2²³ + n + 127,
// from where a shift moves it into the exponent.
template <class V>
FASTDW_INLINE V power_of_two(V n) {
  return add(n, V::set1(kRound + 127.0f)).template shift_left<23>();
}

// v = n·ln 2 + r with a whole n; returns e^r − 1 for |r| ≤ ln 2 / 2. ln 2 is cut in two so that its first
// part times n is exact, with or without FMA.
template <class V>
FASTDW_INLINE V expm1_reduced(V v, V& n) {
  const V round = V::set1(kRound);
  n = sub(fma(v, V::set1(1.44269504f), round), round);
  V r = fma(n, V::set1(-0.693359375f), v);
  r = fma(n, V::set1(2.12194440e-4f), r);
  const V p = polynomial(r, 0.5f, 0.16666518f, 0.041666202f, 0.008369025f, 0.0013950726f);
  return fma(mul(r, r), p, r);
}

// p·2ⁿ for a whole n, p near 1; without ldexp in two steps, of which the second alone rounds, where the
// result is subnormal.
template <class V>
FASTDW_INLINE V times_power_of_two(V p, V n) {
  if constexpr (V::has_ldexp) {
    return ldexp(p, n);
  } else {
    const V round = V::set1(kRound);
    const V half = sub(add(mul(n, V::set1(0.5f)), round), round);
    return mul(mul(p, power_of_two(half)), power_of_two(sub(n, half)));
  }
}

// e^v for −104 ≤ v ≤ 88.
template <class V>
FASTDW_INLINE V exp_bounded(V v) {
  V n;
  const V p = add(expm1_reduced(v, n), V::set1(1.0f));
  return times_power_of_two(p, n);
}

template <class V>
FASTDW_INLINE V sigmoid(V v) {
  const V e = exp_bounded(max(V::set1(-104.0f), minus_abs(v)));
  const V one = V::set1(1.0f);
  return div(select_less(v, V::set1(0.0f), e, one), add(one, e));
}

// 2^(i/16), less i sixteenths of an exponent.
alignas(64) constexpr uint32_t kSixteenths[16] = {
    0x3f800000, 0x3f7daac3, 0x3f7b95c2, 0x3f79c3d3, 0x3f7837f0, 0x3f76f532, 0x3f75fed7, 0x3f75583f,
    0x3f7504f3, 0x3f7508a4, 0x3f75672a, 0x3f76248c, 0x3f7744fd, 0x3f78ccdf, 0x3f7ac0c7, 0x3f7d257d};

// The s from which down e^−s overflows.
constexpr float kOverflow = -88.72284f;

// v·sigmoid(s) for s ≥ kOverflow, as v/(1 + e^−s). The bound counts |v|: it allows a result of 0 where
// e^−s overflows, and few operations for e^−s, which are 2^(n/16) from a table and a polynomial of degree 2
// for the rest: fewer than one of degree 5 for all of 2^−r.
template <class V>
FASTDW_INLINE V times_sigmoid(V v, V s) {
  const V round = V::set1(kRound), one = V::set1(1.0f);
  // −16·s·log₂ e = n + r with |r| ≤ 1/2 and a whole n, which stands in the low bits of `rounded`.
  const V sixteenths = mul(min(V::set1(87.0f), s), V::set1(-23.0831207f));
  const V rounded = add(sixteenths, round);
  const V r = sub(sixteenths, sub(rounded, round));
  const V power = add_bits(look_up(kSixteenths, rounded), rounded.template shift_left<19>());
  const V p = polynomial(r, 1.0f, 0.0433242395f, 0.000938357275f);
  return div(v, fma(power, p, one));
}

// What a curve may read besides v: its numbers, and the slopes of the vector's channels.
template <class V>
struct CurveParameters {
  V a, slopes;
};

struct HardSigmoid {
  template <class V>
  static FASTDW_INLINE V apply(V v, const CurveParameters<V>&) {
    return above(max(V::set1(-3.0f), v));
  }
  // For v ≥ −3.
  template <class V>
  static FASTDW_INLINE V above(V v) {
    return mul(min(V::set1(6.0f), add(v, V::set1(3.0f))), V::set1(1.0f / 6.0f));
  }
};

struct HardSwish {
  template <class V>
  static FASTDW_INLINE V apply(V v, const CurveParameters<V>&) {
    const V bounded = max(V::set1(-3.0f), v);
    return mul(bounded, HardSigmoid::above(bounded));
  }
};

struct Sigmoid {
  template <class V>
  static FASTDW_INLINE V apply(V v, const CurveParameters<V>&) {
    return sigmoid(v);
  }
};

struct Swish {
  template <class V>
  static FASTDW_INLINE V apply(V v, const CurveParameters<V>&) {
    const V s = max(V::set1(kOverflow), v);
    return times_sigmoid(s, s);
  }
};

struct Tanh {
  template <class V>
  static FASTDW_INLINE V apply(V v, const CurveParameters<V>&) {
    const V a = abs(v), z = mul(a, a);  // the polynomial: |v| ≤ 0.625
    const V p = polynomial(z, -0.33333284f, 0.13331501f, -0.05374443f, 0.020653807f, -0.0057208207f);
    const V small = fma(mul(a, z), p, a);
    const V e = exp_bounded(mul(V::set1(2.0f), min(V::set1(10.0f), a)));
    const V large = sub(V::set1(1.0f), div(V::set1(2.0f), add(e, V::set1(1.0f))));
    return copysign(select_less(a, V::set1(0.625f), small, large), v);
  }
};

struct Gelu {
  // max(v, 0) − |v|·erfc(|v|/√2)/2, with erfc(|v|/√2)/2 = e^(−v²/2)·t·P(t), t = 1/(1 + |v|/4);
  // from |v| = 14.5 on the exponential is 0.
  template <class V>
  static FASTDW_INLINE V apply(V v, const CurveParameters<V>&) {
    const V a = min(V::set1(14.5f), abs(v)), one = V::set1(1.0f);
    const V t = div(one, fma(a, V::set1(0.25f), one));
    const V p = polynomial(t, 0.09885842f, 0.11174116f, 0.026704753f, 0.2772141f, -0.26256374f, 0.33904055f,
                           -0.09099521f);
    const V e = exp_bounded(mul(mul(a, a), V::set1(-0.5f)));
    return sub(max(V::set1(0.0f), v), mul(mul(a, e), mul(t, p)));
  }
};

struct GeluTanh {
  // v·(1 + tanh(√(2/π)·(v + 0.044715·v³)))/2 = v·sigmoid(2·√(2/π)·(v + 0.044715·v³)).
  template <class V>
  static FASTDW_INLINE V apply(V v, const CurveParameters<V>&) {
    const V s = mul(v, fma(mul(v, v), V::set1(0.0713548163f), V::set1(1.59576912f)));
    return times_sigmoid(max(V::set1(-14.0f), v), max(V::set1(kOverflow), s));
  }
};

struct Softplus {
  // max(v, 0) + log(1 + e), e = e^−|v|.
  template <class V>
  static FASTDW_INLINE V apply(V v, const CurveParameters<V>&) {
    const V e = exp_bounded(max(V::set1(-104.0f), minus_abs(v)));
    const V p = polynomial(e, 0.99999994f, -0.49999493f, 0.33319098f, -0.24842982f, 0.19106008f, -0.13663247f,
                           0.078225963f, -0.029505244f, 0.0052326946f);  // 0 ≤ e ≤ 1
    return fma(e, p, max(V::set1(0.0f), v));
  }
};

struct Mish {
  // v·tanh(log(1 + e)) = v·n/(n + 2) with n = e·(e + 2), e = e^v; from v = 20 on that is v.
  template <class V>
  static FASTDW_INLINE V apply(V v, const CurveParameters<V>&) {
    const V bounded = max(V::set1(-104.0f), v), two = V::set1(2.0f);
    const V e = exp_bounded(min(V::set1(20.0f), bounded));
    const V n = mul(e, add(e, two));
    return mul(bounded, div(n, add(n, two)));
  }
};

struct Abs {
  template <class V>
  static FASTDW_INLINE V apply(V v, const CurveParameters<V>&) {
    return abs(v);
  }
};

struct Exp {
  // From v = 89 on it overflows.
  template <class V>
  static FASTDW_INLINE V apply(V v, const CurveParameters<V>&) {
    return exp_bounded(max(V::set1(-104.0f), min(V::set1(89.0f), v)));
  }
};

struct Log {
  // √½, and the bits by which 1 is above it.
  static constexpr float kRoot = 0.70710677f, kOneLessRoot = 0x1.2bec34p-127f;
  // v = m·2ⁿ with √½ ≤ m < √2, so that n is 0 about 1; r = m − 1.
  template <class V>
  static FASTDW_INLINE V apply(V v, const CurveParameters<V>&) {
    const V least = V::set1(0x1p-126f), zero = V::set1(0.0f), one = V::set1(1.0f);
    const V normal = select_less(v, least, mul(v, V::set1(0x1p23f)), v);
    const V moved = add_bits(normal, V::set1(kOneLessRoot));
    const V m = add_bits(moved.template shift_left<9>().template shift_right<9>(), V::set1(kRoot));
    const V whole = sub(add_bits(moved.template shift_right<23>(), V::set1(0x1p23f)),
                        select_less(v, least, V::set1(0x1p23f + 150.0f), V::set1(0x1p23f + 127.0f)));
    const V r = sub(m, one), square = mul(r, r);
    const V p = polynomial(r, 0.3333391f, -0.25001338f, 0.19963063f, -0.16577584f, 0.14914769f, -0.14267492f,
                           0.087004386f);
    V small = fma(mul(square, r), p, mul(square, V::set1(-0.5f)));
    small = fma(whole, V::set1(-2.12194440e-4f), small);
    const V y = fma(whole, V::set1(0.693359375f), add(small, r));
    const V none = V::set1(-__builtin_inff()), nan = V::set1(__builtin_nanf(""));
    const V finite = select_less(v, V::set1(__builtin_inff()), y, v);
    return select_less(zero, v, finite, add(select_less(v, zero, nan, v), none));
  }
};

struct Reciprocal {
  template <class V>
  static FASTDW_INLINE V apply(V v, const CurveParameters<V>&) {
    return div(V::set1(1.0f), v);
  }
};

struct Sqrt {
  template <class V>
  static FASTDW_INLINE V apply(V v, const CurveParameters<V>&) {
    return sqrt(v);
  }
};

struct LeakyRelu {
  template <class V>
  static FASTDW_INLINE V apply(V v, const CurveParameters<V>& p) {
    return select_less(v, V::set1(0.0f), mul(v, p.a), v);
  }
};

struct Elu {
  template <class V>
  static FASTDW_INLINE V apply(V v, const CurveParameters<V>& p) {
    V n;
    const V q = expm1_reduced(max(V::set1(-20.0f), min(V::set1(0.0f), v)), n);
    const V power = power_of_two(n);
    const V expm1 = fma(power, q, sub(power, V::set1(1.0f)));
    return select_less(v, V::set1(0.0f), mul(p.a, expm1), v);
  }
};

struct Prelu {
  // A slope of zero times −inf has the limit 0.
  template <class V>
  static FASTDW_INLINE V apply(V v, const CurveParameters<V>& p) {
    const V zero = V::set1(0.0f);
    const V finite = select_less(zero, abs(p.slopes), v, zero);
    return select_less(v, zero, mul(finite, p.slopes), v);
  }
};

// kVectors vectors side by side: their loads come before their stores, so that compilers pair them.
template <class V, class C, int kVectors, class N>
FASTDW_INLINE void curve_vectors(float* y, N n, const CurveTile& t, const float* slopes) {
  V v[kVectors];
  unroll<kVectors>([&](auto k) FASTDW_INLINE_LAMBDA {
    CurveParameters<V> p{V::set1(t.a), V::set1(0.0f)};
    if (slopes) p.slopes = V::load(slopes + k * V::lanes, n);
    v[k] = C::apply(V::load(y + k * V::lanes, n), p);
  });
  unroll<kVectors>([&](auto k) FASTDW_INLINE_LAMBDA { v[k].store(y + k * V::lanes, n); });
}

// Pixels of a panel of kVectors vectors.
template <class V, class C, int kVectors>
FASTDW_INLINE void curve_panel(const CurveTile t) {
  float* y = t.y;
  for (ptrdiff_t i = t.pixels; i > 0; --i, y += t.stride) curve_vectors<V, C, kVectors>(y, All{}, t, nullptr);
}

// Where vectors are short the loops would take as much as the curve: on NEON hard_swish takes 8 instructions
// a vector, not 15.
template <class V, class C>
void apply_curve(const CurveTile& t) {
  if constexpr (V::lanes == 4) {
    if (!t.slopes && t.channels == 2 * V::lanes) return curve_panel<V, C, 2>(t);
    if (!t.slopes && t.channels == 3 * V::lanes) return curve_panel<V, C, 3>(t);
  }
  for (ptrdiff_t i = 0; i < t.pixels; ++i) {
    float* y = t.y + i * t.stride;
    for_vectors_together<V, 3>(t.channels, [&](ptrdiff_t c, auto n, auto count) FASTDW_INLINE_LAMBDA {
      curve_vectors<V, C, count>(y + c, n, t, t.slopes ? t.slopes + c : nullptr);
    });
  }
}

// The clamp as a curve, for activations that come before a convolution.
template <class V>
void apply_clamp(const CurveTile& t) {
  const V lo = V::set1(t.a), hi = V::set1(t.b);
  for (ptrdiff_t i = 0; i < t.pixels; ++i) {
    float* y = t.y + i * t.stride;
    for_vectors<V>(t.channels, [&](ptrdiff_t c, auto n) FASTDW_INLINE_LAMBDA {
      min(hi, max(lo, V::load(y + c, n))).store(y + c, n);
    });
  }
}

}  // namespace
}  // namespace fastdw
