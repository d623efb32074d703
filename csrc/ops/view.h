// Arrays as the operators see them: four axes, any strides, counted in floats.
#pragma once
#include "../kernels.h"

namespace fastdw {

template <class T>
struct View {
  T* data;
  ptrdiff_t images, height, width, channels;
  ptrdiff_t image_stride, row_stride, column_stride, channel_stride;

  T* at(ptrdiff_t image, ptrdiff_t row, ptrdiff_t column, ptrdiff_t channel) const {
    return data + image * image_stride + row * row_stride + column * column_stride + channel * channel_stride;
  }
  // Then kernels work in place; any other layout goes through a copy in cache, a block at a time.
  bool channels_side_by_side() const { return channels == 1 || channel_stride == 1; }
  // Each channel's pixels side by side, row by row.
  bool planar() const { return column_stride == 1 && !channels_side_by_side() && rows_in_line(); }
  // The pixels of an image form one row.
  bool rows_in_line() const { return height == 1 || row_stride == width * column_stride; }
  bool images_in_line() const { return images == 1 || image_stride == height * width * column_stride; }
};

using Input = View<const float>;
using Output = View<float>;

// Memory to be asked for before it is read. Of planes: so many lines of each.
struct Ahead {
  const char* begin;
  ptrdiff_t lines;
  ptrdiff_t plane_bytes;  // from plane to plane
};

// Copies rows × columns × channels between two layouts.
struct Layout {
  ptrdiff_t row_stride, column_stride, channel_stride;
};
void copy_block(const KernelSet& set, const float* from, const Layout& from_layout, float* to,
                const Layout& to_layout, ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t channels);

template <class T>
Layout layout_of(const View<T>& view) {
  return {view.row_stride, view.column_stride, view.channel_stride};
}

// Shares of a task's scratch, kScratchFloats in all. The separable operator's depthwise half takes half of
// it, or, where its input is copied, up to what a patch and the least staging buffer leave.
constexpr ptrdiff_t kDepthwiseFloats = 32 * 1024;
constexpr ptrdiff_t kPatchFloats = 16 * 1024;    // input of a block, where it cannot be read in place
constexpr ptrdiff_t kStagingFloats = 16 * 1024;  // output of a part, where it cannot be written in place
constexpr ptrdiff_t kLeastStagingFloats = 4 * 1024;

// Below this much arithmetic a thread costs more than it brings (some 4 µs).
constexpr double kMacsPerThread = 200e3;

int useful_threads(int threads, double macs);

}  // namespace fastdw
