#include "python/operator.h"

#include <algorithm>

#include "base/refuse.h"
#include "python/arrays.h"
#include "python/call.h"

namespace py = pybind11;

namespace fastdw {
namespace {

template <class T>
const T* part(const py::object& object) {
  return object.is_none() ? nullptr : object.cast<const T*>();
}

}  // namespace

Operator::Operator(py::object depthwise, py::object pointwise, py::object pre_activation, bool channels_first,
                   std::array<ptrdiff_t, 2> kernel_size, py::object expand)
    : Replays({py::dtype::of<float>(), py::dtype::of<float>(), py::dtype::of<float>()}),
      parts_(py::make_tuple(depthwise, pointwise, pre_activation, expand)),
      channels_first_(channels_first) {
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
  const Input x = strided<const float>(x_array, "x");
  const Output out = strided<float>(out_array, "out");
  const Input residual =
      residual_array.is_none() ? Input{} : strided<const float>(residual_array, "residual");
  const Problem problem{groups_.front(), checked_geometry(geometry), x, residual, out};
  check_groups(problem);
  if (threads < 1) refuse("num_threads");
  call(groups_, problem, threads);
}

void Operator::run_halves(py::handle x_array, py::handle residual_array, py::handle out_array,
                          const std::array<ptrdiff_t, 6>& geometry, int threads) const {
  Halves halves{strided<const uint16_t>(x_array, "x"), {}, strided<uint16_t>(out_array, "out")};
  if (!residual_array.is_none()) halves.residual = strided<const uint16_t>(residual_array, "residual");
  if (threads < 1) refuse("num_threads");
  call(HalfCall(groups_, checked_geometry(geometry), halves, threads));
}

std::string Operator::plan_halves(const std::vector<ptrdiff_t>& x, const std::vector<ptrdiff_t>& out,
                                  const std::array<ptrdiff_t, 6>& geometry, int threads) const {
  if (threads < 1) refuse("num_threads");
  static uint16_t none;  // nothing is read or written
  const Halves halves{contiguous<const uint16_t>(&none, image_shape(x), channels_first_),
                      {},
                      contiguous(&none, image_shape(out), channels_first_)};
  return HalfCall(groups_, checked_geometry(geometry), halves, threads).show();
}

void Operator::remember(const std::vector<ptrdiff_t>& x, const std::vector<ptrdiff_t>& out,
                        const std::array<ptrdiff_t, 6>& geometry) {
  const Call call{image_shape(x), image_shape(out), checked_geometry(geometry)};
  check_groups(problem(call, nullptr, nullptr, nullptr));
  Replays::remember(call);
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
  const Plan plan = useful_plan(first, threads);
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

// It is the same with a residual.
Plan Operator::make_plan(const Call& call, int threads) const {
  return useful_plan(all_of(problem(call, nullptr, nullptr, nullptr)), threads);
}

void Operator::compute(const Call& known, const Places& places) const {
  const Problem p =
      problem(known, reinterpret_cast<const float*>(places.x),
              reinterpret_cast<const float*>(places.residual), reinterpret_cast<float*>(places.out));
  if (groups_.size() == 1 && is_brief(known.plan.nanoseconds)) return call_planned(all_of(p), known.plan);
  call(groups_, p, known.threads);
}

py::array empty_array(const std::vector<ptrdiff_t>& shape) {
  return empty(make_shape(shape), py::dtype::of<float>());
}

}  // namespace fastdw
