// A call of a layer on views: the GIL, interrupts, running out of memory.
#pragma once
#include <vector>

#include "plan/plan.h"

namespace fastdw {

// Computes a checked problem, whose channels are divided among the chains: one, or the groups of a grouped
// convolution. Throws std::bad_alloc, before it writes, and pybind11::error_already_set at an
// interrupt between parts of the work.
void call(const std::vector<Chain>& groups, const Problem& problem, int threads);

// Whether so much work is one part.
bool is_brief(double nanoseconds);

// A brief call of one chain whose plan was made before. Throws std::bad_alloc, before it writes.
void call_planned(const Problem& problem, const Plan& plan);

}  // namespace fastdw
