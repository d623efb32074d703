// The pointwise operator: blocks of pixels against panels of output channels.
#pragma once
#include "../pack.h"
#include "view.h"

namespace fastdw {

// A rectangle of pixels of one image, and a range of panels.
struct PixelBlock {
  ptrdiff_t image, row, rows, column, columns;
  ptrdiff_t first_panel, last_panel;
  // Tiles run on from row to row, by way of a buffer: for rows so narrow that tiles of one would be half
  // empty. 7×7×1152 → 192 on two threads: 1.20 times as fast.
  bool gathered;
  Ahead ahead;  // what the next block reads
};

struct PointwiseOp {
  const PointwiseWeights& weights;
  const Output out;
  const Input residual;  // data is null where there is none

  // Computes a block from its inputs at a, whose channels lie side by side. `scratch` holds scratch_floats()
  // of the block; where staged() or gathered, it may have at most kStagingFloats / largest_panel() pixels.
  void block(const PixelBlock& block, const float* a, const Layout& a_layout, float* scratch) const;

  // A block of 1, 2 or 4 rows from groups of pixels, column by column. Its scratch is a block's.
  void grouped_block(const PixelBlock& block, const float* groups, float* scratch) const;

  ptrdiff_t scratch_floats(ptrdiff_t rows, ptrdiff_t columns, bool gathered) const;

  // Whether out or the residual must go through a buffer.
  bool staged() const {
    return !out.channels_side_by_side() || (residual.data && !residual.channels_side_by_side());
  }
  ptrdiff_t largest_panel() const { return weights.panel(0).vectors * weights.set.lanes; }

 private:
  struct Spans;
  void multiply_spans(const PixelBlock& block, const Spans& spans, float* staging) const;
};

// x may have any strides. Throws std::bad_alloc, before it writes.
void pointwise(const PointwiseOp& op, const Input& x, int threads);

}  // namespace fastdw
