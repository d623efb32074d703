#include "python/replay.h"

#include <functional>

#include "base/line.h"
#include "base/refuse.h"

namespace py = pybind11;

namespace fastdw {

using py::detail::npy_api;

ptrdiff_t Shape::elements() const {
  ptrdiff_t product = 1;
  for (int i = 0; i < rank; ++i) product *= sizes[static_cast<size_t>(i)];
  return product;
}

Shape make_shape(const std::vector<ptrdiff_t>& sizes) {
  Shape shape;
  if (sizes.size() > shape.sizes.size()) refuse("shape");
  ptrdiff_t bytes = sizeof(float);  // of the largest elements
  for (const ptrdiff_t size : sizes) {
    if (__builtin_mul_overflow(bytes, size, &bytes)) throw std::bad_alloc();
  }
  shape.rank = static_cast<int>(sizes.size());
  std::copy(sizes.begin(), sizes.end(), shape.sizes.begin());
  return shape;
}

Shape image_shape(const std::vector<ptrdiff_t>& sizes) {
  const Shape shape = make_shape(sizes);
  if (shape.rank < 3 || *std::min_element(sizes.begin(), sizes.end()) < 1) refuse("shape");
  return shape;
}

py::array empty(const Shape& shape, const py::dtype& type) {
  constexpr ptrdiff_t kAligned = 64 * 1024;  // below, finding the line would cost more than it brings
  const std::vector<ptrdiff_t> sizes(shape.sizes.begin(), shape.sizes.begin() + shape.rank);
  const ptrdiff_t size = type.itemsize();
  if (shape.elements() * size < kAligned) return {type, sizes};
  // Vectors that lie across two lines cost the next layer up to a third of its depthwise half.
  const py::array memory(type, py::array::ShapeContainer{shape.elements() + kLineBytes / size});
  const auto* data = static_cast<const char*>(memory.data());
  return {type, sizes, data + (~reinterpret_cast<uintptr_t>(data) + 1) % kLineBytes, memory};
}

const py::detail::PyArray_Proxy* plain_array(PyObject* object, const py::dtype& type, int flags) {
  if (Py_TYPE(object) != npy_api::get().PyArray_Type_) return nullptr;
  const auto* array = py::detail::array_proxy(object);
  return (array->flags & flags) == flags && array->descr == type.ptr() ? array : nullptr;
}

bool has_shape(const py::detail::PyArray_Proxy& array, const Shape& shape) {
  return array.nd == shape.rank &&
         std::equal(array.dimensions, array.dimensions + shape.rank, shape.sizes.begin());
}

bool apart(const char* a, ptrdiff_t a_bytes, const char* b, ptrdiff_t b_bytes) {
  return std::less_equal<>()(a + a_bytes, b) || std::less_equal<>()(b + b_bytes, a);
}

int plain_threads(PyObject* object) {
  constexpr long kThreads = 256;
  if (!PyLong_CheckExact(object)) return 0;
  int overflow = 0;
  const long threads = PyLong_AsLongAndOverflow(object, &overflow);
  return threads < 1 || threads > kThreads ? 0 : static_cast<int>(threads);
}

py::object replay_function(const py::object& owner, Replayable* replayable) {
  using Fast = PyObject* (*)(PyObject*, PyObject* const*, Py_ssize_t);
  constexpr Fast fast = [](PyObject* self, PyObject* const* arguments, Py_ssize_t count) -> PyObject* {
    if (count != 4) {
      PyErr_SetString(PyExc_TypeError, "replay(x, residual, out, num_threads)");
      return nullptr;
    }
    auto* that = static_cast<Replayable*>(PyCapsule_GetPointer(self, nullptr));
    return that->replay(arguments[0], arguments[1], arguments[2], arguments[3]);
  };
  static PyMethodDef definition{"replay", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(fast)),
                                METH_FASTCALL, nullptr};
  const py::object capsule =
      py::reinterpret_steal<py::object>(PyCapsule_New(replayable, nullptr, [](PyObject* self) {
        Py_DECREF(static_cast<PyObject*>(PyCapsule_GetContext(self)));
      }));
  if (!capsule) throw py::error_already_set();
  PyCapsule_SetContext(capsule.ptr(), py::object(owner).release().ptr());
  py::object function = py::reinterpret_steal<py::object>(PyCFunction_New(&definition, capsule.ptr()));
  if (!function) throw py::error_already_set();
  return function;
}

}  // namespace fastdw
