// Packed pointwise weights: where a weight sits in memory. The picture is in kernels/contract.h.
#pragma once
#include "base/math.h"
#include "base/memory.h"
#include "pack/activation.h"

namespace fastdw {

class PointwiseWeights {
 public:
  // kernel (Cin, F) in C order, bias (F) or null; `store` is where to, or null.
  PointwiseWeights(const KernelSet& set, const float* kernel, const float* bias, ptrdiff_t inputs,
                   ptrdiff_t outputs, Activation activation, FloatStore* store = nullptr);

  void unpack(float* kernel, float* bias) const;

  ptrdiff_t nbytes() const;

  struct Panel {
    ptrdiff_t first, channels;  // output channels
    int vectors;
    const float* weights;
    const PwKernels& kernels;
    int tile_pixels;  // most of a tile, where there is more than one
    bool halved;
  };
  // The vectors of output channels, dealt out as evenly as the panels' sizes allow.
  Panel panel(ptrdiff_t i) const;

  // Pixels whose results for one panel fit into so many floats.
  ptrdiff_t most_staged(ptrdiff_t staging) const { return staging / (panel(0).vectors * set.lanes); }
  // What rows × columns pixels take as quads; where they are staged, by parts of most_staged().
  ptrdiff_t packed_floats(ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t staging) const;

  const KernelSet& set;
  const ptrdiff_t inputs, outputs;
  const ptrdiff_t panels;
  const Activation activation;

 private:
  ptrdiff_t vectors() const { return ceil_div(outputs, set.lanes); }
  SharedFloats packed;
};

}  // namespace fastdw
