// What the windows of a DepthwiseSource tell its calls of kernels.
#pragma once
#include "ops/depthwise_source.h"

namespace fastdw {

// A part of the kernel: whole columns, or a piece of one, since its weights must follow each other. It is the
// whole kernel unless not even one pixel's input fits into the copy.
struct DepthwiseSource::Taps {
  ptrdiff_t row, rows, column, columns;
};

// Where results go. `quad_stride` is 0 unless they are quads.
struct DepthwiseSource::Results {
  float* data;
  ptrdiff_t row_stride, column_stride, quad_stride = 0;
};

}  // namespace fastdw
