#include "plan/blocks.h"

#include <limits>

#include "base/line.h"
#include "plan/cost.h"

namespace fastdw {
namespace {

// A thread that has fewer must have as many as the others.
constexpr ptrdiff_t kFewTasks = 4;

// What the slowest thread does. A tile of the source costs as much as a whole one, a pointwise tile one pixel
// more than it has.
double slowest_share(const Problem& p, const BlockSource& source, const Blocks& blocks, int threads) {
  const Cut &down = blocks.down, &across = blocks.across;
  const ptrdiff_t tile_pixels = p.chain.pointwise->panel(0).tile_pixels;
  const ptrdiff_t tiles = across.parts == 1
                              ? down.parts * ceil_div(blocks.largest(), tile_pixels)
                              : down.size * across.parts * ceil_div(across.largest(), tile_pixels);
  const ptrdiff_t pixels = down.size * across.size;
  const ptrdiff_t padded = down.padded(source.tile_rows) * across.padded(source.tile_columns);
  const double image_ns = source.pixel_ns * static_cast<double>(padded) +
                          pointwise_ns(*p.chain.pointwise, static_cast<double>(pixels + tiles));
  const double largest_ns = image_ns * static_cast<double>(blocks.largest()) / static_cast<double>(pixels);
  const double rounds = static_cast<double>(ceil_div(p.out.images * blocks.count(), threads));
  const double thread_ns = image_ns / static_cast<double>(blocks.count()) * rounds;
  // Of two equal ways the one with larger blocks: each costs something to begin, and the tiles at its edges.
  return std::max(largest_ns, thread_ns) - largest_ns / 64;
}

}  // namespace

ptrdiff_t block_stride(ptrdiff_t floats) { return (ceil_div(floats, kLineFloats) | 1) * kLineFloats; }

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

Blocks shared_blocks(const Problem& p, const BlockSource& source, const Blocks& largest, int threads,
                     ptrdiff_t most_tasks) {
  const Output& out = p.out;
  if (out.images * largest.count() >= most_tasks) {
    Blocks blocks = largest;
    blocks.down.parts = std::min(blocks.down.units(), ceil_div(blocks.down.parts, threads) * threads);
    return blocks;
  }
  // More than half a tile of the source shall be left.
  const ptrdiff_t least_rows = std::min(source.tile_rows, out.height) / 2 + 1;
  const ptrdiff_t most_down = std::min(largest.down.units(), out.height / least_rows);
  Blocks best = largest;
  double least = std::numeric_limits<double>::infinity();
  for (ptrdiff_t tasks = threads; tasks <= most_tasks; tasks *= 2) {
    const ptrdiff_t parts = ceil_div(tasks, out.images);
    Blocks blocks = largest;
    blocks.down.parts = std::max(largest.down.parts, std::min(parts, most_down));
    blocks.across.parts =
        std::max(largest.across.parts, std::min(ceil_div(parts, blocks.down.parts), out.width));
    const double ns = slowest_share(p, source, blocks, threads);
    if (ns >= least) continue;
    least = ns;
    best = blocks;
  }
  return best;
}

Blocks row_blocks(ptrdiff_t height, ptrdiff_t width, ptrdiff_t least, ptrdiff_t most) {
  least = std::min(least, height);
  const ptrdiff_t rows = std::min(most, std::clamp(most / width, least, height));
  return {{height, 1, ceil_div(height, rows)}, {width, 1, ceil_div(width, std::min(width, most / rows))}};
}

Blocks even_blocks(Blocks blocks, ptrdiff_t images, int threads) {
  const ptrdiff_t tasks = images * blocks.count();
  if (tasks >= kFewTasks * threads) return blocks;
  const ptrdiff_t wanted = ceil_div(ceil_div(tasks, ptrdiff_t{threads}) * threads, images);
  if (blocks.count() >= wanted) return blocks;
  blocks.down.parts = std::min(blocks.down.size, std::max(blocks.down.parts, wanted));
  if (blocks.count() < wanted) {
    blocks.across.parts =
        std::max(blocks.across.parts, std::min(blocks.across.size, ceil_div(wanted, blocks.down.parts)));
  }
  return blocks;
}

}  // namespace fastdw
