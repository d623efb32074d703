// What runs of bytes and of halves have in common.
#pragma once
#include "base/view.h"
#include "kernels/depthwise_rect.h"
#include "plan/cut.h"

namespace fastdw {

// Pixels in memory, row by row.
template <class T>
struct PixelsOf {
  T* data;
  ptrdiff_t row_stride, column_stride;
};

// The depthwise half of a problem, of whose image `rect` becomes y.
template <class T, class Problem>
DepthwiseRect<T> depthwise_rect(const Problem& p, ptrdiff_t image, const PixelRect& rect,
                                const PixelsOf<T>& y) {
  const auto& weights = *p.chain.depthwise;
  const auto& window = weights.window;
  return {p.x.at(image, 0, 0, 0),
          p.x.row_stride,
          p.x.column_stride,
          p.x.height,
          p.x.width,
          rect.row * window.stride_h - p.pad_top,
          rect.column * window.stride_w - p.pad_left,
          rect.rows,
          rect.columns,
          weights.outputs(),
          window.kernel_h,
          window.kernel_w,
          window.stride_h,
          window.stride_w,
          window.dilation_h,
          window.dilation_w,
          weights.multiplier,
          y.data,
          y.row_stride,
          y.column_stride};
}

}  // namespace fastdw
