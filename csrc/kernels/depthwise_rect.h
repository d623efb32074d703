// What the contracts of bytes and of halves have in common.
#pragma once
#include <cstddef>

namespace fastdw {

using std::ptrdiff_t;

// Depthwise windows: a rectangle of outputs of one image.
template <class T>
struct DepthwiseRect {
  const T* x;  // pixel (0, 0) of the image
  ptrdiff_t row_stride, column_stride, height, width;
  ptrdiff_t first_row, first_column;  // of the image, under the first tap of the first output
  ptrdiff_t rows, columns, channels;  // of the outputs
  ptrdiff_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w, multiplier;
  T* y;
  ptrdiff_t y_row_stride, y_column_stride;
};

}  // namespace fastdw
