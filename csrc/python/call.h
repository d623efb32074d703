// A call of a layer on views: the GIL, interrupts, running out of memory.
#pragma once
#include <vector>

#include "plan/problem.h"

namespace fastdw {

// Computes a checked problem, whose channels are divided among the chains: one, or the groups of a grouped
// convolution. Throws std::bad_alloc, before it writes, and pybind11::error_already_set at an
// interrupt between parts of the work.
void call(const std::vector<Chain>& groups, const Problem& problem, int threads);

}  // namespace fastdw
