// While the GIL is released no object with a destructor of consequence lives in these frames or their
// callers': a daemon thread that asks for the GIL back while the interpreter ends is unwound on the spot.
#include "call.h"

#include <pybind11/pybind11.h>

#include <algorithm>
#include <cmath>
#include <new>

namespace fastdw {
namespace {

// Work under some 20 µs keeps the GIL: handing it over costs more.
constexpr double kKeepGilMacs = 1e6;
// Between parts of about this much work (10 to 300 ms on one core of x86) an interrupt is looked for.
constexpr double kMacsBetweenSignals = 1e9;
// A part has whole multiples of these rows, as most tiles have; those of a very wide image take longer.
constexpr ptrdiff_t kPartRows = 16;

double macs_per_image(const Operator& op, const Output& out) {
  const double pixels = static_cast<double>(out.height) * static_cast<double>(out.width);
  const double taps = op.depthwise ? static_cast<double>(op.depthwise->taps()) : 0.0;
  if (!op.pointwise) return pixels * static_cast<double>(out.channels) * taps;
  return pixels * static_cast<double>(op.pointwise->inputs) * (taps + static_cast<double>(out.channels));
}

// Some images, and of each some rows of the output.
struct Part {
  ptrdiff_t image, images, row, rows;
};

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

void compute(const Operator& op, const Geometry& geometry, const Input& whole_x, const Input& whole_residual,
             const Output& whole_out, int threads, const Part& part) {
  const Input x = images_of(whole_x, part), residual = rows_of(images_of(whole_residual, part), part);
  const Output out = rows_of(images_of(whole_out, part), part);
  if (!op.depthwise) {
    pointwise({*op.pointwise, out, residual}, rows_of(x, part), threads);
    return;
  }
  // The rows above the first one are like a pad taken away.
  Geometry moved = geometry;
  moved.pad_top -= part.row * geometry.stride_h;
  const DepthwiseOp first(*op.depthwise, moved, x, op.pre_activation, op.pointwise ? nullptr : &out);
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
  constexpr ptrdiff_t kLargest = ptrdiff_t{1} << (sizeof(ptrdiff_t) == 4 ? 29 : 32);
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
  // Below 1 where an image is too much for one part.
  const double macs = macs_per_image(op, out), images_at_once = kMacsBetweenSignals / macs;
  const ptrdiff_t images = std::max<ptrdiff_t>(
      1, static_cast<ptrdiff_t>(std::min(images_at_once, static_cast<double>(out.images))));
  const ptrdiff_t parts =
      static_cast<ptrdiff_t>(std::clamp(std::ceil(1 / images_at_once), 1.0, static_cast<double>(out.height)));
  const ptrdiff_t rows = ceil_div(ceil_div(out.height, parts), kPartRows) * kPartRows;
  Part part{};
  for (; part.image < out.images; part.image += part.images) {
    part.images = std::min(images, out.images - part.image);
    for (part.row = 0; part.row < out.height; part.row += part.rows) {
      part.rows = std::min(rows, out.height - part.row);
      const bool first = part.image == 0 && part.row == 0;
      if (!first && PyErr_CheckSignals() != 0) throw pybind11::error_already_set();
      bool out_of_memory = false;
      const auto guarded = [&] {
        try {
          compute(op, geometry, x, residual, out, threads, part);
        } catch (const std::bad_alloc&) {
          out_of_memory = true;
        }
      };
      if (macs * static_cast<double>(part.images) < kKeepGilMacs) {
        guarded();
      } else {
        PyThreadState* state = PyEval_SaveThread();
        guarded();
        PyEval_RestoreThread(state);
      }
      if (out_of_memory) throw std::bad_alloc();
    }
  }
}

}  // namespace fastdw
