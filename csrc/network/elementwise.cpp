// Sums, products, affine maps, activations, softmax, normalization: one output for one pixel of each input.
#include <cstring>

#include "base/refuse.h"
#include "network/step.h"
#include "network/sweep.h"

namespace fastdw {
namespace {

constexpr ptrdiff_t kPieceFloats = 1024;

// Whole pixels to a line, where a number stands for each channel.
ptrdiff_t line_of(ptrdiff_t channels) { return channels * std::max<ptrdiff_t>(1, kPieceFloats / channels); }

// One number a channel, as often as a line has pixels.
void repeat(std::vector<float>& numbers, ptrdiff_t line) {
  const size_t channels = numbers.size();
  if (channels == 0) return;
  numbers.resize(static_cast<size_t>(line));
  for (size_t i = channels; i < numbers.size(); ++i) numbers[i] = numbers[i - channels];
}

bool is_identity(const Activation& f) {
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  return f.clamps() && f.a == -kInfinity && f.b == kInfinity;
}

// The last thing that a step does, to results in cache.
class Epilogue {
 public:
  Epilogue(const KernelSet& set, Activation f) : set_(set), f_(std::move(f)), none_(is_identity(f_)) {}

  void operator()(float* y, ptrdiff_t stride, const Pixels& p) const {
    if (!none_) f_.apply(set_, y, stride, p.columns, p.channels);
  }
  void in_lines(ptrdiff_t line) { repeat(f_.slopes, line); }
  double nanoseconds() const { return none_ ? 0 : kCurveNs; }

 private:
  const KernelSet& set_;
  Activation f_;
  bool none_;
};

// Pixel for pixel: what the constructors rely on.
void check_alike(const Operands& o, bool two) {
  check_image(o.out, "out");
  check_image(o.x, "x");
  if (two) check_image(o.second, "second");
  if (!same_sizes(o.out, o.x) || (two && !same_sizes(o.out, o.second))) refuse("sizes");
}

using PairFn = void (*)(const PairRow&);

PairFn pair_kernel(const NetworkKernels& kernels, Pair pair) {
  switch (pair) {
    case Pair::kAdd:
      return kernels.add;
    case Pair::kMultiply:
      return kernels.multiply;
    case Pair::kDivide:
      return kernels.divide;
    case Pair::kMaximum:
      return kernels.maximum;
    case Pair::kMinimum:
      break;
  }
  return kernels.minimum;
}

class PairStep final : public Step {
 public:
  PairStep(const KernelSet& set, Pair pair, const Activation& activation, const Operands& o)
      : kernel_(pair_kernel(set.network, pair)),
        epilogue_(set, activation),
        dense_(is_dense(o.out) && is_dense(o.x) && is_dense(o.second)),
        sweep_(dense_ ? Sweep::in_lines(o.out, line_of(o.out.sizes[2])) : Sweep::pixels(o.out)),
        out_(o.out, sweep_),
        x_(o.x, sweep_),
        second_(o.second, sweep_) {
    check_slopes(activation, o.out.sizes[2]);
    if (dense_) epilogue_.in_lines(sweep_.channels);
  }

  double nanoseconds() const override { return floats(out_.operand) * (kMoveNs + epilogue_.nanoseconds()); }

  void run(Memory memory, int threads) const override {
    sweep_(threads, nanoseconds(), [&](const Pixels& p) {
      float* y = out_.at(memory, p);
      kernel_({x_.at(memory, p), x_.stride, second_.at(memory, p), second_.stride, y, out_.stride, p.columns,
               p.channels});
      epilogue_(y, out_.stride, p);
    });
  }

 private:
  const PairFn kernel_;
  Epilogue epilogue_;
  const bool dense_;
  const Sweep sweep_;
  const Walk out_, x_, second_;
};

class AffineStep final : public Step {
 public:
  AffineStep(const KernelSet& set, std::vector<float> scale, std::vector<float> offset,
             const Activation& activation, const Operands& o)
      : set_(set),
        scale_(std::move(scale)),
        offset_(std::move(offset)),
        epilogue_(set, activation),
        dense_(is_dense(o.out) && is_dense(o.x)),
        sweep_(dense_ ? Sweep::in_lines(o.out, line_of(o.out.sizes[2])) : Sweep::pixels(o.out)),
        out_(o.out, sweep_),
        x_(o.x, sweep_) {
    const ptrdiff_t channels = o.out.sizes[2];
    for (const auto* numbers : {&scale_, &offset_}) {
      const auto size = static_cast<ptrdiff_t>(numbers->size());
      if (size != channels && !(size == 0 && scale_.size() == offset_.size())) refuse("scale and offset");
    }
    check_slopes(activation, channels);
    if (!dense_) return;
    repeat(scale_, sweep_.channels);
    repeat(offset_, sweep_.channels);
    epilogue_.in_lines(sweep_.channels);
  }

