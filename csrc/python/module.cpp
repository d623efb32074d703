// The Python module: arrays to pointers, prepared weights as objects.
#include <pybind11/numpy.h>
#include <pybind11/pybind11.h>
#include <pybind11/stl.h>

#include <algorithm>
#include <atomic>
#include <limits>
#include <optional>

#include "base/platform.h"
#include "base/threads.h"
#include "isa/dispatch.h"
#include "isa/names.h"
#include "pack/batch_norm.h"
#include "python/arrays.h"
#include "python/network.h"
#include "python/operator.h"
#include "python/operator16.h"
#include "python/operator8.h"

namespace py = pybind11;

namespace {

using namespace fastdw;

Activation make_activation(const std::string& curve, float a, float b, py::object slopes) {
  constexpr const char* kNames[] = {
      "clamp",
#define FASTDW_CURVE(name, Struct) name,
#include "kernels/curves.inc"
#undef FASTDW_CURVE
  };
  for (int i = 0; i < static_cast<int>(Curve::kCount); ++i) {
    if (curve != kNames[i]) continue;
    Activation f{static_cast<Curve>(i), a, b, {}};
    if ((f.curve == Curve::kPrelu) != !slopes.is_none()) refuse("slopes go with prelu");
    if (!slopes.is_none()) {
      const auto s = dense<float>(slopes, 1, "slopes");
      f.slopes.assign(s.data(), s.data() + s.shape(0));
    }
    return f;
  }
  refuse("unknown curve");
}

py::tuple curve_names() {
  return py::make_tuple(
#define FASTDW_CURVE(name, Struct) name,
#include "kernels/curves.inc"
#undef FASTDW_CURVE
      "clamp")[py::slice(0, -1, 1)];
}

const KernelSet& chosen_set(const py::object& isa) {
  return isa.is_none() ? active_kernel_set() : kernel_set(isa.cast<std::string>());
}

const float* checked_bias(const py::object& bias, ptrdiff_t channels) {
  if (bias.is_none()) return nullptr;
  const auto p = dense<float>(bias, 1, "bias");
  if (p.shape(0) != channels) refuse("bias");
  return p.data();
}

std::unique_ptr<DepthwiseWeights> make_depthwise(py::handle kernel, py::object bias,
                                                 const Activation& activation, py::object isa,
                                                 py::object kernel_name, bool fused) {
  const auto k = dense<float>(kernel, 4, "kernel");
  const KernelSet& set = chosen_set(isa);
  const DwKernel* forced = nullptr;
  if (!kernel_name.is_none()) {
    const std::string name = kernel_name.cast<std::string>();
    for (int i = 0; i < set.depthwise_count; ++i) {
      const DwKernel& entry = set.depthwise[i];
      const bool fits =
          entry.kind == DwKind::kGeneric || (entry.kernel_h == k.shape(0) && entry.kernel_w == k.shape(1) &&
                                             (k.shape(3) == 1 || entry.multiplies()));
      if (name == entry.name && fits) forced = &entry;
    }
    if (!forced) refuse("kernel_name");
  }
  const ptrdiff_t outputs = checked_product(k.shape(2), k.shape(3));
  check_slopes(activation, outputs);
  return std::make_unique<DepthwiseWeights>(set, k.data(), checked_bias(bias, outputs), k.shape(0),
                                            k.shape(1), k.shape(2), k.shape(3), activation, forced, fused);
}

std::unique_ptr<PointwiseWeights> make_pointwise(py::handle kernel, py::object bias,
                                                 const Activation& activation, py::object isa,
                                                 FloatStore* store) {
  const auto k = dense<float>(kernel, 2, "kernel");
  check_slopes(activation, k.shape(1));
  return std::make_unique<PointwiseWeights>(chosen_set(isa), k.data(), checked_bias(bias, k.shape(1)),
                                            k.shape(0), k.shape(1), activation, store);
}

py::tuple depthwise_weights(const DepthwiseWeights& w) {
  py::array_t<float> kernel({w.kernel_h, w.kernel_w, w.channels, w.multiplier}), bias(w.outputs());
  w.unpack(kernel.mutable_data(), bias.mutable_data());
  return py::make_tuple(kernel, bias);
}

py::tuple pointwise_weights(const PointwiseWeights& w) {
  py::array_t<float> kernel({w.inputs, w.outputs}), bias(w.outputs);
  w.unpack(kernel.mutable_data(), bias.mutable_data());
  return py::make_tuple(kernel, bias);
}

template <class T>
using Dense = py::array_t<T, py::array::c_style | py::array::forcecast>;

using Given = std::optional<py::object>;

// An array as wanted, or a copy; as an argument of that type, one too large for memory would be a TypeError.
template <class T>
std::optional<Dense<T>> dense_copy(const Given& array) {
  return array ? std::optional(Dense<T>(*array)) : std::nullopt;
}

// (kernel, bias, whether all numbers of the normalisation are in range), from any layout.
py::tuple fold_batch_norm(const py::object& given_kernel, const Given& given_bias,
                          const std::array<Given, 4>& vectors, double epsilon) {
  const Dense<float> kernel(given_kernel);
  const auto bias = dense_copy<float>(given_bias);
  const auto gamma = dense_copy<double>(vectors[0]), beta = dense_copy<double>(vectors[1]);
  const auto mean = dense_copy<double>(vectors[2]), variance = dense_copy<double>(vectors[3]);
  if (!mean || !variance) refuse("vectors");
  const ptrdiff_t outputs = mean->size();
  const auto data = [&](const auto& vector) {
    if (vector && (vector->ndim() != 1 || vector->size() != outputs)) refuse("channels");
    return vector ? vector->data() : nullptr;
  };
  if (outputs < 1 || kernel.size() % outputs != 0) refuse("channels");
  py::array_t<float> folded(std::vector<ptrdiff_t>(kernel.shape(), kernel.shape() + kernel.ndim()));
  py::array_t<float> offsets(outputs);
  const BatchNorm norm{data(gamma), data(beta), data(mean), data(variance), epsilon};
  const bool in_range = fold(norm, kernel.data(), kernel.size(), data(bias), outputs, folded.mutable_data(),
                             offsets.mutable_data());
  return py::make_tuple(folded, offsets, in_range);
}

// Fills y with halves as floats: arrays of one axis.
void widen(py::handle x_array, py::handle y_array) {
  const auto x = dense<uint16_t>(x_array, 1, "x");
  auto y = dense<float>(y_array, 1, "y");
  if (x.size() != y.size() || !y.writeable()) refuse("y");
  active_kernel_set().network.from_halves({x.data(), y.mutable_data(), x.size()});
}

// Runs the FMA loop on the calling thread; returns its floating-point operations.
ptrdiff_t run_fma_loop(const std::string& isa, ptrdiff_t iterations) {
  const KernelSet& set = kernel_set(isa);
  const FloatBuffer y = allocate_floats(set.fma_chains * set.lanes);
  std::fill(y.get(), y.get() + set.fma_chains * set.lanes, 1.0f);
  const py::gil_scoped_release release;
  set.fma_loop(iterations, y.get());
  return 2 * iterations * set.fma_chains * set.lanes;
}

py::dict config() {
  using namespace py::literals;
  const py::dict isas("built"_a = built_isas(), "supported"_a = supported_isas(),
                      "active"_a = active_kernel_set().isa);
#if defined(__clang__)
  const std::string compiler = "Clang " __clang_version__;
#else
  const std::string compiler = "GCC " __VERSION__;
#endif
  return py::dict("version"_a = FASTDW_VERSION, "compiler"_a = compiler, "isas"_a = isas,
                  "pool"_a = py::dict("threads"_a = pool_workers()));
}

// Whether pybind11 can start in this interpreter; sets an ImportError if not.
bool can_be_imported() {
  // pybind11 asks for the GIL by PyGILState_Ensure. Before Python 3.12 that means the first interpreter that
  // this thread was in, and waits for ever if it is another one.
  if (PyGILState_GetThisThreadState() != PyThreadState_Get()) {
    PyErr_SetString(
        PyExc_ImportError,
        "before Python 3.12, fastdw cannot be imported in a sub-interpreter by a thread of another "
        "interpreter");
    return false;
  }
#if !defined(PYBIND11_HAS_SUBINTERPRETER_SUPPORT)
  // A second interpreter would take the registered types away from the first.
  static std::atomic<int64_t> first{-1};
  const int64_t here = PyInterpreterState_GetID(PyInterpreterState_Get());
  int64_t none = -1;
  if (!first.compare_exchange_strong(none, here) && none != here) {
    PyErr_SetString(PyExc_ImportError,
                    "before Python 3.12, fastdw can be imported in one interpreter of a process only");
    return false;
  }
#endif
  return true;
}

}  // namespace

