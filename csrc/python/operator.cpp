// Python's checks take 2 µs a call, more where a network has thrown them out of the caches: as much as a
// small block computes. They follow from the shapes, so those of the last calls are remembered. Arrays of
// just these shapes, plain, contiguous and apart, need no second look. Anything else, a mistake too, is
// Python's.
#include "python/operator.h"

#include <algorithm>
#include <functional>

#include "base/refuse.h"
#include "python/call.h"

namespace py = pybind11;

namespace fastdw {
namespace {

using py::detail::npy_api;

constexpr int kReadable = npy_api::NPY_ARRAY_C_CONTIGUOUS_ | npy_api::NPY_ARRAY_ALIGNED_;
constexpr int kFillable = kReadable | npy_api::NPY_ARRAY_WRITEABLE_;
// Beyond any doubt; more are Python's to judge.
constexpr long kThreads = 256;

template <class T>
const T* part(const py::object& object) {
  return object.is_none() ? nullptr : object.cast<const T*>();
}

template <class T>
View<T> strided(py::handle object, bool writeable, const char* what) {
  if (!py::isinstance<py::array_t<float>>(object)) refuse(what);
  const py::array array = py::reinterpret_borrow<py::array>(object);
  if (array.ndim() != 4 || (writeable && !array.writeable())) refuse(what);
  View<T> v;
  v.data = static_cast<T*>(const_cast<void*>(array.data()));
  ptrdiff_t* const sizes[] = {&v.images, &v.height, &v.width, &v.channels};
  ptrdiff_t* const strides[] = {&v.image_stride, &v.row_stride, &v.column_stride, &v.channel_stride};
  bool aligned = reinterpret_cast<uintptr_t>(v.data) % alignof(float) == 0;
  for (int axis = 0; axis < 4; ++axis) {
    *sizes[axis] = array.shape(axis);
    // The stride of an axis of one means nothing, and may be anything.
    const ptrdiff_t stride = array.shape(axis) == 1 ? 0 : array.strides(axis);
    aligned = aligned && stride % ptrdiff_t{sizeof(float)} == 0;
    *strides[axis] = stride / ptrdiff_t{sizeof(float)};
  }
  if (!aligned || v.height < 1 || v.width < 1 || v.channels < 1) refuse(what);
  return v;
}

template <class T>
View<T> contiguous(T* data, const Shape& shape, bool channels_first) {
  const ptrdiff_t* s = shape.sizes.data() + shape.rank - 3;
  const ptrdiff_t images = shape.rank == 4 ? shape.sizes[0] : 1, image = s[0] * s[1] * s[2];
  if (channels_first) return {data, images, s[1], s[2], s[0], image, s[2], 1, s[1] * s[2]};
  return {data, images, s[0], s[1], s[2], image, s[1] * s[2], s[2], 1};
}

Shape make_shape(const std::vector<ptrdiff_t>& sizes) {
  Shape shape;
  if (sizes.size() > shape.sizes.size()) refuse("shape");
  ptrdiff_t bytes = sizeof(float);
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

bool has_shape(const py::detail::PyArray_Proxy& array, const Shape& shape) {
  return array.nd == shape.rank &&
         std::equal(array.dimensions, array.dimensions + shape.rank, shape.sizes.begin());
}

bool apart(const float* a, ptrdiff_t a_floats, const float* b, ptrdiff_t b_floats) {
  return std::less_equal<>()(a + a_floats, b) || std::less_equal<>()(b + b_floats, a);
}

py::array empty(const Shape& shape, const py::dtype& type) {
  constexpr ptrdiff_t kAligned = 16 * 1024;  // below, finding the line would cost more than it brings
  const std::vector<ptrdiff_t> sizes(shape.sizes.begin(), shape.sizes.begin() + shape.rank);
  if (shape.floats() < kAligned) return {type, sizes};
  // Vectors that lie across two lines cost the next layer up to a third of its depthwise half.
  const py::array memory(type, py::array::ShapeContainer{shape.floats() + kLineFloats});
  const auto* data = static_cast<const float*>(memory.data());
  const auto floats = reinterpret_cast<uintptr_t>(data) / sizeof(float);
  return {type, sizes, data + (~floats + 1) % kLineFloats, memory};
}

}  // namespace

ptrdiff_t Shape::floats() const {
  ptrdiff_t product = 1;
  for (int i = 0; i < rank; ++i) product *= sizes[static_cast<size_t>(i)];
  return product;
}

Operator::Operator(py::object depthwise, py::object pointwise, py::object pre_activation, bool channels_first,
                   std::array<ptrdiff_t, 2> kernel_size, py::object expand)
    : parts_(py::make_tuple(depthwise, pointwise, pre_activation, expand)),
      channels_first_(channels_first),
      float32_(py::dtype::of<float>()) {
  const py::tuple groups =
      py::isinstance<py::tuple>(pointwise) ? py::tuple(pointwise) : py::make_tuple(pointwise);
  for (const py::handle group : groups) {
    groups_.push_back(
        {part<DepthwiseWeights>(depthwise), part<PointwiseWeights>(py::reinterpret_borrow<py::object>(group)),
         part<Activation>(pre_activation), kernel_size[0], kernel_size[1], part<PointwiseWeights>(expand)});
    const Chain& chain = groups_.back();
    if (!chain.depthwise && (!chain.pointwise || chain.pre_activation)) refuse("parts");
    if (chain.depthwise && (groups.size() > 1 || kernel_size[0] * kernel_size[1] != 1)) refuse("parts");
  }
  if (groups_.empty() || *std::min_element(kernel_size.begin(), kernel_size.end()) < 1) refuse("parts");
}

Problem Operator::problem(const Call& call, const float* x, const float* residual, float* out) const {
  return {groups_.front(), call.geometry, contiguous(x, call.x, channels_first_),
          residual ? contiguous(residual, call.out, channels_first_) : Input{},
          contiguous(out, call.out, channels_first_)};
}

void Operator::check_groups(const Problem& problem) const {
  const auto count = static_cast<ptrdiff_t>(groups_.size());
  if (problem.x.channels % count != 0 || problem.out.channels % count != 0) refuse("groups");
  for (ptrdiff_t i = 0; i < count; ++i) check(group_of(problem, groups_[static_cast<size_t>(i)], i, count));
}

void Operator::run(py::handle x_array, py::handle residual_array, py::handle out_array,
                   const std::array<ptrdiff_t, 6>& geometry, int threads) const {
  const Input x = strided<const float>(x_array, false, "x");
  const Output out = strided<float>(out_array, true, "out");
  const Input residual =
      residual_array.is_none() ? Input{} : strided<const float>(residual_array, false, "residual");
  const Problem problem{groups_.front(), checked_geometry(geometry), x, residual, out};
  check_groups(problem);
  if (threads < 1) refuse("num_threads");
  call(groups_, problem, threads);
}

void Operator::remember(const std::vector<ptrdiff_t>& x, const std::vector<ptrdiff_t>& out,
                        const std::array<ptrdiff_t, 6>& geometry) {
  const Call call{image_shape(x), image_shape(out), checked_geometry(geometry)};
  check_groups(problem(call, nullptr, nullptr, nullptr));
  const std::unique_lock<std::mutex> lock(mutex_, std::try_to_lock);
  if (!lock) return;
  // Threads that met a new shape at once must not drop others for it.
  const auto same = [&](const Call& c) { return c.x.rank == call.x.rank && c.x.sizes == call.x.sizes; };
  if (std::any_of(calls_.begin(), calls_.end(), same)) return;
  calls_[oldest_] = call;
  oldest_ = (oldest_ + 1) % calls_.size();
}

py::dict Operator::plan(const std::vector<ptrdiff_t>& x_shape, const std::vector<ptrdiff_t>& out_shape,
                        const std::array<ptrdiff_t, 6>& geometry, int threads) const {
  using namespace py::literals;
  const Problem whole = problem({image_shape(x_shape), image_shape(out_shape), checked_geometry(geometry)},
                                nullptr, nullptr, nullptr);
  check_groups(whole);
  if (threads < 1) refuse("num_threads");
  const auto count = static_cast<ptrdiff_t>(groups_.size());
  const Problem first = all_of(group_of(whole, groups_.front(), 0, count));
  const Plan plan = make_plan(first, threads);
  py::list tasks;
  for (ptrdiff_t i = 0; i < plan.tasks(); ++i) {
    const Plan::Task t = plan.task(i);
    const OutputRect& r = t.rect;
    tasks.append(
        py::make_tuple(t.image, r.row, r.rows, r.column, r.columns, r.channel, r.channels, t.panel_share));
  }
  return py::dict("text"_a = show(first, plan), "groups"_a = count, "threads"_a = plan.threads,
                  "nanoseconds"_a = plan.nanoseconds, "scratch_floats"_a = plan.scratch.total(),
                  "panel_shares"_a = plan.panel_shares,
                  "plane"_a = py::make_tuple(plan.images, plan.blocks.down.size, plan.blocks.across.size),
                  "tasks"_a = tasks);
}

// Null unless it is a plain float32 array with these flags.
const Operator::Array* Operator::plain(PyObject* object, int flags) const {
  if (Py_TYPE(object) != npy_api::get().PyArray_Type_) return nullptr;
  const Array* array = py::detail::array_proxy(object);
  return (array->flags & flags) == flags && array->descr == float32_.ptr() ? array : nullptr;
}

// The call before whose x had this shape, if there is one, with a plan for so many threads.
bool Operator::recall(const Array& x, int threads, Call& call) {
  const std::unique_lock<std::mutex> lock(mutex_, std::try_to_lock);
  if (!lock) return false;
  const auto like = [&](const Call& c) { return has_shape(x, c.x); };
  const auto found = std::find_if(calls_.begin(), calls_.end(), like);
  if (found == calls_.end()) return false;
  if (found->threads != threads) {
    // It is the same with a residual.
    found->plan = make_plan(all_of(problem(*found, nullptr, nullptr, nullptr)), threads);
    found->threads = threads;
  }
  call = *found;
  return true;
}

PyObject* Operator::replay(PyObject* x_object, PyObject* residual_object, PyObject* out_object,
                           PyObject* threads_object) {
  const Array* x_array = plain(x_object, kReadable);
  if (!x_array || !PyLong_CheckExact(threads_object)) Py_RETURN_NONE;
  const auto* x = reinterpret_cast<const float*>(x_array->data);
  int overflow = 0;
  const long threads = PyLong_AsLongAndOverflow(threads_object, &overflow);
  Call known;
  if (threads < 1 || threads > kThreads || !recall(*x_array, static_cast<int>(threads), known))
    Py_RETURN_NONE;
  const ptrdiff_t floats = known.out.floats();
  const float* residual = nullptr;
  if (residual_object != Py_None) {
    const Array* array = plain(residual_object, kReadable);
    if (!array || !has_shape(*array, known.out)) Py_RETURN_NONE;
    residual = reinterpret_cast<const float*>(array->data);
  }
  float* out = nullptr;
  if (out_object != Py_None) {
    const Array* array = plain(out_object, kFillable);
    if (!array || !has_shape(*array, known.out)) Py_RETURN_NONE;
    out = reinterpret_cast<float*>(array->data);
    if (!apart(out, floats, x, known.x.floats()) ||
        (residual && residual != out && !apart(out, floats, residual, floats))) {
      Py_RETURN_NONE;
    }
  }

  PyObject* result = nullptr;  // no py::object: see python/call.cpp
  try {
    if (out) {
      result = Py_NewRef(out_object);
    } else {
      result = empty(known.out, float32_).release().ptr();
      out = reinterpret_cast<float*>(py::detail::array_proxy(result)->data);
    }
    const Problem p = problem(known, x, residual, out);
    if (groups_.size() == 1 && is_brief(known.plan.nanoseconds)) {
      call_planned(all_of(p), known.plan);
    } else {
      call(groups_, p, known.threads);
    }
    return result;
  } catch (const std::bad_alloc&) {
    PyErr_NoMemory();
  } catch (py::error_already_set& error) {
    error.restore();
  }
  Py_XDECREF(result);
  return nullptr;
}

py::object replay_function(const py::object& operation) {
  using Fast = PyObject* (*)(PyObject*, PyObject* const*, Py_ssize_t);
  constexpr Fast fast = [](PyObject* self, PyObject* const* arguments, Py_ssize_t count) -> PyObject* {
    if (count != 4) {
      PyErr_SetString(PyExc_TypeError, "replay(x, residual, out, num_threads)");
      return nullptr;
    }
    auto* that = static_cast<Operator*>(PyCapsule_GetPointer(self, nullptr));
    return that->replay(arguments[0], arguments[1], arguments[2], arguments[3]);
  };
  static PyMethodDef definition{"replay", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(fast)),
                                METH_FASTCALL, nullptr};
  auto* pointer = operation.cast<Operator*>();
  const py::object capsule =
      py::reinterpret_steal<py::object>(PyCapsule_New(pointer, nullptr, [](PyObject* self) {
        Py_DECREF(static_cast<PyObject*>(PyCapsule_GetContext(self)));
      }));
  if (!capsule) throw py::error_already_set();
  PyCapsule_SetContext(capsule.ptr(), py::object(operation).release().ptr());
  py::object function = py::reinterpret_steal<py::object>(PyCFunction_New(&definition, capsule.ptr()));
  if (!function) throw py::error_already_set();
  return function;
}

py::array empty_array(const std::vector<ptrdiff_t>& shape) {
  return empty(make_shape(shape), py::dtype::of<float>());
}

}  // namespace fastdw
