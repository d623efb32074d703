// The separable operator: depthwise and pointwise halves, fused block by block.
#pragma once
#include "ops/depthwise.h"
#include "ops/pointwise.h"

namespace fastdw {

// Throws std::bad_alloc, before it writes.
void separable(const DepthwiseOp& depthwise, const PointwiseOp& pointwise, int threads);

}  // namespace fastdw
