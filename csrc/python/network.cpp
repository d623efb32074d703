#include "python/network.h"

#include <algorithm>
#include <new>

#include "python/arrays.h"
#include "python/operator.h"
#include "python/read.h"

namespace py = pybind11;

namespace fastdw {
namespace {

// Less work keeps the GIL: handing it over costs more.
constexpr double kKeepGilNs = 20e3;
// Between steps of about this much work an interrupt is looked for.
constexpr double kSignalNs = 50e6;
constexpr int kMostThreads = 1024;

std::vector<Buffer> make_buffers(py::handle arena, py::handle inputs, py::handle outputs) {
  constexpr ptrdiff_t kLargest = PTRDIFF_MAX / 64;
  std::vector<Buffer> buffers{{read_integer(arena), true, false}};
  for (const py::handle item : read_tuple(inputs)) {
    const py::tuple input = read_tuple(item, 2);
    const std::string dtype = read_text(input[1]);
    if (dtype != "float32" && dtype != "uint8") refuse("dtype");
    buffers.push_back({read_integer(input[0]), false, dtype == "uint8"});
  }
  for (const py::handle item : read_tuple(outputs)) buffers.push_back({read_integer(item), true, false});
  for (const Buffer& buffer : buffers) {
    const bool is_arena = &buffer == buffers.data();
    if (buffer.size < (is_arena ? 0 : 1) || buffer.size > kLargest) refuse("size of a buffer");
  }
  return buffers;
}

Operand read_operand(py::handle object) {
  if (object.is_none()) return {};
  const py::tuple parts = read_tuple(object, 4);
  Operand o;
  o.buffer = static_cast<int>(std::clamp<ptrdiff_t>(read_integer(parts[0]), -1, 1 << 30));
  o.offset = read_integer(parts[1]);
  const std::vector<ptrdiff_t> sizes = read_integers(parts[2]), strides = read_integers(parts[3]);
  if (sizes.empty() || sizes.size() > kMaxRank || sizes.size() != strides.size()) refuse("axes");
  if (o.buffer < 0) refuse("buffer");
  o.rank = static_cast<int>(sizes.size());
  for (size_t i = 0; i < sizes.size(); ++i) {
    o.sizes[i] = sizes[i];
    o.strides[i] = sizes[i] == 1 ? 0 : strides[i];
  }
  return o;
}

// What a step has besides operands, by names; each is taken once.
class Settings {
 public:
  Settings(py::handle object, const KernelSet& set, py::list kept) : set_(set), kept_(std::move(kept)) {
    if (!PyDict_Check(object.ptr())) refuse("no dict");
    left_ = py::dict(py::reinterpret_borrow<py::dict>(object).attr("copy")());
  }

  py::object optional(const char* name) {
    py::object value = py::none();
    if (left_.contains(name)) {
      value = left_[name];
      PyDict_DelItemString(left_.ptr(), name);
    }
    return value;
  }
  py::object take(const char* name) {
    py::object value = optional(name);
    if (value.is_none()) refuse(name);
    return value;
  }
  void finish() const {
    if (!left_.empty()) refuse("strange settings");
  }

  // Null for None.
  template <class T>
  const T* part(const char* name) {
    const py::object value = optional(name);
    if (value.is_none()) return nullptr;
    if (!py::isinstance<T>(value)) refuse(name);
    kept_.append(value);
    return value.cast<const T*>();
  }
  template <class T>
  const T* weights(const char* name) {
    const T* found = part<T>(name);
    if (found && &found->set != &set_) refuse("instruction sets differ");
    return found;
  }
  Activation activation() {
    const auto* found = part<Activation>("activation");
    constexpr float kInfinity = std::numeric_limits<float>::infinity();
    return found ? *found : Activation{Curve::kClamp, -kInfinity, kInfinity, {}};
  }
  std::vector<float> vector(const char* name) {
    const Plain p = plain(take(name), 1, name);
    return {p.data(), p.data() + p.size(0)};
  }
  // Empty for None.
  std::vector<ptrdiff_t> table(const char* name) {
    const py::object value = optional(name);
    if (value.is_none()) return {};
    std::vector<ptrdiff_t> numbers = read_integers(value);
    if (numbers.empty()) refuse(name);
    return numbers;
  }

