#include "ops/depthwise_source.h"

#include <algorithm>

#include "ops/copy.h"
#include "ops/depthwise_parts.h"
#include "plan/depthwise.h"

namespace fastdw {

namespace {

// The part of an axis of the image under `outputs` windows of `extent`.
Range input_range(ptrdiff_t first, ptrdiff_t outputs, ptrdiff_t stride, ptrdiff_t extent, ptrdiff_t size) {
  const ptrdiff_t begin = std::clamp<ptrdiff_t>(first, 0, size);
  const ptrdiff_t end = std::clamp<ptrdiff_t>(first + (outputs - 1) * stride + extent, begin, size);
  return {begin, end - begin};
}

// Of `count` outputs from `first` on, every `step`-th, whose taps are as far apart, reads the coordinates
// `remainder` + i·step: a plain axis of `size` pixels, on which its window begins at `begin`.
struct Phase {
  ptrdiff_t count, remainder, begin, size;
  Phase(ptrdiff_t first, ptrdiff_t outputs, ptrdiff_t step, ptrdiff_t whole_size)
      : count(ceil_div(outputs, step)),
        remainder((first % step + step) % step),
        begin((first - remainder) / step),
        size(ceil_div(std::max<ptrdiff_t>(whole_size - remainder, 0), step)) {}
};

}  // namespace

DepthwiseSource::DepthwiseSource(const Problem& p, const Plan& plan)
    : weights_(*p.chain.depthwise),
      geometry_(p.geometry),
      x_(p.x),
      pre_activation_(p.chain.pre_activation),
      kernel_(*plan.kernel),
      in_block_(p.chain.pointwise != nullptr),
      in_place_(p.reads_in_place()),
      layout_(plan.layout),
      stride_(plan.stride),
      copied_floats_(plan.scratch.copied) {}

Block DepthwiseSource::fill(ptrdiff_t image, const OutputRect& rect, float* buffer, float* scratch) const {
  switch (layout_) {
    case BlockLayout::kPixels:
      window(image, rect, buffer, rect.columns * stride_, stride_, scratch);
      break;
    case BlockLayout::kQuads:
      quads(pixels_of(image), rect, buffer);
      break;
    case BlockLayout::kPlanes:
      planes(image, rect, buffer);
      break;
  }
  return {buffer, layout_, rect.columns * stride_, stride_};
}

Block DepthwiseSource::fill(const ImagePixels& pixels, const OutputRect& rect, float* buffer) const {
  if (layout_ == BlockLayout::kQuads) {
    quads(pixels, rect, buffer);
  } else {
    window(pixels, rect, buffer, rect.columns * stride_, stride_);
  }
  return {buffer, layout_, rect.columns * stride_, stride_};
}

Range DepthwiseSource::input_rows(const OutputRect& rect) const {
  const Geometry& g = geometry_;
  return input_range(rect.row * g.stride_h - g.pad_top, rect.rows, g.stride_h,
                     (weights_.kernel_h - 1) * g.dilation_h + 1, x_.height);
}

Range DepthwiseSource::input_columns(const OutputRect& rect) const {
  const Geometry& g = geometry_;
  return input_range(rect.column * g.stride_w - g.pad_left, rect.columns, g.stride_w,
                     (weights_.kernel_w - 1) * g.dilation_w + 1, x_.width);
}

Ahead DepthwiseSource::ahead(ptrdiff_t image, const OutputRect& rect) const {
  const auto bytes = [](ptrdiff_t floats) { return floats * ptrdiff_t{sizeof(float)}; };
  const Geometry& g = geometry_;
  const bool planar = layout_ == BlockLayout::kPlanes;
  const ptrdiff_t overlap = (weights_.kernel_h - 1) * g.dilation_h + 1 - g.stride_h;
  // Crops, and strides beyond the kernel, would have it ask for much that nobody reads.
  const bool dense = x_.row_stride == x_.width * (planar ? 1 : x_.channels) && overlap >= 0;
  const bool cached =
      bytes(x_.images * x_.height * x_.width * x_.channels) < weights_.set.schedule.cached_bytes;
  if (!(planar || in_place_) || !dense || cached) return {};
  const Range fresh =
      input_range(rect.row * g.stride_h - g.pad_top + overlap, rect.rows, g.stride_h, g.stride_h, x_.height);
  return {reinterpret_cast<const char*>(x_.at(image, fresh.first, 0, 0)),
          ceil_div(bytes(fresh.count * x_.row_stride), kLineBytes), planar ? bytes(x_.channel_stride) : 0};
}

void DepthwiseSource::window(ptrdiff_t image, const OutputRect& rect, float* y, ptrdiff_t y_row_stride,
                             ptrdiff_t y_column_stride, float* scratch) const {
  if (in_place_) return window(pixels_of(image), rect, y, y_row_stride, y_column_stride);
  copied_window(image, rect, {0, weights_.kernel_h, 0, weights_.kernel_w}, {y, y_row_stride, y_column_stride},
                scratch);
}

void DepthwiseSource::window(const ImagePixels& pixels, const OutputRect& rect, float* y,
                             ptrdiff_t y_row_stride, ptrdiff_t y_column_stride) const {
  phases(pixels, rect, {0, weights_.kernel_h, 0, weights_.kernel_w}, {y, y_row_stride, y_column_stride});
}

void DepthwiseSource::quads(const Pixels& pixels, const OutputRect& rect, float* y) const {
  tiles(pixels, geometry_, rect, {0, weights_.kernel_h, 0, weights_.kernel_w}, {y, 0, 0, stride_});
}

ImagePixels DepthwiseSource::pixels_of(ptrdiff_t image) const {
  return {x_.at(image, 0, 0, 0), x_.row_stride, x_.column_stride, x_.height, x_.width};
}

void DepthwiseSource::planes(ptrdiff_t image, const OutputRect& rect, float* y) const {
  const Activation& f = weights_.activation;
  DwPlanes t{};
  t.first_row = rect.row * geometry_.stride_h - geometry_.pad_top;
  t.first_column = -geometry_.pad_left;
  t.x = x_.at(image, t.first_row, t.first_column, 0);
  t.plane_stride = x_.channel_stride;
  t.row_stride = x_.row_stride;
  t.weights = weights_.block(0);
  t.block_stride = weights_.block_stride();
  t.y = y;
  t.y_plane_stride = stride_;
  t.channels = x_.channels;
  t.rows = rect.rows;
  t.columns = rect.columns;
  t.height = x_.height;
  t.width = x_.width;
  t.lo = f.lo();
  t.hi = f.hi();
  weights_.set.planes.depthwise[weights_.kernel_h == 5][geometry_.stride_h - 1](t);
  if (!f.clamps()) f.apply(weights_.set, y, stride_, x_.channels, rect.rows * rect.columns);
}

void DepthwiseSource::copied_window(ptrdiff_t image, const OutputRect& window, const Taps& taps,
                                    const Results& y, float* scratch) const {
  const Geometry& g = geometry_;
  const Range rows = input_range(window.row * g.stride_h - g.pad_top + taps.row * g.dilation_h, window.rows,
                                 g.stride_h, (taps.rows - 1) * g.dilation_h + 1, x_.height);
  const Range columns =
      input_range(window.column * g.stride_w - g.pad_left + taps.column * g.dilation_w, window.columns,
                  g.stride_w, (taps.columns - 1) * g.dilation_w + 1, x_.width);
  const ptrdiff_t first_channel = window.channel / weights_.multiplier;
  const ptrdiff_t channels = ceil_div(window.channel + window.channels, weights_.multiplier) - first_channel;

  if (rows.count * columns.count > copied_floats_ / channels) {
    const auto halves = [&](OutputRect first, OutputRect second, Taps first_taps, Taps second_taps) {
      copied_window(image, first, first_taps, y, scratch);
      float* const rest = y.data + (second.row - window.row) * y.row_stride +
                          (second.column - window.column) * y.column_stride +
                          (second.channel - window.channel);
      copied_window(image, second, second_taps, {rest, y.row_stride, y.column_stride}, scratch);
    };
    OutputRect first = window, second = window;
    Taps first_taps = taps, second_taps = taps;
    const auto halve = [](ptrdiff_t& at, ptrdiff_t& count, ptrdiff_t& half, ptrdiff_t unit) {
      half = ceil_div(ceil_div(count, unit), 2) * unit;
      at += half;
      count -= half;
    };
    // Lane- and row-packed kernels take all channels, few as they are. (One that is forced may have many.)
    const bool packed = kernel_.kind == DwKind::kLanePacked || kernel_.kind == DwKind::kRowPacked;
    const bool all_channels = packed && weights_.repeats > 1;
    // Whole rows are copied faster than some channels of each pixel, if those under a tile fit.
    const ptrdiff_t tile_input =
        (tile_rows(kernel_, g) - 1) * g.stride_h + (taps.rows - 1) * g.dilation_h + 1;
    const bool by_rows =
        x_.channels_side_by_side() && tile_input <= copied_floats_ / (columns.count * channels);
    if (window.channels > weights_.set.lanes && !all_channels && !by_rows) {
      halve(second.channel, second.channels, first.channels, weights_.set.lanes);
    } else if (window.rows > tile_rows(kernel_, g)) {
      halve(second.row, second.rows, first.rows, tile_rows(kernel_, g));
    } else if (window.columns > 1) {
      halve(second.column, second.columns, first.columns, 1);
    } else if (window.rows > 1) {
      halve(second.row, second.rows, first.rows, 1);
    } else if (taps.columns > 1) {
      halve(second_taps.column, second_taps.columns, first_taps.columns, 1);
    } else {
      halve(second_taps.row, second_taps.rows, first_taps.rows, 1);
    }
    halves(first, second, first_taps, second_taps);
    return;
  }

  copy_block(weights_.set, x_.at(image, rows.first, columns.first, first_channel), layout_of(x_), scratch,
             {columns.count * channels, channels, 1}, rows.count, columns.count, channels);
  if (pre_activation_) {
    pre_activation_->apply(weights_.set, scratch, channels, rows.count * columns.count, channels,
                           first_channel);
  }
  const float* origin =
      scratch - rows.first * columns.count * channels - columns.first * channels - first_channel;
  phases({origin, columns.count * channels, channels, x_.height, x_.width}, window, taps, y);
}

void DepthwiseSource::phases(const Pixels& s, const OutputRect& window, const Taps& taps,
                             const Results& y) const {
  const Geometry& g = geometry_;
  if (!by_phases(kernel_, g) || taps.rows < weights_.kernel_h || taps.columns < weights_.kernel_w) {
    tiles(s, g, window, taps, y);
    return;
  }
  for (ptrdiff_t i = 0; i < std::min(g.dilation_h, window.rows); ++i) {
    const Phase rows(window.row + i - g.pad_top, window.rows - i, g.dilation_h, s.height);
    for (ptrdiff_t j = 0; j < std::min(g.dilation_w, window.columns); ++j) {
      const Phase columns(window.column + j - g.pad_left, window.columns - j, g.dilation_w, s.width);
      const float* origin = s.origin + rows.remainder * s.row_stride + columns.remainder * s.column_stride;
      tiles({origin, s.row_stride * g.dilation_h, s.column_stride * g.dilation_w, rows.size, columns.size},
            {1, 1, 1, 1, 0, 0},
            {{rows.begin, rows.count, columns.begin, columns.count}, window.channel, window.channels}, taps,
            {y.data + i * y.row_stride + j * y.column_stride, y.row_stride * g.dilation_h,
             y.column_stride * g.dilation_w});
    }
  }
}

}  // namespace fastdw
