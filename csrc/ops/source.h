// A source fills a block, the pointwise tiles consume it.
#pragma once
#include "plan/plan.h"

namespace fastdw {

// A rectangle of pixels with all the channels that the pointwise half reads.
struct Block {
  const float* data;
  BlockLayout layout;
  ptrdiff_t row_stride;  // of pixels; quads follow each other
  ptrdiff_t stride;      // from pixel to pixel, from quad to quad, from plane to plane
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

  // Fills `buffer`, or says where in x the block lies already. `scratch` is the source's own.
  virtual Block fill(ptrdiff_t image, const OutputRect& rect, float* buffer, float* scratch) const = 0;

  // What fill() will read of x and nobody has read for the rows above, where asking ahead for it pays.
  virtual Ahead ahead(ptrdiff_t, const OutputRect&) const { return {}; }
};

}  // namespace fastdw
