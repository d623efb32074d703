// BatchNorm folded into the weights before it.
#pragma once
#include <cstddef>

namespace fastdw {

using std::ptrdiff_t;

// y = (x − mean)·gamma / √(variance + epsilon) + beta, one number of each a channel; gamma and beta may be
// null.
struct BatchNorm {
  const double *gamma, *beta, *mean, *variance;
  double epsilon;
};

// Fills `folded` and `offsets` with the kernel, of `count` numbers with the outputs last, and the bias that
// give the same as kernel, bias, which may be null, and then this: in float64, rounded once. Returns whether
// all numbers of it are in range.
bool fold(const BatchNorm& norm, const float* kernel, ptrdiff_t count, const float* bias, ptrdiff_t outputs,
          float* folded, float* offsets);

}  // namespace fastdw
