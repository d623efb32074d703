// The contract between the operators on sums of halves and their kernels: a table of its own beside the float
// one, and on no set but those whose FMA takes halves.
//
// A half is IEEE 754's binary16, by its bits. Sums of halves begin at 0 and take kChunk products, each by one
// FMA; then they are added to totals of floats, which begin as the bias. All channels lie side by side.
#pragma once
#include <cstddef>
#include <cstdint>

#include "kernels/contract.h"
#include "kernels/depthwise_rect.h"

namespace fastdw {

constexpr int kChunk = 64;
constexpr int kLanes16 = 8;         // halves of a vector, in every set so far
constexpr int kPanelVectors16 = 2;  // of a pointwise panel, at most

// What becomes of totals: a residual is added, then comes a curve, then they are rounded to halves and
// clamped. (Bounds rounded to halves before are the same as bounds of floats.)
struct Finish16 {
  uint16_t low, high;
  CurveFn curve;  // of a float set, or null
  float a;
  const float* slopes;  // one a channel, or null
};

// Pixels by a panel of 8 or 16 channels.
struct Pointwise16 {
  const uint16_t* x;
  ptrdiff_t x_stride, inputs, pixels;
  const uint16_t* panel;  // [ input 0: 8 or 16 halves ][ input 1 ] …
  const float* bias;      // as many
  uint16_t* y;
  ptrdiff_t y_stride;
  const uint16_t* residual;  // or null
  ptrdiff_t residual_stride;
  int channels;  // live ones
  Finish16 finish;
};

// The weights are [ tap(0,0): halves ][ tap(0,1) ] …, row by row, each of `weight_stride`, whole vectors.
struct Depthwise16 : DepthwiseRect<uint16_t> {
  const uint16_t* weights;
  ptrdiff_t weight_stride;
  const float* bias;
  Finish16 finish;
};

using Pointwise16Fn = void (*)(const Pointwise16&);
using Depthwise16Fn = void (*)(const Depthwise16&);

struct DwKernel16 {
  const char* name;
  int kernel, stride;  // rows and columns; 0: any
  Depthwise16Fn run;
};

constexpr int kDwKernels16 = 5;

struct Kernels16 {
  const char* isa;
  int pixels;                                // of a pointwise tile, at most
  Pointwise16Fn pointwise[kPanelVectors16];  // by vectors less one
  DwKernel16 depthwise[kDwKernels16];        // the last one is for any
  double mac_ns, value_ns;
};

}  // namespace fastdw
