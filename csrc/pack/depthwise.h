// Packed depthwise weights: where a weight sits in memory. The picture is in kernels/contract.h.
#pragma once
#include "base/math.h"
#include "base/memory.h"
#include "pack/activation.h"

namespace fastdw {

class DepthwiseWeights {
 public:
  // kernel (kh, kw, C, m) in C order, bias (C·m) or null.
  DepthwiseWeights(const KernelSet& set, const float* kernel, const float* bias, ptrdiff_t kernel_h,
                   ptrdiff_t kernel_w, ptrdiff_t channels, ptrdiff_t multiplier, Activation activation,
                   const DwKernel* forced, bool fused);

  // The inverse of the constructor, bit for bit.
  void unpack(float* kernel, float* bias) const;

  ptrdiff_t outputs() const { return channels * multiplier; }
  // Whether the packed blocks may begin anew after the last one, for row-packed kernels.
  bool fills_vectors() const { return outputs() * repeats % set.lanes == 0 && outputs() <= set.lanes; }
  ptrdiff_t vectors() const { return ceil_div(outputs() * repeats, set.lanes); }
  ptrdiff_t nbytes() const;
  ptrdiff_t taps() const { return kernel_h * kernel_w; }
  // From a block's start to its bias: the input index stands before it where there is one.
  ptrdiff_t bias_offset() const { return multiplier > 1 ? set.lanes : 0; }
  ptrdiff_t block_stride() const { return bias_offset() + (1 + taps()) * set.lanes; }
  const float* block(ptrdiff_t channel) const { return packed.get() + channel / set.lanes * block_stride(); }

  const KernelSet& set;
  const ptrdiff_t kernel_h, kernel_w, channels, multiplier;
  // Pixels that a lane-packed tile takes side by side: the weights are packed as often, one after the other,
  // so that other tiles find theirs at the start.
  const ptrdiff_t repeats;
  const Activation activation;
  const DwKernel* const forced;

 private:
  FloatBuffer packed;
};

}  // namespace fastdw
