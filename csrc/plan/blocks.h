// The cut of an output plane into blocks: as large as scratch allows, as even as threads want.
#pragma once
#include "plan/cut.h"
#include "plan/problem.h"

namespace fastdw {

// What a source asks of a block: its rows come in tiles, and what it computes costs so much a pixel, whole
// tiles counted.
struct BlockSource {
  ptrdiff_t tile_rows, tile_columns;
  ptrdiff_t pixel_floats;  // in a block
  double pixel_ns;
  double input_floats;          // that a pixel needs anew; strides may be vast
  ptrdiff_t copied_floats = 0;  // scratch for a copy of its input
  bool quads = false;           // writes quads, one band of rows at a time
};

// From pixel to pixel, or plane to plane: an odd number of lines, since results a power of two apart share
// few cache sets.
ptrdiff_t block_stride(ptrdiff_t floats);

// Whole rows of tiles, as many as `most` pixels are; where `room` does not hold even one row of tiles, a part
// of it.
Blocks largest_blocks(const Output& out, ptrdiff_t tile_rows, ptrdiff_t most, ptrdiff_t room);

// As many blocks for each thread, and smaller ones where there are too few for even shares.
Blocks shared_blocks(const Problem& problem, const BlockSource& source, const Blocks& largest, int threads,
                     ptrdiff_t most_tasks);

// The same without tiles: whole rows, as many as `most` pixels are; a part of `least` rows where these have
// more.
Blocks row_blocks(ptrdiff_t height, ptrdiff_t width, ptrdiff_t least, ptrdiff_t most);

// As many for each thread. More and smaller ones would let none wait for another, but read more rows twice.
Blocks even_blocks(Blocks blocks, ptrdiff_t images, int threads);

}  // namespace fastdw
