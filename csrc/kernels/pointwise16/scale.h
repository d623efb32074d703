// What a gate leaves of pixels, before they are mixed: eight channels at a time, down all pixels.
#pragma once
#include "kernels/finish16.h"

namespace fastdw {
namespace fp16 {
namespace {

void scale16(const Scale16& call) {
  const Scale16 t = call;  // what is stored cannot change it
  constexpr int lanes = Halves::lanes;
  for (ptrdiff_t c = 0; c < t.channels; c += lanes) {
    const int n = static_cast<int>(t.channels - c < lanes ? t.channels - c : lanes);
    const Totals factors = n == lanes ? Totals::load(t.factors + c) : Totals::load(t.factors + c, n);
    const uint16_t* x = t.x + c;
    uint16_t* y = t.y + c;
    const auto pixels = [&](auto... count) FASTDW_INLINE_LAMBDA {
      for (ptrdiff_t i = t.pixels; i > 0; --i, x += t.x_stride, y += t.y_stride) {
        factors.times(Halves::load(x, count...)).rounded().store(y, count...);
      }
    };
    n == lanes ? pixels() : pixels(n);
  }
}

}  // namespace
}  // namespace fp16
}  // namespace fastdw
