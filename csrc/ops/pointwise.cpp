#include "ops/pointwise.h"

#include <algorithm>

#include "base/threads.h"

namespace fastdw {

// Pixels in the order in which tiles take them: `count` times column by column of `rows` (1, 2 or 4), one
// image row after the other unless count is 1.
struct PointwiseOp::Spans {
  ptrdiff_t count, rows, columns;
  const float* a;
  ptrdiff_t a_span_stride, a_stride;  // from span to span; from pixel to pixel, or from group to group
};

namespace {

// Pixels in the order in which tiles take them: column by column of `rows` (1, 2 or 4).
struct Span {
  ptrdiff_t rows, columns;

  PixelStrides strides(const Layout& l) const {
    if (rows == 1) return {l.column_stride, 2 * l.column_stride, 4 * l.column_stride};
    if (rows == 2) return {l.row_stride, l.column_stride, 2 * l.column_stride};
    return {l.row_stride, 2 * l.row_stride, l.column_stride};
  }
};

// A span against the panels: every panel's weights are read once while the pixels stay in cache.
void multiply(const PointwiseWeights& w, ptrdiff_t first_panel, ptrdiff_t last_panel, const Span& span,
              const float* a, ptrdiff_t a_stride, float* y, const Layout& y_layout, const float* residual,
              const Layout& residual_layout, const Ahead& ahead) {
  const Activation& f = w.activation;
  const ptrdiff_t origin = w.panel(first_panel).first, pixels = span.rows * span.columns;
  const ptrdiff_t group = w.set.group_pixels, groups = ceil_div(pixels, group);
  const ptrdiff_t group_columns = group / span.rows;
  PwTile t{};
  t.x_stride = a_stride;
  t.input_channels = w.inputs;
  t.y_stride = span.strides(y_layout);
  t.residual_stride = span.strides(residual_layout);
  t.lo = f.lo();
  t.hi = f.hi();
  t.ahead = ahead.begin;
  const char* const ahead_end = ahead.begin + ahead.lines * kLineBytes;
  for (ptrdiff_t p = first_panel; p < last_panel; ++p) {
    const PointwiseWeights::Panel panel = w.panel(p);
    t.panel = panel.weights;
    t.channels = panel.channels;
    // As few tiles as can be, of sizes that differ by one at most: 28 pixels are 4 × 7, not 4 × 6 + 4. Tiles
    // of a size go together: a call for each costs 5 % of NEON's instructions at 32 input channels, 1 % of
    // the time of whole blocks with AVX-512 and AVX2, and with AVX2 a quarter at 3 input channels.
    const ptrdiff_t tiles = pixels <= panel.kernels.pixels ? 1 : ceil_div(groups, panel.tile_pixels / group);
    const ptrdiff_t small = groups / tiles, large = groups % tiles;
    const ptrdiff_t ahead_lines = ceil_div(ahead.lines, tiles * (last_panel - first_panel) * w.inputs);
    for (ptrdiff_t i = 0, first = 0; i < tiles; i += t.tiles) {
      const bool is_large = i < large;
      const ptrdiff_t size = small + is_large, left = pixels - first * group;
      const ptrdiff_t count = std::min(left, size * group), column = first * group_columns;
      const ptrdiff_t alike = std::min((is_large ? large : tiles) - i, left / count);
      t.tiles = alike;
      t.ahead_lines = 0;
      if (const ptrdiff_t left_ahead = ahead_end - t.ahead; left_ahead > 0) {
        t.ahead_lines = ahead_lines;
        t.tiles = std::min(alike, ceil_div(left_ahead, ahead_lines * w.inputs * kLineBytes));
      }
      t.x = a + first * a_stride;
      t.y = y + column * y_layout.column_stride + (panel.first - origin);
      t.residual =
          residual ? residual + column * residual_layout.column_stride + (panel.first - origin) : nullptr;
      panel.kernels.tiles[count - 1](t);
      t.ahead += t.tiles * t.ahead_lines * w.inputs * kLineBytes;
      if (!f.clamps()) {
        const float* slopes = f.slopes.empty() ? nullptr : f.slopes.data() + panel.first;
        for (ptrdiff_t row = 0; row < span.rows; ++row) {
          w.set.curves[static_cast<int>(f.curve)]({t.y + row * y_layout.row_stride, y_layout.column_stride,
                                                   t.tiles * count / span.rows, panel.channels, f.a, f.b,
                                                   slopes});
        }
      }
      first += t.tiles * size;
    }
  }
}

bool in_line(ptrdiff_t rows, ptrdiff_t columns, const Layout& l) {
  return rows == 1 || l.row_stride == columns * l.column_stride;
}

}  // namespace

bool PointwiseOp::in_line_outside(const PixelBlock& b) const {
  return in_line(b.rows, b.columns, layout_of(out)) &&
         (!residual.data || in_line(b.rows, b.columns, layout_of(residual)));
}

ptrdiff_t PointwiseOp::scratch_floats(ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t staging) const {
  const KernelSet& set = weights.set;
  if (!set.pack) return staging;
  // Rows that are packed one by one may each end in a part of a group.
  const ptrdiff_t groups = staging > 0
                               ? ceil_div(std::min(rows * columns, most_staged(staging)), set.group_pixels)
                               : rows * ceil_div(columns, set.group_pixels);
  return groups * set.group_floats(weights.inputs) + staging;
}

void PointwiseOp::block(const PixelBlock& b, const float* a, const Layout& a_layout, float* scratch,
                        ptrdiff_t staging) const {
  if (staging == 0) return part(b, a, a_layout, scratch, 0);
  PixelBlock p = b;
  // Of all rows, if they follow each other, or of one: parts as even as whole lines of the output allow.
  const bool one_row = in_line(b.rows, b.columns, a_layout) && in_line_outside(b);
  const ptrdiff_t rows = one_row ? 1 : b.rows, columns = one_row ? b.rows * b.columns : b.columns;
  const ptrdiff_t most = most_staged(staging), even = ceil_div(columns, ceil_div(columns, most));
  const ptrdiff_t step = columns <= most ? columns : std::min(most, ceil_div(even, 16) * 16);
  const ptrdiff_t step_rows = std::max(ptrdiff_t{1}, most / columns);
  for (ptrdiff_t i = 0; i < rows; i += step_rows) {
    p.row = b.row + i;
    p.rows = std::min(step_rows, rows - i);
    for (ptrdiff_t j = 0; j < columns; j += step) {
      p.column = b.column + j;
      p.columns = std::min(step, columns - j);
      part(p, a + i * a_layout.row_stride + j * a_layout.column_stride, a_layout, scratch, staging);
    }
  }
}

void PointwiseOp::part(const PixelBlock& b, const float* a, const Layout& a_layout, float* scratch,
                       ptrdiff_t staging) const {
  const KernelSet& set = weights.set;
  const bool together = in_line(b.rows, b.columns, a_layout) && (staging > 0 || in_line_outside(b));
  Spans s{together ? 1 : b.rows, 1, b.columns * (together ? b.rows : 1), a, a_layout.row_stride,
          a_layout.column_stride};
  if (set.pack) {
    s.a = scratch;
    s.a_stride = set.group_floats(weights.inputs);
    s.a_span_stride = ceil_div(s.columns, set.group_pixels) * s.a_stride;
    for (ptrdiff_t i = 0; i < s.count; ++i) {
      set.pack({a + i * a_layout.row_stride, a_layout.column_stride, s.columns, weights.inputs, scratch});
      scratch += s.a_span_stride;
    }
  }
  multiply_spans(b, s, scratch, staging);
}

void PointwiseOp::grouped_block(const PixelBlock& b, const float* groups, float* scratch,
                                ptrdiff_t staging) const {
  multiply_spans(b, {1, b.rows, b.columns, groups, 0, weights.set.group_floats(weights.inputs)}, scratch,
                 staging);
}

void PointwiseOp::multiply_spans(const PixelBlock& b, const Spans& s, float* scratch,
                                 ptrdiff_t staging) const {
  const auto multiply_panels = [&](ptrdiff_t first, ptrdiff_t last, float* y, const Layout& y_layout,
                                   const float* r, const Layout& r_layout, const Ahead& ahead) {
    for (ptrdiff_t i = 0; i < s.count; ++i) {
      multiply(weights, first, last, {s.rows, s.columns}, s.a + i * s.a_span_stride, s.a_stride,
               y + i * y_layout.row_stride, y_layout, r ? r + i * r_layout.row_stride : nullptr, r_layout,
               ahead);
    }
  };
  const auto residual_at = [&](ptrdiff_t channel) {
    return residual.data ? residual.at(b.image, b.row, b.column, channel) : nullptr;
  };
  if (staging == 0) {
    const ptrdiff_t channel = weights.panel(b.first_panel).first;
    multiply_panels(b.first_panel, b.last_panel, out.at(b.image, b.row, b.column, channel), layout_of(out),
                    residual_at(channel), layout_of(residual), s.count == 1 ? b.ahead : Ahead{});
    return;
  }
  const ptrdiff_t pixels = b.rows * b.columns;
  for (ptrdiff_t p = b.first_panel; p < b.last_panel;) {
    const ptrdiff_t channel = weights.panel(p).first;
    ptrdiff_t channels = 0;
    ptrdiff_t next = p;
    do {
      channels += weights.panel(next++).channels;
    } while (next < b.last_panel && pixels * (channels + weights.panel(next).channels) <= staging);
    const Layout layout{b.columns * channels, channels, 1};
    // The residual is read where the result is written, element by element, just before it.
    const float* r = residual_at(channel);
    if (r) copy_block(weights.set, r, layout_of(residual), scratch, layout, b.rows, b.columns, channels);
    multiply_panels(p, next, scratch, layout, r ? scratch : nullptr, layout, {});
    copy_block(weights.set, scratch, layout, out.at(b.image, b.row, b.column, channel), layout_of(out),
               b.rows, b.columns, channels);
    p = next;
  }
}

void PointwiseOp::planes(const PixelBlock& b, const float* a, ptrdiff_t a_plane_stride) const {
  constexpr int kVectors = PlaneKernels::kVectors, kChannels = PlaneKernels::kChannels;
  const KernelSet& set = weights.set;
  const Activation& f = weights.activation;
  const ptrdiff_t pixels = b.rows * b.columns, vectors = ceil_div(pixels, set.lanes);
  const ptrdiff_t tiles = ceil_div(vectors, kVectors);
  const ptrdiff_t all_tiles = tiles * ceil_div(weights.outputs, kChannels);
  PwPlanes t{};
  t.plane_stride = a_plane_stride;
  t.input_channels = weights.inputs;
  t.y_plane_stride = out.channel_stride;
  t.residual_plane_stride = residual.channel_stride;
  t.ahead = b.ahead.begin;
  t.ahead_plane_bytes = b.ahead.plane_bytes;
  t.lo = f.lo();
  t.hi = f.hi();
  ptrdiff_t ahead_lines = b.ahead.lines;
  for (ptrdiff_t n = b.first_panel; n < b.last_panel; ++n) {
    const PointwiseWeights::Panel panel = weights.panel(n);
    t.panel_channels = panel.vectors * set.lanes;
    for (ptrdiff_t c = 0; c < panel.channels; c += kChannels) {
      const ptrdiff_t channels = std::min<ptrdiff_t>(kChannels, panel.channels - c);
      t.panel = panel.weights + c;
      // Tiles of sizes that differ by one vector at most.
      for (ptrdiff_t i = 0; i < tiles; ++i) {
        const ptrdiff_t first = vectors * i / tiles, size = vectors * (i + 1) / tiles - first;
        const ptrdiff_t pixel = first * set.lanes;
        t.x = a + pixel;
        t.pixels = std::min(size * set.lanes, pixels - pixel);
        t.y = out.at(b.image, b.row, 0, panel.first + c) + pixel;
        if (residual.data) t.residual = residual.at(b.image, b.row, 0, panel.first + c) + pixel;
        t.ahead_lines = std::min(ahead_lines, ceil_div(b.ahead.lines, all_tiles));
        set.planes.pointwise[size - 1][channels - 1](t);
        ahead_lines -= t.ahead_lines;
        t.ahead += t.ahead_lines * kLineBytes;
      }
    }
    if (f.clamps()) continue;
    set.curves[static_cast<int>(f.curve)]({out.at(b.image, b.row, 0, panel.first), out.channel_stride,
                                           panel.channels, pixels, f.a, f.b, nullptr});
  }
}

void pointwise(const PointwiseOp& op, const Input& x, int threads) {
  const PointwiseWeights& w = op.weights;
  const Output& out = op.out;
  const bool copied = !x.channels_side_by_side();
  const ptrdiff_t staging = op.staged() ? kStagingFloats : 0;
  // Where rows, or even images, follow each other in every array, they are one long row.
  const auto everywhere = [&](auto in_line) {
    return in_line(x) && in_line(out) && (!op.residual.data || in_line(op.residual));
  };
  const bool flat = everywhere([](const auto& v) { return v.rows_in_line(); });
  const bool flatter = flat && everywhere([](const auto& v) { return v.images_in_line(); });
  const ptrdiff_t images = flatter ? 1 : out.images, height = flat ? 1 : out.height;
  const ptrdiff_t width = out.width * (flat ? out.height : 1) * (flatter ? out.images : 1);
  const double macs = static_cast<double>(out.images) * static_cast<double>(out.height) *
                      static_cast<double>(out.width) * static_cast<double>(w.inputs) *
                      static_cast<double>(w.outputs);
  threads = useful_threads(threads, macs);

  // Pixels of a block: their inputs stay in L2 while all panels pass.
  ptrdiff_t pixels = std::clamp<ptrdiff_t>(kDepthwiseFloats / w.inputs, 1, 256);
  pixels = ceil_div(width, ceil_div(width, std::min(pixels, width)));
  const ptrdiff_t columns = ceil_div(width, pixels);
  // Few blocks: the panels are dealt out too.
  const ptrdiff_t blocks = images * height * columns;
  const ptrdiff_t groups =
      threads == 1 ? 1 : std::clamp<ptrdiff_t>(ceil_div(4 * threads, blocks), 1, w.panels);

  const ptrdiff_t a_floats = copied ? pixels * w.inputs : 0;
  parallel_for(threads, blocks * groups, a_floats + op.scratch_floats(1, pixels, staging),
               [&](ptrdiff_t task, float* scratch) {
                 const ptrdiff_t group = task % groups, column = task / groups % columns * pixels;
                 PixelBlock b{};
                 b.column = column;
                 b.columns = std::min(pixels, width - column);
                 b.row = task / groups / columns % height;
                 b.rows = 1;
                 b.image = task / groups / columns / height;
                 b.first_panel = w.panels * group / groups;
                 b.last_panel = w.panels * (group + 1) / groups;
                 const float* a = x.at(b.image, b.row, b.column, 0);
                 Layout layout = layout_of(x);
                 if (copied) {
                   const Layout copy{0, w.inputs, 1};
                   copy_block(w.set, a, layout, scratch, copy, 1, b.columns, w.inputs);
                   a = scratch;
                   layout = copy;
                 }
                 op.block(b, a, layout, scratch + a_floats, staging);
               });
}

}  // namespace fastdw
