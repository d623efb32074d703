// While the GIL is released no object with a destructor of consequence lives in these frames or their
// callers': a daemon thread that asks for the GIL back while the interpreter ends is unwound on the spot.
#include "python/call.h"

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

}  // namespace

void call(const Chain& chain, const Geometry& geometry, const Input& x, const Input& residual,
          const Output& out, int threads) {
  // Below 1 where an image is too much for one part.
  const double macs = macs_per_image(chain, out), images_at_once = kMacsBetweenSignals / macs;
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
          compute(chain, geometry, x, residual, out, threads, part);
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
