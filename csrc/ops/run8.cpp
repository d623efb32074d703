#include "ops/run8.h"

#include <algorithm>
#include <array>
#include <cstring>

#include "base/math.h"
#include "base/refuse.h"
#include "base/threads.h"
#include "ops/depthwise_rect.h"

namespace fastdw {
namespace {

// A block, or a run of pixels: what is left of a row, whole rows, the beginning of the next.
struct Part {
  ptrdiff_t image, panel_share;
  std::array<PixelRect, 3> rects;
  size_t count;

  // As they lie in scratch, pixel by pixel; runs lie so in every array.
  ptrdiff_t rows() const { return count == 1 ? rects[0].rows : 1; }
  ptrdiff_t columns() const {
    return count == 1 ? rects[0].columns : rects[0].pixels() + rects[1].pixels() + rects[2].pixels();
  }
};

using Pixels = PixelsOf<uint8_t>;
using ReadPixels = PixelsOf<const uint8_t>;

void cut_run(ptrdiff_t begin, ptrdiff_t end, ptrdiff_t width, Part& part) {
  part.rects = {};
  for (part.count = 0; begin < end; begin += part.rects[part.count++].pixels()) {
    const ptrdiff_t column = begin % width, rows = column == 0 ? (end - begin) / width : 0;
    const ptrdiff_t columns = rows > 0 ? width : std::min(width - column, end - begin);
    part.rects[part.count] = {begin / width, std::max<ptrdiff_t>(rows, 1), column, columns};
  }
}

Part part_of(const Plan8& plan, ptrdiff_t task) {
  const ptrdiff_t index = task / plan.panel_shares, number = index % plan.parts();
  Part part{index / plan.parts(), task % plan.panel_shares, {}, 1};
  if (plan.by_runs()) {
    cut_run(plan.runs.begin(number), plan.runs.begin(number + 1), plan.blocks.across.size, part);
  } else {
    part.rects[0] = plan.blocks.rect(number);
  }
  return part;
}

void fill_depthwise(const Problem8& p, ptrdiff_t image, const PixelRect& rect, const Pixels& y,
                    uint8_t flip) {
  const Depthwise8Weights& w = *p.chain.depthwise;
  Depthwise8 t{
      depthwise_rect(p, image, rect, y), w.outside.data(), w.input_flip, w.packed(), w.lowest, w.rescale};
  t.rescale.flip = flip;
  w.kernel.run(t);
}

// Words of eight or sixteen bytes, which GCC and Clang put into one register each.
using Word = uint8_t __attribute__((vector_size(8)));
using WideWord = uint8_t __attribute__((vector_size(16)));

template <class W>
inline void copy_word(uint8_t* to, const uint8_t* from, uint8_t flip) {
  W word;
  std::memcpy(&word, from, sizeof(W));
  word ^= flip;
  std::memcpy(to, &word, sizeof(W));
}

constexpr ptrdiff_t kWord = sizeof(Word), kWideWord = sizeof(WideWord);

// The last word may lie across the one before it.
void copy_flipped(uint8_t* to, const uint8_t* from, ptrdiff_t count, uint8_t flip) {
  if (count < kWord) {
    for (ptrdiff_t i = 0; i < count; ++i) to[i] = from[i] ^ flip;
    return;
  }
  for (ptrdiff_t i = 0; i + kWord <= count; i += kWord) copy_word<Word>(to + i, from + i, flip);
  copy_word<Word>(to + count - kWord, from + count - kWord, flip);
}

// Some lines of `bytes` bytes, so far apart.
struct Lines {
  uint8_t* to;
  const uint8_t* from;
  ptrdiff_t to_step, from_step, count, bytes;
};

// Those of a first layer, three pixels of three, are copied in wide words, as long as these end before
// `from_end`, where each line has room for them and nothing behind it that was written before.
void copy_lines(const Lines& t, const uint8_t* from_end, bool room, uint8_t flip) {
  ptrdiff_t i = 0;
  if (room && t.bytes <= kWideWord && from_end - t.from >= kWideWord) {
    const ptrdiff_t wide = std::min(t.count, (from_end - t.from - kWideWord) / t.from_step + 1);
    for (; i < wide; ++i) copy_word<WideWord>(t.to + i * t.to_step, t.from + i * t.from_step, flip);
  }
  for (; i < t.count; ++i) copy_flipped(t.to + i * t.to_step, t.from + i * t.from_step, t.bytes, flip);
}

// Windows of pixels side by side, with padding where they reach beyond the image.
class Windows {
 public:
  explicit Windows(const Problem8& p)
      : p_(p),
        x_(p.x),
        window_(p.window),
        flip_(p.chain.pointwise->input_flip),
        line_(window_.kernel_w * x_.channels) {}

