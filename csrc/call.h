// A call of an operator on views: what must fit together, the GIL, interrupts, running out of memory.
#pragma once
#include <array>

#include "ops/separable.h"

namespace fastdw {

// What a layer computes: one half, or both.
struct Operator {
  const DepthwiseWeights* depthwise;
  const PointwiseWeights* pointwise;
  const Activation* pre_activation;
};

constexpr Geometry kPointwise{1, 1, 1, 1, 0, 0};

// A bare ValueError: Python has explained every mistake before.
[[noreturn]] void refuse(const char* what);

// strides, dilations (height, width), padding (top, left)
Geometry checked_geometry(const std::array<ptrdiff_t, 6>& numbers);

// Refuses views that do not go together. Their data is not looked at, but for a residual's: null for none.
void check(const Operator& op, const Input& x, const Input& residual, const Output& out);

// Computes checked views. Throws std::bad_alloc, before it writes, and pybind11::error_already_set at an
// interrupt between parts of the work.
void call(const Operator& op, const Geometry& geometry, const Input& x, const Input& residual,
          const Output& out, int threads);

}  // namespace fastdw
