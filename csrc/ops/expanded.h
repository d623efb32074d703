// Inverted residuals: a slab of the expanded image, which the depthwise tiles read at once.
#pragma once
#include "plan/plan.h"

namespace fastdw {

// Of a problem that expands; see run().
void run_expanded(const Problem& problem, const Plan& plan);

}  // namespace fastdw
