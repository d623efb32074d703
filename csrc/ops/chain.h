// What a layer computes on views, without Python: one half, or both, and what must fit together.
#pragma once
#include <array>

#include "ops/separable.h"

namespace fastdw {

// The depthwise half, the pointwise half, or both.
struct Chain {
  const DepthwiseWeights* depthwise;
  const PointwiseWeights* pointwise;
  const Activation* pre_activation;
};

constexpr Geometry kPointwise{1, 1, 1, 1, 0, 0};

// strides, dilations (height, width), padding (top, left)
Geometry checked_geometry(const std::array<ptrdiff_t, 6>& numbers);

void check_slopes(const Activation& activation, ptrdiff_t channels);

// Refuses views that do not go together. Their data is not looked at, but for a residual's: null for none.
void check(const Chain& chain, const Input& x, const Input& residual, const Output& out);

double macs_per_image(const Chain& chain, const Output& out);

// Some images, and of each some rows of the output.
struct Part {
  ptrdiff_t image, images, row, rows;
};

// Computes a part of checked views. Throws std::bad_alloc, before it writes.
void compute(const Chain& chain, const Geometry& geometry, const Input& x, const Input& residual,
             const Output& out, int threads, const Part& part);

}  // namespace fastdw
