// The tensor itself: in place where the channels of a pixel lie side by side, else a copy of the block; also
// where a factor goes with each channel.
#pragma once
#include "ops/copy.h"
#include "ops/source.h"

namespace fastdw {

class TensorSource final : public Source {
 public:
  explicit TensorSource(const Problem& p)
      : set_(p.set()), x_(p.x), scale_(p.scale.data), in_place_(p.reads_in_place()) {}

  Block fill(ptrdiff_t image, const OutputRect& rect, float* buffer, float*) const override {
    const float* const x = x_.at(image, rect.row, rect.column, 0);
    if (in_place_) return {x, BlockLayout::kPixels, x_.row_stride, x_.column_stride};
    const Layout copy{rect.columns * x_.channels, x_.channels, 1};
    if (scale_) {
      for (ptrdiff_t i = 0; i < rect.rows; ++i) {
        set_.network.multiply({x + i * x_.row_stride, x_.column_stride, scale_, 0,
                               buffer + i * copy.row_stride, copy.column_stride, rect.columns, x_.channels});
      }
    } else {
      copy_block(set_, x, layout_of(x_), buffer, copy, rect.rows, rect.columns, x_.channels);
    }
    return {buffer, BlockLayout::kPixels, copy.row_stride, copy.column_stride};
  }

 private:
  const KernelSet& set_;
  const Input x_;
  const float* const scale_;
  const bool in_place_;
};

}  // namespace fastdw