  double nanoseconds() const override { return floats(out_.operand) * (kMoveNs + epilogue_.nanoseconds()); }

  void run(Memory memory, int threads) const override {
    sweep_(threads, nanoseconds(), [&](const Pixels& p) {
      const float* x = x_.at(memory, p);
      float* y = out_.at(memory, p);
      if (!scale_.empty()) {
        set_.network.affine(
            {x, x_.stride, scale_.data(), offset_.data(), y, out_.stride, p.columns, p.channels});
      } else if (x != y) {
        // An operand may lie across another: wrong numbers, but nothing worse.
        for (ptrdiff_t j = 0; j < p.columns; ++j) {
          std::memmove(y + j * out_.stride, x + j * x_.stride,
                       static_cast<size_t>(p.channels) * sizeof(float));
        }
      }
      epilogue_(y, out_.stride, p);
    });
  }

 private:
  const KernelSet& set_;
  std::vector<float> scale_, offset_;
  Epilogue epilogue_;
  const bool dense_;
  const Sweep sweep_;
  const Walk out_, x_;
};

class SoftmaxStep final : public Step {
 public:
  SoftmaxStep(const KernelSet& set, float beta, const Operands& o)
      : set_(set), beta_(beta), sweep_(Sweep::pixels(o.out)), out_(o.out, sweep_), x_(o.x, sweep_) {
    if (!(beta >= 0 && beta <= std::numeric_limits<float>::max())) refuse("beta");
  }

  // Two passes number by number, and the exponential.
  double nanoseconds() const override { return floats(out_.operand) * 3; }

  void run(Memory memory, int threads) const override {
    sweep_(threads, nanoseconds(), [&](const Pixels& p) {
      set_.network.softmax(
          {x_.at(memory, p), x_.stride, beta_, out_.at(memory, p), out_.stride, p.columns, p.channels});
    });
  }

 private:
  const KernelSet& set_;
  const float beta_;
  const Sweep sweep_;
  const Walk out_, x_;
};

class NormalizeStep final : public Step {
 public:
  NormalizeStep(const KernelSet& set, float epsilon, std::vector<float> scale, std::vector<float> offset,
                const Operands& o)
      : set_(set),
        epsilon_(epsilon),
        scale_(std::move(scale)),
        offset_(std::move(offset)),
        sweep_(Sweep::pixels(o.out)),
        out_(o.out, sweep_),
        x_(o.x, sweep_) {
    if (!(epsilon >= 0 && epsilon <= std::numeric_limits<float>::max())) refuse("epsilon");
    const auto channels = static_cast<size_t>(o.out.sizes[2]);
    if (scale_.size() != channels || offset_.size() != channels) refuse("scale and offset");
  }

  // Four passes, in cache.
  double nanoseconds() const override { return floats(out_.operand) * 4 * kMoveNs; }

  void run(Memory memory, int threads) const override {
    sweep_(threads, nanoseconds(), [&](const Pixels& p) {
      set_.network.normalize({x_.at(memory, p), x_.stride, epsilon_, scale_.data(), offset_.data(),
                              out_.at(memory, p), out_.stride, p.columns, p.channels});
    });
  }

 private:
  const KernelSet& set_;
  const float epsilon_;
  const std::vector<float> scale_, offset_;
  const Sweep sweep_;
  const Walk out_, x_;
};

}  // namespace

StepPointer pair_step(const KernelSet& set, Pair pair, const Activation& activation, const Operands& o) {
  check_alike(o, true);
  return std::make_unique<PairStep>(set, pair, activation, o);
}

StepPointer affine_step(const KernelSet& set, std::vector<float> scale, std::vector<float> offset,
                        const Activation& activation, const Operands& o) {
  check_alike(o, false);
  return std::make_unique<AffineStep>(set, std::move(scale), std::move(offset), activation, o);
}

StepPointer softmax_step(const KernelSet& set, float beta, const Operands& o) {
  check_alike(o, false);
  return std::make_unique<SoftmaxStep>(set, beta, o);
}

StepPointer normalize_step(const KernelSet& set, float epsilon, std::vector<float> scale,
                           std::vector<float> offset, const Operands& o) {
  check_alike(o, false);
  return std::make_unique<NormalizeStep>(set, epsilon, std::move(scale), std::move(offset), o);
}

}  // namespace fastdw
