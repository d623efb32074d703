#include "plan/cost.h"

#include <algorithm>

namespace fastdw {
namespace {

double product(ptrdiff_t a, ptrdiff_t b) { return static_cast<double>(a) * static_cast<double>(b); }

double curve_ns(const KernelSet& set, const Activation& f) {
  return f.clamps() ? 0.0 : set.schedule.rates.curve;
}

template <class T>
double pixels_of(const View<T>& v) {
  return product(v.images, v.height) * static_cast<double>(v.width);
}

// Of all weights, once.
double weights_ns(const PointwiseWeights& w) {
  return product(w.inputs, w.outputs) * w.set.schedule.rates.weight;
}

}  // namespace

double depthwise_ns(const DepthwiseWeights& w, double pixels) {
  const Rates& rates = w.set.schedule.rates;
  const double value =
      static_cast<double>(w.taps()) * rates.mac + rates.value + curve_ns(w.set, w.activation);
  return pixels * static_cast<double>(w.outputs()) * value;
}

double pointwise_ns(const PointwiseWeights& w, double pixels) {
  const double value =
      static_cast<double>(w.inputs) * w.set.schedule.rates.mac + curve_ns(w.set, w.activation);
  return pixels * static_cast<double>(w.outputs) * value;
}

double copy_ns(const KernelSet& set, double floats) { return floats * set.schedule.rates.copy; }

double cost_ns(const Problem& p) {
  const Chain& chain = p.chain;
  const double pixels = pixels_of(p.out);
  double ns = 0;
  if (chain.expand) ns += pointwise_ns(*chain.expand, pixels_of(p.x)) + weights_ns(*chain.expand);
  if (chain.depthwise) ns += depthwise_ns(*chain.depthwise, pixels);
  if (chain.pointwise) ns += pointwise_ns(*chain.pointwise, pixels) + weights_ns(*chain.pointwise);
  if (p.dense()) ns += copy_ns(p.set(), pixels * static_cast<double>(chain.pointwise->inputs));
  if (!p.reads_in_place()) {
    const double floats = pixels_of(p.x) * static_cast<double>(p.x.channels);
    ns += copy_ns(p.set(), floats);
    if (chain.pre_activation) ns += floats * curve_ns(p.set(), *chain.pre_activation);
  }
  if (p.staged()) ns += copy_ns(p.set(), pixels * static_cast<double>(p.out.channels));
  return ns;
}

int useful_threads(int threads, double nanoseconds, double thread_ns) {
  return static_cast<int>(std::clamp(nanoseconds / thread_ns, 1.0, static_cast<double>(threads)));
}

}  // namespace fastdw
