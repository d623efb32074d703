// Arrays as Python gives them.
#pragma once
#include <pybind11/numpy.h>

#include <type_traits>

#include "base/refuse.h"
#include "base/view.h"

namespace fastdw {

template <class T>
bool is_aligned(const pybind11::array& array) {
  return reinterpret_cast<uintptr_t>(array.data()) % alignof(T) == 0;
}

// Weights: aligned, C-contiguous, no axis empty.
template <class T>
pybind11::array_t<T> dense(pybind11::handle object, int rank, const char* what) {
  namespace py = pybind11;
  if (!py::isinstance<py::array_t<T>>(object)) refuse(what);
  auto array = py::reinterpret_borrow<py::array_t<T>>(object);
  const bool contiguous = array.flags() & py::array::c_style;
  if (array.ndim() != rank || array.size() < 1 || !contiguous || !is_aligned<T>(array)) refuse(what);
  return array;
}

// Images of T, (n, h, w, c), of any strides, with one pixel at least; those of uint8_t may have a sign.
template <class T>
View<T> strided(pybind11::handle object, const char* what) {
  namespace py = pybind11;
  using Element = std::remove_const_t<T>;
  constexpr bool is_byte = std::is_same_v<Element, uint8_t>;
  if (!py::isinstance<py::array_t<Element>>(object) &&
      !(is_byte && py::isinstance<py::array_t<int8_t>>(object))) {
    refuse(what);
  }
  const auto array = py::reinterpret_borrow<py::array>(object);
  if (array.ndim() != 4 || !(std::is_const_v<T> || array.writeable())) refuse(what);
  View<T> v;
  v.data = static_cast<T*>(const_cast<void*>(array.data()));
  ptrdiff_t* const sizes[] = {&v.images, &v.height, &v.width, &v.channels};
  ptrdiff_t* const strides[] = {&v.image_stride, &v.row_stride, &v.column_stride, &v.channel_stride};
  bool aligned = is_aligned<T>(array);
  for (int axis = 0; axis < 4; ++axis) {
    *sizes[axis] = array.shape(axis);
    // The stride of an axis of one means nothing, and may be anything.
    const ptrdiff_t stride = array.shape(axis) == 1 ? 0 : array.strides(axis);
    aligned = aligned && stride % ptrdiff_t{sizeof(Element)} == 0;
    *strides[axis] = stride / ptrdiff_t{sizeof(Element)};
  }
  if (!aligned || v.height < 1 || v.width < 1 || v.channels < 1) refuse(what);
  return v;
}

}  // namespace fastdw
