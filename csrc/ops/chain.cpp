#include "ops/chain.h"

#include "base/refuse.h"

namespace fastdw {
namespace {

template <class T>
View<T> images_of(View<T> v, const Part& part) {
  if (v.data) v.data += part.image * v.image_stride;
  v.images = part.images;
  return v;
}

template <class T>
View<T> rows_of(View<T> v, const Part& part) {
  if (v.data) v.data += part.row * v.row_stride;
  v.height = part.rows;
  return v;
}

}  // namespace

double macs_per_image(const Chain& chain, const Output& out) {
  const double pixels = static_cast<double>(out.height) * static_cast<double>(out.width);
  const double taps = chain.depthwise ? static_cast<double>(chain.depthwise->taps()) : 0.0;
  if (!chain.pointwise) return pixels * static_cast<double>(out.channels) * taps;
  return pixels * static_cast<double>(chain.pointwise->inputs) * (taps + static_cast<double>(out.channels));
}

void compute(const Chain& chain, const Geometry& geometry, const Input& whole_x, const Input& whole_residual,
             const Output& whole_out, int threads, const Part& part) {
  const Input x = images_of(whole_x, part), residual = rows_of(images_of(whole_residual, part), part);
  const Output out = rows_of(images_of(whole_out, part), part);
  if (!chain.depthwise) {
    pointwise({*chain.pointwise, out, residual}, rows_of(x, part), threads);
    return;
  }
  // The rows above the first one are like a pad taken away.
  Geometry moved = geometry;
  moved.pad_top -= part.row * geometry.stride_h;
  const DepthwiseOp first(*chain.depthwise, moved, x, chain.pre_activation, chain.pointwise ? nullptr : &out);
  if (chain.pointwise) {
    separable(first, {*chain.pointwise, out, residual}, threads);
  } else {
    depthwise(first, out, threads);
  }
}

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

void check(const Chain& chain, const Input& x, const Input& residual, const Output& out) {
  const DepthwiseWeights* dw = chain.depthwise;
  const PointwiseWeights* pw = chain.pointwise;
  if (x.channels != (dw ? dw->channels : pw->inputs) || x.images != out.images) refuse("x");
  if (out.channels != (pw ? pw->outputs : dw->outputs())) refuse("out");
  if (!dw && (out.height != x.height || out.width != x.width)) refuse("out");
  if (dw && pw && (dw->outputs() != pw->inputs || &dw->set != &pw->set)) refuse("pointwise");
  if (residual.data && (residual.images != out.images || residual.height != out.height ||
                        residual.width != out.width || residual.channels != out.channels)) {
    refuse("residual");
  }
  if (chain.pre_activation) check_slopes(*chain.pre_activation, x.channels);
}

}  // namespace fastdw
