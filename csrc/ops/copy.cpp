#include "ops/copy.h"

#include <cstring>

namespace fastdw {

// Operands of a network may lie across each other: wrong numbers then, but nothing worse.
void copy_block(const KernelSet& set, const float* from, const Layout& f, float* to, const Layout& t,
                ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t channels) {
  if (f.row_stride == columns * f.column_stride && t.row_stride == columns * t.column_stride) {
    columns *= rows;
    rows = 1;
  }
  for (ptrdiff_t i = 0; i < rows; ++i, from += f.row_stride, to += t.row_stride) {
    const bool lines = f.channel_stride == 1 && t.channel_stride == 1;
    if (lines && f.column_stride == channels && t.column_stride == channels) {
      std::memmove(to, from, static_cast<size_t>(columns * channels) * sizeof(float));
    } else if (lines) {
      for (ptrdiff_t j = 0; j < columns; ++j) {
        std::memmove(to + j * t.column_stride, from + j * f.column_stride,
                     static_cast<size_t>(channels) * sizeof(float));
      }
    } else if (f.column_stride == 1 && t.channel_stride == 1) {
      set.transpose({from, f.channel_stride, to, t.column_stride, channels, columns});
    } else if (f.channel_stride == 1 && t.column_stride == 1) {
      set.transpose({from, f.column_stride, to, t.channel_stride, columns, channels});
    } else {
      for (ptrdiff_t j = 0; j < columns; ++j) {
        for (ptrdiff_t c = 0; c < channels; ++c) {
          to[j * t.column_stride + c * t.channel_stride] = from[j * f.column_stride + c * f.channel_stride];
        }
      }
    }
  }
}

}  // namespace fastdw
