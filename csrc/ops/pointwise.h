// The pointwise operator: blocks of pixels against panels of output channels.
#pragma once
#include "../pack.h"
#include "view.h"

namespace fastdw {

// A rectangle of pixels of one image, and a range of panels.
struct PixelBlock {
  ptrdiff_t image, row, rows, column, columns;
  ptrdiff_t first_panel, last_panel;
};

struct PointwiseOp {
  const PointwiseWeights& weights;
  const Output out;
  const Input residual;  // data is null where there is none

  // Computes a block from its inputs at a, whose channels lie side by side. `staging` holds kStagingFloats
  // floats where staged(); then a block may have at most kStagingFloats / largest_panel() pixels.
  void block(const PixelBlock& block, const float* a, ptrdiff_t a_row_stride, ptrdiff_t a_column_stride,
             float* staging) const;

  // Whether out or the residual must go through a buffer.
  bool staged() const {
    return !out.channels_side_by_side() || (residual.data && !residual.channels_side_by_side());
  }
  ptrdiff_t largest_panel() const { return weights.panel(0).vectors * weights.set.lanes; }
};

// x may have any strides. Throws std::bad_alloc, before it writes.
void pointwise(const PointwiseOp& op, const Input& x, int threads);

}  // namespace fastdw
