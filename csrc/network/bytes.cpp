// Bytes pixel by pixel: sums, products, tables, and what leads from floats to bytes and back.
#include "base/refuse.h"
#include "network/step8.h"
#include "network/sweep.h"

namespace fastdw {
namespace {

constexpr ptrdiff_t kPieceBytes = 4096;

// Whole pixels to a line, where bytes stand for each channel.
ptrdiff_t line_of(ptrdiff_t channels) { return channels * std::max<ptrdiff_t>(1, kPieceBytes / channels); }

// One byte a channel, as often as a line has pixels: as they are for one, written to `line` for more.
const uint8_t* repeated(const uint8_t* bytes, ptrdiff_t channels, ptrdiff_t count,
                        std::array<uint8_t, kPieceBytes>& line) {
  if (count == channels) return bytes;
  for (ptrdiff_t i = 0; i < count; i += channels) std::copy_n(bytes, channels, line.data() + i);
  return line.data();
}

bool is_spread(const Operand& o) { return o.exists() && o.strides[0] == 0 && o.strides[1] == 0; }

// f(a, b, y, channels) for each pixel; for lines of many where all operands are dense, or b one pixel for
// all, and channels are alike. b is the second operand, or the term.
template <class X, class Y, class F>
class PixelStep final : public Step {
 public:
  PixelStep(const Operands& o, std::vector<uint8_t> term, bool alike, double value_ns, const F& f)
      : f_(f),
        nanoseconds_(floats(o.out) * value_ns),
        repeats_(!term.empty() || is_spread(o.second)),
        dense_(alike && is_dense(o.out) && is_dense(o.x) &&
               (repeats_ || !o.second.exists() || is_dense(o.second))),
        sweep_(dense_ ? Sweep::in_lines(o.out, repeats_ ? line_of(o.out.sizes[2]) : kPieceBytes)
                      : Sweep::pixels(o.out)),
        out_(o.out, sweep_),
        x_(o.x, sweep_),
        second_(o.second, sweep_),
        term_(std::move(term)) {}

  double nanoseconds() const override { return nanoseconds_; }

  void run(Memory memory, int threads) const override {
    const Operand& second = second_.operand;
    std::array<uint8_t, kPieceBytes> line;
    const uint8_t* term = term_.data();
    if (repeats_) {
      if (second.exists()) term = data<const uint8_t>(second, memory);
      term = repeated(term, out_.operand.sizes[2], sweep_.channels, line);
    }
    sweep_(threads, nanoseconds_, [&](const Pixels& p) {
      const X* a = x_.at<const X>(memory, p);
      const bool whole = second.exists() && !repeats_;
      const uint8_t* b = whole ? second_.at<const uint8_t>(memory, p) : term;
      const ptrdiff_t b_stride = whole ? second_.stride : 0;
      Y* y = out_.at<Y>(memory, p);
      for (ptrdiff_t j = 0; j < p.columns; ++j) {
        f_(a + j * x_.stride, b + j * b_stride, y + j * out_.stride, p.channels);
      }
    });
  }

 private:
  const F f_;
  const double nanoseconds_;
  const bool repeats_, dense_;
  const Sweep sweep_;
  const Walk out_, x_, second_;
  const std::vector<uint8_t> term_;  // one byte a channel
};

template <class X, class Y, class F>
StepPointer pixel_step(const Operands& o, bool alike, double value_ns, const F& f,
                       std::vector<uint8_t> term = {}) {
  check_image(o.out, "out");
  check_image(o.x, "x");
  if (!same_sizes(o.out, o.x)) refuse("sizes");
  if (o.second.exists()) {
    check_image(o.second, "second");
    if (!same_sizes(o.out, o.second)) refuse("sizes");
  }
  return std::make_unique<PixelStep<X, Y, F>>(o, std::move(term), alike, value_ns, f);
}

// kernel(numbers, a, b, y, count), b being an operand or a term.
template <class Kernel, class Numbers>
StepPointer pair8_step(Kernel kernel, const Numbers& numbers, std::vector<uint8_t> term, const Operands& o) {
  const ptrdiff_t entries = o.second.exists() ? 0 : o.out.sizes[2];
  if (static_cast<ptrdiff_t>(term.size()) != entries) refuse("term");
  return pixel_step<uint8_t, uint8_t>(
      o, true, 0.1,
      [kernel, numbers](const uint8_t* a, const uint8_t* b, uint8_t* y, ptrdiff_t count) {
        kernel(numbers, a, b, y, count);
      },
      std::move(term));
}

}  // namespace

StepPointer add8_step(const Kernels8& set, const Sum8& sum, std::vector<uint8_t> term, const Operands& o) {
  return pair8_step(set.add, sum, std::move(term), o);
}

StepPointer multiply8_step(const Kernels8& set, const Product8& product, std::vector<uint8_t> term,
                           const Operands& o) {
  return pair8_step(set.multiply, product, std::move(term), o);
}

StepPointer table8_step(const Kernels8& set, const Table8& t, const Operands& o) {
  std::array<uint8_t, 256> stored;  // by bytes as they lie in memory
  for (size_t i = 0; i < stored.size(); ++i) stored[i] = t.bytes[i ^ t.flip];
  return pixel_step<uint8_t, uint8_t>(
      o, true, 0.1,
      [kernel = set.table, stored](const uint8_t* x, const uint8_t*, uint8_t* y, ptrdiff_t count) {
        kernel(stored.data(), x, y, count);
      });
}

StepPointer quantize_step(float scale, const Rescale8& rescale, const Operands& o) {
  return pixel_step<float, uint8_t>(
      o, true, 0.5, [scale, rescale](const float* x, const uint8_t*, uint8_t* y, ptrdiff_t count) {
        for (ptrdiff_t i = 0; i < count; ++i) {
          const float t = x[i] / scale;
          y[i] = rescale(t == t ? t : 0);
        }
      });
}

StepPointer dequantize_step(float scale, int32_t zero, uint8_t flip, const Operands& o) {
  return pixel_step<uint8_t, float>(
      o, true, 0.3, [scale, zero, flip](const uint8_t* x, const uint8_t*, float* y, ptrdiff_t count) {
        for (ptrdiff_t i = 0; i < count; ++i) y[i] = static_cast<float>((x[i] ^ flip) - zero) * scale;
      });
}

StepPointer softmax8_step(const Softmax8& s, const Operands& o) {
  return pixel_step<uint8_t, uint8_t>(
      o, false, 5, [s](const uint8_t* x, const uint8_t*, uint8_t* y, ptrdiff_t count) {
        int most = 0;
        for (ptrdiff_t i = 0; i < count; ++i) most = std::max(most, x[i] ^ s.flip);
        const auto power = [&](ptrdiff_t i) { return s.powers[static_cast<size_t>(most - (x[i] ^ s.flip))]; };
        double sum = 0;
        for (ptrdiff_t i = 0; i < count; ++i) sum += power(i);
        // Rounded in float64, as float32's in Rescale8.
        constexpr double kShift = 6755399441055744.0;
        for (ptrdiff_t i = 0; i < count; ++i) {
          const double shifted = power(i) / sum * s.factor + kShift;
          y[i] = s.rescale(static_cast<float>(shifted - kShift));
        }
      });
}

}  // namespace fastdw
