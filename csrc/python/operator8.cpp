#include "python/operator8.h"

#include <pybind11/stl.h>

#include <array>

#include "base/refuse.h"
#include "isa/dispatch.h"
#include "isa/names.h"
#include "network/step8.h"
#include "ops/chain.h"
#include "ops/run8.h"
#include "plan/cost.h"
#include "python/arrays.h"
#include "python/call.h"
#include "python/read.h"
#include "python/replay.h"

namespace py = pybind11;

namespace fastdw {
namespace {

// (multipliers, bias, zero_point, low, high, saturates), all for int8.
struct Epilogue {
  py::array_t<float> factors;
  py::array_t<int32_t> bias;
  Rescale8 rescale;
};

Epilogue epilogue(const Kernels8& set, const py::tuple& given, ptrdiff_t channels, bool is_signed) {
  if (given.size() != 6) refuse("epilogue");
  Epilogue e{dense<float>(given[0], 1, "multipliers"), dense<int32_t>(given[1], 1, "bias"), {}};
  if (e.factors.size() != channels || e.bias.size() != channels) refuse("channels of the epilogue");
  const int zero = given[2].cast<int>(), low = given[3].cast<int>(), high = given[4].cast<int>();
  if (std::min({zero, low, high}) < -128 || std::max({zero, low, high}) > 127) refuse("range");
  e.rescale = {static_cast<float>(low - zero), static_cast<float>(high - zero), zero + set.offset,
               set.flip(is_signed), given[5].cast<bool>()};
  return e;
}

int32_t checked_zero(int zero) {
  if (zero < -128 || zero > 127) refuse("zero point");
  return zero;
}

std::unique_ptr<Depthwise8Weights> make_depthwise(py::handle kernel, const py::tuple& rescale, int input_zero,
                                                  std::array<bool, 2> signs,
                                                  const std::array<ptrdiff_t, 4>& place,
                                                  const py::object& isa) {
  const auto k = dense<int8_t>(kernel, 4, "kernel");
  const Geometry g = checked_geometry({place[0], place[1], place[2], place[3], 0, 0});
  const Kernels8& set = chosen_kernels8(isa);
  const Epilogue e = epilogue(set, rescale, k.shape(2) * k.shape(3), signs[1]);
  const WindowShape window{k.shape(0), k.shape(1), g.stride_h, g.stride_w, g.dilation_h, g.dilation_w};
  return std::make_unique<Depthwise8Weights>(
      set, UnpackedWeights8{k.data(), e.bias.data(), e.factors.data(), checked_zero(input_zero)}, window,
      k.shape(2), k.shape(3), set.flip(signs[0]), e.rescale);
}

std::unique_ptr<Pointwise8Weights> make_pointwise(py::handle kernel, const py::tuple& rescale, int input_zero,
                                                  std::array<bool, 2> signs, const py::object& isa) {
  const auto k = dense<int8_t>(kernel, 2, "kernel");
  const Kernels8& set = chosen_kernels8(isa);
  const Epilogue e = epilogue(set, rescale, k.shape(1), signs[1]);
  return std::make_unique<Pointwise8Weights>(
      set, UnpackedWeights8{k.data(), e.bias.data(), e.factors.data(), checked_zero(input_zero)}, k.shape(0),
      k.shape(1), set.flip(signs[0]), e.rescale);
}

// Some images of the problem.
Problem8 part_of(const Problem8& p, ptrdiff_t first, ptrdiff_t count) {
  Problem8 part = p;
  part.x.data = p.x.at(first, 0, 0, 0);
  part.out.data = p.out.at(first, 0, 0, 0);
  if (p.residual.data) part.residual.data = p.residual.at(first, 0, 0, 0);
  part.x.images = part.out.images = count;
  if (p.residual.data) part.residual.images = count;
  return part;
}

// Throws std::bad_alloc where the plan does; Python's error at an interrupt between images.
void call(const Problem8& p, int threads) {
  run_in_parts(p.out.images, cost_ns(p), 1, [&](ptrdiff_t first, ptrdiff_t count) {
    const Problem8 part = part_of(p, first, count);
    run(part, useful_plan(part, threads));
  });
}

using Pads = std::array<ptrdiff_t, 2>;

Chain8 chain_of(const py::object& depthwise, const py::object& pointwise, const py::object& sum) {
  Chain8 chain{};
  if (!depthwise.is_none()) chain.depthwise = depthwise.cast<const Depthwise8Weights*>();
  if (!pointwise.is_none()) chain.pointwise = pointwise.cast<const Pointwise8Weights*>();
  if (!chain.depthwise && !chain.pointwise) refuse("parts");
  if (!sum.is_none()) chain.sum = read_sum8(sum);
  return chain;
}

// Of the arrays of a layer; where nothing is added, that of the residual says nothing.
ArrayTypes types_of(const Chain8& chain) {
  const auto type = [](bool is_signed) {
    return is_signed ? py::dtype::of<int8_t>() : py::dtype::of<uint8_t>();
  };
  const uint8_t flip = chain.set().flip(true);
  const uint8_t input = chain.depthwise ? chain.depthwise->input_flip : chain.pointwise->input_flip;
  const Rescale8& last = chain.pointwise ? chain.pointwise->rescale : chain.depthwise->rescale;
  if (!chain.sum) return {type(input == flip), type(true), type(last.flip == flip)};
  return {type(input == flip), type(chain.sum->flip_b != 0), type(chain.sum->flip != 0)};
}

class Operator8 final : public Replays<Pads, Plan8> {
 public:
  Operator8(const py::object& depthwise, const py::object& pointwise, const py::object& sum)
      : Operator8(py::make_tuple(depthwise, pointwise), chain_of(depthwise, pointwise, sum)) {}

