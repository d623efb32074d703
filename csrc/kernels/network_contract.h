// What stands between convolutions in a network: contracts as in contract.h. Rows are pixels side by side,
// each with its channels side by side; strides lead from pixel to pixel.
#pragma once
#include <cstddef>
#include <cstdint>

namespace fastdw {

using std::ptrdiff_t;

// y = a + b, a·b, a/b, or the greater or the lesser, NaN if either is.
struct PairRow {
  const float* a;
  ptrdiff_t a_stride;
  const float* b;
  ptrdiff_t b_stride;  // 0: one pixel for all
  float* y;
  ptrdiff_t y_stride;
  ptrdiff_t pixels, channels;
};

// y = x·scale + offset, rounded once where the set has FMA.
struct AffineRow {
  const float* x;
  ptrdiff_t x_stride;
  const float *scale, *offset;
  float* y;
  ptrdiff_t y_stride;
  ptrdiff_t pixels, channels;
};

struct BytesRow {
  const uint8_t* x;
  float* y;
  ptrdiff_t count;
};

// Halves, IEEE 754's binary16, as floats: exact.
struct FromHalves {
  const uint16_t* x;
  float* y;
  ptrdiff_t count;
};

// Each float rounded to the nearest half, of two the even one.
struct ToHalves {
  const float* x;
  uint16_t* y;
  ptrdiff_t count;
};

// Outputs whose windows meet the image with as many rows and columns: `rows` × `columns` cells.
struct PoolRow {
  const float* x;                       // the first cell of the first output
  ptrdiff_t x_stride;                   // from output to output
  ptrdiff_t row_stride, column_stride;  // from cell to cell
  ptrdiff_t rows, columns;
  float start;  // of a maximum: 0 where zeros around the image count, else −∞
  float count;  // by which a sum is divided
  float* y;
  ptrdiff_t y_stride;
  ptrdiff_t pixels, channels;
};

// Of a whole image one pixel. Sums: of the columns of each row, then of the rows; `count` divides them.
struct GlobalPool {
  const float* x;
  ptrdiff_t row_stride, column_stride;
  ptrdiff_t rows, columns, channels;
  float* y;
  float count;
};

// The same sums, only of the columns: one pixel for each row.
struct RowSums {
  const float* x;
  ptrdiff_t row_stride, column_stride;
  ptrdiff_t rows, columns, channels;
  float* y;
  ptrdiff_t y_stride;
};

// y = a + (b − a)·w, along the columns first: of two rows of the input one of the output.
struct BilinearRow {
  const float *top, *bottom;
  float row_weight;
  ptrdiff_t x_stride;
  const ptrdiff_t *low, *high;  // two of the input's pixels for each of the output's
  const float* weight;
  float* y;
  ptrdiff_t y_stride;
  ptrdiff_t pixels, channels;
};

// y = e/Σe with e = exp(beta·(x − max x)), summed in ascending order; beta is at least 0.
struct SoftmaxRow {
  const float* x;
  ptrdiff_t x_stride;
  float beta;
  float* y;
  ptrdiff_t y_stride;
  ptrdiff_t pixels, channels;
};

// y = (x − mean)/√(variance + epsilon)·scale + offset, over the channels of each pixel. Sums are of every
// sixteenth channel in ascending order, then of these sixteen: vectors of all lengths add so.
struct NormalizeRow {
  const float* x;
  ptrdiff_t x_stride;
  float epsilon;
  const float *scale, *offset;
  float* y;
  ptrdiff_t y_stride;
  ptrdiff_t pixels, channels;
};

struct NetworkKernels {
#define FASTDW_NETWORK_KERNEL(name, Row) void (*name)(const Row&);
#include "kernels/network.inc"
#undef FASTDW_NETWORK_KERNEL
};

}  // namespace fastdw
