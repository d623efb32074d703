// Pools: which cells of a window are there, and which count.
#include "base/refuse.h"
#include "network/step8.h"
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
    extent_ = (axis_.window - 1) * axis_.dilation + 1;
    const ptrdiff_t room = size + axis_.pads[0] + axis_.pads[1] - extent_;
    if (room < 0 || room / axis_.stride + 1 != outputs) refuse("out");
  }

  ptrdiff_t start(ptrdiff_t output) const { return output * axis_.stride - axis_.pads[0]; }

  // The last output whose window lies in the image, if any does; else one that does not.
  ptrdiff_t last_inside() const { return (size_ - extent_ + axis_.pads[0]) / axis_.stride; }
  bool is_inside(ptrdiff_t output) const {
    const ptrdiff_t at = start(output);
    return at >= 0 && at + extent_ <= size_;
  }

  Live live(ptrdiff_t output) const {
    const ptrdiff_t at = start(output);
    // Most are; the divisions below take longer than many a window.
    if (is_inside(output)) return {0, axis_.window, axis_.window};
    const auto [first, end] = between(axis_, at, 0, size_);
    const auto counting = between(axis_, at, -axis_.counted[0], size_ + axis_.counted[1]);
    return {first, end - first, counting[1] - counting[0]};
  }

  const PoolAxis& numbers() const { return axis_; }

 private:
  PoolAxis axis_;
  ptrdiff_t size_, extent_ = 0;
};

// Windows over an image, whatever its elements are.
class WindowStep : public Step {
 protected:
  WindowStep(const PoolAxis& rows, const PoolAxis& columns, const Operands& o)
      : rows_(rows, o.x.sizes[0], o.out.sizes[0]),
        columns_(columns, o.x.sizes[1], o.out.sizes[1]),
        out_(o.out),
        x_(o.x) {
    check_image(out_, "out");
    check_image(x_, "x");
    if (out_.sizes[2] != x_.sizes[2]) refuse("channels");
  }

  // Of a window in the middle.
  double cells() const {
    return static_cast<double>(rows_.live(out_.sizes[0] / 2).count) *
           static_cast<double>(columns_.live(out_.sizes[1] / 2).count);
  }

  const Axis rows_, columns_;
  const Operand out_, x_;
};

class PoolStep final : public WindowStep {
 public:
  PoolStep(const KernelSet& set, Pooling pooling, const PoolAxis& rows, const PoolAxis& columns,
           const Operands& o)
      : WindowStep(rows, columns, o),
        kernel_(pooling == Pooling::kMaximum ? set.network.max_pool : set.network.average_pool) {}

  double nanoseconds() const override { return floats(out_) * kMoveNs * (1 + cells()); }

