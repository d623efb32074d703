// A layer's operator as Python holds it.
#pragma once
#include <pybind11/numpy.h>

#include <array>
#include <mutex>
#include <vector>

#include "ops/chain.h"
#include "plan/plan.h"

namespace fastdw {

struct Shape {
  int rank = -1;  // no array's: before the first call none is like one before
  std::array<ptrdiff_t, 4> sizes{};

  ptrdiff_t floats() const;
};

// The parts are weights and activations, or None; they live as long as the operator.
class Operator {
 public:
  // Several pointwise parts, in a tuple, are the groups of a grouped convolution.
  Operator(pybind11::object depthwise, pybind11::object pointwise, pybind11::object pre_activation,
           bool channels_first, std::array<ptrdiff_t, 2> kernel_size, pybind11::object expand);

  // Arrays with the axes (n, h, w, c), of any strides.
  void run(pybind11::handle x, pybind11::handle residual, pybind11::handle out,
           const std::array<ptrdiff_t, 6>& geometry, int threads) const;

  // Arrays as the user has them. The shapes of a call that has passed Python's checks are remembered, those
  // of the last four, with their plans; a call that is like one of them goes straight through.
  void remember(const std::vector<ptrdiff_t>& x, const std::vector<ptrdiff_t>& out,
                const std::array<ptrdiff_t, 6>& geometry);
  // The plan of a call with contiguous arrays of these shapes: text, and its numbers.
  pybind11::dict plan(const std::vector<ptrdiff_t>& x, const std::vector<ptrdiff_t>& out,
                      const std::array<ptrdiff_t, 6>& geometry, int threads) const;
  // A new reference to the result; to None where Python must check; null, with Python's error set.
  PyObject* replay(PyObject* x, PyObject* residual, PyObject* out, PyObject* threads);

 private:
  struct Call {
    Shape x, out;
    Geometry geometry{};
    int threads = 0;  // of the plan
    Plan plan{};
  };

  using Array = pybind11::detail::PyArray_Proxy;

  // Contiguous arrays; their places may be null.
  Problem problem(const Call& call, const float* x, const float* residual, float* out) const;
  void check_groups(const Problem& problem) const;
  const Array* plain(PyObject* object, int flags) const;
  bool recall(const Array& x, int threads, Call& call);

  const pybind11::tuple parts_;
  std::vector<Chain> groups_;
  const bool channels_first_;
  const pybind11::dtype float32_;

  std::mutex mutex_;  // only ever tried: who does not get it at once lets Python check
  std::array<Call, 4> calls_;
  size_t oldest_ = 0;
};

// Operator::replay as a function of Python (x, residual, out, num_threads): at 2 µs a call the usual way of
// binding would be a quarter of it.
pybind11::object replay_function(const pybind11::object& operation);

// float32, to be filled; a larger one begins on a cache line.
pybind11::array empty_array(const std::vector<ptrdiff_t>& shape);

}  // namespace fastdw
