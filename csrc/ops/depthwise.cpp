#include "ops/depthwise.h"

#include <algorithm>
#include <limits>

#include "base/threads.h"

namespace fastdw {

// Input pixels by image coordinates: x itself, or a patch whose origin is shifted to look like it, or a phase
// of either.
struct DepthwiseOp::Source {
  const float* origin;
  ptrdiff_t row_stride, column_stride, height, width;
};

// A part of the kernel: whole columns, or a piece of one, since its weights must follow each other. It is the
// whole kernel unless not even one pixel's input fits into a patch.
struct DepthwiseOp::Taps {
  ptrdiff_t row, rows, column, columns;
};

namespace {

const DwKernel& generic_kernel(const KernelSet& set) { return set.depthwise[set.depthwise_count - 1]; }

// By phases instead of by the generic kernel, 28×28×64 at dilation 2 is 1.46 times as fast with AVX-512
// and 1.14 times with AVX2. Larger dilations leave few rows and columns to a phase: at 4 it is 1.27 and 0.84
// times.
constexpr ptrdiff_t kMostPhases = 2;

// Pixel by pixel, in place or in the staging buffer.
bool writes_dense(const Output* out) {
  return out && (out->column_stride == out->channels || !out->channels_side_by_side());
}

const DwKernel& choose_kernel(const DepthwiseWeights& w, const Geometry& g, const Input& x, bool patched,
                              const Output* out) {
  if (w.forced) return *w.forced;
  const ptrdiff_t dilation = std::max(g.dilation_h, g.dilation_w);
  const bool phases = dilation > 1 && dilation <= kMostPhases && g.stride_h == 1 && g.stride_w == 1;
  const bool dense = patched || x.column_stride == x.channels;
  // Of tiles those that leave the fewest rows empty; of equals the last. (In blocks 7×2 gains 0 to 1 % on
  // planes of 14 and 7 rows, and on two threads, whose rows are cut by the same size, loses up to 8.)
  const ptrdiff_t rows = out ? ceil_div(out->height, dilation) : 0;
  const auto padded_rows = [rows](const DwKernel& k) { return ceil_div(rows, k.rows) * k.rows; };
  const DwKernel* best = &generic_kernel(w.set);
  for (int i = 0; (dilation == 1 || phases) && i < w.set.depthwise_count; ++i) {
    const DwKernel& k = w.set.depthwise[i];
    const bool fits = k.kernel_h == w.kernel_h && k.kernel_w == w.kernel_w && k.stride_h == g.stride_h &&
                      k.stride_w == g.stride_w && (w.multiplier == 1 || k.multiplied.exist());
    if (!fits) continue;
    if (k.flat) {
      const bool pays = w.repeats > 1 && dense && !phases;
      if (pays && (!k.plain.band || (w.in_lines() && writes_dense(out)))) return k;
    } else if (best->generic() || padded_rows(k) <= padded_rows(*best)) {
      best = &k;
    }
  }
  return *best;
}

// Bit i: coordinate first + i lies in [0, size), for i below count.
uint32_t live_mask(ptrdiff_t first, ptrdiff_t count, ptrdiff_t size) {
  const ptrdiff_t begin = std::clamp<ptrdiff_t>(-first, 0, count);
  const ptrdiff_t end = std::clamp<ptrdiff_t>(size - first, begin, count);
  return static_cast<uint32_t>((uint64_t{1} << end) - (uint64_t{1} << begin));
}

// Less is found in L2 anyway, and asking costs 2 %.
constexpr ptrdiff_t kCachedBytes = 768 * 1024;

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

DepthwiseOp::DepthwiseOp(const DepthwiseWeights& weights, const Geometry& geometry, const Input& x,
                         const Activation* pre_activation, const Output* out)
    : weights(weights),
      geometry(geometry),
      x(x),
      pre_activation(pre_activation),
      fused(!out),
      kernel(choose_kernel(weights, geometry, x, !in_place(), out)) {}

ptrdiff_t DepthwiseOp::patch_floats() const { return in_place() ? 0 : kPatchFloats; }

Ahead DepthwiseOp::fresh_input(ptrdiff_t image, ptrdiff_t row, ptrdiff_t rows, bool planar) const {
  const auto bytes = [](ptrdiff_t floats) { return floats * ptrdiff_t{sizeof(float)}; };
  const Geometry& g = geometry;
  const ptrdiff_t overlap = (weights.kernel_h - 1) * g.dilation_h + 1 - g.stride_h;
  // Crops, and strides beyond the kernel, would have it ask for much that nobody reads.
  const bool dense = x.row_stride == x.width * (planar ? 1 : x.channels) && overlap >= 0;
  const bool cached = bytes(x.images * x.height * x.width * x.channels) < kCachedBytes;
  if (!(planar || in_place()) || !dense || cached) return {};
  const Range fresh =
      input_range(row * g.stride_h - g.pad_top + overlap, rows, g.stride_h, g.stride_h, x.height);
  return {reinterpret_cast<const char*>(x.at(image, fresh.first, 0, 0)),
          ceil_div(bytes(fresh.count * x.row_stride), kLineBytes), planar ? bytes(x.channel_stride) : 0};
}

bool DepthwiseOp::writes_planes() const {
  const DepthwiseWeights& w = weights;
  const Geometry& g = geometry;
  const bool sized = (w.kernel_h == 3 || w.kernel_h == 5) && w.kernel_w == w.kernel_h;
  const bool plain = sized && w.multiplier == 1 && g.stride_h == g.stride_w && g.stride_h <= 2 &&
                     g.dilation_h == 1 && g.dilation_w == 1;
  return w.set.planes.exist() && !w.forced && plain && !pre_activation && x.planar() &&
         w.activation.slopes.empty();
}

void DepthwiseOp::planes(ptrdiff_t image, ptrdiff_t row, ptrdiff_t rows, ptrdiff_t columns, float* y,
                         ptrdiff_t y_plane_stride) const {
  const Activation& f = weights.activation;
  DwPlanes t{};
  t.first_row = row * geometry.stride_h - geometry.pad_top;
  t.first_column = -geometry.pad_left;
  t.x = x.at(image, t.first_row, t.first_column, 0);
  t.plane_stride = x.channel_stride;
  t.row_stride = x.row_stride;
  t.weights = weights.block(0);
  t.block_stride = weights.block_stride();
  t.y = y;
  t.y_plane_stride = y_plane_stride;
  t.channels = x.channels;
  t.rows = rows;
  t.columns = columns;
  t.height = x.height;
  t.width = x.width;
  t.lo = f.lo();
  t.hi = f.hi();
  weights.set.planes.depthwise[weights.kernel_h == 5][geometry.stride_h - 1](t);
  if (f.clamps()) return;
  weights.set.curves[static_cast<int>(f.curve)](
      {y, y_plane_stride, x.channels, rows * columns, f.a, f.b, nullptr});
}

void DepthwiseOp::window(ptrdiff_t image, const Window& window, float* y, ptrdiff_t y_row_stride,
                         ptrdiff_t y_column_stride, float* patch) const {
  const Taps all{0, weights.kernel_h, 0, weights.kernel_w};
  if (in_place()) {
    phases({x.at(image, 0, 0, 0), x.row_stride, x.column_stride, x.height, x.width}, window, all, y,
           y_row_stride, y_column_stride);
  } else {
    patched_window(image, window, all, y, y_row_stride, y_column_stride, patch);
  }
}

void DepthwiseOp::groups(ptrdiff_t image, const Window& window, float* y) const {
  tiles({x.at(image, 0, 0, 0), x.row_stride, x.column_stride, x.height, x.width}, geometry, window,
        {0, weights.kernel_h, 0, weights.kernel_w}, y, 0, 0, weights.set.group_floats(window.channels));
}

void DepthwiseOp::patched_window(ptrdiff_t image, const Window& window, const Taps& taps, float* y,
                                 ptrdiff_t y_row_stride, ptrdiff_t y_column_stride, float* patch) const {
  const Geometry& g = geometry;
  const Range rows = input_range(window.row * g.stride_h - g.pad_top + taps.row * g.dilation_h, window.rows,
                                 g.stride_h, (taps.rows - 1) * g.dilation_h + 1, x.height);
  const Range columns =
      input_range(window.column * g.stride_w - g.pad_left + taps.column * g.dilation_w, window.columns,
                  g.stride_w, (taps.columns - 1) * g.dilation_w + 1, x.width);
  const ptrdiff_t first_channel = window.channel / weights.multiplier;
  const ptrdiff_t channels = ceil_div(window.channel + window.channels, weights.multiplier) - first_channel;

  if (rows.count * columns.count > kPatchFloats / channels) {
    const auto halves = [&](Window first, Window second, Taps first_taps, Taps second_taps) {
      patched_window(image, first, first_taps, y, y_row_stride, y_column_stride, patch);
      float* rest = y + (second.row - window.row) * y_row_stride +
                    (second.column - window.column) * y_column_stride + (second.channel - window.channel);
      patched_window(image, second, second_taps, rest, y_row_stride, y_column_stride, patch);
    };
    Window first = window, second = window;
    Taps first_taps = taps, second_taps = taps;
    const auto halve = [](ptrdiff_t& at, ptrdiff_t& count, ptrdiff_t& half, ptrdiff_t unit) {
      half = ceil_div(ceil_div(count, unit), 2) * unit;
      at += half;
      count -= half;
    };
    // Flat tiles take all channels, few as they are. (A flat kernel that is forced may have many.)
    const bool all_channels = kernel.flat && weights.repeats > 1;
    if (window.channels > weights.set.lanes && !all_channels) {
      halve(second.channel, second.channels, first.channels, weights.set.lanes);
    } else if (window.rows > tile_rows()) {
      halve(second.row, second.rows, first.rows, tile_rows());
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

  copy_block(weights.set, x.at(image, rows.first, columns.first, first_channel), layout_of(x), patch,
             {columns.count * channels, channels, 1}, rows.count, columns.count, channels);
  if (pre_activation) {
    const Activation& f = *pre_activation;
    const float* slopes = f.slopes.empty() ? nullptr : f.slopes.data() + first_channel;
    weights.set.curves[static_cast<int>(f.curve)](
        {patch, channels, rows.count * columns.count, channels, f.a, f.b, slopes});
  }
  const float* origin =
      patch - rows.first * columns.count * channels - columns.first * channels - first_channel;
  phases({origin, columns.count * channels, channels, x.height, x.width}, window, taps, y, y_row_stride,
         y_column_stride);
}

void DepthwiseOp::phases(const Source& s, const Window& window, const Taps& taps, float* y,
                         ptrdiff_t y_row_stride, ptrdiff_t y_column_stride) const {
  const Geometry& g = geometry;
  if (!by_phases() || taps.rows < weights.kernel_h || taps.columns < weights.kernel_w) {
    tiles(s, g, window, taps, y, y_row_stride, y_column_stride, 0);
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
            y + i * y_row_stride + j * y_column_stride, y_row_stride * g.dilation_h,
            y_column_stride * g.dilation_w, 0);
    }
  }
}

void DepthwiseOp::tiles(const Source& source, const Geometry& g, const Window& window, const Taps& taps,
                        float* y, ptrdiff_t y_row_stride, ptrdiff_t y_column_stride,
                        ptrdiff_t y_group_stride) const {
  const DepthwiseWeights& w = weights;
  const bool whole = taps.rows == w.kernel_h && taps.columns == w.kernel_w;
  const bool last = taps.row + taps.rows == w.kernel_h && taps.column + taps.columns == w.kernel_w;
  const bool dense = source.column_stride == window.channels && y_column_stride == window.channels &&
                     window.channels == w.channels;
  // A flat band that is forced may meet what it cannot do.
  const bool fits = !kernel.flat || !kernel.plain.band || (dense && w.in_lines());
  const DwKernel& k = whole && fits ? kernel : generic_kernel(w.set);
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
  t.y_row_stride = y_row_stride;
  t.y_column_stride = y_column_stride;
  t.y_group_stride = y_group_stride;
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
          {t.y + row * y_row_stride, y_column_stride, columns, window.channels, f.a, f.b, slopes});
    }
  };
  const ptrdiff_t side_by_side = k.flat && dense ? w.repeats : 1;
  const DwBodies& single = fused && k.fused.exist() ? k.fused : k.plain;
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
      t.y = y + i * y_row_stride + j * y_column_stride;
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

