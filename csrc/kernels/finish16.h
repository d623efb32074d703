// How totals become halves: in registers where a clamp comes or hard_swish, else by way of memory.
#pragma once
#include "kernels/contract16.h"
#include "kernels/curves/curves.h"
#include "simd/halves_fp16.h"
#include "simd/vec_neon.h"

namespace fastdw {
namespace fp16 {
namespace {

using Floats = neon::Vec;

struct Clamp {
  Halves low, high;
  explicit FASTDW_INLINE Clamp(const Finish16& f) : low(Halves::set1(f.low)), high(Halves::set1(f.high)) {}
  FASTDW_INLINE Halves operator()(Totals t) const { return clamp(t.rounded(), low, high); }
  FASTDW_INLINE Halves operator()(Totals t, const float*, int) const { return (*this)(t); }
};

// Curves of floats: the operations, and so the bits, of that set.
template <class C>
struct Curved {
  Floats a;
  explicit FASTDW_INLINE Curved(const Finish16& f) : a(Floats::set1(f.a)) {}
  FASTDW_INLINE Halves operator()(Totals t) const { return (*this)(t, nullptr, 0); }
  // Of n channels.
  FASTDW_INLINE Halves operator()(Totals t, const float* slopes, int n) const {
    constexpr int lanes = Floats::lanes;
    CurveParameters<Floats> low{a, Floats::set1(0)}, high = low;
    if (slopes) {
      low.slopes = Floats::load(slopes, n < lanes ? n : lanes);
      if (n > lanes) high.slopes = Floats::load(slopes + lanes, n - lanes);
    }
    return Totals{C::apply(Floats{t.low}, low).v, C::apply(Floats{t.high}, high).v}.rounded();
  }
};

// What is common enough for kernels to have it in registers: use(finish), with finish(totals).
template <class Use>
FASTDW_INLINE bool in_registers(const Finish16& f, const Use& use) {
  if (f.curve == Curve::kClamp) {
    use(Clamp(f));
  } else if (f.curve == Curve::kHardSwish) {
    use(Curved<HardSwish>(f));
  } else {
    return false;
  }
  return true;
}

template <class F>
void finish_totals(const Finish16& f, const float* totals, const Place16& p) {
  const F finish(f);
  for (ptrdiff_t i = 0; i < p.pixels; ++i) {
    const float* const line = totals + i * p.width;
    const uint16_t* const residual = p.residual ? p.residual + i * p.residual_stride : nullptr;
    uint16_t* const y = p.y + i * p.y_stride;
    for (ptrdiff_t c = 0; c < p.channels; c += Halves::lanes) {
      const ptrdiff_t left = p.channels - c;
      const int n = static_cast<int>(left < Halves::lanes ? left : Halves::lanes);
      Totals t = Totals::load(line + c);
      if (residual) t = t.plus(Halves::load(residual + c, n));
      finish(t, f.slopes ? f.slopes + c : nullptr, n).store(y + c, n);
    }
  }
}

}  // namespace
}  // namespace fp16
}  // namespace fastdw
