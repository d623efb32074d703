// Which depthwise kernel runs, and what it can do.
#pragma once
#include "plan/problem.h"

namespace fastdw {

// Decided here, and nowhere else. The forced one, if there is one.
const DwKernel& choose_depthwise_kernel(const Problem& problem);

// A plain kernel does a dilated convolution, once for every phase of rows and of columns.
bool by_phases(const DwKernel& kernel, const Geometry& geometry);

// Rows of outputs whose tiles are all full. (Lane-packed ones want y dense too: else a tile takes one pixel.)
ptrdiff_t tile_rows(const DwKernel& kernel, const Geometry& geometry);

// Whether the kernel writes quads of pixels, so that nothing needs be packed for the pointwise half.
bool writes_quads(const Problem& problem, const DwKernel& kernel);

// Whether both halves run over planes, pixels in the lanes.
bool runs_over_planes(const Problem& problem);

}  // namespace fastdw
