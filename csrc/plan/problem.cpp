#include "plan/problem.h"

#include <algorithm>

namespace fastdw {
namespace {

template <class T>
void take_images(View<T>& v, const Part& part) {
  if (v.data) v.data += part.image * v.image_stride;
  v.images = part.images;
}

template <class T>
void take_rows(View<T>& v, const Part& part) {
  if (v.data) v.data += part.row * v.row_stride;
  v.height = part.rows;
}

// Whether the last window begins inside the image. Products of vast strides may overflow.
bool reaches(ptrdiff_t outputs, ptrdiff_t stride, ptrdiff_t size) {
  return outputs - 1 <= (size - 1) / stride;
}

void take_every_stride(Problem& p) {
  Geometry& g = p.geometry;
  const bool one_tap = !p.chain.depthwise && p.chain.kernel_h == 1 && p.chain.kernel_w == 1;
  if (!one_tap || g.pad_top != 0 || g.pad_left != 0 || !reaches(p.out.height, g.stride_h, p.x.height) ||
      !reaches(p.out.width, g.stride_w, p.x.width)) {
    return;
  }
  p.x.height = p.out.height;
  p.x.width = p.out.width;
  // On an axis of one output the stride is 1, whatever was asked for.
  p.x.row_stride *= g.stride_h;
  p.x.column_stride *= g.stride_w;
  g.stride_h = g.stride_w = 1;
}

template <class T>
void take_channels(View<T>& v, ptrdiff_t i, ptrdiff_t groups) {
  v.channels /= groups;
  if (v.data) v.data += i * v.channels * v.channel_stride;
}

}  // namespace

Problem group_of(const Problem& whole, const Chain& chain, ptrdiff_t i, ptrdiff_t groups) {
  Problem p = whole;
  p.chain = chain;
  take_channels(p.x, i, groups);
  take_channels(p.out, i, groups);
  take_channels(p.residual, i, groups);
  return p;
}

Problem part_of(const Problem& whole, const Part& part) {
  Problem p = whole;
  take_every_stride(p);
  const bool pixelwise = p.pixelwise();
  take_images(p.x, part);
  take_images(p.out, part);
  take_images(p.residual, part);
  take_rows(p.out, part);
  take_rows(p.residual, part);
  if (pixelwise) {
    take_rows(p.x, part);
  } else {
    // The rows above the first one are like a pad taken away.
    p.geometry.pad_top -= part.row * p.geometry.stride_h;
  }
  return p;
}

Problem expanded(const Problem& problem) {
  Problem p = problem;
  p.chain.expand = nullptr;
  Input& x = p.x;
  x.channels = problem.chain.expand->outputs;
  x.channel_stride = 1;
  x.column_stride = x.channels;
  x.row_stride = x.width * x.column_stride;
  x.image_stride = x.height * x.row_stride;
  return p;
}

InnerWindows::InnerWindows(const Problem& p) {
  const Geometry& g = p.geometry;
  const auto set = [](ptrdiff_t& first, ptrdiff_t& count, ptrdiff_t pad, ptrdiff_t stride, ptrdiff_t extent,
                      ptrdiff_t size, ptrdiff_t outputs) {
    first = pad <= 0 ? 0 : std::min(ceil_div(pad, stride), outputs);
    const ptrdiff_t room = size - extent + pad;
    const ptrdiff_t end = room < 0 ? 0 : std::min(room / stride + 1, outputs);
    count = std::max<ptrdiff_t>(0, end - first);
  };
  set(row, rows, g.pad_top, g.stride_h, (p.chain.kernel_h - 1) * g.dilation_h + 1, p.x.height, p.out.height);
  set(column, columns, g.pad_left, g.stride_w, (p.chain.kernel_w - 1) * g.dilation_w + 1, p.x.width,
      p.out.width);
}

Problem all_of(const Problem& problem) {
  return part_of(problem, {0, problem.out.images, 0, problem.out.height});
}

}  // namespace fastdw
