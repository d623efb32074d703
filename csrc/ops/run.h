// Runs a plan: a source fills block after block, the pointwise half consumes them, or they are the result.
#pragma once
#include "plan/plan.h"

namespace fastdw {

// Throws std::bad_alloc, before it writes.
void run(const Problem& problem, const Plan& plan);

}  // namespace fastdw
