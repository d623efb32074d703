// A network as Python holds it.
#pragma once
#include <pybind11/pybind11.h>

#include "network/network.h"

namespace fastdw {

class PreparedNetwork {
 public:
  // As `_core.pyi` says: floats of the arena; (elements, dtype) of each input, elements of each output;
  // steps.
  PreparedNetwork(pybind11::handle arena, pybind11::handle inputs, pybind11::handle outputs,
                  pybind11::handle steps, const KernelSet& set);

  void run(pybind11::handle inputs, pybind11::handle outputs, int threads) const;
  // A call as users make it: `shapes` are those of one image, of the inputs and of the outputs. A tuple of
  // new arrays, if the inputs are dense ones of just these shapes, with or without a batch; else None, for
  // Python to check.
  pybind11::object call(pybind11::handle inputs, pybind11::handle shapes, int threads) const;
  // Nanoseconds of each step, all images together.
  std::vector<int64_t> profile(pybind11::handle inputs, pybind11::handle outputs, int threads) const;

 private:
  // `buffers` has the arena before and after those of a call.
  size_t count_outputs() const { return network_.buffers().size() - 1 - kArenaViews - inputs_; }
  PyObject* results(pybind11::handle inputs, pybind11::handle shapes) const;
  void execute(pybind11::handle inputs, pybind11::handle outputs, int threads, int64_t* times) const;

  pybind11::list kept_;  // weights, which live as long as the network
  size_t inputs_ = 0;
  Network network_;
};

}  // namespace fastdw
