#include "python/network.h"

#include "python/arrays.h"
#include "python/call.h"
#include "python/settings.h"

namespace py = pybind11;

namespace fastdw {
namespace {

constexpr int kMostThreads = 1024;

Buffer read_buffer(py::handle object, bool writeable) {
  const py::tuple parts = read_tuple(object, 2);
  const std::string dtype = read_text(parts[1]);
  if (dtype != "float32" && dtype != "uint8" && dtype != "int8") refuse("dtype");
  const Element element = dtype == "float32" ? Element::kFloat
                          : dtype == "uint8" ? Element::kUint8
                                             : Element::kInt8;
  return {read_integer(parts[0]), writeable, element};
}

std::vector<Buffer> make_buffers(py::handle arena, py::handle inputs, py::handle outputs) {
  constexpr ptrdiff_t kLargest = PTRDIFF_MAX / 64;
  std::vector<Buffer> buffers{{read_integer(arena), true}};
  for (const py::handle item : read_tuple(inputs)) buffers.push_back(read_buffer(item, false));
  for (const py::handle item : read_tuple(outputs)) buffers.push_back(read_buffer(item, true));
  for (const Buffer& buffer : buffers) {
    const bool is_arena = &buffer == buffers.data();
    if (buffer.size < (is_arena ? 0 : 1) || buffer.size > kLargest) refuse("size of a buffer");
  }
  buffers.push_back({buffers[0].nbytes(), true, Element::kUint8});
  buffers.push_back({2 * buffers[0].size, true, Element::kHalf});
  return buffers;
}

bool has_dtype(py::handle object, const Buffer& buffer) {
  switch (buffer.element) {
    case Element::kUint8:
      return py::isinstance<py::array_t<uint8_t>>(object);
    case Element::kInt8:
      return py::isinstance<py::array_t<int8_t>>(object);
    default:
      return py::isinstance<py::array_t<float>>(object);
  }
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
        std::vector<StepPointer> all = make_steps(steps, buffers, set, kept_);
        return Network(std::move(buffers), std::move(all));
      }()) {}

// No py::object in these frames while the GIL is gone: see call.h.
void PreparedNetwork::execute(py::handle inputs, py::handle outputs, int threads, int64_t* times) const {
  const std::vector<Buffer>& buffers = network_.buffers();
  const bool tuples = PyTuple_Check(inputs.ptr()) && PyTuple_Check(outputs.ptr());
  if (!tuples || PyTuple_GET_SIZE(inputs.ptr()) != static_cast<Py_ssize_t>(inputs_) ||
      PyTuple_GET_SIZE(outputs.ptr()) != static_cast<Py_ssize_t>(count_outputs())) {
    refuse("number of arrays");
  }
  if (threads < 1 || threads > kMostThreads) refuse("num_threads");
  std::vector<char*> arrays;
  ptrdiff_t images = -1;
  for (size_t i = 1; i + kArenaViews < buffers.size(); ++i) {
    const bool input = i <= inputs_;
    PyObject* array = PyTuple_GET_ITEM(input ? inputs.ptr() : outputs.ptr(),
                                       static_cast<Py_ssize_t>(input ? i - 1 : i - 1 - inputs_));
    arrays.push_back(array_data(array, buffers[i], images));
  }
  if (images < 1) return;
  const double nanoseconds = network_.nanoseconds() * static_cast<double>(images);
  Run run(network_, arrays, images, threads);
  for (bool left = true; left;) {
    without_gil(nanoseconds, [&] { left = run.advance(kSignalNs, times); });
    if (left && PyErr_CheckSignals() != 0) throw py::error_already_set();
  }
}

// Arrays for the results of a call on plain inputs; null where Python must check.
PyObject* PreparedNetwork::results(py::handle inputs, py::handle shapes) const {
  constexpr size_t kMostAxes = 4;  // of empty_array()
  const py::tuple both = read_tuple(shapes, 2), arrays = read_tuple(inputs);
  const py::tuple input_shapes = read_tuple(both[0], static_cast<ptrdiff_t>(inputs_));
  const py::tuple output_shapes = read_tuple(both[1], static_cast<ptrdiff_t>(count_outputs()));
  if (arrays.size() != inputs_) return nullptr;
  ptrdiff_t images = -1;
  for (size_t i = 0; i < inputs_; ++i) {
    ptrdiff_t found = -1;
    if (!is_plain(arrays[i], network_.buffers()[1 + i], read_tuple(input_shapes[i]), found)) return nullptr;
    if (i > 0 && found != images) return nullptr;
    images = found;
  }
  py::tuple results(output_shapes.size());
  for (size_t i = 0; i < output_shapes.size(); ++i) {
    std::vector<ptrdiff_t> sizes = read_integers(output_shapes[i]);
    if (images >= 0) sizes.insert(sizes.begin(), images);
    if (sizes.size() > kMostAxes) return nullptr;
    switch (network_.buffers()[1 + inputs_ + i].element) {
      case Element::kUint8:
        results[i] = py::array_t<uint8_t>(sizes);
        break;
      case Element::kInt8:
        results[i] = py::array_t<int8_t>(sizes);
        break;
      default:
        results[i] = empty_array(sizes);
    }
  }
  return results.release().ptr();
}

py::object PreparedNetwork::call(py::handle inputs, py::handle shapes, int threads) const {
  PyObject* const arrays = results(inputs, shapes);
  if (!arrays) return py::none();
  try {
    execute(inputs, arrays, threads, nullptr);
  } catch (const std::exception&) {
    Py_DECREF(arrays);
    throw;
  }
  return py::reinterpret_steal<py::object>(arrays);
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
