#include "ops/run16.h"

#include <algorithm>

#include "base/refuse.h"
#include "base/threads.h"
#include "kernels/live16.h"

namespace fastdw {
namespace {

struct Rect16 : PixelRect {
  ptrdiff_t image;
};

// Pixels in memory, row by row.
template <class T>
struct Pixels16 {
  T* data;
  ptrdiff_t row_stride, column_stride;
};

Rect16 rect_of(const Plan16& plan, ptrdiff_t task) {
  return {plan.blocks.rect(task % plan.blocks.count()), task / plan.blocks.count()};
}

template <class T>
Pixels16<T> pixels_of(const View<T>& v, const Rect16& r) {
  return {v.data ? v.at(r.image, r.row, r.column, 0) : nullptr, v.row_stride, v.column_stride};
}

void fill_depthwise(const Problem16& p, const Rect16& rect, const Pixels16<uint16_t>& y) {
  const Depthwise16Weights& w = *p.chain.depthwise;
  const Window16& window = w.window;
  Depthwise16 t{};
  t.x = p.x.at(rect.image, 0, 0, 0);
  t.row_stride = p.x.row_stride;
  t.column_stride = p.x.column_stride;
  t.height = p.x.height;
  t.width = p.x.width;
  t.first_row = rect.row * window.stride_h - p.pad_top;
  t.first_column = rect.column * window.stride_w - p.pad_left;
  t.rows = rect.rows;
  t.columns = rect.columns;
  t.channels = w.outputs();
  t.kernel_h = window.kernel_h;
  t.kernel_w = window.kernel_w;
  t.stride_h = window.stride_h;
  t.stride_w = window.stride_w;
  t.dilation_h = window.dilation_h;
  t.dilation_w = window.dilation_w;
  t.multiplier = w.multiplier;
  t.weights = w.packed.halves();
  t.weight_stride = w.packed.lanes;
  t.bias = w.packed.bias();
  t.y = y.data;
  t.y_row_stride = y.row_stride;
  t.y_column_stride = y.column_stride;
  t.finish = w.finish;
  w.kernel.run(t);
}

// Each window as a line: its rows, in these its columns, in these the channels; zeros where the image is not.
void fill_patches(const Problem16& p, const Rect16& rect, const Pixels16<uint16_t>& lines) {
  const Window16& w = *p.chain.patches;
  const ptrdiff_t channels = p.x.channels, step = w.dilation_w * p.x.column_stride;
  for (ptrdiff_t i = 0; i < rect.rows; ++i) {
    const ptrdiff_t top = (rect.row + i) * w.stride_h - p.pad_top;
    const Live16 down(top, w.dilation_h, w.kernel_h, p.x.height);
    for (ptrdiff_t j = 0; j < rect.columns; ++j) {
      const ptrdiff_t left = (rect.column + j) * w.stride_w - p.pad_left;
      const Live16 across(left, w.dilation_w, w.kernel_w, p.x.width);
      const ptrdiff_t columns = across.end - across.begin;
      uint16_t* const line = lines.data + i * lines.row_stride + j * lines.column_stride;
      const bool whole = down.end - down.begin == w.kernel_h && columns == w.kernel_w;
      if (!whole) std::fill_n(line, p.chain.pointwise->inputs, uint16_t{0});
      for (ptrdiff_t di = down.begin; columns > 0 && di < down.end; ++di) {
        const uint16_t* x =
            p.x.at(rect.image, top + di * w.dilation_h, left + across.begin * w.dilation_w, 0);
        uint16_t* to = line + (di * w.kernel_w + across.begin) * channels;
        if (step == channels) {  // taps that follow each other
          std::copy_n(x, columns * channels, to);
          continue;
        }
        for (ptrdiff_t dj = 0; dj < columns; ++dj, x += step, to += channels) std::copy_n(x, channels, to);
      }
    }
  }
}

// Panel by panel, so that one stays in L1; row by row, unless all arrays go on as one line.
void consume(const Problem16& p, const Rect16& rect, const Pixels16<const uint16_t>& x) {
  const Pointwise16Weights& w = *p.chain.pointwise;
  const Pixels16<uint16_t> y = pixels_of(p.out, rect);
  const Pixels16<const uint16_t> residual = pixels_of(p.residual, rect);
  const auto in_line = [&](const auto& v) { return v.row_stride == rect.columns * v.column_stride; };
  const bool line = in_line(x) && in_line(y) && (!residual.data || in_line(residual));
  const ptrdiff_t rows = line ? 1 : rect.rows;
  for (ptrdiff_t i = 0; i < w.panels(); ++i) {
    const Pointwise16Weights::Panel panel = w.panel(i);
    Pointwise16 t{};
    t.x_stride = x.column_stride;
    t.inputs = w.inputs;
    t.pixels = rect.rows / rows * rect.columns;
    t.panel = panel.weights;
    t.bias = panel.bias;
    t.y_stride = y.column_stride;
    t.residual_stride = residual.column_stride;
    t.channels = panel.channels;
    t.finish = w.finish;
    if (t.finish.slopes) t.finish.slopes += panel.first;
    for (ptrdiff_t row = 0; row < rows; ++row) {
      t.x = x.data + row * x.row_stride;
      t.y = y.data + row * y.row_stride + panel.first;
      if (residual.data) t.residual = residual.data + row * residual.row_stride + panel.first;
      w.set.pointwise[panel.vectors - 1](t);
    }
  }
}

void run_task(const Problem16& p, const Plan16& plan, const Rect16& rect, uint16_t* scratch) {
  if (!p.chain.pointwise) return fill_depthwise(p, rect, pixels_of(p.out, rect));
  if (!p.chain.depthwise && !p.chain.patches) return consume(p, rect, pixels_of(p.x, rect));
  const ptrdiff_t row = rect.columns * plan.stride;
  const auto fill = p.chain.depthwise ? fill_depthwise : fill_patches;
  fill(p, rect, {scratch, row, plan.stride});
  consume(p, rect, {scratch, row, plan.stride});
}

bool same_size(const Input16& a, const Output16& b) {
  return a.images == b.images && a.height == b.height && a.width == b.width;
}

}  // namespace

void check(const Problem16& p) {
  const auto* depthwise = p.chain.depthwise;
  const auto* pointwise = p.chain.pointwise;
  if (!depthwise && !pointwise) refuse("parts");
  if (depthwise && pointwise && depthwise->outputs() != pointwise->inputs) refuse("channels of the parts");
  if (const auto& window = p.chain.patches) {
    const ptrdiff_t taps = checked_product(window->kernel_h, window->kernel_w);
    if (!pointwise || checked_product(taps, p.x.channels) != pointwise->inputs) refuse("channels");
  }
  const ptrdiff_t inputs = depthwise         ? depthwise->channels
                           : p.chain.patches ? p.x.channels
                                             : pointwise->inputs;
  const ptrdiff_t outputs = pointwise ? pointwise->outputs : depthwise->outputs();
  if (p.x.channels != inputs || p.out.channels != outputs || p.x.images != p.out.images) refuse("channels");
  if (!p.x.channels_side_by_side() || !p.out.channels_side_by_side()) refuse("channels apart");
  if (!depthwise && !p.chain.patches && !same_size(p.x, p.out)) refuse("pixels");
  if (p.residual.data && (!pointwise || !same_size(p.residual, p.out) || p.residual.channels != outputs ||
                          !p.residual.channels_side_by_side())) {
    refuse("residual");
  }
}

void run(const Problem16& p, const Plan16& plan, ptrdiff_t first_task, ptrdiff_t tasks) {
  parallel_for(plan.threads, tasks, plan.scratch_floats(), [&](ptrdiff_t task, float* scratch) {
    run_task(p, plan, rect_of(plan, first_task + task), reinterpret_cast<uint16_t*>(scratch));
  });
}

}  // namespace fastdw
