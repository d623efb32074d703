// Layers with sums of halves.
#pragma once
#include "plan/plan16.h"

namespace fastdw {

// Refuses views that do not go together.
void check(const Problem16& problem);

// Some tasks of a checked problem. Throws std::bad_alloc, before it writes.
void run(const Problem16& problem, const Plan16& plan, ptrdiff_t first_task, ptrdiff_t tasks);

}  // namespace fastdw
