#include "ops/pointwise.h"

#include <algorithm>

namespace fastdw {

// Pixels in the order in which tiles take them: `count` times column by column of `rows` (1, 2 or 4), one
// image row after the other unless count is 1.
struct Pointwise::Spans {
  ptrdiff_t count, rows, columns;
  const float* a;
  ptrdiff_t a_span_stride, a_stride;  // from span to span; from pixel to pixel, or from quad to quad
  ptrdiff_t window_rows, window_row_stride;
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

// Of a span: from pixel to pixel, or from quad to quad; of each the rows of its window.
struct Inputs {
  const float* data;
  ptrdiff_t stride, rows, row_stride;
};

// What panels make of spans: where the first one's channels go, and what is added to them.
struct Results {
  ptrdiff_t first_panel, last_panel;
  float* y;
  Layout y_layout;
  const float* residual;  // or null
  Layout residual_layout;
  Ahead ahead;

  Results of_span(ptrdiff_t i) const {
    Results r = *this;
    r.y += i * y_layout.row_stride;
    if (residual) r.residual += i * residual_layout.row_stride;
    return r;
  }
};

// A span against the panels: every panel's weights are read once while the pixels stay in cache.
void multiply(const PointwiseWeights& w, const Span& span, const Inputs& a, const Results& results) {
  const auto& [first_panel, last_panel, y, y_layout, residual, residual_layout, ahead] = results;
  const Activation& f = w.activation;
  const ptrdiff_t origin = w.panel(first_panel).first, pixels = span.rows * span.columns;
  const ptrdiff_t quad = w.set.quad_pixels, quads = ceil_div(pixels, quad);
  const ptrdiff_t quad_columns = quad / span.rows;
  PwWindowTile t{};
  t.x_stride = a.stride;
  t.input_channels = w.inputs / a.rows;
  t.rows = a.rows;
  t.row_stride = a.row_stride;
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
    // of a size go together, since a call for each costs much where input channels are few.
    const ptrdiff_t tiles = pixels <= panel.kernels.pixels ? 1 : ceil_div(quads, panel.tile_pixels / quad);
    const ptrdiff_t small = quads / tiles, large = quads % tiles;
    const ptrdiff_t ahead_lines = ceil_div(ahead.lines, tiles * (last_panel - first_panel) * w.inputs);
    for (ptrdiff_t i = 0, first = 0; i < tiles; i += t.tiles) {
      const bool is_large = i < large;
      const ptrdiff_t size = small + is_large, left = pixels - first * quad;
      const ptrdiff_t count = std::min(left, size * quad), column = first * quad_columns;
      const ptrdiff_t alike = std::min((is_large ? large : tiles) - i, left / count);
      t.tiles = alike;
      t.ahead_lines = 0;
      if (const ptrdiff_t left_ahead = ahead_end - t.ahead; left_ahead > 0) {
        t.ahead_lines = ahead_lines;
        t.tiles = std::min(alike, ceil_div(left_ahead, ahead_lines * w.inputs * kLineBytes));
      }
      t.x = a.data + first * a.stride;
      t.y = y + column * y_layout.column_stride + (panel.first - origin);
      t.residual =
          residual ? residual + column * residual_layout.column_stride + (panel.first - origin) : nullptr;
      if (a.rows > 1) {
        panel.kernels.windows[count - 1](t);
      } else {
        panel.kernels.tiles[count - 1](t);
      }
      t.ahead += t.tiles * t.ahead_lines * w.inputs * kLineBytes;
      if (!f.clamps()) {
        const ptrdiff_t columns = t.tiles * count / span.rows;
        for (ptrdiff_t row = 0; row < span.rows; ++row) {
          f.apply(w.set, t.y + row * y_layout.row_stride, y_layout.column_stride, columns, panel.channels,
                  panel.first);
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

Pointwise::Pointwise(const Problem& p, const Plan& plan)
    : weights_(*p.chain.pointwise),
      out_(p.out),
      residual_(p.residual),
      packed_floats_(plan.scratch.packed),
      staging_floats_(plan.scratch.staging) {}

Pointwise::Pointwise(const PointwiseWeights& weights, const Output& out, ptrdiff_t packed_floats)
    : weights_(weights), out_(out), residual_{}, packed_floats_(packed_floats), staging_floats_(0) {}

bool Pointwise::in_line_outside(const PixelBlock& b) const {
  return in_line(b.rows, b.columns, layout_of(out_)) &&
         (!residual_.data || in_line(b.rows, b.columns, layout_of(residual_)));
}

void Pointwise::consume(const PixelBlock& b, const Block& block, float* scratch) const {
  switch (block.layout) {
    case BlockLayout::kPixels:
      if (staging_floats_ == 0) return part(b, block, scratch);
      return parts(b, block, scratch);
    case BlockLayout::kQuads:
      return multiply_spans(b, {1, b.rows, b.columns, block.data, 0, block.stride, 1, 0}, scratch);
    case BlockLayout::kPlanes:
      return planes(b, block);
  }
}

void Pointwise::parts(const PixelBlock& b, const Block& block, float* scratch) const {
  const Layout a{block.row_stride, block.stride, 1};
  PixelBlock p = b;
  Block rest = block;
  // Of all rows, if they follow each other, or of one: parts as even as whole lines of the output allow.
  const bool one_row = in_line(b.rows, b.columns, a) && in_line_outside(b);
  const ptrdiff_t rows = one_row ? 1 : b.rows, columns = one_row ? b.rows * b.columns : b.columns;
  const ptrdiff_t most = weights_.most_staged(staging_floats_);
  const ptrdiff_t even = ceil_div(columns, ceil_div(columns, most));
  const ptrdiff_t step =
      columns <= most ? columns : std::min(most, ceil_div(even, kLineFloats) * kLineFloats);
  const ptrdiff_t step_rows = std::max(ptrdiff_t{1}, most / columns);
  for (ptrdiff_t i = 0; i < rows; i += step_rows) {
    p.row = b.row + i;
    p.rows = std::min(step_rows, rows - i);
    for (ptrdiff_t j = 0; j < columns; j += step) {
      p.column = b.column + j;
      p.columns = std::min(step, columns - j);
      rest.data = block.data + i * a.row_stride + j * a.column_stride;
      part(p, rest, scratch);
    }
  }
}

void Pointwise::part(const PixelBlock& b, const Block& block, float* scratch) const {
  const KernelSet& set = weights_.set;
  const bool together = in_line(b.rows, b.columns, {block.row_stride, block.stride, 1}) &&
                        (staging_floats_ > 0 || in_line_outside(b));
  // Pixels one above the other are a span, too.
  const bool one_span = together || b.columns == 1;
  const ptrdiff_t stride = b.columns == 1 ? block.row_stride : block.stride;
  Spans s{one_span ? 1 : b.rows,
          1,
          b.columns * (one_span ? b.rows : 1),
          block.data,
          block.row_stride,
          stride,
          block.window_rows,
          block.window_row_stride};
  if (packed_floats_ > 0) {
    float* to = scratch;
    s.a = scratch;
    s.a_stride = set.quad_floats(weights_.inputs);
    s.a_span_stride = ceil_div(s.columns, set.quad_pixels) * s.a_stride;
    for (ptrdiff_t i = 0; i < s.count; ++i) {
      set.pack({block.data + i * block.row_stride, stride, s.columns, weights_.inputs, to});
      to += s.a_span_stride;
    }
  }
  multiply_spans(b, s, scratch + packed_floats_);
}

void Pointwise::multiply_spans(const PixelBlock& b, const Spans& s, float* staging) const {
  const auto multiply_all = [&](const Results& results) {
    for (ptrdiff_t i = 0; i < s.count; ++i) {
      const Inputs inputs{s.a + i * s.a_span_stride, s.a_stride, s.window_rows, s.window_row_stride};
      multiply(weights_, {s.rows, s.columns}, inputs, results.of_span(i));
    }
  };
  const auto residual_at = [&](ptrdiff_t channel) {
    return residual_.data ? residual_.at(b.image, b.row, b.column, channel) : nullptr;
  };
  if (staging_floats_ == 0) {
    const ptrdiff_t channel = weights_.panel(b.first_panel).first;
    const auto layout = [&](const auto& v) {
      Layout l = layout_of(v);
      if (s.rows == 1 && b.columns == 1) l.column_stride = l.row_stride;
      return l;
    };
    multiply_all({b.first_panel, b.last_panel, out_.at(b.image, b.row, b.column, channel), layout(out_),
                  residual_at(channel), layout(residual_), s.count == 1 ? b.ahead : Ahead{}});
    return;
  }
  const ptrdiff_t pixels = b.rows * b.columns;
  for (ptrdiff_t p = b.first_panel; p < b.last_panel;) {
    const ptrdiff_t channel = weights_.panel(p).first;
    ptrdiff_t channels = 0;
    ptrdiff_t next = p;
    do {
      channels += weights_.panel(next++).channels;
    } while (next < b.last_panel && pixels * (channels + weights_.panel(next).channels) <= staging_floats_);
    const Layout layout{b.columns * channels, channels, 1};
    // The residual is read where the result is written, element by element, just before it.
    const float* r = residual_at(channel);
    if (r) copy_block(weights_.set, r, layout_of(residual_), staging, layout, b.rows, b.columns, channels);
    multiply_all({p, next, staging, layout, r ? staging : nullptr, layout, {}});
    copy_block(weights_.set, staging, layout, out_.at(b.image, b.row, b.column, channel), layout_of(out_),
               b.rows, b.columns, channels);
    p = next;
  }
}

void Pointwise::planes(const PixelBlock& b, const Block& block) const {
  constexpr int kVectors = PlaneKernels::kVectors, kChannels = PlaneKernels::kChannels;
  const KernelSet& set = weights_.set;
  const Activation& f = weights_.activation;
  const ptrdiff_t pixels = b.rows * b.columns, vectors = ceil_div(pixels, set.lanes);
  const ptrdiff_t tiles = ceil_div(vectors, kVectors);
  const ptrdiff_t all_tiles = tiles * ceil_div(weights_.outputs, kChannels);
  PwPlanes t{};
  t.plane_stride = block.stride;
  t.input_channels = weights_.inputs;
  t.y_plane_stride = out_.channel_stride;
  t.residual_plane_stride = residual_.channel_stride;
  t.ahead = b.ahead.begin;
  t.ahead_plane_bytes = b.ahead.plane_bytes;
  t.lo = f.lo();
  t.hi = f.hi();
  ptrdiff_t ahead_lines = b.ahead.lines;
  for (ptrdiff_t n = b.first_panel; n < b.last_panel; ++n) {
    const PointwiseWeights::Panel panel = weights_.panel(n);
    t.panel_channels = panel.vectors * set.lanes;
    for (ptrdiff_t c = 0; c < panel.channels; c += kChannels) {
      const ptrdiff_t channels = std::min<ptrdiff_t>(kChannels, panel.channels - c);
      t.panel = panel.weights + c;
      // Tiles of sizes that differ by one vector at most.
      for (ptrdiff_t i = 0; i < tiles; ++i) {
        const ptrdiff_t first = vectors * i / tiles, size = vectors * (i + 1) / tiles - first;
        const ptrdiff_t pixel = first * set.lanes;
        t.x = block.data + pixel;
        t.pixels = std::min(size * set.lanes, pixels - pixel);
        t.y = out_.at(b.image, b.row, 0, panel.first + c) + pixel;
        if (residual_.data) t.residual = residual_.at(b.image, b.row, 0, panel.first + c) + pixel;
        t.ahead_lines = std::min(ahead_lines, ceil_div(b.ahead.lines, all_tiles));
        set.planes.pointwise[size - 1][channels - 1](t);
        ahead_lines -= t.ahead_lines;
        t.ahead += t.ahead_lines * kLineBytes;
      }
    }
    if (f.clamps()) continue;
    f.apply(set, out_.at(b.image, b.row, 0, panel.first), out_.channel_stride, panel.channels, pixels);
  }
}

}  // namespace fastdw
