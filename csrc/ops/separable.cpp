#include "ops/separable.h"

#include <algorithm>
#include <limits>

#include "base/threads.h"

namespace fastdw {
namespace {

// Weights that every thread may read block after block, from its own L2 for the most part. (14×14×512 →
// 512, 1.05 MB, is 1.035 times as fast so on two threads; 7×7×512 → 1024, 2.1 MB, would be 4 % slower.)
constexpr ptrdiff_t kLightBytes = 1280 * 1024;
// Weights that are read anew for every block: worth a larger one. (14×14×512 → 512 and 19×19×728 → 728 are 3
// % faster with AVX2, 0 to 1 % with AVX-512.)
constexpr ptrdiff_t kStreamedBytes = 384 * 1024;
// Tasks a thread, at most, for even shares.
constexpr ptrdiff_t kTasksPerThread = 4;

// Pixels, or planes, whose depthwise results lie a power of two apart share few cache sets: an odd number of
// lines avoids that.
ptrdiff_t pixel_stride(ptrdiff_t channels) { return (ceil_div(channels, 16) | 1) * 16; }

// Input of a block, at most, where the next one's shall have room in L2 beside it. At stride 2 56×56×144 → 32
// is 4 % faster so, 5×5 → 40 0 to 3 %; on two threads, whose even shares want other cuts, that loses 5 %.
constexpr ptrdiff_t kInputFloats = 96 * 1024;

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

// An axis cut into parts of whole units: sizes differ by one unit at most, the larger parts come first.
struct Cut {
  ptrdiff_t size, unit, parts;
  ptrdiff_t units() const { return ceil_div(size, unit); }
  ptrdiff_t begin(ptrdiff_t part) const {
    return std::min(size, (units() / parts * part + std::min(part, units() % parts)) * unit);
  }
  ptrdiff_t largest() const { return begin(1); }
  // The sum of all parts, each rounded up to whole tiles.
  ptrdiff_t padded(ptrdiff_t tile) const {
    const ptrdiff_t small = units() / parts * unit, larger = units() % parts;
    return (larger * ceil_div(small + unit, tile) + (parts - larger) * ceil_div(small, tile)) * tile;
  }
};

struct Blocks {
  Cut down, across;
  ptrdiff_t count() const { return down.parts * across.parts; }
  ptrdiff_t largest() const { return down.largest() * across.largest(); }
};

// Whole rows of depthwise tiles, as many as `most` pixels are; where `room` does not hold even one row of
// tiles, a part of it.
Blocks largest_blocks(const Output& out, ptrdiff_t tile_rows, ptrdiff_t most, ptrdiff_t room) {
  tile_rows = std::min(tile_rows, out.height);
  ptrdiff_t rows = most / out.width / tile_rows * tile_rows, columns = out.width;
  if (rows == 0 && tile_rows * out.width <= room) rows = tile_rows;
  if (rows == 0) {
    rows = std::min(tile_rows, most);
    columns = ceil_div(out.width, ceil_div(out.width, std::min(out.width, most / rows)));
  }
  rows = std::min(rows, out.height);
  Blocks blocks{{out.height, std::min(rows, tile_rows), 1}, {out.width, 1, ceil_div(out.width, columns)}};
  blocks.down.parts = ceil_div(out.height, rows);
  return blocks;
}

// What the slowest thread does, in multiply-adds of an input channel. A depthwise tile costs as much as a
// whole one, a pointwise tile one pixel more than it has.
double slowest_share(const DepthwiseOp& dw, const PointwiseOp& pw, const Blocks& blocks, int threads) {
  const Cut &down = blocks.down, &across = blocks.across;
  const ptrdiff_t tile_pixels = pw.weights.panel(0).tile_pixels;
  const ptrdiff_t tiles = across.parts == 1
                              ? down.parts * ceil_div(blocks.largest(), tile_pixels)
                              : down.size * across.parts * ceil_div(across.largest(), tile_pixels);
  const ptrdiff_t tile_columns = std::max(1, dw.kernel.columns), pixels = down.size * across.size;
  const double image_cost =
      static_cast<double>(dw.weights.taps() * down.padded(dw.tile_rows()) * across.padded(tile_columns) +
                          pw.weights.outputs * (pixels + tiles));
  const double largest_cost =
      image_cost * static_cast<double>(blocks.largest()) / static_cast<double>(pixels);
  const double rounds = static_cast<double>(ceil_div(pw.out.images * blocks.count(), threads));
  const double thread_cost = image_cost / static_cast<double>(blocks.count()) * rounds;
  // Of two equal ways the one with smaller blocks: they even out what else keeps a thread. (With a sixteenth
  // it would win too often, 28×28×256 at stride 2 by 4 % more time.)
  return std::max(largest_cost, thread_cost) + largest_cost / 64;
}

// As many blocks for each thread, and smaller ones where there are too few for even shares.
Blocks shared_blocks(const DepthwiseOp& dw, const PointwiseOp& pw, const Blocks& largest, int threads,
                     ptrdiff_t most_tasks) {
  if (pw.out.images * largest.count() >= most_tasks) {
    Blocks blocks = largest;
    blocks.down.parts = std::min(blocks.down.units(), ceil_div(blocks.down.parts, threads) * threads);
    return blocks;
  }
  // More than half a depthwise tile shall be left.
  const ptrdiff_t least_rows = std::min(dw.tile_rows(), pw.out.height) / 2 + 1;
  const ptrdiff_t most_down = std::min(largest.down.units(), pw.out.height / least_rows);
  Blocks best = largest;
  double least = std::numeric_limits<double>::infinity();
  for (ptrdiff_t tasks = threads; tasks <= most_tasks; tasks *= 2) {
    const ptrdiff_t parts = ceil_div(tasks, pw.out.images);
    Blocks blocks = largest;
    blocks.down.parts = std::max(largest.down.parts, std::min(parts, most_down));
    blocks.across.parts =
        std::max(largest.across.parts, std::min(ceil_div(parts, blocks.down.parts), pw.out.width));
    const double cost = slowest_share(dw, pw, blocks, threads);
    if (cost >= least) continue;
    least = cost;
    best = blocks;
  }
  return best;
}

// Over planes a block is whole rows, fours of them: then most widths fill their vectors.
constexpr ptrdiff_t kPlaneRows = 4;

ptrdiff_t plane_rows(const DepthwiseOp& dw, const Output& out) {
  const ptrdiff_t most = kDepthwiseFloats / (dw.x.channels * out.width) / kPlaneRows * kPlaneRows;
  return std::clamp(most, std::min(kPlaneRows, out.height), out.height);
}

ptrdiff_t plane_stride(const DepthwiseOp& dw, const Output& out) {
  return pixel_stride(plane_rows(dw, out) * out.width);
}

// Pixels in the lanes, where rows fill them: 112×112×32 → 64 takes 1.06 times as long as with NHWC, by way
// of a patch and staging 1.37 times; 147×147×64 1.09 and 1.49, 32×32×3 0.76 and 2.49.
bool over_planes(const DepthwiseOp& dw, const PointwiseOp& pw) {
  const Output& out = pw.out;
  if (!dw.writes_planes() || !pw.takes_planes()) return false;
  const ptrdiff_t lanes = pw.weights.set.lanes;
  return out.width >= lanes && 8 * out.width >= 7 * ceil_div(out.width, lanes) * lanes &&
         dw.x.channels <= kScratchFloats / plane_stride(dw, out);
}

void separable_over_planes(const DepthwiseOp& depthwise_op, const PointwiseOp& pointwise_op, int threads) {
  const Output& out = pointwise_op.out;
  const ptrdiff_t stride = plane_stride(depthwise_op, out);
  // For even shares some bands may be half empty: 28×28×256 on two threads is 1.14 times as fast. No part has
  // more than plane_rows(), from which the stride comes.
  Cut down{out.height, threads > 1 ? 2 : kPlaneRows, 1};
  const ptrdiff_t parts = ceil_div(out.height, plane_rows(depthwise_op, out));
  down.parts = std::min(down.units(), ceil_div(parts, threads) * threads);
  const ptrdiff_t blocks = out.images * down.parts;
  parallel_for(threads, blocks, stride * depthwise_op.x.channels, [&](ptrdiff_t block, float* scratch) {
    const ptrdiff_t part = block % down.parts;
    PixelBlock b{};
    b.image = block / down.parts;
    b.row = down.begin(part);
    b.rows = down.begin(part + 1) - b.row;
    b.columns = out.width;
    b.last_panel = pointwise_op.weights.panels;
    if (const ptrdiff_t next = block + threads; next < blocks) {
      const ptrdiff_t next_part = next % down.parts, row = down.begin(next_part);
      b.ahead = depthwise_op.fresh_input(next / down.parts, row, down.begin(next_part + 1) - row, true);
    }
    depthwise_op.planes(b.image, b.row, b.rows, b.columns, scratch, stride);
    pointwise_op.planes(b, scratch, stride);
  });
}

}  // namespace

void separable(const DepthwiseOp& depthwise_op, const PointwiseOp& pointwise_op, int threads) {
  const Output& out = pointwise_op.out;
  const PointwiseWeights& pw = pointwise_op.weights;
  const ptrdiff_t channels = depthwise_op.weights.outputs();
  const bool grouped = depthwise_op.writes_groups(), packs = pw.set.pack && !grouped;
  ptrdiff_t stride = pixel_stride(channels);
  if (grouped) stride = pw.set.group_floats(channels) / pw.set.group_pixels;
  if (depthwise_op.kernel.flat) stride = channels;
  const double macs = static_cast<double>(out.images) * static_cast<double>(out.height) *
                      static_cast<double>(out.width) * static_cast<double>(channels) *
                      static_cast<double>(depthwise_op.weights.taps() + out.channels);
  threads = useful_threads(threads, macs);
  if (over_planes(depthwise_op, pointwise_op)) {
    return separable_over_planes(depthwise_op, pointwise_op, threads);
  }

  // Planes are copied the faster the longer their runs are, and whole rows follow each other: they are worth
  // more of the scratch (NCHW, 112×112×32, 74×74×128, 14×14×576: 7 to 9 %). Squarer blocks, which copy fewer
  // pixels twice, are slower: 11 % on 112×112×96 at stride 2.
  const ptrdiff_t patch = depthwise_op.patch_floats();
  const bool may_stage = pointwise_op.staged() || threads > 1;
  ptrdiff_t room = kScratchFloats - patch - (may_stage ? kLeastStagingFloats : 0);
  if (packs) room /= 2;  // packing takes as much again
  const bool streamed = pw.nbytes() > kStreamedBytes && !pw.set.pack;
  const ptrdiff_t share = patch > 0 || streamed ? room : std::min(room, kDepthwiseFloats);
  ptrdiff_t most = std::max({ptrdiff_t{1}, share / stride, std::min(kFewPixels, room / stride)});
  if (const Geometry& g = depthwise_op.geometry; threads == 1 && !pw.set.pack && !streamed && patch == 0) {
    // One by one: the product of vast strides may overflow.
    const ptrdiff_t pixels = kInputFloats / g.stride_h / g.stride_w / depthwise_op.x.channels;
    most = std::max(std::min(kFewPixels, most), std::min(most, pixels));
  }
  if (grouped && pointwise_op.staged()) most = std::min(most, pointwise_op.most_staged(kStagingFloats));
  // Rather than cut rows, AVX takes more of the scratch in any case: 147×147×64 is 1.12 times as fast,
  // 14×14×672 1.06 times.
  Blocks blocks = largest_blocks(out, depthwise_op.tile_rows(), most, pw.set.pack ? most : room / stride);
  // Groups of pixels pass one band of rows at a time.
  if (grouped) blocks.down.parts = blocks.down.units();

  // Threads that have the same panels share the blocks. Even shares are worth some tiles that are not full.
  const ptrdiff_t groups = panel_groups(depthwise_op.weights, pw, threads);
  const int sharing = static_cast<int>(ceil_div(threads, groups));
  if (sharing > 1) {
    if (!grouped) blocks.down.unit = 1;
    blocks = shared_blocks(depthwise_op, pointwise_op, blocks, sharing,
                           groups == 1 ? kTasksPerThread * threads : sharing);
  }

  // Rows so narrow that tiles of one would be half empty are staged, for tiles to run on from row to row:
  // 7×7×1152 → 192 on two threads is 1.20 times as fast. On one thread only the scratch makes narrow blocks,
  // and leaves nothing.
  const Cut &down = blocks.down, &across = blocks.across;
  const bool narrow =
      threads > 1 && !grouped && down.largest() > 1 && across.parts > 1 && across.largest() < kMaxTilePixels;
  const ptrdiff_t group_pixels = grouped ? pw.set.group_pixels : 1;
  const ptrdiff_t buffer = ceil_div(blocks.largest(), group_pixels) * group_pixels * stride;
  const ptrdiff_t staging =
      pointwise_op.staged() || narrow
          ? std::clamp(kScratchFloats - patch - (packs ? 2 : 1) * buffer, kLeastStagingFloats, kStagingFloats)
          : 0;
  const ptrdiff_t multiplying =
      grouped ? staging : pointwise_op.scratch_floats(down.largest(), across.largest(), staging);
  const bool looks_ahead = !pw.set.pack && staging == 0 && across.parts == 1 && groups == 1;
  parallel_for(threads, out.images * blocks.count() * groups, buffer + patch + multiplying,
               [&](ptrdiff_t task, float* scratch) {
                 const ptrdiff_t group = task % groups, block = task / groups;
                 const ptrdiff_t i = block / across.parts % down.parts, j = block % across.parts;
                 PixelBlock b{};
                 b.column = across.begin(j);
                 b.columns = across.begin(j + 1) - b.column;
                 b.row = down.begin(i);
                 b.rows = down.begin(i + 1) - b.row;
                 b.image = block / blocks.count();
                 // Blocks are dealt out in order, so this thread's next one is about as many further on.
                 if (const ptrdiff_t next = block + threads; looks_ahead && next < out.images * down.parts) {
                   const ptrdiff_t row = down.begin(next % down.parts);
                   const ptrdiff_t rows = down.begin(next % down.parts + 1) - row;
                   b.ahead = depthwise_op.fresh_input(next / down.parts, row, rows, false);
                 }
                 b.first_panel = pw.panels * group / groups;
                 b.last_panel = pw.panels * (group + 1) / groups;
                 float* rest = scratch + buffer;
                 if (!grouped) {
                   const Layout layout{b.columns * stride, stride, 1};
                   depthwise_op.window(b.image, {b.row, b.rows, b.column, b.columns, 0, channels}, scratch,
                                       layout.row_stride, layout.column_stride, rest);
                   pointwise_op.block(b, scratch, layout, rest + patch, staging);
                   return;
                 }
                 for (const ptrdiff_t end = b.row + b.rows; b.row < end; b.row += b.rows) {
                   b.rows = depthwise_op.kernel.band_rows(end - b.row);
                   depthwise_op.groups(b.image, {b.row, b.rows, b.column, b.columns, 0, channels}, scratch);
                   pointwise_op.grouped_block(b, scratch, rest, staging);
                 }
               });
}

}  // namespace fastdw