  void run(py::handle x, py::handle residual, py::handle out, Pads pads, int threads) const {
    const Problem8 p = problem(strided<const uint8_t>(x, "x"),
                               residual.is_none() ? Input8{} : strided<const uint8_t>(residual, "residual"),
                               strided<uint8_t>(out, "out"), pads);
    if (threads < 1) refuse("num_threads");
    if (p.out.images > 0) call(p, threads);
  }

  // As Operator's.
  void remember(const std::vector<ptrdiff_t>& x, const std::vector<ptrdiff_t>& out, Pads pads) {
    const Call call{image_shape(x), image_shape(out), pads};
    problem(call, {nullptr, nullptr, nullptr});
    Replays::remember(call);
  }

  std::string plan(const std::vector<ptrdiff_t>& x, const std::vector<ptrdiff_t>& out, int threads) const {
    if (threads < 1) refuse("num_threads");
    const Problem8 p = problem({image_shape(x), image_shape(out)}, {nullptr, nullptr, nullptr});
    return show(p, useful_plan(p, threads));
  }

 private:
  Operator8(py::tuple parts, const Chain8& chain)
      : Replays(types_of(chain)), parts_(std::move(parts)), chain_(chain) {}

  bool takes_residual(bool given) const override { return given == chain_.sum.has_value(); }
  Plan8 make_plan(const Call& call, int threads) const override {
    return useful_plan(problem(call, {nullptr, nullptr, nullptr}), threads);
  }
  void compute(const Call& known, const Places& places) const override {
    const Problem8 p = problem(known, places);
    if (!is_brief(known.plan.nanoseconds)) return call(p, known.threads);
    without_gil(known.plan.nanoseconds, [&] { fastdw::run(p, known.plan); });
  }

  // Contiguous arrays; their places may be null.
  Problem8 problem(const Call& call, const Places& places) const {
    static const uint8_t anything = 0;  // its place alone counts: that there is a residual
    const auto* residual = places.residual ? reinterpret_cast<const uint8_t*>(places.residual) : &anything;
    return problem(contiguous(reinterpret_cast<const uint8_t*>(places.x), call.x, false),
                   chain_.sum ? contiguous(residual, call.out, false) : Input8{},
                   contiguous(reinterpret_cast<uint8_t*>(places.out), call.out, false), call.geometry);
  }

