#include "ops/depthwise_source.h"

#include <algorithm>
#include <limits>

#include "ops/copy.h"
#include "plan/depthwise.h"

namespace fastdw {

// Input pixels by image coordinates: x itself, or a copy whose origin is shifted to look like it, or a phase
// of either.
struct DepthwiseSource::Pixels {
  const float* origin;
  ptrdiff_t row_stride, column_stride, height, width;
};

// A part of the kernel: whole columns, or a piece of one, since its weights must follow each other. It is the
// whole kernel unless not even one pixel's input fits into the copy.
struct DepthwiseSource::Taps {
  ptrdiff_t row, rows, column, columns;
};

// Where results go. `quad_stride` is 0 unless they are quads.
struct DepthwiseSource::Results {
  float* data;
  ptrdiff_t row_stride, column_stride, quad_stride = 0;
};

namespace {

// Bit i: coordinate first + i lies in [0, size), for i below count.
uint32_t live_mask(ptrdiff_t first, ptrdiff_t count, ptrdiff_t size) {
  const ptrdiff_t begin = std::clamp<ptrdiff_t>(-first, 0, count);
  const ptrdiff_t end = std::clamp<ptrdiff_t>(size - first, begin, count);
  return static_cast<uint32_t>((uint64_t{1} << end) - (uint64_t{1} << begin));
}

struct Range {
  ptrdiff_t first, count;
};

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
      quads(image, rect, buffer);
      break;
    case BlockLayout::kPlanes:
      planes(image, rect, buffer);
      break;
  }
  return {buffer, layout_, rect.columns * stride_, stride_};
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
  const Taps all{0, weights_.kernel_h, 0, weights_.kernel_w};
  const Results results{y, y_row_stride, y_column_stride};
  if (in_place_) {
    phases({x_.at(image, 0, 0, 0), x_.row_stride, x_.column_stride, x_.height, x_.width}, rect, all, results);
  } else {
    copied_window(image, rect, all, results, scratch);
  }
}

void DepthwiseSource::quads(ptrdiff_t image, const OutputRect& rect, float* y) const {
  tiles({x_.at(image, 0, 0, 0), x_.row_stride, x_.column_stride, x_.height, x_.width}, geometry_, rect,
        {0, weights_.kernel_h, 0, weights_.kernel_w}, {y, 0, 0, stride_});
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
  if (f.clamps()) return;
  weights_.set.curves[static_cast<int>(f.curve)](
      {y, stride_, x_.channels, rect.rows * rect.columns, f.a, f.b, nullptr});
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
    // Flat tiles take all channels, few as they are. (A flat kernel that is forced may have many.)
    const bool all_channels = kernel_.flat && weights_.repeats > 1;
    if (window.channels > weights_.set.lanes && !all_channels) {
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
    const Activation& f = *pre_activation_;
    const float* slopes = f.slopes.empty() ? nullptr : f.slopes.data() + first_channel;
    weights_.set.curves[static_cast<int>(f.curve)](
        {scratch, channels, rows.count * columns.count, channels, f.a, f.b, slopes});
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
            {rows.begin, rows.count, columns.begin, columns.count, window.channel, window.channels}, taps,
            {y.data + i * y.row_stride + j * y.column_stride, y.row_stride * g.dilation_h,
             y.column_stride * g.dilation_w});
    }
  }
}

