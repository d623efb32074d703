// The consumer of blocks: their pixels against panels of output channels.
#pragma once
#include "ops/copy.h"
#include "ops/source.h"

namespace fastdw {

// A rectangle of pixels of one image, and a range of panels.
struct PixelBlock {
  ptrdiff_t image, row, rows, column, columns;
  ptrdiff_t first_panel, last_panel;
  Ahead ahead;  // what the next block reads
};

class Pointwise {
 public:
  Pointwise(const Problem& problem, const Plan& plan);
  // Without a residual, written in place.
  Pointwise(const PointwiseWeights& weights, const Output& out, ptrdiff_t packed_floats);

  // `scratch` holds the plan's packed and staging floats. Results that must be staged take the staging buffer
  // by parts of the block.
  void consume(const PixelBlock& pixels, const Block& block, float* scratch) const;

 private:
  struct Spans;
  void parts(const PixelBlock& pixels, const Block& block, float* scratch) const;
  // A block, of at most most_staged() pixels if they are staged.
  void part(const PixelBlock& pixels, const Block& block, float* scratch) const;
  void multiply_spans(const PixelBlock& pixels, const Spans& spans, float* staging) const;
  void planes(const PixelBlock& pixels, const Block& block) const;
  // Whether a block's rows follow each other in out and in the residual.
  bool in_line_outside(const PixelBlock& pixels) const;

  const PointwiseWeights& weights_;
  const Output out_;
  const Input residual_;  // data is null where there is none
  const ptrdiff_t packed_floats_, staging_floats_;
};

}  // namespace fastdw
