// Patches of a tensor: for each output pixel the window under the kernel, row by row, as one line of floats,
// or in place. The matrix of a dense convolution meets them as a pointwise kernel meets pixels.
#pragma once
#include "ops/source.h"

namespace fastdw {

class PatchSource final : public Source {
 public:
  PatchSource(const Problem& problem, const Plan& plan);

  Parts parts(const OutputRect& rect) const override;
  Block fill(ptrdiff_t image, const OutputRect& rect, float* buffer, float* scratch) const override;

 private:
  // Outputs of a row, from `column` on.
  struct Run {
    ptrdiff_t image, row, column, columns;
    float* y;
  };
  void whole_windows(const Run& run) const;
  void window_on_border(const Run& run) const;

  // Whether all windows lie in the image.
  bool is_inside(const OutputRect& rect) const;

  const KernelSet& set_;
  const Input x_;
  const Geometry geometry_;
  const ptrdiff_t kernel_h_, kernel_w_;
  const ptrdiff_t stride_;
  const bool in_place_;
  const InnerWindows inner_;
};

}  // namespace fastdw
