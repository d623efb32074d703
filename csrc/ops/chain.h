// A layer on views, without Python: what must fit together, and its computation.
#pragma once
#include <array>

#include "plan/problem.h"

namespace fastdw {

// strides, dilations (height, width), padding (top, left)
Geometry checked_geometry(const std::array<ptrdiff_t, 6>& numbers);

void check_slopes(const Activation& activation, ptrdiff_t channels);

// Refuses views that do not go together. Their data is not looked at, but for a residual's: null for none.
void check(const Problem& problem);

// Computes a checked problem. Throws std::bad_alloc, before it writes.
void compute(const Problem& problem, int threads);

}  // namespace fastdw
