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
};

}  // namespace fastdw
