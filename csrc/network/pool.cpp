// Pools: which cells of a window are there, and which count.
#include "base/refuse.h"
#include "network/step.h"
#include "network/sweep.h"

namespace fastdw {
namespace {

// Of a window's cells those that lie in the image, and how many count.
struct Live {
  ptrdiff_t first, count, counting;
  bool operator==(const Live& other) const {
    return first == other.first && count == other.count && counting == other.counting;
  }
};

// Cells of a window that begins at `start` with low ≤ position < high: the first, and the one past the last.
std::array<ptrdiff_t, 2> between(const PoolAxis& axis, ptrdiff_t start, ptrdiff_t low, ptrdiff_t high) {
  const auto before = [&](ptrdiff_t position) {  // cells that lie before it
    return std::clamp<ptrdiff_t>(position <= start ? 0 : ceil_div(position - start, axis.dilation), 0,
                                 axis.window);
  };
  return {before(low), before(high)};
}

class Axis {
 public:
  Axis(const PoolAxis& numbers, ptrdiff_t size, ptrdiff_t outputs) : axis_(numbers), size_(size) {
    constexpr ptrdiff_t kLargest = ptrdiff_t{1} << (sizeof(ptrdiff_t) == 4 ? 14 : 31);
    for (const ptrdiff_t n : {axis_.window, axis_.stride, axis_.dilation}) {
      if (n < 1 || n > kLargest) refuse("window, strides and dilation");
    }
    for (const size_t side : {0u, 1u}) {
      if (axis_.counted[side] < 0 || axis_.counted[side] > axis_.pads[side] || axis_.pads[side] > kLargest) {
        refuse("pads");
      }
    }
    ptrdiff_t room = size + axis_.pads[0] + axis_.pads[1] - (axis_.window - 1) * axis_.dilation - 1;
    if (room < 0 || room / axis_.stride + 1 != outputs) refuse("out");
  }

  ptrdiff_t start(ptrdiff_t output) const { return output * axis_.stride - axis_.pads[0]; }

  Live live(ptrdiff_t output) const {
    const ptrdiff_t at = start(output);
    const auto [first, end] = between(axis_, at, 0, size_);
    const auto counting = between(axis_, at, -axis_.counted[0], size_ + axis_.counted[1]);
    return {first, end - first, counting[1] - counting[0]};
  }

  const PoolAxis& numbers() const { return axis_; }

 private:
  PoolAxis axis_;
  ptrdiff_t size_;
};

class PoolStep final : public Step {
 public:
  PoolStep(const KernelSet& set, Pooling pooling, const PoolAxis& rows, const PoolAxis& columns,
           const Operands& o)
      : kernel_(pooling == Pooling::kMaximum ? set.network.max_pool : set.network.average_pool),
        rows_(rows, o.x.sizes[0], o.out.sizes[0]),
        columns_(columns, o.x.sizes[1], o.out.sizes[1]),
        out_(o.out),
        x_(o.x) {
    check_image(out_, "out");
    check_image(x_, "x");
    if (out_.sizes[2] != x_.sizes[2]) refuse("channels");
  }

  double nanoseconds() const override {
    const auto cells = static_cast<double>(rows_.live(out_.sizes[0] / 2).count) *
                       static_cast<double>(columns_.live(out_.sizes[1] / 2).count);
    return floats(out_) * kMoveNs * (1 + cells);
  }

  void run(Memory memory, int threads) const override {
    const Input x = image<const float>(x_, memory);
    const Output out = image<float>(out_, memory);
    parallel_for(useful_threads(threads, nanoseconds()), out.height, 0,
                 [&](ptrdiff_t row, float*) { pool(x, out, row); });
  }

 private:
  // A row of outputs; those whose windows meet the image alike go together.
  void pool(const Input& x, const Output& out, ptrdiff_t row) const {
    const Live rows = rows_.live(row);
    PoolRow r{};
    r.x_stride = columns_.numbers().stride * x.column_stride;
    r.row_stride = rows_.numbers().dilation * x.row_stride;
    r.column_stride = columns_.numbers().dilation * x.column_stride;
    r.y_stride = out.column_stride;
    r.channels = out.channels;
    for (ptrdiff_t column = 0; column < out.width; column += r.pixels) {
      const Live columns = columns_.live(column);
      for (r.pixels = 1; column + r.pixels < out.width && columns_.live(column + r.pixels) == columns;) {
        ++r.pixels;
      }
      const ptrdiff_t counting = rows.counting * columns.counting;
      r.rows = columns.count > 0 ? rows.count : 0;
      r.columns = rows.count > 0 ? columns.count : 0;
      r.start = counting > rows.count * columns.count ? 0.0f : -std::numeric_limits<float>::infinity();
      r.count = static_cast<float>(counting);
      r.x = x.data;
      if (r.rows > 0) {
        r.x += (rows_.start(row) + rows.first * rows_.numbers().dilation) * x.row_stride +
               (columns_.start(column) + columns.first * columns_.numbers().dilation) * x.column_stride;
      }
      r.y = out.at(0, row, column, 0);
      kernel_(r);
    }
  }

  void (*const kernel_)(const PoolRow&);
  const Axis rows_, columns_;
  const Operand out_, x_;
};

class GlobalPoolStep final : public Step {
 public:
  GlobalPoolStep(const KernelSet& set, Pooling pooling, ptrdiff_t count, const Operands& o)
      : kernel_(pooling == Pooling::kMaximum ? set.network.global_max : set.network.global_average),
        lanes_(set.lanes),
        count_(static_cast<float>(count > 0 ? count : o.x.sizes[0] * o.x.sizes[1])),
        out_(o.out),
        x_(o.x) {
    check_image(out_, "out");
    check_image(x_, "x");
    if (out_.sizes[0] != 1 || out_.sizes[1] != 1 || out_.sizes[2] != x_.sizes[2]) refuse("out");
  }

  double nanoseconds() const override { return floats(x_) * kMoveNs; }

  // A vector of channels at a time: sums of pixels must not be shared out.
  void run(Memory memory, int threads) const override {
    const Input x = image<const float>(x_, memory);
    const Output out = image<float>(out_, memory);
    threads = useful_threads(threads, nanoseconds());
    const ptrdiff_t vectors = ceil_div(x.channels, lanes_), tasks = std::min<ptrdiff_t>(threads, vectors);
    parallel_for(threads, tasks, 0, [&](ptrdiff_t task, float*) {
      const ptrdiff_t c = vectors * task / tasks * lanes_, end = vectors * (task + 1) / tasks * lanes_;
      kernel_({x.data + c, x.row_stride, x.column_stride, x.height, x.width, std::min(end, x.channels) - c,
               out.data + c, count_});
    });
  }

 private:
  void (*const kernel_)(const GlobalPool&);
  const ptrdiff_t lanes_;
  const float count_;
  const Operand out_, x_;
};

}  // namespace

StepPointer pool_step(const KernelSet& set, Pooling pooling, const PoolAxis& rows, const PoolAxis& columns,
                      const Operands& o) {
  return std::make_unique<PoolStep>(set, pooling, rows, columns, o);
}

StepPointer global_pool_step(const KernelSet& set, Pooling pooling, ptrdiff_t count, const Operands& o) {
  return std::make_unique<GlobalPoolStep>(set, pooling, count, o);
}

}  // namespace fastdw
