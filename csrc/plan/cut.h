// An axis, or a plane, cut into parts.
#pragma once
#include <algorithm>
#include <cstdint>

#include "base/math.h"

namespace fastdw {

// Parts of whole units, whose sizes differ by one unit at most; the larger parts are spread evenly, so that
// neighbours together make even shares too.
struct Cut {
  ptrdiff_t size = 1, unit = 1, parts = 1;

  ptrdiff_t units() const { return ceil_div(size, unit); }
  ptrdiff_t begin(ptrdiff_t part) const {
    const auto larger = static_cast<ptrdiff_t>(int64_t{units() % parts} * part / parts);
    return std::min(size, (units() / parts * part + larger) * unit);
  }
  ptrdiff_t count(ptrdiff_t part) const { return begin(part + 1) - begin(part); }
  ptrdiff_t largest() const { return std::min(size, ceil_div(units(), parts) * unit); }
  // The sum of all parts, each rounded up to whole tiles.
  ptrdiff_t padded(ptrdiff_t tile) const {
    const ptrdiff_t small = units() / parts * unit, larger = units() % parts;
    return (larger * ceil_div(small + unit, tile) + (parts - larger) * ceil_div(small, tile)) * tile;
  }
};

// A rectangle of output pixels.
struct PixelRect {
  ptrdiff_t row, rows, column, columns;
  ptrdiff_t pixels() const { return rows * columns; }
};

// Output pixels: rows by columns.
struct Blocks {
  Cut down, across;
  ptrdiff_t count() const { return down.parts * across.parts; }
  ptrdiff_t largest() const { return down.largest() * across.largest(); }
  // By diagonals: what begins a thread's share has as many large rows and columns as what ends it (7×7 in
  // four blocks, two threads: 25 and 24 pixels; row by row 28 and 21).
  PixelRect rect(ptrdiff_t index) const {
    const ptrdiff_t i = index % down.parts, j = (index / down.parts + i) % across.parts;
    return {down.begin(i), down.count(i), across.begin(j), across.count(j)};
  }
};

}  // namespace fastdw
