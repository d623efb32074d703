// What a call will do, in numbers: a value, made from shapes alone by make_plan().
#pragma once
#include <string>

#include "plan/cut.h"
#include "plan/problem.h"

namespace fastdw {

// How a block lies between its source and the pointwise tiles: the channels of each pixel side by side; quads
// of pixels, channel by channel (KernelSet::quad_pixels); each channel's pixels side by side.
enum class BlockLayout { kPixels, kQuads, kPlanes };

// With a range of output channels of the depthwise half that begins on a vector.
struct OutputRect : PixelRect {
  ptrdiff_t channel, channels;
};

struct Plan {
  // Rows, or even images, that follow each other in every array count as one row.
  ptrdiff_t images = 1;
  Blocks blocks;
  Cut channels;                   // of the depthwise half; the depthwise operator alone cuts them
  ptrdiff_t panel_shares = 1;     // of the pointwise half's panels
  bool shares_outermost = false;  // tasks of a share follow each other, not those of a block
  // Of shares with all rows those that are left when each thread has as many: of these each has some rows.
  ptrdiff_t shares_by_rows = 0;

  const DwKernel* kernel = nullptr;  // of the depthwise half
  BlockLayout layout = BlockLayout::kPixels;
  ptrdiff_t stride = 0;  // of a block in scratch: from pixel to pixel, from quad to quad, from plane to plane
  bool asks_ahead = false;        // for the input of the next block
  bool windows_in_place = false;  // of a dense convolution, but those on the border

  // What a pointwise convolution expands for the depthwise half: some rows of some columns of the image,
  // with a share of the channels or all of them.
  struct Slab {
    ptrdiff_t outputs = 0;  // rows of them that it serves at a time
    ptrdiff_t rows = 0, columns = 0;
    ptrdiff_t stride = 0;     // from pixel to pixel
    ptrdiff_t rows_once = 0;  // that pass all panels before the next do
    ptrdiff_t floats() const { return rows * columns * stride; }
  } slab;

  struct Scratch {
    ptrdiff_t slab = 0;
    ptrdiff_t block = 0;    // what the source fills
    ptrdiff_t copied = 0;   // the source's copy of its input
    ptrdiff_t packed = 0;   // the pointwise half's quads
    ptrdiff_t staging = 0;  // results on their way to `out`
    ptrdiff_t total() const { return slab + block + copied + packed + staging; }
  } scratch;

  int threads = 1;
  double nanoseconds = 0;  // of one core

  struct Task {
    ptrdiff_t image;
    OutputRect rect;
    ptrdiff_t panel_share;
  };
  ptrdiff_t tasks() const;
  Task task(ptrdiff_t index) const;
};

// For just so many threads.
Plan make_plan(const Problem& problem, int threads);
// For those of them that bring more than they cost.
Plan useful_plan(const Problem& problem, int threads);

// Readable text: kernels, blocks, threads, scratch, cost.
std::string show(const Problem& problem, const Plan& plan);

}  // namespace fastdw
