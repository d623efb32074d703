#include "separable.h"

#include <algorithm>

#include "../threads.h"

namespace fastdw {
namespace {

// Weights that every thread may read block after block, from its own L2.
constexpr ptrdiff_t kLightBytes = 1024 * 1024;
// Tasks a thread, for even shares; below so many pixels a block's tiles are no longer full.
constexpr ptrdiff_t kTasksPerThread = 4;
constexpr ptrdiff_t kLeastPixels = 12;

// Pixels whose depthwise results lie a power of two apart share few cache sets: a line more avoids that.
ptrdiff_t pixel_stride(ptrdiff_t channels) { return ceil_div(channels, 16) * 16 + 16; }

// A block of fewer pixels would read the weights for too little; then it may take all of the scratch.
constexpr ptrdiff_t kFewPixels = 16;

// Groups of panels: with heavy weights each thread reads its own part of them, and the depthwise half is done
// once a group. That costs less than to hand it from core to core (7×7×1024 → 1024, two threads: 1.95 times
// one thread, not 1.77), as long as it is a small part of the whole.
ptrdiff_t panel_groups(const DepthwiseWeights& dw, const PointwiseWeights& pw, int threads) {
  if (pw.nbytes() <= kLightBytes) return 1;
  const ptrdiff_t tenth = (dw.taps() + pw.outputs) / (10 * dw.taps());
  return std::min<ptrdiff_t>({pw.panels, threads, 1 + tenth});
}

}  // namespace

void separable(const DepthwiseOp& depthwise_op, const PointwiseOp& pointwise_op, int threads) {
  const Output& out = pointwise_op.out;
  const PointwiseWeights& pw = pointwise_op.weights;
  const ptrdiff_t channels = depthwise_op.weights.outputs();
  const bool grouped = depthwise_op.writes_groups();
  const ptrdiff_t stride =
      grouped ? pw.set.group_floats(channels) / pw.set.group_pixels : pixel_stride(channels);
  const double macs = static_cast<double>(out.images) * static_cast<double>(out.height) *
                      static_cast<double>(out.width) * static_cast<double>(channels) *
                      static_cast<double>(depthwise_op.weights.taps() + out.channels);
  threads = useful_threads(threads, macs);

  // A block: whole rows of depthwise tiles, as many as the buffer holds; where one is too wide, a part of it.
  const ptrdiff_t room =
      depthwise_op.patch_floats() == 0 && !pointwise_op.staged() ? kScratchFloats : kDepthwiseFloats;
  ptrdiff_t most = std::max({ptrdiff_t{1}, kDepthwiseFloats / stride, std::min(kFewPixels, room / stride)});
  if (pointwise_op.staged()) most = std::min(most, kStagingFloats / pointwise_op.largest_panel());
  const ptrdiff_t tile_rows = std::min<ptrdiff_t>(depthwise_op.kernel.rows, out.height);
  ptrdiff_t rows = most / out.width / tile_rows * tile_rows, columns = out.width;
  if (rows == 0) {
    rows = std::min(tile_rows, most);
    columns = ceil_div(out.width, ceil_div(out.width, std::min(out.width, most / rows)));
  }
  // Groups of pixels pass one band of rows at a time.
  rows = std::min(grouped ? tile_rows : rows, out.height);

  // Smaller ones where there are too few for the threads.
  const ptrdiff_t groups = panel_groups(depthwise_op.weights, pw, threads);
  const ptrdiff_t wanted =
      threads == 1 ? 1 : ceil_div(groups == 1 ? kTasksPerThread * threads : threads, groups);
  if (out.images * ceil_div(out.height, rows) * ceil_div(out.width, columns) < wanted) {
    const ptrdiff_t pixels = out.images * out.height * out.width / wanted;
    rows = std::clamp(pixels / columns / tile_rows * tile_rows, tile_rows, rows);
    const ptrdiff_t across = ceil_div(wanted, out.images * ceil_div(out.height, rows));
    const ptrdiff_t most_across = std::max<ptrdiff_t>(1, rows * out.width / kLeastPixels);
    columns = std::min(columns, ceil_div(out.width, std::min(across, most_across)));
  }

  const ptrdiff_t blocks_down = ceil_div(out.height, rows), blocks_across = ceil_div(out.width, columns);
  const ptrdiff_t buffer = rows * ceil_div(columns, pw.set.group_pixels) * pw.set.group_pixels * stride;
  const ptrdiff_t patch = depthwise_op.patch_floats();
  parallel_for(threads, out.images * blocks_down * blocks_across * groups,
               buffer + patch + pointwise_op.scratch_floats(rows, columns),
               [&](ptrdiff_t task, float* scratch) {
                 const ptrdiff_t group = task % groups, block = task / groups;
                 PixelBlock b;
                 b.column = block % blocks_across * columns;
                 b.columns = std::min(columns, out.width - b.column);
                 b.row = block / blocks_across % blocks_down * rows;
                 b.rows = std::min(rows, out.height - b.row);
                 b.image = block / blocks_across / blocks_down;
                 b.first_panel = pw.panels * group / groups;
                 b.last_panel = pw.panels * (group + 1) / groups;
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
