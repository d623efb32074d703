// The steps of a network on halves: see step.h.
#pragma once
#include "network/step.h"
#include "plan/plan16.h"

namespace fastdw {

// As make_problem16(); a residual is `second`, factors are `scale`.
StepPointer layer16_step(const Chain16& chain, const Geometry& geometry,
                         const std::optional<std::array<ptrdiff_t, 2>>& kernel_size,
                         const Operands& operands);

}  // namespace fastdw
