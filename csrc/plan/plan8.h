// The plan of an 8-bit layer: blocks of whole rows where they fit, an even number for each thread; or runs of
// pixels, where threads cannot share rows evenly.
//
// A plan of its own, since the float one weighs what bytes do not have: NCHW, quads and planes, copies, panel
// shares, kernels to choose among. Cuts, blocks and the worth of a thread are its.
#pragma once
#include <optional>
#include <string>

#include "base/view.h"
#include "pack/bytes.h"
#include "plan/cut.h"

namespace fastdw {

using Input8 = View<const uint8_t>;
using Output8 = View<uint8_t>;

struct Chain8 {
  const Depthwise8Weights* depthwise;
  const Pointwise8Weights* pointwise;
  std::optional<Sum8> sum;  // what a residual is added by

  const Kernels8& set() const { return pointwise ? pointwise->set : depthwise->set; }
};

struct Problem8 {
  Chain8 chain;
  ptrdiff_t pad_top, pad_left;
  WindowShape window;  // the depthwise half's; without one the pixels whose channels are the inputs
  Input8 x, residual;  // a residual's data is null where there is none
  Output8 out;
};

struct Plan8 {
  Blocks blocks;
  Cut runs;  // of a plane's pixels, row by row, instead of blocks; one part: blocks
  ptrdiff_t images = 1;
  ptrdiff_t panel_shares = 1;  // of each block, which is filled once a share
  ptrdiff_t stride = 0;        // bytes from pixel to pixel of a block; 0: no block
  ptrdiff_t block_bytes = 0, staging_bytes = 0;
  int threads = 1;
  double nanoseconds = 0;  // of one core

  bool by_runs() const { return runs.parts > 1; }
  ptrdiff_t parts() const { return by_runs() ? runs.parts : blocks.count(); }
  ptrdiff_t largest() const { return by_runs() ? runs.largest() : blocks.largest(); }
  ptrdiff_t tasks() const { return images * parts() * panel_shares; }
  ptrdiff_t scratch_floats() const { return ceil_div(block_bytes + staging_bytes, ptrdiff_t{sizeof(float)}); }
};

// Whether a pointwise layer's inputs are the bytes that its kernels take as they lie.
bool in_place(const Problem8& problem);

double cost_ns(const Problem8& problem);
Plan8 make_plan8(const Problem8& problem, int threads);   // for just so many
Plan8 useful_plan(const Problem8& problem, int threads);  // for those that bring more than they cost
std::string show(const Problem8& problem, const Plan8& plan);

}  // namespace fastdw
