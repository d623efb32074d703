// What operators share: copies between layouts, and the budgets of a task.
#pragma once
#include "base/math.h"
#include "base/view.h"
#include "kernels/contract.h"

namespace fastdw {

// Memory to be asked for before it is read. Of planes: so many lines of each.
struct Ahead {
  const char* begin;
  ptrdiff_t lines;
  ptrdiff_t plane_bytes;  // from plane to plane
};

// Copies rows × columns × channels between two layouts.
void copy_block(const KernelSet& set, const float* from, const Layout& from_layout, float* to,
                const Layout& to_layout, ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t channels);

// Shares of a task's scratch, kScratchFloats in all. The separable operator's depthwise half takes half of
// it, or, where its input is copied, up to what a patch and the least staging buffer leave.
constexpr ptrdiff_t kDepthwiseFloats = 32 * 1024;
constexpr ptrdiff_t kPatchFloats = 16 * 1024;    // input of a block, where it cannot be read in place
constexpr ptrdiff_t kStagingFloats = 16 * 1024;  // output of a part, where it cannot be written in place
constexpr ptrdiff_t kLeastStagingFloats = 4 * 1024;

// Below this much arithmetic a thread costs more than it brings (some 4 µs).
constexpr double kMacsPerThread = 200e3;

int useful_threads(int threads, double macs);

}  // namespace fastdw
