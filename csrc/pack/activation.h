// An activation as numbers.
#pragma once
#include <limits>
#include <vector>

#include "kernels/contract.h"

namespace fastdw {

// kClamp: min(max(v, a), b); else `a` is the slope or alpha where there is one.
struct Activation {
  Curve curve = Curve::kClamp;
  float a = 0, b = 0;
  std::vector<float> slopes;

  bool clamps() const { return curve == Curve::kClamp; }
  // What the kernels clamp sums to: nothing where a curve comes after them.
  float lo() const { return clamps() ? a : -std::numeric_limits<float>::infinity(); }
  float hi() const { return clamps() ? b : std::numeric_limits<float>::infinity(); }

  // In place, to pixels `stride` apart with so many channels, which begin with number `first`.
  void apply(const KernelSet& set, float* y, ptrdiff_t stride, ptrdiff_t pixels, ptrdiff_t channels,
             ptrdiff_t first = 0) const {
    const float* const own = slopes.empty() ? nullptr : slopes.data() + first;
    // Without slopes, pixels that follow each other are one line: few channels fill vectors too.
    const bool line = !own && stride == channels;
    set.curves[static_cast<int>(curve)](
        {y, stride, line ? 1 : pixels, line ? pixels * channels : channels, a, b, own});
  }
};

}  // namespace fastdw
