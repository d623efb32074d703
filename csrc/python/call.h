// A call of a layer on views: the GIL, interrupts, running out of memory.
#pragma once
#include "ops/chain.h"

namespace fastdw {

// Computes checked views. Throws std::bad_alloc, before it writes, and pybind11::error_already_set at an
// interrupt between parts of the work.
void call(const Chain& chain, const Geometry& geometry, const Input& x, const Input& residual,
          const Output& out, int threads);

}  // namespace fastdw
