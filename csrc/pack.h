// Prepared weights: where a weight sits in memory. The pictures are in README.md and kernels.h.
#pragma once
#include <cstdlib>
#include <limits>
#include <memory>
#include <vector>

#include "kernels.h"

namespace fastdw {

// An activation as numbers. kClamp: min(max(v, a), b); else `a` is the slope or alpha where there is one.
struct Activation {
  Curve curve = Curve::kClamp;
  float a = 0, b = 0;
  std::vector<float> slopes;

  bool clamps() const { return curve == Curve::kClamp; }
  // What the kernels clamp sums to: nothing where a curve comes after them.
  float lo() const { return clamps() ? a : -std::numeric_limits<float>::infinity(); }
  float hi() const { return clamps() ? b : std::numeric_limits<float>::infinity(); }
};

struct FreeMemory {
  void operator()(float* p) const { std::free(p); }
};
using FloatBuffer = std::unique_ptr<float[], FreeMemory>;

// `count` floats on a 64-byte border, not set. Throws std::bad_alloc.
FloatBuffer allocate_floats(ptrdiff_t count);

// a·b, or std::bad_alloc where the product could be no size of an array.
ptrdiff_t checked_product(ptrdiff_t a, ptrdiff_t b);

inline ptrdiff_t ceil_div(ptrdiff_t a, ptrdiff_t b) { return a / b + (a % b > 0); }

class DepthwiseWeights {
 public:
  // kernel (kh, kw, C, m) in C order, bias (C·m) or null.
  DepthwiseWeights(const KernelSet& set, const float* kernel, const float* bias, ptrdiff_t kernel_h,
                   ptrdiff_t kernel_w, ptrdiff_t channels, ptrdiff_t multiplier, Activation activation,
                   const DwKernel* forced, bool fused);

  // The inverse of the constructor, bit for bit.
  void unpack(float* kernel, float* bias) const;

  ptrdiff_t outputs() const { return channels * multiplier; }
  // Whether the packed blocks may begin anew after the last one, for rows of flat tiles.
  bool in_lines() const { return outputs() * repeats % set.lanes == 0 && outputs() <= set.lanes; }
  ptrdiff_t vectors() const { return ceil_div(outputs() * repeats, set.lanes); }
  ptrdiff_t nbytes() const;
  ptrdiff_t taps() const { return kernel_h * kernel_w; }
  // From a block's start to its bias: the input index stands before it where there is one.
  ptrdiff_t bias_offset() const { return multiplier > 1 ? set.lanes : 0; }
  ptrdiff_t block_stride() const { return bias_offset() + (1 + taps()) * set.lanes; }
  const float* block(ptrdiff_t channel) const { return packed.get() + channel / set.lanes * block_stride(); }

  const KernelSet& set;
  const ptrdiff_t kernel_h, kernel_w, channels, multiplier;
  // Pixels that a flat tile takes side by side: the weights are packed as often, one after the other, so that
  // other tiles find theirs at the start.
  const ptrdiff_t repeats;
  const Activation activation;
  const DwKernel* const forced;

 private:
  FloatBuffer packed;
};

class PointwiseWeights {
 public:
  // kernel (Cin, F) in C order, bias (F) or null.
  PointwiseWeights(const KernelSet& set, const float* kernel, const float* bias, ptrdiff_t inputs,
                   ptrdiff_t outputs, Activation activation);

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

  const KernelSet& set;
  const ptrdiff_t inputs, outputs;
  const ptrdiff_t panels;
  const Activation activation;

 private:
  ptrdiff_t vectors() const { return ceil_div(outputs, set.lanes); }
  FloatBuffer packed;
};

}  // namespace fastdw
