#include "ops/run16.h"

#include <algorithm>

#include "base/refuse.h"
#include "base/threads.h"
#include "kernels/live16.h"
#include "ops/depthwise_rect.h"

namespace fastdw {
namespace {

struct Rect16 : PixelRect {
  ptrdiff_t image;
};

Rect16 rect_of(const Plan16& plan, ptrdiff_t task) {
  return {plan.blocks.rect(task % plan.blocks.count()), task / plan.blocks.count()};
}

template <class T>
PixelsOf<T> pixels_of(const View<T>& v, const Rect16& r) {
  return {v.data ? v.at(r.image, r.row, r.column, 0) : nullptr, v.row_stride, v.column_stride};
}

void fill_depthwise(const Problem16& p, const Rect16& rect, const PixelsOf<uint16_t>& y) {
  const Depthwise16Weights& w = *p.chain.depthwise;
  w.kernel.run(
      {depthwise_rect(p, rect.image, rect, y), w.packed.halves(), w.packed.lanes, w.packed.bias(), w.finish});
}

// Each window as a line: its rows, in these its columns, in these the channels; zeros where the image is not.
void fill_patches(const Problem16& p, const Rect16& rect, const PixelsOf<uint16_t>& lines) {
  const WindowShape& w = *p.chain.patches;
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

void fill_scaled(const Problem16& p, const Rect16& rect, const PixelsOf<uint16_t>& y) {
  const PixelsOf<const uint16_t> x = pixels_of(p.x, rect);
  Scale16 t{x.data, x.column_stride, rect.columns, p.x.channels, p.factors.data, y.data, y.column_stride};
  for (ptrdiff_t i = 0; i < rect.rows; ++i, t.x += x.row_stride, t.y += y.row_stride) {
    p.chain.set().scale(t);
  }
}

// Panel by panel, so that one stays in L1; row by row, unless all arrays go on as one line.
void multiply(const Pointwise16Weights& w, ptrdiff_t height, ptrdiff_t width,
              const PixelsOf<const uint16_t>& x, const PixelsOf<const uint16_t>& residual,
              const PixelsOf<uint16_t>& y) {
  const auto in_line = [&](const auto& v) { return v.row_stride == width * v.column_stride; };
  const bool line = in_line(x) && in_line(y) && (!residual.data || in_line(residual));
  const ptrdiff_t rows = line ? 1 : height;
  for (ptrdiff_t i = 0; i < w.panels(); ++i) {
    const Pointwise16Weights::Panel panel = w.panel(i);
    Pointwise16 t{};
    t.x_stride = x.column_stride;
    t.inputs = w.inputs;
    t.pixels = height / rows * width;
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

void consume(const Problem16& p, const Rect16& rect, const PixelsOf<const uint16_t>& x) {
  multiply(*p.chain.pointwise, rect.rows, rect.columns, x, pixels_of(p.residual, rect),
           pixels_of(p.out, rect));
}

// Rows of the expanded image, which move up as a task goes down.
class Slab {
 public:
  Slab(const Problem16& p, const Plan16& plan, const Rect16& rect, uint16_t* memory)
      : p_(p),
        image_(rect.image),
        stride_(plan.slab.stride),
        memory_(memory),
        columns_(columns_under(p, rect.column, rect.columns)) {}

  // What is left to do for these rows of outputs, whose image is the slab.
  Problem16 left(ptrdiff_t first, ptrdiff_t count) {
    const Span16 wanted = rows_under(p_, first, count);
    const ptrdiff_t row = columns_.count * stride_, end = wanted.end();
    const ptrdiff_t kept = std::clamp(rows_.end() - wanted.begin, ptrdiff_t{0}, wanted.count);
    if (kept > 0) {
      const uint16_t* const from = memory_ + (wanted.begin - rows_.begin) * row;
      std::copy_n(from, kept * row, memory_);
    }
    const ptrdiff_t begin = wanted.begin + kept;
    if (begin < end && columns_.count > 0) {
      const PixelsOf<const uint16_t> x{p_.x.at(image_, begin, columns_.begin, 0), p_.x.row_stride,
                                       p_.x.column_stride};
      multiply(*p_.chain.expand, end - begin, columns_.count, x, {nullptr, 0, 0},
               {memory_ + kept * row, row, stride_});
    }
    rows_ = wanted;
    Problem16 p = p_;
    p.x = {memory_, p.x.images, wanted.count, columns_.count, p.chain.expand->outputs, 0, row, stride_, 1};
    p.pad_top += wanted.begin;
    p.pad_left += columns_.begin;
    return p;
  }

 private:
  const Problem16& p_;
  const ptrdiff_t image_, stride_;
  uint16_t* const memory_;
  const Span16 columns_;
  Span16 rows_{0, 0};
};

void run_expanded(const Problem16& p, const Plan16& plan, const Rect16& rect, uint16_t* scratch) {
  Slab slab(p, plan, rect, scratch);
  uint16_t* const block = scratch + plan.slab.halves();
  const ptrdiff_t end = rect.row + rect.rows;
  Rect16 part = rect;
  for (; part.row < end; part.row += part.rows) {
    part.rows = std::min(plan.rows, end - part.row);
    const Problem16 left = slab.left(part.row, part.rows);
    if (!p.chain.pointwise) {
      fill_depthwise(left, part, pixels_of(p.out, part));
      continue;
    }
    const ptrdiff_t row = part.columns * plan.stride;
    fill_depthwise(left, part, {block, row, plan.stride});
    consume(p, part, {block, row, plan.stride});
  }
}

void run_task(const Problem16& p, const Plan16& plan, const Rect16& rect, uint16_t* scratch) {
  if (p.chain.expand) return run_expanded(p, plan, rect, scratch);
  if (!p.chain.pointwise) return fill_depthwise(p, rect, pixels_of(p.out, rect));
  if (plan.stride == 0) return consume(p, rect, pixels_of(p.x, rect));
  const ptrdiff_t row = rect.columns * plan.stride;
  const auto fill = p.factors.data ? fill_scaled : p.chain.depthwise ? fill_depthwise : fill_patches;
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
  if (const auto* expand = p.chain.expand) {
    if (!depthwise || depthwise->channels != expand->outputs) refuse("channels of the parts");
  }
  const ptrdiff_t inputs = p.chain.expand    ? p.chain.expand->inputs
                           : depthwise       ? depthwise->channels
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
  if (p.factors.data && (depthwise || p.chain.patches || p.factors.height != 1 || p.factors.width != 1 ||
                         p.factors.channels != inputs || !p.factors.channels_side_by_side())) {
    refuse("factors");
  }
}

void run(const Problem16& p, const Plan16& plan, ptrdiff_t first_task, ptrdiff_t tasks) {
  parallel_for(plan.threads, tasks, plan.scratch_floats(), [&](ptrdiff_t task, float* scratch) {
    run_task(p, plan, rect_of(plan, first_task + task), reinterpret_cast<uint16_t*>(scratch));
  });
}

}  // namespace fastdw
