#include "python/operator16.h"

#include <pybind11/numpy.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <array>

#include "isa/dispatch.h"
#include "isa/names.h"
#include "ops/chain.h"
#include "ops/run16.h"
#include "python/arrays.h"
#include "python/call.h"
#include "python/replay.h"

namespace py = pybind11;

namespace fastdw {
namespace {

const Kernels16& chosen(const std::optional<std::string>& isa) {
  return isa ? kernels16(*isa) : active_kernels16();
}

const float* checked_bias(const py::object& bias, ptrdiff_t outputs) {
  if (bias.is_none()) return nullptr;
  const auto array = dense<float>(bias, 1, "bias");
  if (array.size() != outputs) refuse("bias");
  return array.data();
}

std::unique_ptr<Depthwise16Weights> make_depthwise(py::handle kernel, const py::object& bias,
                                                   const Activation& activation,
                                                   const std::array<ptrdiff_t, 4>& place,
                                                   const std::optional<std::string>& isa) {
  const auto k = dense<uint16_t>(kernel, 4, "kernel");
  const ptrdiff_t outputs = checked_product(k.shape(2), k.shape(3));
  check_slopes(activation, outputs);
  const Geometry g = checked_geometry({place[0], place[1], place[2], place[3], 0, 0});
  const WindowShape window{k.shape(0), k.shape(1), g.stride_h, g.stride_w, g.dilation_h, g.dilation_w};
  const UnpackedWeights16 weights{k.data(), checked_bias(bias, outputs), activation, active_kernel_set()};
  return std::make_unique<Depthwise16Weights>(chosen(isa), weights, window, k.shape(2), k.shape(3));
}

std::unique_ptr<Pointwise16Weights> make_pointwise(py::handle kernel, const py::object& bias,
                                                   const Activation& activation,
                                                   const std::optional<std::string>& isa) {
  const auto k = dense<uint16_t>(kernel, 2, "kernel");
  check_slopes(activation, k.shape(1));
  const UnpackedWeights16 weights{k.data(), checked_bias(bias, k.shape(1)), activation, active_kernel_set()};
  return std::make_unique<Pointwise16Weights>(chosen(isa), weights, k.shape(0), k.shape(1));
}

// Kernel and bias as floats.
template <class Weights>
py::tuple unpacked(const Weights& w, const std::vector<ptrdiff_t>& shape, ptrdiff_t outputs) {
  py::array_t<uint16_t> bits(shape);
  py::array_t<float> kernel(shape), bias(outputs);
  w.unpack(bits.mutable_data(), bias.mutable_data());
  active_kernel_set().network.from_halves({bits.data(), kernel.mutable_data(), bits.size()});
  return py::make_tuple(kernel, bias);
}

py::tuple depthwise_weights(const Depthwise16Weights& w) {
  return unpacked(w, {w.window.kernel_h, w.window.kernel_w, w.channels, w.multiplier}, w.outputs());
}

py::tuple pointwise_weights(const Pointwise16Weights& w) {
  return unpacked(w, {w.inputs, w.outputs}, w.outputs);
}

void call(const Problem16& p, int threads) {
  const Plan16 plan = useful_plan(p, threads);
  run_in_parts(plan.tasks(), plan.nanoseconds, plan.threads,
               [&](ptrdiff_t first, ptrdiff_t count) { run(p, plan, first, count); });
}

class Operator16 {
 public:
  Operator16(const py::object& depthwise, const py::object& pointwise, bool channels_first,
             const std::optional<std::array<ptrdiff_t, 2>>& kernel_size)
      : parts_(py::make_tuple(depthwise, pointwise)),
        chain_{depthwise.is_none() ? nullptr : depthwise.cast<const Depthwise16Weights*>(),
               pointwise.is_none() ? nullptr : pointwise.cast<const Pointwise16Weights*>()},
        kernel_size_(kernel_size),
        channels_first_(channels_first) {
    if (!chain_.depthwise && !chain_.pointwise) refuse("parts");
  }

  // As Operator's, but that all channels lie side by side.
  void run_halves(py::handle x, const py::object& residual, py::handle out,
                  const std::array<ptrdiff_t, 6>& geometry, int threads) const {
    const Input16 added = residual.is_none() ? Input16{} : strided<const uint16_t>(residual, "residual");
    const Problem16 p = make_problem16(chain_, checked_geometry(geometry), kernel_size_,
                                       strided<const uint16_t>(x, "x"), added, strided<uint16_t>(out, "out"));
    check(p);
    if (threads < 1) refuse("num_threads");
    if (p.out.images > 0) call(p, threads);
  }

  std::string plan_halves(const std::vector<ptrdiff_t>& x, const std::vector<ptrdiff_t>& out,
                          const std::array<ptrdiff_t, 6>& geometry, int threads) const {
    if (threads < 1) refuse("num_threads");
    static uint16_t none;  // nothing is read or written
    // Channels become the last axis, whatever the layer's order.
    Input16 from = contiguous<const uint16_t>(&none, image_shape(x), channels_first_);
    Output16 to = contiguous(&none, image_shape(out), channels_first_);
    from.channel_stride = to.channel_stride = 1;
    const Problem16 p = make_problem16(chain_, checked_geometry(geometry), kernel_size_, from, {}, to);
    check(p);
    return show(p, useful_plan(p, threads));
  }

 private:
  const py::tuple parts_;
  const Chain16 chain_;
  const std::optional<std::array<ptrdiff_t, 2>> kernel_size_;  // of a dense convolution
  const bool channels_first_;
};

template <class Weights>
py::class_<Weights> bind_weights(py::module_& m, const char* name) {
  return py::class_<Weights>(m, name, py::is_final())
      .def_property_readonly("nbytes", &Weights::nbytes)
      .def_property_readonly("isa", [](const Weights& w) { return w.set.isa; });
}

}  // namespace

void bind_operator16(py::module_& m) {
  m.def("config16", [] {
    using namespace py::literals;
    const std::vector<std::string> supported = supported_isas16();
    const py::object active = supported.empty() ? py::object(py::none()) : py::cast(supported.front());
    return py::dict("built"_a = built_isas16(), "supported"_a = supported, "active"_a = active);
  });
  m.def("kernels16", [](const std::string& isa) { return kernel_names(kernels16(isa)); }, py::arg("isa"));
  bind_weights<Depthwise16Weights>(m, "Depthwise16")
      .def(py::init(&make_depthwise), py::arg("kernel"), py::arg("bias"), py::arg("activation"),
           py::arg("place"), py::arg("isa") = py::none())
      .def("weights", &depthwise_weights);
  bind_weights<Pointwise16Weights>(m, "Pointwise16")
      .def(py::init(&make_pointwise), py::arg("kernel"), py::arg("bias"), py::arg("activation"),
           py::arg("isa") = py::none())
      .def("weights", &pointwise_weights);
  py::class_<Operator16>(m, "Operator16", py::is_final())
      .def(py::init<const py::object&, const py::object&, bool,
                    const std::optional<std::array<ptrdiff_t, 2>>&>(),
           py::arg("depthwise"), py::arg("pointwise"), py::arg("channels_first") = false,
           py::arg("kernel_size") = py::none())
      .def("run_halves", &Operator16::run_halves, py::arg("x"), py::arg("residual"), py::arg("out"),
           py::arg("geometry"), py::arg("num_threads"))
      .def("plan_halves", &Operator16::plan_halves, py::arg("x_shape"), py::arg("out_shape"),
           py::arg("geometry"), py::arg("num_threads"));
}

}  // namespace fastdw
