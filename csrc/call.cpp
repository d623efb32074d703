// While the GIL is released no object with a destructor of consequence lives in these frames or their
// callers': a daemon thread that asks for the GIL back while the interpreter ends is unwound on the spot.
#include "call.h"

#include <pybind11/pybind11.h>

#include <algorithm>
#include <new>

namespace fastdw {
namespace {

// Work under some 20 µs keeps the GIL: handing it over costs more.
constexpr double kKeepGilMacs = 1e6;
// Between groups of images of this much work (10 to 300 ms on one core of x86) an interrupt is looked for.
constexpr double kMacsBetweenSignals = 1e9;

double macs_per_image(const Operator& op, const Output& out) {
  const double pixels = static_cast<double>(out.height) * static_cast<double>(out.width);
  const double taps = op.depthwise ? static_cast<double>(op.depthwise->taps()) : 0.0;
  if (!op.pointwise) return pixels * static_cast<double>(out.channels) * taps;
  return pixels * static_cast<double>(op.pointwise->inputs) * (taps + static_cast<double>(out.channels));
}

template <class T>
View<T> images_of(View<T> v, ptrdiff_t first, ptrdiff_t count) {
  if (v.data) v.data += first * v.image_stride;
  v.images = count;
  return v;
}

void compute(const Operator& op, const Geometry& geometry, const Input& x, const Input& residual,
             const Output& out, int threads) {
  if (!op.depthwise) {
    pointwise({*op.pointwise, out, residual}, x, threads);
    return;
  }
  const DepthwiseOp first(*op.depthwise, geometry, x, op.pre_activation);
  if (op.pointwise) {
    separable(first, {*op.pointwise, out, residual}, threads);
  } else {
    depthwise(first, out, threads);
  }
}

void check_slopes(const Activation& f, ptrdiff_t channels) {
  if (!f.slopes.empty() && static_cast<ptrdiff_t>(f.slopes.size()) != channels) refuse("slopes");
}

}  // namespace

void refuse(const char* what) { throw pybind11::value_error(what); }

Geometry checked_geometry(const std::array<ptrdiff_t, 6>& g) {
  constexpr ptrdiff_t kLargest = ptrdiff_t{1} << (sizeof(ptrdiff_t) == 4 ? 30 : 32);
  for (size_t i = 0; i < g.size(); ++i) {
    if (g[i] < (i < 4 ? 1 : 0) || g[i] > kLargest) refuse("geometry");
  }
  return {g[0], g[1], g[2], g[3], g[4], g[5]};
}

void check(const Operator& op, const Input& x, const Input& residual, const Output& out) {
  const DepthwiseWeights* dw = op.depthwise;
  const PointwiseWeights* pw = op.pointwise;
  if (x.channels != (dw ? dw->channels : pw->inputs) || x.images != out.images) refuse("x");
  if (out.channels != (pw ? pw->outputs : dw->outputs())) refuse("out");
  if (!dw && (out.height != x.height || out.width != x.width)) refuse("out");
  if (dw && pw && (dw->outputs() != pw->inputs || &dw->set != &pw->set)) refuse("pointwise");
  if (residual.data && (residual.images != out.images || residual.height != out.height ||
                        residual.width != out.width || residual.channels != out.channels)) {
    refuse("residual");
  }
  if (op.pre_activation) check_slopes(*op.pre_activation, x.channels);
}

void call(const Operator& op, const Geometry& geometry, const Input& x, const Input& residual,
          const Output& out, int threads) {
  const double macs = macs_per_image(op, out);
  const ptrdiff_t group = std::max<ptrdiff_t>(
      1, static_cast<ptrdiff_t>(std::min(kMacsBetweenSignals / macs, static_cast<double>(out.images))));
  for (ptrdiff_t first = 0; first < out.images; first += group) {
    const ptrdiff_t count = std::min(group, out.images - first);
    bool out_of_memory = false;
    const auto guarded = [&] {
      try {
        compute(op, geometry, images_of(x, first, count), images_of(residual, first, count),
                images_of(out, first, count), threads);
      } catch (const std::bad_alloc&) {
        out_of_memory = true;
      }
    };
    if (macs * static_cast<double>(count) < kKeepGilMacs) {
      guarded();
    } else {
      PyThreadState* state = PyEval_SaveThread();
      guarded();
      PyEval_RestoreThread(state);
    }
    if (out_of_memory) throw std::bad_alloc();
    if (first + count < out.images && PyErr_CheckSignals() != 0) throw pybind11::error_already_set();
  }
}

}  // namespace fastdw
