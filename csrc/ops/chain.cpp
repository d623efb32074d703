#include "ops/chain.h"

#include "base/refuse.h"
#include "ops/run.h"

namespace fastdw {

void check_slopes(const Activation& f, ptrdiff_t channels) {
  if (!f.slopes.empty() && static_cast<ptrdiff_t>(f.slopes.size()) != channels) refuse("slopes");
}

Geometry checked_geometry(const std::array<ptrdiff_t, 6>& g) {
  constexpr ptrdiff_t kLargest = ptrdiff_t{1} << (sizeof(ptrdiff_t) == 4 ? 29 : 32);
  for (size_t i = 0; i < g.size(); ++i) {
    if (g[i] < (i < 4 ? 1 : 0) || g[i] > kLargest) refuse("geometry");
  }
  return {g[0], g[1], g[2], g[3], g[4], g[5]};
}

namespace {

// A slab is filled from pixels in place, and what it becomes is written in place.
void check_expanded(const Problem& p, const PointwiseWeights& expand) {
  const DepthwiseWeights* dw = p.chain.depthwise;
  if (!dw || p.chain.pre_activation || !p.x.channels_side_by_side() || p.staged()) refuse("expand");
  if (p.x.channels != expand.inputs || &expand.set != &dw->set) refuse("expand");
  check(expanded(p));
}

void check_extras(const Problem& p) {
  const bool depthwise_alone = p.chain.depthwise && !p.chain.pointwise;
  const Input &x = p.x, &scale = p.scale;
  const Output &out = p.out, &sums = p.sums;
  if (scale.data && (!p.pixelwise() || !x.channels_side_by_side() || !scale.channels_side_by_side() ||
                     scale.height != 1 || scale.width != 1 || scale.channels != x.channels)) {
    refuse("scale");
  }
  if (sums.data && (!depthwise_alone || !out.channels_side_by_side() || !sums.channels_side_by_side() ||
                    sums.height != out.height || sums.width != 1 || sums.channels != out.channels)) {
    refuse("sums");
  }
}

}  // namespace

void check(const Problem& p) {
  const DepthwiseWeights* dw = p.chain.depthwise;
  const PointwiseWeights* pw = p.chain.pointwise;
  const Input &x = p.x, &residual = p.residual;
  const Output& out = p.out;
  const ptrdiff_t taps = p.chain.kernel_h * p.chain.kernel_w;
  if (x.images != out.images) refuse("x");
  if (const PointwiseWeights* expand = p.chain.expand) return check_expanded(p, *expand);
  if (dw ? x.channels != dw->channels : x.channels != pw->inputs / taps || pw->inputs % taps != 0)
    refuse("x");
  if (out.channels != (pw ? pw->outputs : dw->outputs())) refuse("out");
  if (dw && pw && (dw->outputs() != pw->inputs || &dw->set != &pw->set)) refuse("pointwise");
  if (residual.data && (residual.images != out.images || residual.height != out.height ||
                        residual.width != out.width || residual.channels != out.channels)) {
    refuse("residual");
  }
  if (p.chain.pre_activation) {
    if (!dw) refuse("pre_activation");
    check_slopes(*p.chain.pre_activation, x.channels);
  }
  check_extras(p);
}

void compute(const Problem& p, int threads) { run(p, useful_plan(p, threads)); }

}  // namespace fastdw
