// Arrays of weights as Python gives them.
#pragma once
#include <pybind11/numpy.h>

#include "base/refuse.h"

namespace fastdw {

struct Plain {
  pybind11::array array;
  const float* data() const { return static_cast<const float*>(array.data()); }
  ptrdiff_t size(int axis) const { return array.shape(axis); }
};

// Weights: float32, C-contiguous, no axis empty.
inline Plain plain(pybind11::handle object, int rank, const char* what) {
  namespace py = pybind11;
  if (!py::isinstance<py::array_t<float>>(object)) refuse(what);
  Plain p{py::reinterpret_borrow<py::array>(object)};
  const bool contiguous = p.array.flags() & py::array::c_style;
  const bool aligned = reinterpret_cast<uintptr_t>(p.array.data()) % alignof(float) == 0;
  if (p.array.ndim() != rank || !contiguous || !aligned) refuse(what);
  for (int axis = 0; axis < rank; ++axis) {
    if (p.size(axis) < 1) refuse(what);
  }
  return p;
}

}  // namespace fastdw
