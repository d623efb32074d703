// A step of a network: one operator on operands. What it needs is checked when it is made; to refuse is
// std::invalid_argument.
#pragma once
#include <memory>
#include <vector>

#include "network/operand.h"
#include "ops/chain.h"

namespace fastdw {

class Step {
 public:
  virtual ~Step() = default;
  // Computes one image. Throws std::bad_alloc where the thread has no scratch.
  virtual void run(Memory memory, int threads) const = 0;
  virtual double nanoseconds() const = 0;  // of one core, about
  // What a thread wants beside the arena; more than all have anyway.
  virtual ptrdiff_t scratch_floats(int /*threads*/) const { return 0; }
};

using StepPointer = std::unique_ptr<const Step>;

// Operands that all steps were checked for: see check(Operand). Where channels must lie side by side, the
// layer and copy alone take others.
struct Operands {
  Operand out, x, second;  // a residual, or the second term; it may not exist
  Operand scale, sums;     // of a layer: see Problem
};

// Refuses operands that are there and no images.
void check_images(const Operands& operands);

// What a layer computes, on one image.
StepPointer layer_step(const Chain& chain, const Geometry& geometry, const Operands& operands);

enum class Pair { kAdd, kMultiply, kDivide, kMaximum, kMinimum };
// The second term has the first one's sizes, by strides of 0 that of one pixel. An activation comes after it.
StepPointer pair_step(const KernelSet& set, Pair pair, const Activation& activation,
                      const Operands& operands);

// x·scale + offset, one of each a channel; none: x. Then the activation.
StepPointer affine_step(const KernelSet& set, std::vector<float> scale, std::vector<float> offset,
                        const Activation& activation, const Operands& operands);

enum class Pooling { kMaximum, kAverage };

// Along one axis. Of the padding `counted` cells, next to the image, are zeros; all others are not there.
struct PoolAxis {
  ptrdiff_t window, stride, dilation;
  std::array<ptrdiff_t, 2> pads, counted;  // before, after
};

StepPointer pool_step(const KernelSet& set, Pooling pooling, const PoolAxis& rows, const PoolAxis& columns,
                      const Operands& operands);
// `count` divides a sum; 0: x's pixels.
StepPointer global_pool_step(const KernelSet& set, Pooling pooling, ptrdiff_t count,
                             const Operands& operands);

// For each of the output's rows (columns, channels) the number of the input's, −1 for the constant; empty:
// all as they are.
struct GatherTables {
  std::vector<ptrdiff_t> rows, columns, channels;
  float constant;
};
StepPointer gather_step(const GatherTables& tables, bool bytes, const Operands& operands);

// Along one axis: two numbers of the input's for each of the output's, and the second one's weight.
struct BilinearTable {
  std::vector<ptrdiff_t> low, high;
  std::vector<float> weight;
};
StepPointer bilinear_step(const KernelSet& set, BilinearTable rows, BilinearTable columns,
                          const Operands& operands);

StepPointer softmax_step(const KernelSet& set, float beta, const Operands& operands);

// Over the channels of each pixel: mean 0 and variance 1, then scale and offset, one of each a channel.
StepPointer normalize_step(const KernelSet& set, float epsilon, std::vector<float> scale,
                           std::vector<float> offset, const Operands& operands);

// From strides to strides, any number of axes. Bytes become floats, floats halves, and halves floats.
StepPointer copy_step(const KernelSet& set, Element from, Element to, const Operands& operands);

}  // namespace fastdw