 private:
  py::dict left_;
  const KernelSet& set_;
  py::list kept_;
};

StepPointer make_layer(Settings& s, const Operands& o) {
  Chain chain{s.weights<DepthwiseWeights>("depthwise"), s.weights<PointwiseWeights>("pointwise"),
              s.part<Activation>("pre_activation")};
  chain.expand = s.weights<PointwiseWeights>("expand");
  if (!chain.depthwise && (!chain.pointwise || chain.pre_activation)) refuse("parts");
  const py::object kernel_size = s.optional("kernel_size");
  if (!kernel_size.is_none()) {
    const auto [kernel_h, kernel_w] = read_integers<2>(kernel_size);
    constexpr ptrdiff_t kLargest = ptrdiff_t{1} << 30;  // its extent is a number then
    if (chain.depthwise || std::min(kernel_h, kernel_w) < 1 || std::max(kernel_h, kernel_w) > kLargest) {
      refuse("kernel_size");
    }
    chain.kernel_h = kernel_h;
    chain.kernel_w = kernel_w;
  }
  return layer_step(chain, checked_geometry(read_integers<6>(s.take("geometry"))), o);
}

Pooling read_function(Settings& s) {
  const std::string name = read_text(s.take("function"));
  if (name != "max" && name != "average") refuse("function");
  return name == "max" ? Pooling::kMaximum : Pooling::kAverage;
}

StepPointer make_pool(const KernelSet& set, Settings& s, const Operands& o) {
  const Pooling pooling = read_function(s);
  const auto window = read_integers<2>(s.take("window")), strides = read_integers<2>(s.take("strides")),
             dilation = read_integers<2>(s.take("dilation"));
  const py::tuple pads = read_tuple(s.take("padding"), 2), counted = read_tuple(s.take("counted"), 2);
  PoolAxis axes[2];
  for (size_t i = 0; i < 2; ++i) {
    axes[i] = {window[i], strides[i], dilation[i], read_integers<2>(pads[i]), read_integers<2>(counted[i])};
  }
  return pool_step(set, pooling, axes[0], axes[1], o);
}

BilinearTable read_mix(Settings& s, const char* name) {
  const py::tuple parts = read_tuple(s.take(name), 3);
  const Plain weight = plain(parts[2], 1, name);
  return {read_integers(parts[0]), read_integers(parts[1]), {weight.data(), weight.data() + weight.size(0)}};
}

StepPointer make_step(const std::string& kind, const KernelSet& set, Settings& s, bool bytes,
                      const Operands& o) {
  if (kind == "layer") return make_layer(s, o);
  if (kind == "copy") return copy_step(set, bytes, o);
  if (kind == "add") return pair_step(set, Pair::kAdd, s.activation(), o);
  if (kind == "multiply") return pair_step(set, Pair::kMultiply, s.activation(), o);
  if (kind == "activation") return affine_step(set, {}, {}, s.activation(), o);
  if (kind == "affine") {
    std::vector<float> scale = s.vector("scale"), offset = s.vector("offset");
    return affine_step(set, std::move(scale), std::move(offset), s.activation(), o);
  }
  if (kind == "pool") return make_pool(set, s, o);
  if (kind == "global_pool") {
    const Pooling pooling = read_function(s);
    const py::object count = s.optional("count");
    return global_pool_step(set, pooling, count.is_none() ? 0 : read_integer(count), o);
  }
  if (kind == "gather") {
    return gather_step(
        {s.table("rows"), s.table("columns"), s.table("channels"), read_real(s.take("constant"))}, o);
  }
  if (kind == "bilinear") {
    BilinearTable rows = read_mix(s, "rows");
    return bilinear_step(set, std::move(rows), read_mix(s, "columns"), o);
  }
  if (kind == "softmax") return softmax_step(set, read_real(s.take("beta")), o);
  refuse("kind of step");
}

std::vector<StepPointer> make_steps(py::handle steps, const std::vector<Buffer>& buffers,
                                    const KernelSet& set, const py::list& kept) {
  std::vector<StepPointer> made;
  for (const py::handle item : read_tuple(steps)) {
    const py::tuple parts = read_tuple(item, 3), operands = read_tuple(parts[1]);
    const std::string kind = read_text(parts[0]);
    const bool pair = kind == "add" || kind == "multiply";
    if (operands.size() < (pair ? 3 : 2) || operands.size() > (kind == "layer" ? 5 : pair ? 3 : 2)) {
      refuse("number of operands");
    }
    const auto operand = [&](size_t i) {
      return i < operands.size() ? read_operand(operands[i]) : Operand{};
    };
    const Operands o{operand(0), operand(1), operand(2), operand(3), operand(4)};
    check(o.out, buffers, true, false);
    check(o.x, buffers, false, false);
    if (pair || o.second.exists()) check(o.second, buffers, false, pair);
    if (o.scale.exists()) check(o.scale, buffers, false, false);
    if (o.sums.exists()) check(o.sums, buffers, true, false);
    const auto bytes = [&](const Operand& a) {
      return a.exists() && buffers[static_cast<size_t>(a.buffer)].bytes;
    };
    if (bytes(o.second) || bytes(o.scale) || (bytes(o.x) && kind != "copy")) refuse("bytes");
    Settings settings(parts[2], set, kept);
    made.push_back(make_step(kind, set, settings, bytes(o.x), o));
    settings.finish();
  }
  return made;
}

bool has_dtype(py::handle object, const Buffer& buffer) {
  return buffer.bytes ? py::isinstance<py::array_t<uint8_t>>(object)
                      : py::isinstance<py::array_t<float>>(object);
}

constexpr int kReadable =
    py::detail::npy_api::NPY_ARRAY_C_CONTIGUOUS_ | py::detail::npy_api::NPY_ARRAY_ALIGNED_;

// The array's memory, and how many images it holds: C-contiguous, of the buffer's type.
char* array_data(py::handle object, const Buffer& buffer, ptrdiff_t& images) {
  if (!has_dtype(object, buffer)) refuse("dtype");
  const auto* array = py::detail::array_proxy(object.ptr());
  const int flags = kReadable | (buffer.writeable ? py::detail::npy_api::NPY_ARRAY_WRITEABLE_ : 0);
  if ((array->flags & flags) != flags) refuse("array");
  ptrdiff_t size = 1;
  for (int axis = 0; axis < array->nd; ++axis) size *= array->dimensions[axis];
  if (images < 0) images = size / buffer.size;
  if (size / buffer.size != images || size % buffer.size != 0) refuse("size");
  return array->data;
}

// Whether an object is a plain array of a shape, or of a batch of them; then how many images it has, −1 for
// one without a batch.
bool is_plain(py::handle object, const Buffer& buffer, const py::tuple& shape, ptrdiff_t& images) {
  if (Py_TYPE(object.ptr()) != py::detail::npy_api::get().PyArray_Type_) return false;
  if (!has_dtype(object, buffer)) return false;
  const auto* array = py::detail::array_proxy(object.ptr());
  const auto rank = static_cast<ptrdiff_t>(shape.size()), batch = array->nd - rank;
  if ((array->flags & kReadable) != kReadable || batch < 0 || batch > 1) return false;
  for (ptrdiff_t axis = 0; axis < rank; ++axis) {
    if (array->dimensions[batch + axis] != read_integer(shape[static_cast<size_t>(axis)])) return false;
  }
  images = batch == 0 ? -1 : array->dimensions[0];
  return true;
}

}  // namespace

PreparedNetwork::PreparedNetwork(py::handle arena, py::handle inputs, py::handle outputs, py::handle steps,
                                 const KernelSet& set)
    : inputs_(read_tuple(inputs).size()), network_([&] {
        std::vector<Buffer> buffers = make_buffers(arena, inputs, outputs);
        std::vector<StepPointer> made = make_steps(steps, buffers, set, kept_);
        return Network(std::move(buffers), std::move(made));
      }()) {}

// No py::object in these frames while the GIL is gone: see call.cpp.
void PreparedNetwork::execute(py::handle inputs, py::handle outputs, int threads, int64_t* times) const {
  const std::vector<Buffer>& buffers = network_.buffers();
  const bool tuples = PyTuple_Check(inputs.ptr()) && PyTuple_Check(outputs.ptr());
  if (!tuples || PyTuple_GET_SIZE(inputs.ptr()) != static_cast<Py_ssize_t>(inputs_) ||
      PyTuple_GET_SIZE(outputs.ptr()) != static_cast<Py_ssize_t>(buffers.size() - 1 - inputs_)) {
    refuse("number of arrays");
  }
  if (threads < 1 || threads > kMostThreads) refuse("num_threads");
  std::vector<char*> arrays;
  ptrdiff_t images = -1;
  for (size_t i = 1; i < buffers.size(); ++i) {
    const bool input = i <= inputs_;
    PyObject* array = PyTuple_GET_ITEM(input ? inputs.ptr() : outputs.ptr(),
                                       static_cast<Py_ssize_t>(input ? i - 1 : i - 1 - inputs_));
    arrays.push_back(array_data(array, buffers[i], images));
  }
  if (images < 1) return;
  const bool release = network_.nanoseconds() * static_cast<double>(images) >= kKeepGilNs;
  Run run(network_, arrays, images, threads);
  for (bool left = true; left;) {
    bool out_of_memory = false;
    PyThreadState* state = release ? PyEval_SaveThread() : nullptr;
    try {
      left = run.advance(kSignalNs, times);
    } catch (const std::bad_alloc&) {
      out_of_memory = true;
    }
    if (state) PyEval_RestoreThread(state);
    if (out_of_memory) throw std::bad_alloc();
    if (left && PyErr_CheckSignals() != 0) throw py::error_already_set();
  }
}

// Arrays for the results of a call on plain inputs; null where Python must check.
PyObject* PreparedNetwork::results(py::handle inputs, py::handle shapes) const {
  constexpr size_t kMostAxes = 4;  // of empty_array()
  const py::tuple both = read_tuple(shapes, 2), arrays = read_tuple(inputs);
  const py::tuple wanted = read_tuple(both[0], static_cast<ptrdiff_t>(inputs_)), made = read_tuple(both[1]);
  if (arrays.size() != inputs_) return nullptr;
  ptrdiff_t images = -1;
  for (size_t i = 0; i < inputs_; ++i) {
    ptrdiff_t found = -1;
    if (!is_plain(arrays[i], network_.buffers()[1 + i], read_tuple(wanted[i]), found)) return nullptr;
    if (i > 0 && found != images) return nullptr;
    images = found;
  }
  py::tuple results(made.size());
  for (size_t i = 0; i < made.size(); ++i) {
    std::vector<ptrdiff_t> sizes = read_integers(made[i]);
    if (images >= 0) sizes.insert(sizes.begin(), images);
    if (sizes.size() > kMostAxes) return nullptr;
    results[i] = empty_array(sizes);
  }
  return results.release().ptr();
}

py::object PreparedNetwork::call(py::handle inputs, py::handle shapes, int threads) const {
  PyObject* const made = results(inputs, shapes);
  if (!made) return py::none();
  try {
    execute(inputs, made, threads, nullptr);
  } catch (const std::exception&) {
    Py_DECREF(made);
    throw;
  }
  return py::reinterpret_steal<py::object>(made);
}

void PreparedNetwork::run(py::handle inputs, py::handle outputs, int threads) const {
  execute(inputs, outputs, threads, nullptr);
}

std::vector<int64_t> PreparedNetwork::profile(py::handle inputs, py::handle outputs, int threads) const {
  std::vector<int64_t> times(network_.steps().size());
  execute(inputs, outputs, threads, times.data());
  return times;
}

}  // namespace fastdw
