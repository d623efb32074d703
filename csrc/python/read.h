// Plain numbers from Python, whatever a caller passes: what is no number of the kind is refused.
#pragma once
#include <pybind11/pybind11.h>

#include <array>
#include <cmath>
#include <string>
#include <vector>

#include "base/refuse.h"

namespace fastdw {

inline ptrdiff_t read_integer(pybind11::handle object) {
  if (!PyLong_Check(object.ptr())) refuse("no int");
  const Py_ssize_t number = PyLong_AsSsize_t(object.ptr());
  if (number == -1 && PyErr_Occurred()) {
    PyErr_Clear();
    refuse("int too large");
  }
  return number;
}

inline float read_real(pybind11::handle object) {
  if (!PyFloat_Check(object.ptr())) refuse("no float");
  return static_cast<float>(PyFloat_AS_DOUBLE(object.ptr()));
}

inline std::string read_text(pybind11::handle object) {
  if (!PyUnicode_Check(object.ptr())) refuse("no str");
  return object.cast<std::string>();
}

// A tuple; −1: of any length.
inline pybind11::tuple read_tuple(pybind11::handle object, ptrdiff_t length = -1) {
  if (!PyTuple_Check(object.ptr())) refuse("no tuple");
  const auto tuple = pybind11::reinterpret_borrow<pybind11::tuple>(object);
  if (length >= 0 && static_cast<ptrdiff_t>(tuple.size()) != length) refuse("length of a tuple");
  return tuple;
}

inline std::vector<ptrdiff_t> read_integers(pybind11::handle object) {
  std::vector<ptrdiff_t> numbers;
  for (const pybind11::handle item : read_tuple(object)) numbers.push_back(read_integer(item));
  return numbers;
}

template <size_t N>
std::array<ptrdiff_t, N> read_integers(pybind11::handle object) {
  std::array<ptrdiff_t, N> numbers;
  const pybind11::tuple items = read_tuple(object, N);
  for (size_t i = 0; i < N; ++i) numbers[i] = read_integer(items[i]);
  return numbers;
}

}  // namespace fastdw
