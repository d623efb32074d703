// Python's checks take 2 µs a call, more where a network has thrown them out of the caches: as much as a
// small block computes. They follow from the shapes, so those of the last calls are remembered. Arrays of
// just these shapes, plain, contiguous and apart, need no second look. Anything else, a mistake too, is
// Python's.
#pragma once
#include <pybind11/numpy.h>

#include <algorithm>
#include <array>
#include <mutex>
#include <new>
#include <vector>

#include "base/view.h"

namespace fastdw {

struct Shape {
  int rank = -1;  // no array's: before the first call none is like one before
  std::array<ptrdiff_t, 4> sizes{};

  ptrdiff_t elements() const;
};

// Throw where there is no such array: of at most four axes; an image, or several.
Shape make_shape(const std::vector<ptrdiff_t>& sizes);
Shape image_shape(const std::vector<ptrdiff_t>& sizes);

// To be filled; a larger one begins on a cache line.
pybind11::array empty(const Shape& shape, const pybind11::dtype& type);

template <class T>
View<T> contiguous(T* data, const Shape& shape, bool channels_first) {
  const ptrdiff_t* s = shape.sizes.data() + shape.rank - 3;
  const ptrdiff_t images = shape.rank == 4 ? shape.sizes[0] : 1, image = s[0] * s[1] * s[2];
  if (channels_first) return {data, images, s[1], s[2], s[0], image, s[2], 1, s[1] * s[2]};
  return {data, images, s[0], s[1], s[2], image, s[1] * s[2], s[2], 1};
}

struct ArrayTypes {
  pybind11::dtype x, residual, out;
};

class Replayable {
 public:
  virtual ~Replayable() = default;
  // A new reference to the result; to None where Python must check; null, with Python's error set.
  virtual PyObject* replay(PyObject* x, PyObject* residual, PyObject* out, PyObject* threads) = 0;
};

// Replayable::replay as a function of Python (x, residual, out, num_threads), which keeps `owner`: at 2 µs a
// call the usual way of binding would be a quarter of it.
pybind11::object replay_function(const pybind11::object& owner, Replayable* replayable);

// Null unless it is a plain array of this type with these flags.
const pybind11::detail::PyArray_Proxy* plain_array(PyObject* object, const pybind11::dtype& type, int flags);
bool has_shape(const pybind11::detail::PyArray_Proxy& array, const Shape& shape);
bool apart(const char* a, ptrdiff_t a_bytes, const char* b, ptrdiff_t b_bytes);
// As many as are beyond any doubt, or 0: then Python must judge.
int plain_threads(PyObject* object);

// The last four calls: where their windows lie, and their plans.
template <class Geometry, class Plan>
class Replays : public Replayable {
 public:
  PyObject* replay(PyObject* x, PyObject* residual, PyObject* out, PyObject* threads) final;

 protected:
  struct Call {
    Shape x, out;
    Geometry geometry{};
    int threads = 0;  // of the plan
    Plan plan{};
  };
  // Places of arrays of a call's shapes.
  struct Places {
    const char *x, *residual;
    char* out;
  };

  explicit Replays(ArrayTypes types) : types_(std::move(types)) {}

  void remember(const Call& call);

  virtual bool takes_residual(bool given) const = 0;
  virtual Plan make_plan(const Call& call, int threads) const = 0;
  // Throws std::bad_alloc, and Python's error at an interrupt.
  virtual void compute(const Call& call, const Places& places) const = 0;

 private:
  bool recall(const pybind11::detail::PyArray_Proxy& x, int threads, Call& call);
  bool places(PyObject* residual, PyObject* out, const Call& call, Places& places) const;

