#include "ops/patch_source.h"

#include <algorithm>

namespace fastdw {

PatchSource::PatchSource(const Problem& p, const Plan& plan)
    : set_(p.set()),
      x_(p.x),
      geometry_(p.geometry),
      kernel_h_(p.chain.kernel_h),
      kernel_w_(p.chain.kernel_w),
      stride_(plan.stride),
      in_place_(plan.windows_in_place),
      inner_(p) {}

bool PatchSource::is_inside(const OutputRect& r) const {
  return r.row >= inner_.row && r.row + r.rows <= inner_.row + inner_.rows && r.column >= inner_.column &&
         r.column + r.columns <= inner_.column + inner_.columns;
}

// Above, left, inside, right, below.
Parts PatchSource::parts(const OutputRect& rect) const {
  Parts parts{{}, 0};
  const auto add = [&](ptrdiff_t row, ptrdiff_t end_row, ptrdiff_t column, ptrdiff_t end_column) {
    if (row >= end_row || column >= end_column) return;
    OutputRect& part = parts.rects[parts.count++] = rect;
    part.row = row;
    part.rows = end_row - row;
    part.column = column;
    part.columns = end_column - column;
  };
  const ptrdiff_t end_row = rect.row + rect.rows, end_column = rect.column + rect.columns;
  if (!in_place_) {
    add(rect.row, end_row, rect.column, end_column);
    return parts;
  }
  const ptrdiff_t top = std::clamp(inner_.row, rect.row, end_row);
  const ptrdiff_t bottom = std::clamp(inner_.row + inner_.rows, top, end_row);
  const ptrdiff_t left = std::clamp(inner_.column, rect.column, end_column);
  const ptrdiff_t right = std::clamp(inner_.column + inner_.columns, left, end_column);
  add(rect.row, top, rect.column, end_column);
  add(top, bottom, rect.column, left);
  add(top, bottom, left, right);
  add(top, bottom, right, end_column);
  add(bottom, end_row, rect.column, end_column);
  return parts;
}

Block PatchSource::fill(ptrdiff_t image, const OutputRect& rect, float* buffer, float*) const {
  const Geometry& g = geometry_;
  if (in_place_ && is_inside(rect)) {
    return {x_.at(image, rect.row * g.stride_h - g.pad_top, rect.column * g.stride_w - g.pad_left, 0),
            BlockLayout::kPixels,
            g.stride_h * x_.row_stride,
            g.stride_w * x_.column_stride,
            kernel_h_,
            g.dilation_h * x_.row_stride};
  }
  const ptrdiff_t extent_h = (kernel_h_ - 1) * g.dilation_h + 1;
  const ptrdiff_t extent_w = (kernel_w_ - 1) * g.dilation_w + 1;
  // Of an output's coordinate, whether its window lies in the image.
  const auto inside = [](ptrdiff_t first, ptrdiff_t extent, ptrdiff_t size) {
    return first >= 0 && first + extent <= size;
  };
  Run run{image, rect.row, rect.column, 0, buffer};
  for (; run.row < rect.row + rect.rows; ++run.row) {
    const bool row_inside = inside(run.row * g.stride_h - g.pad_top, extent_h, x_.height);
    const ptrdiff_t end = rect.column + rect.columns;
    for (run.column = rect.column; run.column < end; run.column += run.columns) {
      const ptrdiff_t first = run.column * g.stride_w - g.pad_left;
      if (row_inside && inside(first, extent_w, x_.width)) {
        const ptrdiff_t more = (x_.width - extent_w - first) / g.stride_w;
        run.columns = std::min(end - run.column, 1 + more);
        whole_windows(run);
      } else {
        run.columns = 1;
        window_on_border(run);
      }
      run.y += run.columns * stride_;
    }
  }
  return {buffer, BlockLayout::kPixels, rect.columns * stride_, stride_};
}

void PatchSource::whole_windows(const Run& run) const {
  const Geometry& g = geometry_;
  const float* x =
      x_.at(run.image, run.row * g.stride_h - g.pad_top, run.column * g.stride_w - g.pad_left, 0);
  PatchTile t{};
  t.x_stride = g.stride_w * x_.column_stride;
  t.tap_stride = g.dilation_w * x_.column_stride;
  t.channel_stride = x_.channels == 1 ? 1 : x_.channel_stride;
  t.taps = kernel_w_;
  t.channels = x_.channels;
  t.y = run.y;
  t.y_stride = stride_;
  t.pixels = run.columns;
  // Taps that follow each other are one tap of more channels.
  if (t.channel_stride == 1 && t.tap_stride == t.channels) {
    t.channels *= t.taps;
    t.taps = 1;
  }
  for (ptrdiff_t i = 0; i < kernel_h_; ++i) {
    t.x = x + i * g.dilation_h * x_.row_stride;
    set_.patches(t);
    t.y += kernel_w_ * x_.channels;
  }
}

void PatchSource::window_on_border(const Run& run) const {
  const Geometry& g = geometry_;
  const ptrdiff_t first_column = run.column * g.stride_w - g.pad_left;
  float* y = run.y;
  for (ptrdiff_t i = 0; i < kernel_h_; ++i) {
    const ptrdiff_t row = run.row * g.stride_h - g.pad_top + i * g.dilation_h;
    for (ptrdiff_t j = 0; j < kernel_w_; ++j, y += x_.channels) {
      const ptrdiff_t column = first_column + j * g.dilation_w;
      if (row < 0 || row >= x_.height || column < 0 || column >= x_.width) {
        std::fill(y, y + x_.channels, 0.0f);
        continue;
      }
      const float* const x = x_.at(run.image, row, column, 0);
      for (ptrdiff_t c = 0; c < x_.channels; ++c) y[c] = x[c * x_.channel_stride];
    }
  }
}

}  // namespace fastdw
