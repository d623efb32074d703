#include "ops/halves.h"

#include <algorithm>

#include "base/refuse.h"
#include "base/threads.h"
#include "ops/chain.h"
#include "ops/run.h"
#include "plan/cost.h"

namespace fastdw {
namespace {

// Floats of a band: what L2 holds beside the layer's own scratch. Where the weights are more, as many as
// these are, for each band reads them anew.
constexpr ptrdiff_t kBandFloats = 96 * 1024;

// Stands for memory where shapes alone count.
float somewhere;

ptrdiff_t whole_lines(ptrdiff_t floats) { return ceil_div(floats, kLineFloats) * kLineFloats; }

template <class T>
ptrdiff_t row_entries(const View<T>& v) {
  return v.width * v.channels;
}

template <class T, class U>
View<T> at_place(const View<U>& v, T* data) {
  return {data,           v.images,     v.height,        v.width,         v.channels,
          v.image_stride, v.row_stride, v.column_stride, v.channel_stride};
}

// One image of so many rows without gaps, its axes in the same order.
template <class T, class U>
View<T> dense_rows(const View<U>& like, ptrdiff_t rows, T* data) {
  const ptrdiff_t w = like.width, c = like.channels, all = rows * w * c;
  if (like.column_stride == 1 && !like.channels_side_by_side())
    return {data, 1, rows, w, c, all, w, 1, rows * w};
  return {data, 1, rows, w, c, all, w * c, c, 1};
}

template <class T>
View<T> rows_of(View<T> v, ptrdiff_t image, ptrdiff_t row, ptrdiff_t rows) {
  v.data = v.at(image, row, 0, 0);
  v.images = 1;
  v.height = rows;
  return v;
}

// f(a, b, count) for all entries of one image, by runs that lie side by side in both.
template <class T, class U, class F>
void for_runs(View<T> a, View<U> b, const F& f) {
  if (a.rows_in_line() && b.rows_in_line()) {
    a.width = a.width * a.height;
    a.height = 1;
  }
  const bool pixels = a.channels_side_by_side() && b.channels_side_by_side();
  const bool lines = pixels && a.column_stride == a.channels && b.column_stride == a.channels;
  const bool planes = a.column_stride == 1 && b.column_stride == 1;
  for (ptrdiff_t i = 0; i < a.height; ++i) {
    T* const p = a.at(0, i, 0, 0);
    U* const q = b.at(0, i, 0, 0);
    if (lines) {
      f(p, q, row_entries(a));
    } else if (planes) {
      for (ptrdiff_t c = 0; c < a.channels; ++c)
        f(p + c * a.channel_stride, q + c * b.channel_stride, a.width);
    } else {
      const ptrdiff_t run = pixels ? a.channels : 1;
      for (ptrdiff_t j = 0; j < a.width; ++j) {
        for (ptrdiff_t c = 0; c < a.channels; c += run) {
          f(p + j * a.column_stride + c * a.channel_stride, q + j * b.column_stride + c * b.channel_stride,
            run);
        }
      }
    }
  }
}

}  // namespace

HalfCall::HalfCall(const std::vector<Chain>& groups, const Geometry& geometry, const Halves& halves,
                   int threads)
    : groups_(groups), geometry_(geometry), halves_(halves) {
  const auto count = static_cast<ptrdiff_t>(groups_.size());
  const Halves& h = halves_;
  if (h.x.channels % count != 0 || h.out.channels % count != 0) refuse("groups");
  const Problem whole{groups_.front(), geometry_, at_place<const float>(h.x, &somewhere),
                      at_place<const float>(h.residual, h.residual.data ? &somewhere : nullptr),
                      at_place(h.out, &somewhere)};
  for (ptrdiff_t i = 0; i < count; ++i) check(group_of(whole, groups_[static_cast<size_t>(i)], i, count));
  if (h.out.images == 0) return;

  const double ns = cost_ns(group_of(whole, groups_.front(), 0, count)) * static_cast<double>(count);
  threads = useful_threads(threads, ns);
  cut(threads);
  plans_.reserve(static_cast<size_t>(bands_.parts));
  for (ptrdiff_t i = 0; i < bands_.parts; ++i) {
    const Problem p = problem(band(i), 0, &somewhere);  // all groups have its shapes
    plans_.push_back(sharing_ > 1 ? make_plan(p, 1) : useful_plan(p, threads));
    inner_ = std::max(inner_, whole_lines(plans_.back().scratch.total()));
    band_ = std::max(band_, whole_lines(x_floats(band(i))) + out_floats(band(i)));
  }
}

// Bands of as many rows as fit, but of at least one.
void HalfCall::cut(int threads) {
  const Halves& h = halves_;
  const Chain& chain = groups_.front();
  const ptrdiff_t taps = chain.depthwise ? chain.depthwise->kernel_h : chain.kernel_h;
  const ptrdiff_t extent = (taps - 1) * geometry_.dilation_h + 1;
  const ptrdiff_t step = std::min(geometry_.stride_h, h.x.height);
  const ptrdiff_t overlap = std::clamp<ptrdiff_t>(extent - step, 0, h.x.height);
  ptrdiff_t weights = chain.pointwise ? chain.pointwise->inputs * chain.pointwise->outputs : 0;
  weights *= static_cast<ptrdiff_t>(groups_.size());
  const ptrdiff_t room = std::max(kBandFloats, weights) - overlap * row_entries(h.x);
  const ptrdiff_t rows =
      std::clamp<ptrdiff_t>(room / (step * row_entries(h.x) + row_entries(h.out)), 1, h.out.height);
  // Four rows and more are whole tiles.
  bands_ = {h.out.height, rows < 4 ? 1 : 4, 1};
  bands_.parts = std::min(bands_.units(), ceil_div(h.out.height, rows));
  if (bands_.parts == 1 && h.out.images < threads) return;
  // Images that fit are shared as they are, where each thread has as many.
  const bool even = bands_.parts == 1 && h.out.images % threads == 0;
  if (!even) bands_.parts = std::min(bands_.units(), ceil_div(bands_.parts, threads) * threads);
  if (tasks() >= threads) sharing_ = threads;
}

HalfCall::Band HalfCall::band(ptrdiff_t index) const {
  const Geometry& g = geometry_;
  const Chain& chain = groups_.front();
  const ptrdiff_t taps = chain.depthwise ? chain.depthwise->kernel_h : chain.kernel_h;
  const ptrdiff_t row = bands_.begin(index), rows = bands_.count(index);
  // One row at least, where all windows lie in the padding.
  const ptrdiff_t first = row * g.stride_h - g.pad_top, height = halves_.x.height;
  const ptrdiff_t begin = std::clamp<ptrdiff_t>(first, 0, height - 1);
  const ptrdiff_t end = first + (rows - 1) * g.stride_h + (taps - 1) * g.dilation_h + 1;
  return {row, rows, begin, std::clamp(end, begin + 1, height) - begin};
}

ptrdiff_t HalfCall::x_floats(const Band& b) const { return b.x_rows * row_entries(halves_.x); }
ptrdiff_t HalfCall::out_floats(const Band& b) const { return b.rows * row_entries(halves_.out); }

Problem HalfCall::problem(const Band& b, size_t group, float* memory) const {
  const Halves& h = halves_;
  const Output out = dense_rows(h.out, b.rows, memory + whole_lines(x_floats(b)));
  const Input residual = h.residual.data ? at_place<const float>(out, out.data) : Input{};
  Geometry geometry = geometry_;
  geometry.pad_top += b.x_row - b.row * geometry.stride_h;
  const Problem whole{groups_[group], geometry, dense_rows<const float>(h.x, b.x_rows, memory), residual,
                      out};
  return all_of(
      group_of(whole, groups_[group], static_cast<ptrdiff_t>(group), static_cast<ptrdiff_t>(groups_.size())));
}

double HalfCall::nanoseconds() const {
  double ns = 0;
  for (const Plan& plan : plans_) ns += plan.nanoseconds;
  return ns * static_cast<double>(halves_.out.images) * static_cast<double>(groups_.size());
}

void HalfCall::run(ptrdiff_t first_task, ptrdiff_t tasks) const {
  parallel_for(sharing_, tasks, inner_ + band_, [&](ptrdiff_t task, float* scratch) {
    compute((first_task + task) / bands_.parts, (first_task + task) % bands_.parts, scratch);
  });
}

void HalfCall::compute(ptrdiff_t image, ptrdiff_t index, float* scratch) const {
  const NetworkKernels& kernels = groups_.front().set().network;
  const auto widen = [&](const uint16_t* from, float* to, ptrdiff_t n) {
    kernels.from_halves({from, to, n});
  };
  const Band b = band(index);
  const Halves& h = halves_;
  float* const x = scratch + inner_;  // the plans have what is before it
  float* const y = x + whole_lines(x_floats(b));
  for_runs(rows_of(h.x, image, b.x_row, b.x_rows), dense_rows(h.x, b.x_rows, x), widen);
  if (h.residual.data) {
    for_runs(rows_of(h.residual, image, b.row, b.rows), dense_rows(h.out, b.rows, y), widen);
  }
  for (size_t group = 0; group < groups_.size(); ++group) {
    fastdw::run(problem(b, group, x), plans_[static_cast<size_t>(index)]);
  }
  for_runs(rows_of(h.out, image, b.row, b.rows), dense_rows(h.out, b.rows, y),
           [&](uint16_t* to, const float* from, ptrdiff_t n) { kernels.to_halves({from, to, n}); });
}

std::string HalfCall::show() const {
  const ptrdiff_t middle = bands_.parts / 2;
  const Band b = band(middle);
  return "halves     " + std::to_string(tasks()) + " bands of at most " + std::to_string(bands_.largest()) +
         " rows, " + std::to_string(band_ * ptrdiff_t{sizeof(float)} / 1024) + " KiB as floats, for " +
         std::to_string(sharing_) + " threads; one of them:\n" +
         fastdw::show(problem(b, 0, &somewhere), plans_[static_cast<size_t>(middle)]);
}

}  // namespace fastdw