  const ArrayTypes types_;
  std::mutex mutex_;  // only ever tried: who does not get it at once lets Python check
  std::array<Call, 4> calls_;
  size_t oldest_ = 0;
};

template <class Geometry, class Plan>
void Replays<Geometry, Plan>::remember(const Call& call) {
  const std::unique_lock<std::mutex> lock(mutex_, std::try_to_lock);
  if (!lock) return;
  // Threads that met a new shape at once must not drop others for it.
  const auto same = [&](const Call& c) { return c.x.rank == call.x.rank && c.x.sizes == call.x.sizes; };
  if (std::any_of(calls_.begin(), calls_.end(), same)) return;
  calls_[oldest_] = call;
  oldest_ = (oldest_ + 1) % calls_.size();
}

// The call before whose x had this shape, if there is one, with a plan for so many threads.
template <class Geometry, class Plan>
bool Replays<Geometry, Plan>::recall(const pybind11::detail::PyArray_Proxy& x, int threads, Call& call) {
  const std::unique_lock<std::mutex> lock(mutex_, std::try_to_lock);
  if (!lock) return false;
  const auto like = [&](const Call& c) { return has_shape(x, c.x); };
  const auto found = std::find_if(calls_.begin(), calls_.end(), like);
  if (found == calls_.end()) return false;
  if (found->threads != threads) {
    found->plan = make_plan(*found, threads);
    found->threads = threads;
  }
  call = *found;
  return true;
}

// Of the residual and of `out`, if there are any; false where these are not plain, or not apart.
template <class Geometry, class Plan>
bool Replays<Geometry, Plan>::places(PyObject* residual, PyObject* out, const Call& call,
                                     Places& places) const {
  using pybind11::detail::npy_api;
  constexpr int kReadable = npy_api::NPY_ARRAY_C_CONTIGUOUS_ | npy_api::NPY_ARRAY_ALIGNED_;
  constexpr int kFillable = kReadable | npy_api::NPY_ARRAY_WRITEABLE_;
  const ptrdiff_t size = types_.out.itemsize(), bytes = call.out.elements() * size;
  if (residual != Py_None) {
    const auto* array = plain_array(residual, types_.residual, kReadable);
    if (!array || !has_shape(*array, call.out)) return false;
    places.residual = array->data;
  }
  if (!takes_residual(places.residual != nullptr)) return false;
  if (out == Py_None) return true;
  const auto* array = plain_array(out, types_.out, kFillable);
  if (!array || !has_shape(*array, call.out)) return false;
  places.out = array->data;
  const bool in_place = places.residual == places.out;
  return apart(places.out, bytes, places.x, call.x.elements() * size) &&
         (!places.residual || in_place || apart(places.out, bytes, places.residual, bytes));
}

template <class Geometry, class Plan>
PyObject* Replays<Geometry, Plan>::replay(PyObject* x_object, PyObject* residual_object, PyObject* out_object,
                                          PyObject* threads_object) {
  using pybind11::detail::npy_api;
  const auto* x =
      plain_array(x_object, types_.x, npy_api::NPY_ARRAY_C_CONTIGUOUS_ | npy_api::NPY_ARRAY_ALIGNED_);
  const int threads = plain_threads(threads_object);
  PyObject* result = nullptr;  // no py::object: see python/call.h
  // Python calls this as it stands: nothing may be thrown beyond.
  try {
    Call known;
    if (!x || threads < 1 || !recall(*x, threads, known)) Py_RETURN_NONE;
    Places arrays{x->data, nullptr, nullptr};
    if (!places(residual_object, out_object, known, arrays)) Py_RETURN_NONE;
    if (arrays.out) {
      result = Py_NewRef(out_object);
    } else {
      result = empty(known.out, types_.out).release().ptr();
      arrays.out = pybind11::detail::array_proxy(result)->data;
    }
    compute(known, arrays);
    return result;
  } catch (const std::bad_alloc&) {
    PyErr_NoMemory();
  } catch (pybind11::error_already_set& error) {
    error.restore();
  } catch (const std::exception& error) {
    PyErr_SetString(PyExc_RuntimeError, error.what());
  }
  Py_XDECREF(result);
  return nullptr;
}

}  // namespace fastdw
