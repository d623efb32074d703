#include "separable.h"

#include <algorithm>
#include <new>

#include "../threads.h"

namespace fastdw {
namespace {

// A small late plane, whose depthwise result the threads may share: 2 MB.
constexpr ptrdiff_t kSharedFloats = 512 * 1024;

// Pixels whose depthwise results lie a power of two apart share few cache sets: a line more avoids that.
ptrdiff_t pixel_stride(ptrdiff_t channels) { return ceil_div(channels, 16) * 16 + 16; }

}  // namespace

void separable(const DepthwiseOp& depthwise_op, const PointwiseOp& pointwise_op, int threads) {
  const Output& out = pointwise_op.out;
  const ptrdiff_t channels = depthwise_op.weights.outputs();
  const KernelSet& set = pointwise_op.weights.set;
  const bool grouped = depthwise_op.writes_groups();
  const ptrdiff_t stride = grouped ? set.group_floats(channels) / set.group_pixels : pixel_stride(channels);
  const bool staged = pointwise_op.staged();
  const double macs = static_cast<double>(out.images) * static_cast<double>(out.height) *
                      static_cast<double>(out.width) * static_cast<double>(channels) *
                      static_cast<double>(depthwise_op.weights.taps() + out.channels);
  threads = useful_threads(threads, macs);

  // A block: whole rows of depthwise tiles, as many as the buffer holds; where one is too wide, a part of it.
  ptrdiff_t most = std::max<ptrdiff_t>(1, kDepthwiseFloats / stride);
  if (staged) most = std::min(most, kStagingFloats / pointwise_op.largest_panel());
  const ptrdiff_t tile_rows = std::min<ptrdiff_t>(depthwise_op.kernel.rows, out.height);
  ptrdiff_t rows = most / out.width / tile_rows * tile_rows, columns = out.width;
  if (rows == 0) {
    rows = std::min(tile_rows, most);
    columns = ceil_div(out.width, ceil_div(out.width, std::min(out.width, most / rows)));
  }
  // Groups of pixels pass one band of rows at a time.
  rows = std::min(grouped ? tile_rows : rows, out.height);

  const ptrdiff_t shared_pixels = out.images * out.height * out.width;
  const ptrdiff_t blocks_down = ceil_div(out.height, rows), blocks_across = ceil_div(out.width, columns);
  if (threads > 1 && out.images * blocks_down * blocks_across < 4 * threads &&
      shared_pixels * stride <= kSharedFloats) {
    float* shared = thread_scratch(shared_pixels * stride, Scratch::kShared);
    if (!shared) throw std::bad_alloc();
    const ptrdiff_t row_stride = out.width * stride;
    const ptrdiff_t image_stride = out.height * row_stride;
    const Output halfway{shared,       out.images, out.height, out.width, channels,
                         image_stride, row_stride, stride,     1};
    depthwise(depthwise_op, halfway, threads);
    pointwise(pointwise_op,
              {shared, out.images, out.height, out.width, channels, image_stride, row_stride, stride, 1},
              threads);
    return;
  }

  const ptrdiff_t buffer = rows * ceil_div(columns, set.group_pixels) * set.group_pixels * stride;
  const ptrdiff_t patch = depthwise_op.patch_floats();
  parallel_for(threads, out.images * blocks_down * blocks_across,
               buffer + patch + pointwise_op.scratch_floats(rows, columns),
               [&](ptrdiff_t task, float* scratch) {
                 PixelBlock b;
                 b.column = task % blocks_across * columns;
                 b.columns = std::min(columns, out.width - b.column);
                 b.row = task / blocks_across % blocks_down * rows;
                 b.rows = std::min(rows, out.height - b.row);
                 b.image = task / blocks_across / blocks_down;
                 b.first_panel = 0;
                 b.last_panel = pointwise_op.weights.panels;
                 float* rest = scratch + buffer;
                 if (!grouped) {
                   const Layout layout{b.columns * stride, stride, 1};
                   depthwise_op.window(b.image, {b.row, b.rows, b.column, b.columns, 0, channels}, scratch,
                                       layout.row_stride, layout.column_stride, rest);
                   pointwise_op.block(b, scratch, layout, rest + patch);
                   return;
                 }
                 for (const ptrdiff_t end = b.row + b.rows; b.row < end; b.row += b.rows) {
                   b.rows = depthwise_op.kernel.band_rows(end - b.row);
                   depthwise_op.groups(b.image, {b.row, b.rows, b.column, b.columns, 0, channels}, scratch);
                   pointwise_op.grouped_block(b, scratch, rest);
                 }
               });
}

}  // namespace fastdw
