#include "pack/pointwise.h"

#include <algorithm>

namespace fastdw {
namespace {

ptrdiff_t count_panels(const KernelSet& set, ptrdiff_t outputs) {
  const ptrdiff_t vectors = ceil_div(outputs, set.lanes);
  return std::max({ptrdiff_t{1}, vectors / set.panel_vectors, ceil_div(vectors, set.max_panel_vectors)});
}

}  // namespace

PointwiseWeights::PointwiseWeights(const KernelSet& set, const float* kernel, const float* bias,
                                   ptrdiff_t inputs, ptrdiff_t outputs, Activation activation,
                                   FloatStore* store)
    : set(set),
      inputs(inputs),
      outputs(outputs),
      panels(count_panels(set, outputs)),
      activation(std::move(activation)) {
  const ptrdiff_t floats = checked_product(vectors() * set.lanes, 1 + inputs);
  packed = store ? store->take(floats) : allocate_floats(floats);
  for (ptrdiff_t i = 0; i < panels; ++i) {
    const Panel p = panel(i);
    const ptrdiff_t width = p.vectors * set.lanes;
    float* w = packed.get() + (p.weights - packed.get());
    for (ptrdiff_t k = -1; k < inputs; ++k, w += width) {
      const float* row = k < 0 ? bias : kernel + k * outputs;
      if (row) std::copy(row + p.first, row + p.first + p.channels, w);
      std::fill(row ? w + p.channels : w, w + width, 0.0f);
      if (p.halved) std::copy(w + width - set.lanes, w + width - set.lanes / 2, w + width - set.lanes / 2);
    }
  }
}

void PointwiseWeights::unpack(float* kernel, float* bias) const {
  for (ptrdiff_t i = 0; i < panels; ++i) {
    const Panel p = panel(i);
    const float* w = p.weights;
    for (ptrdiff_t k = -1; k < inputs; ++k, w += p.vectors * set.lanes) {
      std::copy(w, w + p.channels, (k < 0 ? bias : kernel + k * outputs) + p.first);
    }
  }
}

PointwiseWeights::Panel PointwiseWeights::panel(ptrdiff_t i) const {
  const ptrdiff_t small = vectors() / panels, large = vectors() % panels;
  const ptrdiff_t first_vector = i * small + std::min(i, large);
  const ptrdiff_t first = first_vector * set.lanes;
  const int count = static_cast<int>(small + (i < large));
  const ptrdiff_t channels = std::min(outputs - first, ptrdiff_t{count} * set.lanes);
  const PwKernels& halves = set.halved[count - 1];
  const bool halved = halves.pixels > 0 && 2 * (channels - (count - 1) * set.lanes) <= set.lanes;
  const PwKernels& kernels = halved ? halves : set.pointwise[count - 1];
  const bool light = count * set.lanes * (1 + inputs) <= set.schedule.light_panel_floats;
  return {first,   channels,
          count,   packed.get() + first * (1 + inputs),
          kernels, light ? kernels.light_pixels : kernels.pixels,
          halved};
}

ptrdiff_t PointwiseWeights::packed_floats(ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t staging) const {
  // Rows that are packed one by one may each end in a part of a quad.
  const ptrdiff_t quads = staging > 0
                              ? ceil_div(std::min(rows * columns, most_staged(staging)), set.quad_pixels)
                              : rows * ceil_div(columns, set.quad_pixels);
  return quads * set.quad_floats(inputs);
}

ptrdiff_t PointwiseWeights::nbytes() const {
  const ptrdiff_t floats = vectors() * set.lanes * (1 + inputs);
  return (floats + static_cast<ptrdiff_t>(activation.slopes.size())) * ptrdiff_t{sizeof(float)};
}

}  // namespace fastdw