  Problem8 problem(const Input8& x, const Input8& residual, const Output8& out, Pads pads) const {
    const Geometry g = checked_geometry({1, 1, 1, 1, pads[0], pads[1]});
    const WindowShape window = chain_.depthwise ? chain_.depthwise->window : WindowShape{1, 1, 1, 1, 1, 1};
    const Problem8 p{chain_, g.pad_top, g.pad_left, window, x, residual, out};
    check(p);
    return p;
  }

  const py::tuple parts_;
  const Chain8 chain_;
};

}  // namespace

const Kernels8& chosen_kernels8(const py::object& isa) {
  return isa.is_none() ? active_kernels8() : kernels8(read_text(isa));
}

Sum8 read_sum8(py::handle object) {
  std::array<int32_t, 11> n;
  const auto numbers = read_integers<11>(object);
  for (size_t i = 0; i < n.size(); ++i) {
    const ptrdiff_t least = i == 1 || i == 3 ? -(1 << 21) : 0;  // the factors
    if (numbers[i] < least || numbers[i] > INT32_MAX) refuse("sum");
    n[i] = static_cast<int32_t>(numbers[i]);
  }
  // 20 or 21 bits of the ratios: no sum of two overflows.
  if (n[4] < 1 || n[4] > 30 || std::max(n[1], n[3]) > 1 << 21) refuse("shift");
  for (const size_t i : {0u, 2u, 5u, 6u, 7u}) {
    if (n[i] > 255) refuse("zero");
  }
  const auto flip = [](bool is_signed) { return static_cast<uint8_t>(is_signed ? 0x80 : 0); };
  return {n[0], n[1], n[2], n[3], n[4], n[5], n[6], n[7], flip(n[8]), flip(n[9]), flip(n[10])};
}

void bind_operator8(py::module_& m) {
  m.def("config8", [] {
    using namespace py::literals;
    return py::dict("built"_a = built_isas8(), "supported"_a = supported_isas8(),
                    "active"_a = active_kernels8().isa, "offset"_a = active_kernels8().offset);
  });
  m.attr("most_cells") = kMostCells;
  m.def("kernels8", [](const std::string& isa) { return kernel_names(kernels8(isa)); }, py::arg("isa"));
  py::class_<Depthwise8Weights>(m, "Depthwise8", py::is_final())
      .def(py::init(&make_depthwise), py::arg("kernel"), py::arg("rescale"), py::arg("input_zero"),
           py::arg("signs"), py::arg("place"), py::arg("isa") = py::none())
      .def_property_readonly("nbytes", &Depthwise8Weights::nbytes)
      .def_property_readonly("isa", [](const Depthwise8Weights& w) { return w.set.isa; });
  py::class_<Pointwise8Weights>(m, "Pointwise8", py::is_final())
      .def(py::init(&make_pointwise), py::arg("kernel"), py::arg("rescale"), py::arg("input_zero"),
           py::arg("signs"), py::arg("isa") = py::none())
      .def_property_readonly("nbytes", &Pointwise8Weights::nbytes)
      .def_property_readonly("isa", [](const Pointwise8Weights& w) { return w.set.isa; });
  py::class_<Operator8>(m, "Operator8", py::is_final())
      .def(py::init<const py::object&, const py::object&, const py::object&>(), py::arg("depthwise"),
           py::arg("pointwise"), py::arg("sum") = py::none())
      .def("run", &Operator8::run, py::arg("x"), py::arg("residual"), py::arg("out"), py::arg("pads"),
           py::arg("num_threads"))
      .def("remember", &Operator8::remember, py::arg("x_shape"), py::arg("out_shape"), py::arg("pads"))
      .def("plan", &Operator8::plan, py::arg("x_shape"), py::arg("out_shape"), py::arg("num_threads"))
      .def_property_readonly(
          "replay", [](const py::object& self) { return replay_function(self, self.cast<Operator8*>()); });
}

}  // namespace fastdw