  void run(Memory memory, int threads) const override {
    const Input x = image<const float>(x_, memory);
    const Output out = image<float>(out_, memory);
    parallel_for(awake_threads(threads, nanoseconds()), out.height, 0,
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
    threads = awake_threads(threads, nanoseconds());
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

// The cells of one output, for some channels at a time: their sums stay in L1.
constexpr ptrdiff_t kSums = 256;
constexpr ptrdiff_t kMostBorders = 1 << 20;
constexpr double kByteNs = 0.1;  // to add one byte

class Pool8Step final : public WindowStep {
 public:
  Pool8Step(const Pool8& pool, const PoolAxis& rows, const PoolAxis& columns, const Operands& o)
      : WindowStep(rows, columns, o), pool_(pool) {
    check_cells(rows_, out_.sizes[0]);
    check_cells(columns_, out_.sizes[1]);
  }

  double nanoseconds() const override { return floats(out_) * kByteNs * (4 + cells()); }

  void run(Memory memory, int threads) const override {
    const View<const uint8_t> x = image<const uint8_t>(x_, memory);
    const View<uint8_t> out = image<uint8_t>(out_, memory);
    parallel_for(awake_threads(threads, nanoseconds()), out.height, 0, [&](ptrdiff_t row, float*) {
      const Live down = rows_.live(row);
      for (ptrdiff_t column = 0; column < out.width; ++column) output(x, out, row, down, column);
    });
  }

 private:
  // A window of padding alone has no average; what a file may ask for must not overflow, nor take long.
  static void check_cells(const Axis& axis, ptrdiff_t outputs) {
    ptrdiff_t borders = 0;
    for (ptrdiff_t i = 0; i < outputs; ++i) {
      const ptrdiff_t cells = axis.live(i).count;
      if (cells < 1 || cells > kMostCells) refuse("window");
      if (axis.is_inside(i)) {
        i = axis.last_inside();
      } else if (++borders > kMostBorders) {
        refuse("pads");
      }
    }
  }

  // The cells of one output that lie in the image.
  struct Cells {
    const uint8_t* x;
    ptrdiff_t row_stride, column_stride, rows, columns;

    template <class F>
    void each(const F& f) const {
      for (ptrdiff_t i = 0; i < rows; ++i) {
        for (ptrdiff_t j = 0; j < columns; ++j) f(x + i * row_stride + j * column_stride);
      }
    }
  };

  void output(const View<const uint8_t>& x, const View<uint8_t>& out, ptrdiff_t row, const Live& down,
              ptrdiff_t column) const {
    const Live across = columns_.live(column);
    const ptrdiff_t dilation_h = rows_.numbers().dilation, dilation_w = columns_.numbers().dilation;
    for (ptrdiff_t first = 0; first < out.channels; first += kSums) {
      const Cells cells{x.at(0, rows_.start(row) + down.first * dilation_h,
                             columns_.start(column) + across.first * dilation_w, first),
                        dilation_h * x.row_stride, dilation_w * x.column_stride, down.count, across.count};
      const ptrdiff_t count = std::min(kSums, out.channels - first);
      uint8_t* const y = out.at(0, row, column, first);
      pool_.pooling == Pooling::kMaximum ? maximum(cells, count, y) : average(cells, count, y);
    }
  }

  // In bytes, sixteen at a time even without AVX2: integers of 32 bits took eight times as long.
  void maximum(const Cells& cells, ptrdiff_t count, uint8_t* y) const {
    const uint8_t flip = pool_.flip;
    uint8_t most[kSums];
    std::fill_n(most, count, uint8_t{0});
    cells.each([&](const uint8_t* x) {
      for (ptrdiff_t c = 0; c < count; ++c) most[c] = std::max(most[c], static_cast<uint8_t>(x[c] ^ flip));
    });
    const auto low = static_cast<uint8_t>(pool_.low), high = static_cast<uint8_t>(pool_.high);
    for (ptrdiff_t c = 0; c < count; ++c) {
      const uint8_t raised = most[c] < low ? low : most[c];  // std::max's references would stop the compiler
      y[c] = static_cast<uint8_t>((raised > high ? high : raised) ^ flip);
    }
  }

  void average(const Cells& cells, ptrdiff_t count, uint8_t* y) const {
    const uint8_t flip = pool_.flip;
    int32_t sums[kSums];
    std::fill_n(sums, count, 0);
    cells.each([&](const uint8_t* x) {
      for (ptrdiff_t c = 0; c < count; ++c) sums[c] += x[c] ^ flip;
    });
    const auto number = static_cast<int32_t>(cells.rows * cells.columns);
    for (ptrdiff_t c = 0; c < count; ++c) {
      y[c] = static_cast<uint8_t>(std::clamp(mean(sums[c], number), pool_.low, pool_.high) ^ flip);
    }
  }

  // Halves away from the origin.
  int32_t mean(int32_t sum, int32_t cells) const {
    sum -= cells * pool_.origin;
    return (sum + (sum >= 0 ? cells / 2 : -(cells / 2))) / cells + pool_.origin;
  }

  const Pool8 pool_;
};

// Sums of many bytes. Those of some cells are of 16 bits, of which a vector holds twice as many: 7×7 of 576
// channels take a third of the time.
class Totals {
 public:
  void add(const uint8_t* x, ptrdiff_t count, uint8_t flip) {
    for (ptrdiff_t c = 0; c < count; ++c) part_[c] = static_cast<uint16_t>(part_[c] + (x[c] ^ flip));
    if (++cells_ == kPart) sums();
  }

  const int32_t* sums() {
    for (ptrdiff_t c = 0; c < kSums; ++c) sums_[c] += part_[c];
    std::fill_n(part_, kSums, uint16_t{0});
    cells_ = 0;
    return sums_;
  }

 private:
  static constexpr int kPart = 0xFFFF / 0xFF;  // cells that cannot overflow
  uint16_t part_[kSums] = {};
  int32_t sums_[kSums] = {};
  int cells_ = 0;
};

class Mean8Step final : public Step {
 public:
  Mean8Step(const Mean8& mean, const Operands& o) : mean_(mean), out_(o.out), x_(o.x) {
    check_image(out_, "out");
    check_image(x_, "x");
    if (out_.sizes[0] != 1 || out_.sizes[1] != 1 || out_.sizes[2] != x_.sizes[2]) refuse("out");
    if (x_.sizes[0] > kMostCells || x_.sizes[1] > kMostCells) refuse("x");
  }

  double nanoseconds() const override { return floats(x_) * kByteNs; }

  void run(Memory memory, int) const override {
    const View<const uint8_t> x = image<const uint8_t>(x_, memory);
    uint8_t* const y = data<uint8_t>(out_, memory);
    const Mean8 mean = mean_;  // what is stored cannot change it
    const auto zeros = static_cast<int32_t>(x.height * x.width) * mean.zero;
    for (ptrdiff_t first = 0; first < x.channels; first += kSums) {
      const ptrdiff_t count = std::min(kSums, x.channels - first);
      Totals totals;
      for (ptrdiff_t i = 0; i < x.height; ++i) {
        for (ptrdiff_t j = 0; j < x.width; ++j) totals.add(x.at(0, i, j, first), count, mean.flip);
      }
      const int32_t* const sums = totals.sums();
      for (ptrdiff_t c = 0; c < count; ++c) {
        y[first + c] = mean.rescale(static_cast<float>(sums[c] - zeros) * mean.factor);
      }
    }
  }

 private:
  const Mean8 mean_;
  const Operand out_, x_;
};

}  // namespace

StepPointer pool8_step(const Pool8& pool, const PoolAxis& rows, const PoolAxis& columns, const Operands& o) {
  return std::make_unique<Pool8Step>(pool, rows, columns, o);
}

StepPointer mean8_step(const Mean8& mean, const Operands& o) { return std::make_unique<Mean8Step>(mean, o); }

StepPointer pool_step(const KernelSet& set, Pooling pooling, const PoolAxis& rows, const PoolAxis& columns,
                      const Operands& o) {
  return std::make_unique<PoolStep>(set, pooling, rows, columns, o);
}

StepPointer global_pool_step(const KernelSet& set, Pooling pooling, ptrdiff_t count, const Operands& o) {
  return std::make_unique<GlobalPoolStep>(set, pooling, count, o);
}

}  // namespace fastdw
