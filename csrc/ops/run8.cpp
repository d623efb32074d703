#include "ops/run8.h"

#include <cstring>

#include "base/refuse.h"
#include "base/threads.h"

namespace fastdw {
namespace {

struct Rect {
  ptrdiff_t image, row, rows, column, columns;
};

// Pixels in memory, one after the other and row by row.
template <class T>
struct PixelsOf {
  T* data;
  ptrdiff_t row_stride, column_stride;
};
using Pixels = PixelsOf<uint8_t>;
using ReadPixels = PixelsOf<const uint8_t>;

Rect rect_of(const Plan8& plan, ptrdiff_t task) {
  const Cut &down = plan.blocks.down, &across = plan.blocks.across;
  const ptrdiff_t block = task % plan.blocks.count();
  const ptrdiff_t i = block / across.parts, j = block % across.parts;
  return {task / plan.blocks.count(), down.begin(i), down.count(i), across.begin(j), across.count(j)};
}

void fill_depthwise(const Problem8& p, const Rect& rect, const Pixels& y, uint8_t flip) {
  const Depthwise8Weights& w = *p.chain.depthwise;
  const Window8& window = w.window;
  Depthwise8 t{};
  t.x = p.x.at(rect.image, 0, 0, 0);
  t.row_stride = p.x.row_stride;
  t.column_stride = p.x.column_stride;
  t.height = p.x.height;
  t.width = p.x.width;
  t.outside = w.outside.data();
  t.flip = w.input_flip;
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
  t.weights = w.packed();
  t.y = y.data;
  t.y_row_stride = y.row_stride;
  t.y_column_stride = y.column_stride;
  t.rescale = w.rescale;
  t.rescale.flip = flip;
  w.kernel(t);
}

// Eight bytes at a time, the last ones twice: a first layer copies three pixels of three.
void copy_flipped(uint8_t* to, const uint8_t* from, ptrdiff_t count, uint8_t flip) {
  constexpr ptrdiff_t kWord = sizeof(uint64_t);
  if (count < kWord) {
    for (ptrdiff_t i = 0; i < count; ++i) to[i] = from[i] ^ flip;
    return;
  }
  const uint64_t flips = flip * (~uint64_t{0} / 0xFF);
  const auto word = [&](ptrdiff_t i) {
    uint64_t bytes;
    std::memcpy(&bytes, from + i, kWord);
    bytes ^= flips;
    std::memcpy(to + i, &bytes, kWord);
  };
  for (ptrdiff_t i = 0; i + kWord <= count; i += kWord) word(i);
  word(count - kWord);
}

// Windows of pixels side by side, with padding where they reach beyond the image.
class Windows {
 public:
  explicit Windows(const Problem8& p)
      : x_(p.x),
        window_(p.window),
        flip_(p.chain.pointwise->input_flip),
        outside_(p.chain.pointwise->outside),
        in_line_(window_.dilation_w == 1 && x_.column_stride == x_.channels) {}

  // The one whose first pixel is this.
  void copy(ptrdiff_t image, ptrdiff_t row, ptrdiff_t column, uint8_t* to) const {
    const ptrdiff_t line = window_.kernel_w * x_.channels;
    const ptrdiff_t last_row = row + (window_.kernel_h - 1) * window_.dilation_h;
    if (in_line_ && row >= 0 && last_row < x_.height && column >= 0 &&
        column + window_.kernel_w <= x_.width) {
      const uint8_t* from = x_.at(image, row, column, 0);
      const ptrdiff_t step = window_.dilation_h * x_.row_stride;
      for (ptrdiff_t i = 0; i < window_.kernel_h; ++i)
        copy_flipped(to + i * line, from + i * step, line, flip_);
      return;
    }
    for (ptrdiff_t i = 0; i < window_.kernel_h; ++i, to += line) {
      copy_row(image, row + i * window_.dilation_h, column, to);
    }
  }

 private:
  void copy_row(ptrdiff_t image, ptrdiff_t row, ptrdiff_t column, uint8_t* to) const {
    for (ptrdiff_t tap = 0; tap < window_.kernel_w; ++tap, to += x_.channels) {
      const ptrdiff_t at = column + tap * window_.dilation_w;
      if (row >= 0 && row < x_.height && at >= 0 && at < x_.width) {
        copy_flipped(to, x_.at(image, row, at, 0), x_.channels, flip_);
      } else {
        std::memset(to, outside_, static_cast<size_t>(x_.channels));
      }
    }
  }

