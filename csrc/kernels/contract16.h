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

// Pixels × channels of totals, whole vectors of them `width` from pixel to pixel, and the halves they become.
struct Place16 {
  ptrdiff_t pixels, channels, width;
  const uint16_t* residual;  // or null
  ptrdiff_t residual_stride;
  uint16_t* y;
  ptrdiff_t y_stride;
};

struct Finish16;
using Finish16Fn = void (*)(const Finish16&, const float* totals, const Place16&);

// What becomes of totals: a residual is added, then comes a curve, or else a clamp, and they are rounded to
// halves. (Bounds rounded to halves before are the same as bounds of floats.)
struct Finish16 {
  uint16_t low, high;
  Curve curve;
  float a;
  const float* slopes;  // one a channel, or null
  Finish16Fn run;       // by way of memory
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

// Pixels times one factor a channel, each product rounded to a float and then to a half.
struct Scale16 {
  const uint16_t* x;
  ptrdiff_t x_stride, pixels, channels;
  const float* factors;
  uint16_t* y;
  ptrdiff_t y_stride;
};

using Pointwise16Fn = void (*)(const Pointwise16&);
using Depthwise16Fn = void (*)(const Depthwise16&);
using Scale16Fn = void (*)(const Scale16&);

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
  Finish16Fn finish[static_cast<int>(Curve::kCount)];
  Scale16Fn scale;
  double mac_ns, value_ns;
};

}  // namespace fastdw
