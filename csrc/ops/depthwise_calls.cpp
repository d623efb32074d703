// The calls of kernels under the windows of a DepthwiseSource.
#include <algorithm>
#include <limits>

#include "ops/depthwise_parts.h"
#include "plan/depthwise.h"

namespace fastdw {

// What one kind of kernel computes in a row of calls.
struct DepthwiseSource::Work {
  const Pixels& source;
  const Geometry& geometry;
  const OutputRect& rect;
  const Taps& taps;
  const Results& y;
  bool dense;  // pixels follow each other in the source and in the results
  bool last;   // these taps complete the sums
};

namespace {

// Bit i: coordinate first + i lies in [0, size), for i below count.
uint32_t live_mask(ptrdiff_t first, ptrdiff_t count, ptrdiff_t size) {
  const ptrdiff_t begin = std::clamp<ptrdiff_t>(-first, 0, count);
  const ptrdiff_t end = std::clamp<ptrdiff_t>(size - first, begin, count);
  return static_cast<uint32_t>((uint64_t{1} << end) - (uint64_t{1} << begin));
}

}  // namespace

void DepthwiseSource::tiles(const Pixels& source, const Geometry& g, const OutputRect& rect, const Taps& taps,
                            const Results& y) const {
  const DepthwiseWeights& w = weights_;
  const bool whole = taps.rows == w.kernel_h && taps.columns == w.kernel_w;
  const bool last = taps.row + taps.rows == w.kernel_h && taps.column + taps.columns == w.kernel_w;
  const bool dense = source.column_stride == rect.channels && y.column_stride == rect.channels &&
                     rect.channels == w.channels;
  const Work work{source, g, rect, taps, y, dense, last};
  // A row-packed kernel that is forced may meet what it cannot do.
  const bool fits = kernel_.kind != DwKind::kRowPacked || (dense && w.fills_vectors());
  const DwKind kind = whole && fits ? kernel_.kind : DwKind::kGeneric;
  switch (kind) {
    case DwKind::kTile:
    case DwKind::kLanePacked:
      return run_tiles(work);
    case DwKind::kBand:
      return run_bands(work);
    case DwKind::kRowPacked:
      return run_packed_rows(work);
    case DwKind::kGeneric:
      return run_generic(work);
  }
}

template <class Call>
Call DepthwiseSource::start(const Work& work) const {
  const DepthwiseWeights& w = weights_;
  const ptrdiff_t first_tap = work.taps.column * w.kernel_h + work.taps.row;
  Call t{};
  t.row_stride = work.source.row_stride;
  t.weights = w.block(work.rect.channel) + w.bias_offset() + (1 + first_tap) * w.set.lanes;
  t.bias_offset = -(1 + first_tap) * w.set.lanes;
  t.block_stride = w.block_stride();
  t.channels = work.rect.channels;
  const bool clamp = work.last && w.activation.clamps();
  t.lo = clamp ? w.activation.a : -std::numeric_limits<float>::infinity();
  t.hi = clamp ? w.activation.b : std::numeric_limits<float>::infinity();
  return t;
}

const float* DepthwiseSource::origin(const Work& work) const {
  return work.source.origin + (weights_.multiplier == 1 ? work.rect.channel : 0);
}

void DepthwiseSource::apply_curve(const Work& work, float* y, ptrdiff_t rows, ptrdiff_t columns) const {
  const Activation& f = weights_.activation;
  if (!work.last || f.clamps()) return;
  for (ptrdiff_t row = 0; row < rows; ++row) {
    f.apply(weights_.set, y + row * work.y.row_stride, work.y.column_stride, columns, work.rect.channels,
            work.rect.channel);
  }
}

void DepthwiseSource::run_tiles(const Work& work) const {
  const DepthwiseWeights& w = weights_;
  const DwKernel& k = kernel_;
  const Geometry& g = work.geometry;
  const OutputRect& rect = work.rect;
  const Pixels& source = work.source;
  DwMultipliedTile t = start<DwMultipliedTile>(work);
  t.column_stride = source.column_stride;
  t.y_row_stride = work.y.row_stride;
  t.y_column_stride = work.y.column_stride;
  t.multiplier = w.multiplier;
  t.first_channel = rect.channel;
  const ptrdiff_t side_by_side = k.kind == DwKind::kLanePacked && work.dense ? w.repeats : 1;
  const DwBodies& bodies = in_block_ && k.tile_in_block.interior ? k.tile_in_block : k.tile;
  for (ptrdiff_t i = 0; i < rect.rows; i += t.rows) {
    t.rows = static_cast<int>(std::min<ptrdiff_t>(k.rows, rect.rows - i));
    const ptrdiff_t first_row = (rect.row + i) * g.stride_h - g.pad_top;
    const ptrdiff_t input_rows = (t.rows - 1) * g.stride_h + w.kernel_h;
    t.live_input_rows = live_mask(first_row, input_rows, source.height);
    const bool rows_inside = t.rows == k.rows && first_row >= 0 && first_row + input_rows <= source.height;
    for (ptrdiff_t j = 0; j < rect.columns; j += t.tiles * t.tile_columns) {
      t.tiles = 1;
      t.columns = std::min<ptrdiff_t>(k.columns, rect.columns - j);
      t.tile_columns = t.columns;
      t.channels = rect.channels;
      const ptrdiff_t first_column = (rect.column + j) * g.stride_w - g.pad_left;
      t.x = origin(work) + first_row * t.row_stride + first_column * t.column_stride;
      t.y = work.y.data + i * t.y_row_stride + j * t.y_column_stride;
      const ptrdiff_t input_columns = (t.columns - 1) * g.stride_w + w.kernel_w;
      const ptrdiff_t last_column = source.width - input_columns - first_column;
      const bool columns_inside = t.columns == k.columns && first_column >= 0 && last_column >= 0;
      if (columns_inside) {
        // Tiles go together: a call for each would cost as much as 32 channels of a 3×3 tile.
        const ptrdiff_t tiles =
            1 + std::min((rect.columns - j) / k.columns - 1, last_column / (k.columns * g.stride_w));
        const ptrdiff_t pixels = std::min(tiles, side_by_side);
        t.tiles = tiles / pixels;
        t.tile_columns *= pixels;
        t.channels *= pixels;
      }
      t.live_input_columns = live_mask(first_column, input_columns, source.width);
      const bool inside = rows_inside && columns_inside;
      if (w.multiplier > 1) {
        (inside ? k.multiplied.interior : k.multiplied.border)(t);
      } else if (inside) {
        bodies.interior(t);
      } else {
        bodies.border(t);
      }
      apply_curve(work, t.y, t.rows, t.tiles * t.tile_columns);
    }
  }
}

template <class Call, class Body>
void DepthwiseSource::for_bands(const Work& work, Call& t, const Body& body) const {
  const Geometry& g = work.geometry;
  t.columns = work.rect.columns;
  t.width = work.source.width;
  t.first_column = work.rect.column * g.stride_w - g.pad_left;
  for (ptrdiff_t i = 0; i < work.rect.rows; i += t.rows) {
    t.rows = static_cast<int>(kernel_.band_rows(work.rect.rows - i));
    const ptrdiff_t first_row = (work.rect.row + i) * g.stride_h - g.pad_top;
    t.live_input_rows =
        live_mask(first_row, (t.rows - 1) * g.stride_h + weights_.kernel_h, work.source.height);
    t.x = origin(work) + first_row * t.row_stride + t.first_column * work.source.column_stride;
    t.y = work.y.data + i * work.y.row_stride;
    body(t);
    apply_curve(work, t.y, t.rows, t.columns);
  }
}

void DepthwiseSource::run_bands(const Work& work) const {
  DwBand t = start<DwBand>(work);
  t.column_stride = work.source.column_stride;
  t.y_row_stride = work.y.row_stride;
  t.y_column_stride = work.y.column_stride;
  t.y_quad_stride = work.y.quad_stride;
  for_bands(work, t, kernel_.band);
}

void DepthwiseSource::run_packed_rows(const Work& work) const {
  DwRowPacked t = start<DwRowPacked>(work);
  t.y_row_stride = work.y.row_stride;
  t.blocks = weights_.vectors();
  for_bands(work, t, kernel_.row_packed);
}

void DepthwiseSource::run_generic(const Work& work) const {
  const DepthwiseWeights& w = weights_;
  const DwKernel& k = w.set.generic_depthwise();
  const Geometry& g = work.geometry;
  const OutputRect& rect = work.rect;
  const Taps& taps = work.taps;
  DwGenericBand t = start<DwGenericBand>(work);
  t.column_stride = work.source.column_stride;
  t.y_column_stride = work.y.column_stride;
  t.columns = rect.columns;
  t.width = work.source.width;
  t.first_column = rect.column * g.stride_w - g.pad_left + taps.column * g.dilation_w;
  t.accumulate = taps.column + taps.row > 0;
  t.kernel_h = taps.rows;
  t.kernel_w = taps.columns;
  t.stride = g.stride_w;
  t.dilation_h = g.dilation_h;
  t.dilation_w = g.dilation_w;
  t.multiplier = w.multiplier;
  t.first_channel = rect.channel;
  for (ptrdiff_t i = 0; i < rect.rows; ++i) {
    const ptrdiff_t first_row = (rect.row + i) * g.stride_h - g.pad_top + taps.row * g.dilation_h;
    t.live_row = std::min(taps.rows, ceil_div(std::max<ptrdiff_t>(-first_row, 0), g.dilation_h));
    t.live_end = std::clamp(ceil_div(work.source.height - first_row, g.dilation_h), t.live_row, taps.rows);
    t.x = origin(work) + first_row * t.row_stride + t.first_column * t.column_stride;
    t.y = work.y.data + i * work.y.row_stride;
    (w.multiplier == 1 ? k.generic : k.generic_multiplied)(t);
    apply_curve(work, t.y, 1, t.columns);
  }
}

}  // namespace fastdw
