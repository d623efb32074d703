// The pointwise operator: blocks of pixels against panels of output channels.
#pragma once
#include "ops/copy.h"
#include "pack/pointwise.h"

namespace fastdw {

// A rectangle of pixels of one image, and a range of panels.
struct PixelBlock {
  ptrdiff_t image, row, rows, column, columns;
  ptrdiff_t first_panel, last_panel;
  Ahead ahead;  // what the next block reads
};

struct PointwiseOp {
  const PointwiseWeights& weights;
  const Output out;
  const Input residual;  // data is null where there is none

  // Computes a block from its inputs at a, whose channels lie side by side. `scratch` holds scratch_floats()
  // of the block, `staging` floats of it for results on their way to out, which take it by parts of the
  // block; without, they are written in place.
  void block(const PixelBlock& block, const float* a, const Layout& a_layout, float* scratch,
             ptrdiff_t staging) const;

  // A block of 1, 2 or 4 rows from groups of pixels, column by column, at most most_staged(staging). Its
  // scratch is a block's.
  void grouped_block(const PixelBlock& block, const float* groups, float* scratch, ptrdiff_t staging) const;

  // A block of whole rows from planes, which can be read up to whole vectors of pixels.
  bool takes_planes() const {
    return weights.set.planes.exist() && out.planar() && (!residual.data || residual.planar()) &&
           weights.activation.slopes.empty();
  }
  void planes(const PixelBlock& block, const float* a, ptrdiff_t a_plane_stride) const;

  ptrdiff_t scratch_floats(ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t staging) const;

  // Whether results must be staged: for the layout of out or of the residual.
  bool staged() const {
    return !out.channels_side_by_side() || (residual.data && !residual.channels_side_by_side());
  }
  // Pixels that pass through the staging buffer at a time.
  ptrdiff_t most_staged(ptrdiff_t staging) const {
    return staging / (weights.panel(0).vectors * weights.set.lanes);
  }

 private:
  struct Spans;
  // A block, of at most most_staged(staging) pixels if they are staged.
  void part(const PixelBlock& block, const float* a, const Layout& a_layout, float* scratch,
            ptrdiff_t staging) const;
  void multiply_spans(const PixelBlock& block, const Spans& spans, float* scratch, ptrdiff_t staging) const;
  // Whether a block's rows follow each other in out and in the residual.
  bool in_line_outside(const PixelBlock& block) const;
};

// x may have any strides. Throws std::bad_alloc, before it writes.
void pointwise(const PointwiseOp& op, const Input& x, int threads);

}  // namespace fastdw
