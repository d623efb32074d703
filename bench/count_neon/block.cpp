// For count.py: runs one separable block again and again, or checks blocks of many shapes.
//
//     block ISA run HEIGHT WIDTH CHANNELS KERNEL STRIDE FILTERS DEPTHWISE_HIGH HIGH TIMES
//     block ISA check
//
// Padding is SAME; the activations clamp to [0, high], or are linear where high is "inf".
#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <limits>
#include <string>
#include <vector>

#include "isa/dispatch.h"
#include "ops/chain.h"

using namespace fastdw;

namespace {

struct Block {
  ptrdiff_t height, width, channels, kernel, stride, filters;
  float depthwise_high, high;
};

Activation clamp(float high) { return {Curve::kClamp, std::isinf(high) ? -high : 0.0f, high, {}}; }

float apply(float v, const Activation& f) { return std::fmin(std::fmax(v, f.a), f.b); }

std::vector<float> numbers(ptrdiff_t count, float scale) {
  static uint32_t state = 1;
  std::vector<float> values(static_cast<size_t>(count));
  for (float& v : values) {
    state = state * 1664525u + 1013904223u;
    v = (static_cast<float>(state >> 8) / 8388608.0f - 1.0f) * scale;
  }
  return values;
}

struct Axis {
  ptrdiff_t outputs, before;
};

Axis same(ptrdiff_t size, ptrdiff_t kernel, ptrdiff_t stride) {
  const ptrdiff_t outputs = ceil_div(size, stride);
  return {outputs, std::max<ptrdiff_t>((outputs - 1) * stride + kernel - size, 0) / 2};
}

class Runner {
 public:
  Runner(const KernelSet& set, const Block& block)
      : b(block),
        rows(same(b.height, b.kernel, b.stride)),
        columns(same(b.width, b.kernel, b.stride)),
        x(numbers(b.height * b.width * b.channels, 4.0f)),
        taps(numbers(b.kernel * b.kernel * b.channels, 1.0f)),
        depthwise_bias(numbers(b.channels, 1.0f)),
        matrix(numbers(b.channels * b.filters, 1.0f)),
        bias(numbers(b.filters, 1.0f)),
        residual(numbers(rows.outputs * columns.outputs * b.filters, 1.0f)),
        y(residual.size() + 1, kCanary),
        depthwise_weights(set, taps.data(), depthwise_bias.data(), b.kernel, b.kernel,
                          b.channels, 1, clamp(b.depthwise_high), nullptr, true),
        pointwise_weights(set, matrix.data(), bias.data(), b.channels, b.filters,
                          clamp(b.high)) {}

  void run(bool with_residual) {
    const Input in = view<const float>(x.data(), b.height, b.width, b.channels);
    const Output out = view(y.data(), rows.outputs, columns.outputs, b.filters);
    Input add = view<const float>(residual.data(), rows.outputs, columns.outputs, b.filters);
    if (!with_residual) add = {};
    const Geometry geometry{b.stride, b.stride, 1, 1, rows.before, columns.before};
    compute({{&depthwise_weights, &pointwise_weights, nullptr}, geometry, in, add, out}, 1);
  }

  // Every sum in the promised order, one fused multiply-add after the other: the same bits.
  bool right(bool with_residual) const {
    std::vector<float> middle(static_cast<size_t>(b.channels));
    const Activation first = clamp(b.depthwise_high), last = clamp(b.high);
    const float* result = y.data();
    const float* add = residual.data();
    for (ptrdiff_t i = 0; i < rows.outputs; ++i) {
      for (ptrdiff_t j = 0; j < columns.outputs; ++j, result += b.filters, add += b.filters) {
        for (ptrdiff_t c = 0; c < b.channels; ++c) middle[c] = apply(window(i, j, c), first);
        for (ptrdiff_t f = 0; f < b.filters; ++f) {
          float sum = bias[f];
          for (ptrdiff_t c = 0; c < b.channels; ++c) {
            sum = std::fma(middle[c], matrix[c * b.filters + f], sum);
          }
          if (apply(with_residual ? sum + add[f] : sum, last) != result[f]) return false;
        }
      }
    }
    return *result == kCanary;
  }