  // Of a row of outputs, from `first` on.
  void copy_row(ptrdiff_t image, ptrdiff_t row, ptrdiff_t first, ptrdiff_t columns, const Pixels& y) const {
    // Outputs whose windows lie within the image's columns, as lines.
    const bool in_line = window_.dilation_w == 1 && x_.column_stride == x_.channels;
    const ptrdiff_t room = x_.width - window_.kernel_w + p_.pad_left;
    const ptrdiff_t last = in_line && room >= 0 ? room / window_.stride_w + 1 : 0;
    const ptrdiff_t begin =
        std::clamp(ceil_div(p_.pad_left, window_.stride_w) - first, ptrdiff_t{0}, columns);
    const ptrdiff_t end = std::clamp(last - first, begin, columns);
    for (ptrdiff_t i = 0; i < window_.kernel_h; ++i) {
      const ptrdiff_t from = row * window_.stride_h - p_.pad_top + i * window_.dilation_h;
      uint8_t* const to = y.data + i * line_;
      for (ptrdiff_t j = 0; j < columns; ++j) {
        if (j == begin && begin < end && from >= 0 && from < x_.height) {
          const uint8_t* const line = x_.at(image, from, column(first + j), 0);
          copy_lines({to + j * y.column_stride, line, y.column_stride, window_.stride_w * x_.channels,
                      end - begin, line_},
                     x_.at(image, from, x_.width, 0), i * line_ + kWideWord <= y.column_stride, flip_);
          j = end - 1;
        } else {
          copy_taps(image, from, column(first + j), to + j * y.column_stride);
        }
      }
    }
  }

 private:
  ptrdiff_t column(ptrdiff_t output) const { return output * window_.stride_w - p_.pad_left; }

  void copy_taps(ptrdiff_t image, ptrdiff_t row, ptrdiff_t first, uint8_t* to) const {
    for (ptrdiff_t tap = 0; tap < window_.kernel_w; ++tap, to += x_.channels) {
      const ptrdiff_t at = first + tap * window_.dilation_w;
      if (row >= 0 && row < x_.height && at >= 0 && at < x_.width) {
        copy_flipped(to, x_.at(image, row, at, 0), x_.channels, flip_);
      } else {
        std::memset(to, p_.chain.pointwise->outside, static_cast<size_t>(x_.channels));
      }
    }
  }

