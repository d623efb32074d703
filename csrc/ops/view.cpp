#include "view.h"

#include <algorithm>
#include <cstring>

namespace fastdw {

void copy_block(const float* from, const Layout& from_layout, float* to, const Layout& to_layout,
                ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t channels) {
  // Strips of 16 columns: one cache line of a plane at a time, while the other side's lines stay in L1.
  constexpr ptrdiff_t kStrip = 16;
  const bool side_by_side = from_layout.channel_stride == 1 && to_layout.channel_stride == 1;
  for (ptrdiff_t i = 0; i < rows; ++i) {
    const float* source = from + i * from_layout.row_stride;
    float* target = to + i * to_layout.row_stride;
    if (side_by_side) {
      for (ptrdiff_t j = 0; j < columns; ++j) {
        std::memcpy(target + j * to_layout.column_stride, source + j * from_layout.column_stride,
                    static_cast<size_t>(channels) * sizeof(float));
      }
      continue;
    }
    for (ptrdiff_t j0 = 0; j0 < columns; j0 += kStrip) {
      const ptrdiff_t j1 = std::min(columns, j0 + kStrip);
      for (ptrdiff_t c = 0; c < channels; ++c) {
        const float* s = source + c * from_layout.channel_stride;
        float* t = target + c * to_layout.channel_stride;
        for (ptrdiff_t j = j0; j < j1; ++j) {
          t[j * to_layout.column_stride] = s[j * from_layout.column_stride];
        }
      }
    }
  }
}

int useful_threads(int threads, double macs) {
  return static_cast<int>(std::clamp(macs / kMacsPerThread, 1.0, static_cast<double>(threads)));
}

}  // namespace fastdw
