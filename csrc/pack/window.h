// The window of a convolution on bytes or halves.
#pragma once
#include <cstddef>

namespace fastdw {

using std::ptrdiff_t;

struct WindowShape {
  ptrdiff_t kernel_h, kernel_w, stride_h, stride_w, dilation_h, dilation_w;

  bool operator==(const WindowShape& w) const {
    return kernel_h == w.kernel_h && kernel_w == w.kernel_w && stride_h == w.stride_h &&
           stride_w == w.stride_w && dilation_h == w.dilation_h && dilation_w == w.dilation_w;
  }
};

}  // namespace fastdw
