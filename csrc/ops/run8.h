// Runs what a plan of an 8-bit layer says.
#pragma once
#include "plan/plan8.h"

namespace fastdw {

// Refuses shapes that do not fit each other, and channels that are apart.
void check(const Problem8& problem);

// Throws std::bad_alloc, before it writes.
void run(const Problem8& problem, const Plan8& plan);

}  // namespace fastdw