// The module's entry is the function below; pybind11's goes by another name.
#define PyInit__core pybind11_entry
PYBIND11_MODULE(_core, m, py::mod_gil_not_used()) {
  py::class_<Activation>(m, "Activation", py::is_final())
      .def(py::init(&make_activation), py::arg("curve"),
           py::arg("a") = -std::numeric_limits<float>::infinity(),
           py::arg("b") = std::numeric_limits<float>::infinity(), py::arg("slopes") = py::none());

  py::class_<DepthwiseWeights>(m, "Depthwise", py::is_final())
      .def(py::init(&make_depthwise), py::arg("kernel"), py::arg("bias"), py::arg("activation"),
           py::arg("isa") = py::none(), py::arg("kernel_name") = py::none(), py::arg("fused") = false)
      .def_property_readonly("nbytes", &DepthwiseWeights::nbytes)
      .def_property_readonly("isa", [](const DepthwiseWeights& w) { return w.set.isa; })
      .def("weights", &depthwise_weights);

  py::class_<FloatStore>(m, "Store", py::is_final()).def(py::init<ptrdiff_t>(), py::arg("count"));

  py::class_<PointwiseWeights>(m, "Pointwise", py::is_final())
      .def(py::init(&make_pointwise), py::arg("kernel"), py::arg("bias"), py::arg("activation"),
           py::arg("isa") = py::none(), py::arg("store") = py::none())
      .def_property_readonly("nbytes", &PointwiseWeights::nbytes)
      .def_property_readonly("isa", [](const PointwiseWeights& w) { return w.set.isa; })
      .def("weights", &pointwise_weights);

  py::class_<Operator>(m, "Operator", py::is_final())
      .def(py::init<py::object, py::object, py::object, bool, std::array<ptrdiff_t, 2>, py::object>(),
           py::arg("depthwise"), py::arg("pointwise"), py::arg("pre_activation") = py::none(),
           py::arg("channels_first") = false, py::arg("kernel_size") = std::array<ptrdiff_t, 2>{1, 1},
           py::arg("expand") = py::none())
      .def("run", &Operator::run, py::arg("x"), py::arg("residual"), py::arg("out"), py::arg("geometry"),
           py::arg("num_threads"))
      .def("run_halves", &Operator::run_halves, py::arg("x"), py::arg("residual"), py::arg("out"),
           py::arg("geometry"), py::arg("num_threads"))
      .def("plan_halves", &Operator::plan_halves, py::arg("x_shape"), py::arg("out_shape"),
           py::arg("geometry"), py::arg("num_threads"))
      .def("remember", &Operator::remember, py::arg("x_shape"), py::arg("out_shape"), py::arg("geometry"))
      .def("plan", &Operator::plan, py::arg("x_shape"), py::arg("out_shape"), py::arg("geometry"),
           py::arg("num_threads"))
      .def_property_readonly(
          "replay", [](const py::object& self) { return replay_function(self, self.cast<Operator*>()); });

  py::class_<PreparedNetwork>(m, "Network", py::is_final())
      .def(py::init([](py::handle arena, py::handle inputs, py::handle outputs, py::handle steps,
                       const py::object& isa) {
             return std::make_unique<PreparedNetwork>(arena, inputs, outputs, steps, chosen_set(isa));
           }),
           py::arg("arena"), py::arg("inputs"), py::arg("outputs"), py::arg("steps"),
           py::arg("isa") = py::none())
      .def("call", &PreparedNetwork::call, py::arg("inputs"), py::arg("shapes"), py::arg("num_threads"))
      .def("run", &PreparedNetwork::run, py::arg("inputs"), py::arg("outputs"), py::arg("num_threads"))
      .def("profile", &PreparedNetwork::profile, py::arg("inputs"), py::arg("outputs"),
           py::arg("num_threads"));

  bind_operator8(m);
  bind_operator16(m);

  m.attr("curves") = curve_names();
  m.def("empty", &empty_array, py::arg("shape"));
  m.def("fold", &fold_batch_norm, py::arg("kernel"), py::arg("bias"), py::arg("vectors"), py::arg("epsilon"));
  m.def("widen", &widen, py::arg("x"), py::arg("y"));
  m.def("kernels", [](const std::string& isa) { return kernel_names(kernel_set(isa)); }, py::arg("isa"));
  m.def("lanes", [](const std::string& isa) { return kernel_set(isa).lanes; }, py::arg("isa"));
  m.def(
      "kept_bytes", [](const py::object& isa) { return chosen_set(isa).schedule.kept_bytes; },
      py::arg("isa") = py::none());
  m.def("fma_loop", &run_fma_loop, py::arg("isa"), py::arg("iterations"));
  m.def("config", &config);
  m.def("in_order_cores", &in_order_cores, py::arg("cpu_root") = "/sys/devices/system/cpu");
  m.def("available_cpus", &available_cpus, py::arg("cgroup_root") = "/sys/fs/cgroup");
}
#undef PyInit__core

PyMODINIT_FUNC PyInit__core() { return can_be_imported() ? pybind11_entry() : nullptr; }
