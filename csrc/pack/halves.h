// Packed weights of sums of halves: where a weight sits in memory. The pictures are in kernels/contract16.h.
#pragma once
#include "base/math.h"
#include "base/memory.h"
#include "kernels/contract16.h"
#include "pack/activation.h"
#include "pack/window.h"

namespace fastdw {

// Weights as Python gives them: the kernel as bits of halves, in C order with the outputs last; bias may be
// null. Bounds are rounded by `floats`.
struct UnpackedWeights16 {
  const uint16_t* kernel;
  const float* bias;
  const Activation& activation;
  const KernelSet& floats;
};

// A bias and halves behind each other in one buffer, with zeros for the lanes that no output has.
class Packed16 {
 public:
  Packed16(ptrdiff_t outputs, ptrdiff_t inputs);
  Packed16(const Packed16&) = delete;
  Packed16& operator=(const Packed16&) = delete;

  void take_bias(const float* bias, ptrdiff_t outputs);
  float* bias() const { return memory_.get(); }
  uint16_t* halves() const { return reinterpret_cast<uint16_t*>(memory_.get() + lanes); }
  ptrdiff_t nbytes() const { return bytes_; }

  const ptrdiff_t lanes;  // whole vectors of outputs

 private:
  ptrdiff_t bytes_;
  FloatBuffer memory_;
};

class Depthwise16Weights {
 public:
  // kernel (kh, kw, C, m).
  Depthwise16Weights(const Kernels16& set, const UnpackedWeights16& unpacked, const WindowShape& window,
                     ptrdiff_t channels, ptrdiff_t multiplier);

  ptrdiff_t outputs() const { return channels * multiplier; }
  ptrdiff_t nbytes() const { return packed.nbytes(); }
  // Kernel and bias as they were given.
  void unpack(uint16_t* kernel, float* bias) const;

  const Kernels16& set;
  const WindowShape window;
  const ptrdiff_t channels, multiplier;
  const Activation activation;
  const Finish16 finish;
  const DwKernel16& kernel;
  Packed16 packed;
};

class Pointwise16Weights {
 public:
  // kernel (Cin, F).
  Pointwise16Weights(const Kernels16& set, const UnpackedWeights16& unpacked, ptrdiff_t inputs,
                     ptrdiff_t outputs);

  struct Panel {
    ptrdiff_t first;
    int channels, vectors;
    const uint16_t* weights;
    const float* bias;
  };
  ptrdiff_t panels() const { return ceil_div(outputs, ptrdiff_t{kPanelVectors16} * kLanes16); }
  Panel panel(ptrdiff_t i) const;
  ptrdiff_t nbytes() const { return packed.nbytes(); }
  void unpack(uint16_t* kernel, float* bias) const;

  const Kernels16& set;
  const ptrdiff_t inputs, outputs;
  const Activation activation;
  const Finish16 finish;
  Packed16 packed;
};

}  // namespace fastdw