void depthwise(const DepthwiseOp& op, const Output& out, int threads) {
  const ptrdiff_t taps = op.weights.taps(), lanes = op.weights.set.lanes;
  const double macs = static_cast<double>(out.images) * static_cast<double>(out.height) *
                      static_cast<double>(out.width) * static_cast<double>(out.channels) *
                      static_cast<double>(taps);
  threads = useful_threads(threads, macs);

  // Blocks of whole rows where the output is written in place; else what a second patch holds.
  const bool staged = !out.channels_side_by_side();
  const ptrdiff_t tile_rows = op.tile_rows();
  Window block{};
  block.channels = std::min(out.channels, ceil_div(64, lanes) * lanes);
  block.columns = staged ? std::min<ptrdiff_t>(out.width, 64) : out.width;
  const ptrdiff_t wanted = ceil_div(4 * threads, out.images * ceil_div(out.channels, block.channels));
  block.rows = std::max(tile_rows, out.height / wanted / tile_rows * tile_rows);
  // One thread that copies nothing has no use for more: each costs as much as 30 vectors of 3×3.
  if (threads == 1 && !staged && op.patch_floats() == 0) block.rows = out.height;
  if (staged) {
    const ptrdiff_t most = kPatchFloats / (block.columns * block.channels) / tile_rows * tile_rows;
    block.rows = std::clamp<ptrdiff_t>(block.rows, 1, std::max<ptrdiff_t>(most, 1));
  }
  const ptrdiff_t rows = ceil_div(out.height, block.rows), columns = ceil_div(out.width, block.columns);
  const ptrdiff_t channels = ceil_div(out.channels, block.channels);
  const ptrdiff_t patch = op.patch_floats();
  parallel_for(threads, out.images * channels * rows * columns, patch + (staged ? kPatchFloats : 0),
               [&](ptrdiff_t task, float* scratch) {
                 Window w;
                 w.column = task % columns * block.columns;
                 w.columns = std::min(block.columns, out.width - w.column);
                 w.row = task / columns % rows * block.rows;
                 w.rows = std::min(block.rows, out.height - w.row);
                 w.channel = task / columns / rows % channels * block.channels;
                 w.channels = std::min(block.channels, out.channels - w.channel);
                 const ptrdiff_t image = task / columns / rows / channels;
                 float* y = out.at(image, w.row, w.column, w.channel);
                 if (!staged) {
                   op.window(image, w, y, out.row_stride, out.column_stride, scratch);
                   return;
                 }
                 float* staging = scratch + patch;
                 const Layout layout{w.columns * w.channels, w.channels, 1};
                 op.window(image, w, staging, layout.row_stride, layout.column_stride, scratch);
                 copy_block(op.weights.set, staging, layout, y, layout_of(out), w.rows, w.columns,
                            w.channels);
               });
}

}  // namespace fastdw