  const Problem8& p_;
  const Input8& x_;
  const WindowShape& window_;
  const uint8_t flip_;
  const ptrdiff_t line_;  // bytes of a window's row
};

void fill_windows(const Problem8& p, ptrdiff_t image, const PixelRect& rect, const Pixels& y) {
  const Windows windows(p);
  for (ptrdiff_t i = 0; i < rect.rows; ++i) {
    const Pixels row{y.data + i * y.row_stride, y.row_stride, y.column_stride};
    windows.copy_row(image, rect.row + i, rect.column, rect.columns, row);
  }
}

// By a share of the panels.
void consume(const Problem8& p, const Part& part, const Cut& panels, const ReadPixels& x, const Pixels& y) {
  const Pointwise8Weights& w = *p.chain.pointwise;
  const ptrdiff_t rows = part.rows(), columns = part.columns();
  const bool in_line = y.row_stride == columns * y.column_stride && x.row_stride == columns * x.column_stride;
  const ptrdiff_t runs = in_line ? 1 : rows;
  const ptrdiff_t end = panels.begin(part.panel_share + 1);
  for (ptrdiff_t i = panels.begin(part.panel_share); i < end; ++i) {
    const Pointwise8Weights::Panel panel = w.panel(i);
    for (ptrdiff_t row = 0; row < runs; ++row) {
      const Pointwise8 t{x.data + row * x.row_stride,
                         x.column_stride,
                         w.steps(),
                         in_line ? rows * columns : columns,
                         panel.weights,
                         y.data + row * y.row_stride + panel.first,
                         y.column_stride,
                         panel.channels,
                         w.lowest,
                         w.rescale};
      w.set.pointwise[panel.vectors - 1].run(t);
    }
  }
}

// Row by row where pixels lie side by side, for a call takes longer than a pixel's channels.
void add(const Problem8& p, ptrdiff_t image, const PixelRect& rect, const uint8_t* a) {
  const ptrdiff_t channels = p.out.channels;
  const bool in_line = p.residual.column_stride == channels && p.out.column_stride == channels;
  const ptrdiff_t step = in_line ? rect.columns : 1;
  for (ptrdiff_t i = 0; i < rect.rows; ++i) {
    for (ptrdiff_t j = 0; j < rect.columns; j += step, a += step * channels) {
      const ptrdiff_t row = rect.row + i, column = rect.column + j;
      p.chain.set().add(*p.chain.sum, a, p.residual.at(image, row, column, 0),
                        p.out.at(image, row, column, 0), step * channels);
    }
  }
}

void run_task(const Problem8& p, const Plan8& plan, const Part& part, uint8_t* scratch) {
  const PixelRect& first = part.rects[0];
  const Pixels out{p.out.at(part.image, first.row, first.column, 0), p.out.row_stride, p.out.column_stride};
  if (!p.chain.pointwise) {
    return fill_depthwise(p, part.image, first, out, p.chain.depthwise->rescale.flip);
  }
  ReadPixels x{scratch, part.columns() * plan.stride, plan.stride};
  uint8_t* block = scratch;
  for (size_t i = 0; i < part.count && plan.stride > 0; ++i) {
    const PixelRect& rect = part.rects[i];
    const Pixels y{block, rect.columns * plan.stride, plan.stride};
    p.chain.depthwise ? fill_depthwise(p, part.image, rect, y, 0) : fill_windows(p, part.image, rect, y);
    block += rect.pixels() * plan.stride;
  }
  if (plan.stride == 0) {
    x = {p.x.at(part.image, first.row, first.column, 0), p.x.row_stride, p.x.column_stride};
  }
  const Cut panels{p.chain.pointwise->panels(), 1, plan.panel_shares};
  if (!p.chain.sum) return consume(p, part, panels, x, out);
  uint8_t* const staging = scratch + plan.block_bytes;
  consume(p, part, panels, x, {staging, part.columns() * p.out.channels, p.out.channels});
  const uint8_t* sums = staging;
  for (size_t i = 0; i < part.count; ++i) {
    add(p, part.image, part.rects[i], sums);
    sums += part.rects[i].pixels() * p.out.channels;
  }
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
  if (chain.depthwise && &chain.depthwise->set != &chain.set()) refuse("instruction sets of the parts");
  if (inputs != (chain.depthwise ? chain.depthwise->channels : chain.pointwise->inputs) ||
      p.out.channels != outputs || p.x.images != p.out.images)
    refuse("channels");
  if (!p.x.channels_side_by_side() || !p.out.channels_side_by_side()) refuse("channels apart");
  if (p.pad_top < 0 || p.pad_left < 0) refuse("pads");
  if (chain.depthwise && !(p.window == chain.depthwise->window)) refuse("window");
  if (chain.sum.has_value() != (p.residual.data != nullptr)) refuse("residual and sum go together");
  if (chain.sum && !chain.pointwise) refuse("a sum without a pointwise half");
  if (p.residual.data && (p.residual.images != p.out.images || p.residual.height != p.out.height ||
                          p.residual.width != p.out.width || p.residual.channels != p.out.channels ||
                          !p.residual.channels_side_by_side())) {
    refuse("residual");
  }
}

void run(const Problem8& p, const Plan8& plan) {
  parallel_for(plan.threads, plan.tasks(), plan.scratch_floats(), [&](ptrdiff_t task, float* scratch) {
    run_task(p, plan, part_of(plan, task), reinterpret_cast<uint8_t*>(scratch));
  });
}

}  // namespace fastdw
