// Packed 8-bit weights: where a weight sits in memory. The pictures are in kernels/contract8.h.
#pragma once
#include <vector>

#include "base/math.h"
#include "base/memory.h"
#include "kernels/contract8.h"
#include "pack/window.h"

namespace fastdw {

// Weights as Python gives them: kernel in C order with the outputs last, a bias and a factor for each.
struct UnpackedWeights8 {
  const int8_t* kernel;
  const int32_t* bias;
  const float* factors;
  int32_t input_zero;  // of int8
};

class ByteMemory {
 public:
  explicit ByteMemory(ptrdiff_t bytes);
  uint8_t* get() const { return reinterpret_cast<uint8_t*>(floats_.get()); }
  ptrdiff_t size() const { return bytes_; }

 private:
  ptrdiff_t bytes_;
  FloatBuffer floats_;
};

class Depthwise8Weights {
 public:
  // kernel (kh, kw, C, m); `input_flip` is that of x, whose padding is kept here.
  Depthwise8Weights(const Kernels8& set, const UnpackedWeights8& unpacked, const WindowShape& window,
                    ptrdiff_t channels, ptrdiff_t multiplier, uint8_t input_flip, const Rescale8& rescale);

  ptrdiff_t outputs() const { return channels * multiplier; }
  ptrdiff_t lanes() const;  // of the vectors that a pixel takes
  ptrdiff_t nbytes() const { return packed_.size(); }
  const uint8_t* packed() const { return packed_.get(); }

  const Kernels8& set;
  const WindowShape window;
  const ptrdiff_t channels, multiplier;
  const uint8_t input_flip;
  const Rescale8 rescale;
  const DwKernel8& kernel;
  const bool lowest;                   // whether a weight is −128
  const std::vector<uint8_t> outside;  // a pixel of padding

 private:
  int vectors() const { return kernel.layout == Layout8::kTaps ? set.tap_vectors : set.quad_vectors; }
  ptrdiff_t group() const { return ptrdiff_t{vectors()} * set.lanes; }
  int most_pairs() const { return kernel.layout == Layout8::kQuads ? set.most_pairs : 1; }
  ptrdiff_t channel_bytes() const;
  void put_tap(uint8_t* weights, ptrdiff_t width, ptrdiff_t slot, ptrdiff_t tap, int8_t value) const;
  void pack(const UnpackedWeights8& unpacked);
  ByteMemory packed_;
};

class Pointwise8Weights {
 public:
  // kernel (Cin, F).
  Pointwise8Weights(const Kernels8& set, const UnpackedWeights8& unpacked, ptrdiff_t inputs,
                    ptrdiff_t outputs, uint8_t input_flip, const Rescale8& rescale);

  struct Panel {
    ptrdiff_t first;
    int channels, vectors;
    const uint8_t* weights;
  };
  // Of as many vectors as the set likes; the last one may have fewer.
  ptrdiff_t panels() const { return ceil_div(outputs, width()); }
  Panel panel(ptrdiff_t i) const;
  ptrdiff_t steps() const { return ceil_div(inputs, ptrdiff_t{set.dot_inputs}); }
  ptrdiff_t nbytes() const { return packed_.size(); }

  const Kernels8& set;
  const ptrdiff_t inputs, outputs;
  const uint8_t input_flip;
  const bool lowest;      // whether a weight is −128
  const uint8_t outside;  // a byte of padding, as kernels see it
  const Rescale8 rescale;

 private:
  ptrdiff_t width() const { return ptrdiff_t{set.panel_vectors} * set.lanes; }
  ptrdiff_t channel_bytes() const { return 8 + steps() * set.dot_inputs * set.weight_bytes; }
  ByteMemory packed_;
};

}  // namespace fastdw
