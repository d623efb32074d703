// A layer's operator as Python holds it.
#pragma once
#include <string>
#include <vector>

#include "ops/chain.h"
#include "plan/plan.h"
#include "python/replay.h"

namespace fastdw {

// The parts are weights and activations, or None; they live as long as the operator.
class Operator final : public Replays<Geometry, Plan> {
 public:
  // Several pointwise parts, in a tuple, are the groups of a grouped convolution.
  Operator(pybind11::object depthwise, pybind11::object pointwise, pybind11::object pre_activation,
           bool channels_first, std::array<ptrdiff_t, 2> kernel_size, pybind11::object expand);

  // Arrays with the axes (n, h, w, c), of any strides.
  void run(pybind11::handle x, pybind11::handle residual, pybind11::handle out,
           const std::array<ptrdiff_t, 6>& geometry, int threads) const;

  // The same of halves, as uint16.
  void run_halves(pybind11::handle x, pybind11::handle residual, pybind11::handle out,
                  const std::array<ptrdiff_t, 6>& geometry, int threads) const;
  std::string plan_halves(const std::vector<ptrdiff_t>& x, const std::vector<ptrdiff_t>& out,
                          const std::array<ptrdiff_t, 6>& geometry, int threads) const;

  // The shapes of a call that has passed Python's checks, of arrays as the user has them.
  void remember(const std::vector<ptrdiff_t>& x, const std::vector<ptrdiff_t>& out,
                const std::array<ptrdiff_t, 6>& geometry);
  // The plan of a call with contiguous arrays of these shapes: text, and its numbers.
  pybind11::dict plan(const std::vector<ptrdiff_t>& x, const std::vector<ptrdiff_t>& out,
                      const std::array<ptrdiff_t, 6>& geometry, int threads) const;

 private:
  bool takes_residual(bool) const override { return true; }
  Plan make_plan(const Call& call, int threads) const override;
  void compute(const Call& call, const Places& places) const override;

  // Contiguous arrays; their places may be null.
  Problem problem(const Call& call, const float* x, const float* residual, float* out) const;
  void check_groups(const Problem& problem) const;

  const pybind11::tuple parts_;
  std::vector<Chain> groups_;
  const bool channels_first_;
};

// float32, to be filled; a larger one begins on a cache line.
pybind11::array empty_array(const std::vector<ptrdiff_t>& shape);

}  // namespace fastdw
