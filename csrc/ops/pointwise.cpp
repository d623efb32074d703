#include "pointwise.h"

#include <algorithm>

#include "../threads.h"

namespace fastdw {
namespace {

// `pixels` in line against the panels: every panel's weights are read once while the pixels stay in cache.
void multiply(const PointwiseWeights& w, ptrdiff_t first_panel, ptrdiff_t last_panel, ptrdiff_t pixels,
              const float* a, ptrdiff_t a_stride, float* y, ptrdiff_t y_stride, const float* residual,
              ptrdiff_t residual_stride) {
  const Activation& f = w.activation;
  const bool clamp = f.curve == Curve::kClamp;
  const ptrdiff_t origin = w.panel(first_panel).first;
  PwTile t{};
  t.x_stride = a_stride;
  t.input_channels = w.inputs;
  t.y_stride = y_stride;
  t.residual_stride = residual_stride;
  t.lo = clamp ? f.a : -__builtin_inff();
  t.hi = clamp ? f.b : __builtin_inff();
  for (ptrdiff_t p = first_panel; p < last_panel; ++p) {
    const PointwiseWeights::Panel panel = w.panel(p);
    const PwTileFn* tile = w.set.pointwise[panel.vectors - 1];
    t.panel = panel.weights;
    t.channels = panel.channels;
    // As few tiles as can be, of sizes that differ by one at most: 28 pixels are 4 × 7, not 4 × 6 + 4.
    const ptrdiff_t tiles = ceil_div(pixels, w.set.tile_pixels[panel.vectors - 1]);
    for (ptrdiff_t i = 0; i < tiles; ++i) {
      const ptrdiff_t first = pixels * i / tiles, count = pixels * (i + 1) / tiles - first;
      t.x = a + first * a_stride;
      t.y = y + first * y_stride + (panel.first - origin);
      t.residual = residual ? residual + first * residual_stride + (panel.first - origin) : nullptr;
      tile[count - 1](t);
      if (!clamp) {
        const float* slopes = f.slopes.empty() ? nullptr : f.slopes.data() + panel.first;
        w.set.curves[static_cast<int>(f.curve)]({t.y, y_stride, count, panel.channels, f.a, f.b, slopes});
      }
    }
  }
}

bool in_line(ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t row_stride, ptrdiff_t column_stride) {
  return rows == 1 || row_stride == columns * column_stride;
}

}  // namespace

void PointwiseOp::block(const PixelBlock& b, const float* a, ptrdiff_t a_row_stride,
                        ptrdiff_t a_column_stride, float* staging) const {
  const bool a_in_line = in_line(b.rows, b.columns, a_row_stride, a_column_stride);
  if (!staged()) {
    const ptrdiff_t channel = weights.panel(b.first_panel).first;
    float* y = out.at(b.image, b.row, b.column, channel);
    const float* r = residual.data ? residual.at(b.image, b.row, b.column, channel) : nullptr;
    const bool together = a_in_line && in_line(b.rows, b.columns, out.row_stride, out.column_stride) &&
                          (!r || in_line(b.rows, b.columns, residual.row_stride, residual.column_stride));
    const ptrdiff_t spans = together ? 1 : b.rows, pixels = b.rows * b.columns / spans;
    for (ptrdiff_t i = 0; i < spans; ++i) {
      multiply(weights, b.first_panel, b.last_panel, pixels, a + i * a_row_stride, a_column_stride,
               y + i * out.row_stride, out.column_stride, r ? r + i * residual.row_stride : nullptr,
               residual.column_stride);
    }
    return;
  }
  const ptrdiff_t pixels = b.rows * b.columns;
  for (ptrdiff_t p = b.first_panel; p < b.last_panel;) {
    const ptrdiff_t channel = weights.panel(p).first;
    ptrdiff_t channels = 0;
    ptrdiff_t next = p;
    do {
      channels += weights.panel(next++).channels;
    } while (next < b.last_panel && pixels * (channels + weights.panel(next).channels) <= kStagingFloats);
    const Layout layout{b.columns * channels, channels, 1};
    // The residual is read where the result is written, element by element, just before it.
    if (residual.data) {
      copy_block(residual.at(b.image, b.row, b.column, channel), layout_of(residual), staging, layout, b.rows,
                 b.columns, channels);
    }
    const ptrdiff_t spans = a_in_line ? 1 : b.rows;
    for (ptrdiff_t i = 0; i < spans; ++i) {
      float* y = staging + i * layout.row_stride;
      multiply(weights, p, next, pixels / spans, a + i * a_row_stride, a_column_stride, y, channels,
               residual.data ? y : nullptr, channels);
    }
    copy_block(staging, layout, out.at(b.image, b.row, b.column, channel), layout_of(out), b.rows, b.columns,
               channels);
    p = next;
  }
}

void pointwise(const PointwiseOp& op, const Input& x, int threads) {
  const PointwiseWeights& w = op.weights;
  const Output& out = op.out;
  const bool copied = !x.channels_side_by_side(), staged = op.staged();
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
  if (staged) pixels = std::min(pixels, kStagingFloats / op.largest_panel());
  pixels = ceil_div(width, ceil_div(width, std::min(pixels, width)));
  const ptrdiff_t columns = ceil_div(width, pixels);
  // Few blocks: the panels are dealt out too.
  const ptrdiff_t blocks = images * height * columns;
  const ptrdiff_t groups =
      threads == 1 ? 1 : std::clamp<ptrdiff_t>(ceil_div(4 * threads, blocks), 1, w.panels);

  const ptrdiff_t a_floats = copied ? pixels * w.inputs : 0;
  parallel_for(threads, blocks * groups, a_floats + (staged ? kStagingFloats : 0),
               [&](ptrdiff_t task, float* scratch) {
                 const ptrdiff_t group = task % groups, column = task / groups % columns * pixels;
                 PixelBlock b;
                 b.column = column;
                 b.columns = std::min(pixels, width - column);
                 b.row = task / groups / columns % height;
                 b.rows = 1;
                 b.image = task / groups / columns / height;
                 b.first_panel = w.panels * group / groups;
                 b.last_panel = w.panels * (group + 1) / groups;
                 const float* a = x.at(b.image, b.row, b.column, 0);
                 ptrdiff_t a_stride = x.column_stride;
                 if (copied) {
                   copy_block(a, layout_of(x), scratch, {0, w.inputs, 1}, 1, b.columns, w.inputs);
                   a = scratch;
                   a_stride = w.inputs;
                 }
                 op.block(b, a, 0, a_stride, scratch + a_floats);
               });
}

}  // namespace fastdw