  const Block b;

 private:
  static constexpr float kCanary = -12345.0f;

  template <class T>
  static View<T> view(T* data, ptrdiff_t height, ptrdiff_t width, ptrdiff_t channels) {
    return {data, 1, height, width, channels, height * width * channels, width * channels, channels, 1};
  }

  float window(ptrdiff_t i, ptrdiff_t j, ptrdiff_t c) const {
    float sum = depthwise_bias[c];
    for (ptrdiff_t dj = 0; dj < b.kernel; ++dj) {
      for (ptrdiff_t di = 0; di < b.kernel; ++di) {
        const ptrdiff_t row = i * b.stride - rows.before + di, column = j * b.stride - columns.before + dj;
        if (row < 0 || row >= b.height || column < 0 || column >= b.width) continue;
        sum = std::fma(x[(row * b.width + column) * b.channels + c],
                       taps[(di * b.kernel + dj) * b.channels + c], sum);
      }
    }
    return sum;
  }

  const Axis rows, columns;
  const std::vector<float> x, taps, depthwise_bias, matrix, bias, residual;
  std::vector<float> y;
  const DepthwiseWeights depthwise_weights;
  const PointwiseWeights pointwise_weights;
};

int check(const KernelSet& set) {
  constexpr float kLinear = std::numeric_limits<float>::infinity();
  std::vector<Block> blocks;
  for (const ptrdiff_t stride : {1, 2}) {
    for (const ptrdiff_t kernel : {3, 5}) {
      for (ptrdiff_t size = 1; size <= 33; ++size) {
        const ptrdiff_t other = 1 + size * 7 % 17;
        blocks.push_back({size, other, 1 + size * 5 % 13, kernel, stride, 1 + size * 11 % 37, 6.0f, 6.0f});
        blocks.push_back({other, size, 3 + size * 3 % 41, kernel, stride, 1 + size, kLinear, kLinear});
      }
    }
    blocks.push_back({30, 31, 144, 3, stride, 24, 6.0f, kLinear});
    blocks.push_back({9, 300, 70, 3, stride, 20, 6.0f, 6.0f});
    blocks.push_back({5, 3, 2100, 3, stride, 13, 6.0f, kLinear});
    blocks.push_back({2, 3, 33000, 3, stride, 9, 6.0f, kLinear});
  }
  int wrong = 0;
  for (const Block& b : blocks) {
    for (const bool with_residual : {false, true}) {
      Runner runner(set, b);
      runner.run(with_residual);
      if (runner.right(with_residual)) continue;
      ++wrong;
      std::printf("wrong: %td x %td x %td, kernel %td, stride %td, %td filters%s\n", b.height, b.width,
                  b.channels, b.kernel, b.stride, b.filters, with_residual ? ", residual" : "");
    }
  }
  std::printf("%s: %zu blocks, with and without a residual: %d wrong\n", set.isa, blocks.size(), wrong);
  return wrong != 0;
}

}  // namespace

int main(int count, char** arguments) {
  if (count < 3) return 2;
  const KernelSet& set = kernel_set(arguments[1]);
  if (count == 3 && !std::strcmp(arguments[2], "check")) return check(set);
  if (count != 12 || std::strcmp(arguments[2], "run")) return 2;
  ptrdiff_t sizes[6];
  for (int i = 0; i < 6; ++i) sizes[i] = std::atol(arguments[3 + i]);
  Runner runner(set, {sizes[0], sizes[1], sizes[2], sizes[3], sizes[4], sizes[5],
                      std::strtof(arguments[9], nullptr), std::strtof(arguments[10], nullptr)});
  for (int i = std::atoi(arguments[11]); i > 0; --i) runner.run(false);
}
