// From strides to strides: what a view cannot say.
#include "ops/copy.h"

#include <cstring>

#include "base/refuse.h"
#include "network/step.h"
#include "network/sweep.h"

namespace fastdw {
namespace {

struct CopyAxis {
  ptrdiff_t size, from, to;  // strides
};

// Axes of one left out, neighbours that lie in line on both sides as one.
std::vector<CopyAxis> merged(const Operand& from, const Operand& to) {
  std::vector<CopyAxis> axes;
  for (size_t i = 0; i < static_cast<size_t>(to.rank); ++i) {
    const CopyAxis axis{to.sizes[i], from.strides[i], to.strides[i]};
    if (axis.size == 1) continue;
    if (!axes.empty() && axes.back().from == axis.size * axis.from && axes.back().to == axis.size * axis.to) {
      axes.back() = {axes.back().size * axis.size, axis.from, axis.to};
    } else {
      axes.push_back(axis);
    }
  }
  return axes;
}

// Takes out the axis whose stride on one side is the least.
CopyAxis take_least(std::vector<CopyAxis>& axes, ptrdiff_t CopyAxis::* stride) {
  if (axes.empty()) return {1, 0, 0};
  const auto least = std::min_element(
      axes.begin(), axes.end(), [&](const CopyAxis& a, const CopyAxis& b) { return a.*stride < b.*stride; });
  const CopyAxis axis = *least;
  axes.erase(least);
  return axis;
}

class CopyStep final : public Step {
 public:
  CopyStep(const KernelSet& set, Element from, Element to, const Operands& o)
      : set_(set), from_(from), to_(to), out_(o.out), x_(o.x), outer_(merged(o.x, o.out)) {
    if (!same_sizes(out_, x_)) refuse("x");
    channels_ = take_least(outer_, &CopyAxis::to);
    columns_ = take_least(outer_, &CopyAxis::from);
    for (const CopyAxis& axis : outer_) rows_ *= axis.size;
  }

  double nanoseconds() const override { return floats(out_) * 2 * kMoveNs; }

  // A row is what one index of all outer axes leaves: columns × channels.
  void run(Memory memory, int threads) const override {
    constexpr ptrdiff_t kTaskFloats = 4096;
    const ptrdiff_t step = std::clamp<ptrdiff_t>(kTaskFloats / channels_.size, 1, columns_.size);
    const ptrdiff_t parts = ceil_div(columns_.size, step);
    parallel_for(awake_threads(threads, nanoseconds()), rows_ * parts, 0, [&](ptrdiff_t task, float*) {
      const ptrdiff_t column = task % parts * step, columns = std::min(step, columns_.size - column);
      ptrdiff_t from = column * columns_.from, to = column * columns_.to, row = task / parts;
      for (const CopyAxis& axis : outer_) {
        from += row % axis.size * axis.from;
        to += row % axis.size * axis.to;
        row /= axis.size;
      }
      copy(memory, from, to, columns);
    });
  }

 private:
  void copy(Memory memory, ptrdiff_t from, ptrdiff_t to, ptrdiff_t columns) const {
    if (is_byte(to_)) {
      move_bytes(data<const uint8_t>(x_, memory) + from, data<uint8_t>(out_, memory) + to, columns);
    } else if (is_byte(from_)) {
      from_bytes(data<const uint8_t>(x_, memory) + from, data<float>(out_, memory) + to, columns);
    } else if (to_ == Element::kHalf) {
      turn(data<const float>(x_, memory) + from, data<uint16_t>(out_, memory) + to, columns,
           [&](const float* x, uint16_t* y, ptrdiff_t n) { set_.network.to_halves({x, y, n}); });
    } else if (from_ == Element::kHalf) {
      turn(data<const uint16_t>(x_, memory) + from, data<float>(out_, memory) + to, columns,
           [&](const uint16_t* x, float* y, ptrdiff_t n) { set_.network.from_halves({x, y, n}); });
    } else {
      copy_block(set_, data<const float>(x_, memory) + from, {0, columns_.from, channels_.from},
                 data<float>(out_, memory) + to, {0, columns_.to, channels_.to}, 1, columns, channels_.size);
    }
  }

  // f(x, y, count) on lines; channels that lie apart become lines first, and what comes of them goes apart.
  template <class X, class Y, class F>
  void turn(const X* x, Y* y, ptrdiff_t columns, const F& f) const {
    constexpr ptrdiff_t kLine = 256;
    for (ptrdiff_t j = 0; j < columns; ++j, x += columns_.from, y += columns_.to) {
      if (channels_.from == 1 && channels_.to == 1) {
        f(x, y, channels_.size);
        continue;
      }
      X given[kLine];
      Y turned[kLine];
      for (ptrdiff_t first = 0; first < channels_.size; first += kLine) {
        const ptrdiff_t n = std::min(kLine, channels_.size - first);
        for (ptrdiff_t c = 0; c < n; ++c) given[c] = x[(first + c) * channels_.from];
        f(given, turned, n);
        for (ptrdiff_t c = 0; c < n; ++c) y[(first + c) * channels_.to] = turned[c];
      }
    }
  }

  void from_bytes(const uint8_t* x, float* y, ptrdiff_t columns) const {
    for (ptrdiff_t j = 0; j < columns; ++j, x += columns_.from, y += columns_.to) {
      if (channels_.from == 1 && channels_.to == 1) {
        set_.network.from_bytes({x, y, channels_.size});
        continue;
      }
      for (ptrdiff_t c = 0; c < channels_.size; ++c) {
        y[c * channels_.to] = static_cast<float>(x[c * channels_.from]);
      }
    }
  }

  void move_bytes(const uint8_t* x, uint8_t* y, ptrdiff_t columns) const {
    for (ptrdiff_t j = 0; j < columns; ++j, x += columns_.from, y += columns_.to) {
      if (channels_.from == 1 && channels_.to == 1) {
        std::memmove(y, x, static_cast<size_t>(channels_.size));
        continue;
      }
      for (ptrdiff_t c = 0; c < channels_.size; ++c) y[c * channels_.to] = x[c * channels_.from];
    }
  }

  const KernelSet& set_;
  const Element from_, to_;
  const Operand out_, x_;
  std::vector<CopyAxis> outer_;
  CopyAxis channels_{}, columns_{};
  ptrdiff_t rows_ = 1;
};

}  // namespace

StepPointer copy_step(const KernelSet& set, Element from, Element to, const Operands& o) {
  return std::make_unique<CopyStep>(set, from, to, o);
}

}  // namespace fastdw