  const Input8& x_;
  const Window8& window_;
  const uint8_t flip_, outside_;
  const bool in_line_;
};

void fill_windows(const Problem8& p, const Rect& rect, const Pixels& y) {
  const Windows windows(p);
  for (ptrdiff_t i = 0; i < rect.rows; ++i) {
    for (ptrdiff_t j = 0; j < rect.columns; ++j) {
      windows.copy(rect.image, (rect.row + i) * p.window.stride_h - p.pad_top,
                   (rect.column + j) * p.window.stride_w - p.pad_left,
                   y.data + i * y.row_stride + j * y.column_stride);
    }
  }
}

void consume(const Problem8& p, const Rect& rect, const ReadPixels& x, const Pixels& y) {
  const Pointwise8Weights& w = *p.chain.pointwise;
  const bool in_line =
      y.row_stride == rect.columns * y.column_stride && x.row_stride == rect.columns * x.column_stride;
  const ptrdiff_t runs = in_line ? 1 : rect.rows;
  for (ptrdiff_t i = 0; i < w.panels(); ++i) {
    const Pointwise8Weights::Panel panel = w.panel(i);
    for (ptrdiff_t row = 0; row < runs; ++row) {
      const Pointwise8 t{x.data + row * x.row_stride,
                         x.column_stride,
                         w.steps(),
                         in_line ? rect.rows * rect.columns : rect.columns,
                         panel.weights,
                         y.data + row * y.row_stride + panel.first,
                         y.column_stride,
                         panel.channels,
                         w.rescale};
      w.set.pointwise[panel.vectors - 1](t);
    }
  }
}

// Row by row where pixels lie side by side, for a call takes longer than a pixel's channels.
void add(const Problem8& p, const Rect& rect, const Pixels& a) {
  const ptrdiff_t channels = p.out.channels;
  const bool in_line = p.residual.column_stride == channels && p.out.column_stride == channels;
  const ptrdiff_t step = in_line ? rect.columns : 1;
  for (ptrdiff_t i = 0; i < rect.rows; ++i) {
    for (ptrdiff_t j = 0; j < rect.columns; j += step) {
      const ptrdiff_t row = rect.row + i, column = rect.column + j;
      p.chain.set().add(*p.chain.sum, a.data + i * a.row_stride + j * a.column_stride,
                        p.residual.at(rect.image, row, column, 0), p.out.at(rect.image, row, column, 0),
                        step * channels);
    }
  }
}

void run_task(const Problem8& p, const Plan8& plan, const Rect& rect, uint8_t* scratch) {
  const Pixels out{p.out.at(rect.image, rect.row, rect.column, 0), p.out.row_stride, p.out.column_stride};
  if (!p.chain.pointwise) return fill_depthwise(p, rect, out, p.chain.depthwise->rescale.flip);
  const Pixels block{scratch, rect.columns * plan.stride, plan.stride};
  ReadPixels x{block.data, block.row_stride, block.column_stride};
  if (p.chain.depthwise) {
    fill_depthwise(p, rect, block, 0);
  } else if (plan.stride > 0) {
    fill_windows(p, rect, block);
  } else {
    x = {p.x.at(rect.image, rect.row, rect.column, 0), p.x.row_stride, p.x.column_stride};
  }
  if (!p.chain.sum) return consume(p, rect, x, out);
  const Pixels staging{scratch + plan.block_bytes, rect.columns * p.out.channels, p.out.channels};
  consume(p, rect, x, staging);
  add(p, rect, staging);
}

}  // namespace

void check(const Problem8& p) {
  const Chain8& chain = p.chain;
  const ptrdiff_t inputs =
      chain.depthwise ? p.x.channels
                      : checked_product(checked_product(p.window.kernel_h, p.window.kernel_w), p.x.channels);
  const ptrdiff_t outputs = chain.pointwise ? chain.pointwise->outputs : chain.depthwise->outputs();
  if (chain.depthwise && chain.pointwise && chain.depthwise->outputs() != chain.pointwise->inputs) {
    refuse("channels of the parts");
  }
  if (inputs != (chain.depthwise ? chain.depthwise->channels : chain.pointwise->inputs) ||
      p.out.channels != outputs || p.x.images != p.out.images)
    refuse("channels");
  if (!p.x.channels_side_by_side() || !p.out.channels_side_by_side()) refuse("channels apart");
  if (p.pad_top < 0 || p.pad_left < 0) refuse("pads");
  if (!chain.sum != !p.residual.data) refuse("residual and sum go together");
  if (p.residual.data && (p.residual.images != p.out.images || p.residual.height != p.out.height ||
                          p.residual.width != p.out.width || p.residual.channels != p.out.channels ||
                          !p.residual.channels_side_by_side())) {
    refuse("residual");
  }
}

void run(const Problem8& p, const Plan8& plan) {
  parallel_for(plan.threads, plan.tasks(), plan.scratch_floats(), [&](ptrdiff_t task, float* scratch) {
    run_task(p, plan, rect_of(plan, task), reinterpret_cast<uint8_t*>(scratch));
  });
}

}  // namespace fastdw