void DepthwiseSource::tiles(const Pixels& source, const Geometry& g, const OutputRect& window,
                            const Taps& taps, const Results& y) const {
  const DepthwiseWeights& w = weights_;
  const bool whole = taps.rows == w.kernel_h && taps.columns == w.kernel_w;
  const bool last = taps.row + taps.rows == w.kernel_h && taps.column + taps.columns == w.kernel_w;
  const bool dense = source.column_stride == window.channels && y.column_stride == window.channels &&
                     window.channels == w.channels;
  // A flat band that is forced may meet what it cannot do.
  const bool fits = !kernel_.flat || !kernel_.plain.band || (dense && w.in_lines());
  const DwKernel& k = whole && fits ? kernel_ : w.set.depthwise[w.set.depthwise_count - 1];
  const Activation& f = w.activation;
  const bool clamp = last && f.clamps();
  const ptrdiff_t first_tap = taps.column * w.kernel_h + taps.row;

  DwTile t{};
  t.row_stride = source.row_stride;
  t.column_stride = source.column_stride;
  t.weights = w.block(window.channel) + w.bias_offset() + (1 + first_tap) * w.set.lanes;
  t.bias_offset = -(1 + first_tap) * w.set.lanes;
  t.block_stride = w.block_stride();
  t.blocks = w.vectors();
  t.y_row_stride = y.row_stride;
  t.y_column_stride = y.column_stride;
  t.y_quad_stride = y.quad_stride;
  t.accumulate = first_tap != 0;
  t.lo = clamp ? f.a : -std::numeric_limits<float>::infinity();
  t.hi = clamp ? f.b : std::numeric_limits<float>::infinity();
  t.kernel_h = taps.rows;
  t.kernel_w = taps.columns;
  t.stride = g.stride_w;
  t.dilation_h = g.dilation_h;
  t.dilation_w = g.dilation_w;
  t.width = source.width;
  t.multiplier = w.multiplier;
  t.first_channel = window.channel;

  const ptrdiff_t extent_h = (taps.rows - 1) * g.dilation_h + 1;
  const ptrdiff_t extent_w = (taps.columns - 1) * g.dilation_w + 1;
  const float* origin = source.origin + (w.multiplier == 1 ? window.channel : 0);
  const auto apply_curve = [&](ptrdiff_t columns) {
    if (!last || clamp) return;
    const float* slopes = f.slopes.empty() ? nullptr : f.slopes.data() + window.channel;
    for (int row = 0; row < t.rows; ++row) {
      w.set.curves[static_cast<int>(f.curve)](
          {t.y + row * y.row_stride, y.column_stride, columns, window.channels, f.a, f.b, slopes});
    }
  };
  const ptrdiff_t side_by_side = k.flat && dense ? w.repeats : 1;
  const DwBodies& single = in_block_ && k.fused.exist() ? k.fused : k.plain;
  const DwBodies& bodies = w.multiplier == 1 ? single : k.multiplied;
  for (ptrdiff_t i = 0; i < window.rows; i += t.rows) {
    t.rows = static_cast<int>(bodies.band ? k.band_rows(window.rows - i)
                                          : std::min<ptrdiff_t>(k.rows, window.rows - i));
    const ptrdiff_t first_row = (window.row + i) * g.stride_h - g.pad_top + taps.row * g.dilation_h;
    const ptrdiff_t input_rows = (t.rows - 1) * g.stride_h + extent_h;
    if (!k.generic()) {
      t.live_input_rows = live_mask(first_row, input_rows, source.height);
    } else {
      t.live_row = std::min(taps.rows, ceil_div(std::max<ptrdiff_t>(-first_row, 0), g.dilation_h));
      t.live_end = std::clamp(ceil_div(source.height - first_row, g.dilation_h), t.live_row, taps.rows);
    }
    const bool rows_inside = t.rows == k.rows && first_row >= 0 && first_row + input_rows <= source.height;
    for (ptrdiff_t j = 0; j < window.columns; j += t.tiles * t.tile_columns) {
      t.tiles = 1;
      t.columns = bodies.band ? window.columns : std::min<ptrdiff_t>(k.columns, window.columns - j);
      t.tile_columns = t.columns;
      t.channels = window.channels;
      t.first_column = (window.column + j) * g.stride_w - g.pad_left + taps.column * g.dilation_w;
      t.x = origin + first_row * t.row_stride + t.first_column * t.column_stride;
      t.y = y.data + i * y.row_stride + j * y.column_stride;
      if (bodies.band) {
        bodies.band(t);
      } else {
        const ptrdiff_t input_columns = (t.columns - 1) * g.stride_w + extent_w;
        const ptrdiff_t last_column = source.width - input_columns - t.first_column;
        const bool columns_inside = t.columns == k.columns && t.first_column >= 0 && last_column >= 0;
        if (columns_inside) {
          // Tiles go together: a call for each would cost as much as 32 channels of a 3×3 tile.
          const ptrdiff_t tiles =
              1 + std::min((window.columns - j) / k.columns - 1, last_column / (k.columns * g.stride_w));
          const ptrdiff_t pixels = std::min(tiles, side_by_side);
          t.tiles = tiles / pixels;
          t.tile_columns *= pixels;
          t.channels *= pixels;
        }
        t.live_input_columns = live_mask(t.first_column, input_columns, source.width);
        (rows_inside && columns_inside ? bodies.interior : bodies.border)(t);
      }
      apply_curve(t.tiles * t.tile_columns);
    }
  }
}

}  // namespace fastdw
