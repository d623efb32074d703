// An axis, or a plane, cut into parts.
#pragma once
#include <algorithm>

#include "base/math.h"

namespace fastdw {

// Parts of whole units, whose sizes differ by one unit at most; the larger parts come first.
struct Cut {
  ptrdiff_t size = 1, unit = 1, parts = 1;

  ptrdiff_t units() const { return ceil_div(size, unit); }
  ptrdiff_t begin(ptrdiff_t part) const {
    return std::min(size, (units() / parts * part + std::min(part, units() % parts)) * unit);
  }
  ptrdiff_t count(ptrdiff_t part) const { return begin(part + 1) - begin(part); }
  ptrdiff_t largest() const { return begin(1); }
  // The sum of all parts, each rounded up to whole tiles.
  ptrdiff_t padded(ptrdiff_t tile) const {
    const ptrdiff_t small = units() / parts * unit, larger = units() % parts;
    return (larger * ceil_div(small + unit, tile) + (parts - larger) * ceil_div(small, tile)) * tile;
  }
};

// Output pixels: rows by columns.
struct Blocks {
  Cut down, across;
  ptrdiff_t count() const { return down.parts * across.parts; }
  ptrdiff_t largest() const { return down.largest() * across.largest(); }
};

}  // namespace fastdw
