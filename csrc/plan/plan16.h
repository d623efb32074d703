// The plan of a layer with sums of halves: blocks of whole rows where they fit, an even number for each
// thread.
#pragma once
#include <array>
#include <optional>
#include <string>

#include "base/view.h"
#include "pack/halves.h"
#include "plan/cut.h"
#include "plan/problem.h"

namespace fastdw {

using Input16 = View<const uint16_t>;
using Output16 = View<uint16_t>;

// The parts of a layer; null are those that it has not. With `patches` the matrix takes windows, each as one
// line of halves. What `expand` makes of x goes to the depthwise part.
struct Chain16 {
  const Depthwise16Weights* depthwise;
  const Pointwise16Weights* pointwise;
  std::optional<WindowShape> patches{};
  const Pointwise16Weights* expand = nullptr;

  const Kernels16& set() const { return pointwise ? pointwise->set : depthwise->set; }
};

struct Problem16 {
  Chain16 chain;
  ptrdiff_t pad_top, pad_left;
  Input16 x, residual;  // a residual's data is null where there is none
  Output16 out;
  View<const float>
      factors{};  // of the matrix's inputs, 1×1: they multiply x first; null where there are none
};

// Rows and columns of an expanded image.
struct Slab16 {
  ptrdiff_t rows = 0, columns = 0, stride = 0;  // halves from pixel to pixel

  ptrdiff_t halves() const { return rows * columns * stride; }
};

struct Plan16 {
  Blocks blocks;
  ptrdiff_t images = 1;
  ptrdiff_t stride = 0;  // halves from pixel to pixel of a block between the parts; 0: no block
  // With an expansion a task goes down its block, so many rows at a time; a slab has what these read.
  Slab16 slab{};
  ptrdiff_t rows = 0;
  int threads = 1;
  double nanoseconds = 0;  // of one core

  ptrdiff_t tasks() const { return images * blocks.count(); }
  ptrdiff_t scratch_floats() const {
    const ptrdiff_t at_once = rows > 0 ? rows * blocks.across.largest() : blocks.largest();
    return ceil_div(slab.halves() + at_once * stride, ptrdiff_t{2});
  }
};

// What outputs of one axis read of the image.
struct Span16 {
  ptrdiff_t begin, count;

  ptrdiff_t end() const { return begin + count; }
};
Span16 rows_under(const Problem16& problem, ptrdiff_t first, ptrdiff_t count);
Span16 columns_under(const Problem16& problem, ptrdiff_t first, ptrdiff_t count);

// Of a layer on views whose channels lie side by side. `kernel_size` is that of a dense convolution.
Problem16 make_problem16(Chain16 chain, const Geometry& geometry,
                         const std::optional<std::array<ptrdiff_t, 2>>& kernel_size, Input16 x,
                         const Input16& residual, const Output16& out);

double cost_ns(const Problem16& problem);  // of one core
Plan16 make_plan16(const Problem16& problem, int threads);
// For those threads that bring more than they cost.
Plan16 useful_plan(const Problem16& problem, int threads);
std::string show(const Problem16& problem, const Plan16& plan);

}  // namespace fastdw
