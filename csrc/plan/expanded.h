// Inverted residuals: what a pointwise convolution expands is a slab in cache, never a tensor.
#pragma once
#include "plan/plan.h"

namespace fastdw {

// Without a projection behind the depthwise half, a task has a share of the channels; with it, all of them
// and a strip of columns. A task walks down its rows, and of its slab keeps those that the next ones need.
void plan_expanded(const Problem& problem, Plan& plan);

}  // namespace fastdw
