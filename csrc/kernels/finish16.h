// How totals become halves: in registers where nothing is added and no curve comes, else by way of memory.
#pragma once
#include "kernels/contract16.h"
#include "simd/halves_fp16.h"

namespace fastdw {
namespace fp16 {
namespace {

struct Clamp {
  Halves low, high;
  explicit FASTDW_INLINE Clamp(const Finish16& f) : low(Halves::set1(f.low)), high(Halves::set1(f.high)) {}
  FASTDW_INLINE Halves operator()(Totals t) const { return clamp(t.rounded(), low, high); }
};

// Pixels × channels of totals, whole vectors of them `width` from pixel to pixel.
struct Place16 {
  ptrdiff_t pixels, channels, width;
  const uint16_t* residual;  // or null
  ptrdiff_t residual_stride;
  uint16_t* y;
  ptrdiff_t y_stride;
};

__attribute__((noinline)) void finish_totals(const Finish16& f, float* totals, const Place16& p) {
  const auto vectors = [&](const auto& step) {
    for (ptrdiff_t i = 0; i < p.pixels; ++i) {
      for (ptrdiff_t c = 0; c < p.channels; c += Halves::lanes) {
        const ptrdiff_t left = p.channels - c;
        step(i, c, totals + i * p.width + c, static_cast<int>(left < Halves::lanes ? left : Halves::lanes));
      }
    }
  };
  if (p.residual) {
    vectors([&](ptrdiff_t i, ptrdiff_t c, float* t, int n) {
      Totals::load(t).plus(Halves::load(p.residual + i * p.residual_stride + c, n)).store(t);
    });
  }
  if (f.curve) f.curve({totals, p.width, p.pixels, p.channels, f.a, 0, f.slopes});
  const Clamp clamped(f);
  vectors([&](ptrdiff_t i, ptrdiff_t c, const float* t, int n) {
    clamped(Totals::load(t)).store(p.y + i * p.y_stride + c, n);
  });
}

}  // namespace
}  // namespace fp16
}  // namespace fastdw
