// Arrays as the operators see them: four axes, any strides, counted in floats.
#pragma once
#include <cstddef>

namespace fastdw {

using std::ptrdiff_t;

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

struct Layout {
  ptrdiff_t row_stride, column_stride, channel_stride;
};

template <class T>
Layout layout_of(const View<T>& view) {
  return {view.row_stride, view.column_stride, view.channel_stride};
}

}  // namespace fastdw
