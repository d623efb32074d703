// A source fills a block, the pointwise tiles consume it.
#pragma once
#include <array>

#include "plan/plan.h"

namespace fastdw {

// A rectangle of pixels with all the channels that the pointwise half reads.
struct Block {
  const float* data;
  BlockLayout layout;
  ptrdiff_t row_stride;  // of pixels; quads follow each other
  ptrdiff_t stride;      // from pixel to pixel, from quad to quad, from plane to plane
  // Of a pixel's inputs where they are no single line: the rows of its window.
  ptrdiff_t window_rows = 1, window_row_stride = 0;
};

// Parts of a task, each of which is a block.
struct Parts {
  std::array<OutputRect, 5> rects;
  size_t count;
};

// Memory to be asked for before it is read. Of planes: so many lines of each.
struct Ahead {
  const char* begin;
  ptrdiff_t lines;
  ptrdiff_t plane_bytes;  // from plane to plane
};

class Source {
 public:
  virtual ~Source() = default;

  virtual Parts parts(const OutputRect& rect) const { return {{rect}, 1}; }

  // Fills `buffer`, or says where in x the block lies already. `scratch` is the source's own.
  virtual Block fill(ptrdiff_t image, const OutputRect& rect, float* buffer, float* scratch) const = 0;

  // What fill() will read of x and nobody has read for the rows above, where asking ahead for it pays.
  virtual Ahead ahead(ptrdiff_t, const OutputRect&) const { return {}; }
};

}  // namespace fastdw
