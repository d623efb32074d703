#include "plan/depthwise.h"

#include <algorithm>

namespace fastdw {
namespace {

// Phases take tiles instead of the generic kernel. Larger dilations leave few rows and columns to a phase.
constexpr ptrdiff_t kMostPhases = 2;

// Pixel by pixel, in place or in the staging buffer.
bool writes_dense(const Output& out) {
  return out.column_stride == out.channels || !out.channels_side_by_side();
}

}  // namespace

const DwKernel& choose_depthwise_kernel(const Problem& p) {
  const DepthwiseWeights& w = *p.chain.depthwise;
  if (w.forced) return *w.forced;
  const Geometry& g = p.geometry;
  const bool alone = !p.chain.pointwise;
  const ptrdiff_t dilation = std::max(g.dilation_h, g.dilation_w);
  const bool phases = dilation > 1 && dilation <= kMostPhases && g.stride_h == 1 && g.stride_w == 1;
  const bool dense = !p.reads_in_place() || p.x.column_stride == p.x.channels;
  // Of tiles those that leave the fewest rows empty; of equals the last. Not in blocks, where tall tiles gain
  // little and threads cut rows by the same size.
  const ptrdiff_t rows = alone ? ceil_div(p.out.height, dilation) : 0;
  const auto padded_rows = [rows](const DwKernel& k) { return ceil_div(rows, k.rows) * k.rows; };
  const DwKernel* best = &w.set.generic_depthwise();
  for (int i = 0; (dilation == 1 || phases) && i < w.set.depthwise_count; ++i) {
    const DwKernel& k = w.set.depthwise[i];
    const bool fits = k.kernel_h == w.kernel_h && k.kernel_w == w.kernel_w && k.stride_h == g.stride_h &&
                      k.stride_w == g.stride_w && (w.multiplier == 1 || k.multiplies());
    if (!fits) continue;
    if (k.kind == DwKind::kLanePacked || k.kind == DwKind::kRowPacked) {
      const bool rows_fit = alone && w.fills_vectors() && writes_dense(p.out);
      const bool pays = w.repeats > 1 && dense && !phases;
      if (pays && (k.kind == DwKind::kLanePacked || rows_fit)) return k;
    } else if (best->kind == DwKind::kGeneric || padded_rows(k) <= padded_rows(*best)) {
      best = &k;
    }
  }
  return *best;
}

bool by_phases(const DwKernel& kernel, const Geometry& g) {
  return kernel.kind != DwKind::kGeneric && (g.dilation_h > 1 || g.dilation_w > 1);
}

ptrdiff_t tile_rows(const DwKernel& kernel, const Geometry& g) {
  return kernel.rows * (by_phases(kernel, g) ? g.dilation_h : 1);
}

bool writes_quads(const Problem& p, const DwKernel& kernel) {
  const DepthwiseWeights& w = *p.chain.depthwise;
  return kernel.kind == DwKind::kBand && w.multiplier == 1 && w.set.quad_pixels > 1 && p.reads_in_place() &&
         !by_phases(kernel, p.geometry) && w.activation.clamps();
}

bool runs_over_planes(const Problem& p) {
  const DepthwiseWeights& w = *p.chain.depthwise;
  const Geometry& g = p.geometry;
  const bool sized = (w.kernel_h == 3 || w.kernel_h == 5) && w.kernel_w == w.kernel_h;
  const bool plain = sized && w.multiplier == 1 && g.stride_h == g.stride_w && g.stride_h <= 2 &&
                     g.dilation_h == 1 && g.dilation_w == 1 && !w.forced;
  const bool slopes = !w.activation.slopes.empty() || !p.chain.pointwise->activation.slopes.empty();
  return w.set.planes.exist() && plain && !slopes && !p.chain.pre_activation && p.x.planar() &&
         p.out.planar() && (!p.residual.data || p.residual.planar());
}

}  // namespace fastdw
