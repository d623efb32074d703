// For count.py: runs one separable block of 8-bit integers again and again; the emulated tests compare bits.
//
//     block8 ISA8 HEIGHT WIDTH CHANNELS FILTERS TIMES
//
// 3×3 at stride 1, SAME; both halves end in the whole range of a byte, as ReLU6 does.
#include <algorithm>
#include <cstdlib>
#include <vector>

#include "isa/dispatch.h"
#include "ops/run8.h"

using namespace fastdw;

namespace {

template <class T>
std::vector<T> numbers(ptrdiff_t count, int range) {
  static uint32_t state = 1;
  std::vector<T> values(static_cast<size_t>(count));
  for (T& v : values) {
    state = state * 1664525u + 1013904223u;
    v = static_cast<T>(static_cast<int>((state >> 8) % static_cast<uint32_t>(2 * range + 1)) - range);
  }
  return values;
}

// Kernel, bias and factors that leave sums of `taps` products in a byte.
struct Half {
  Half(ptrdiff_t taps, ptrdiff_t outputs)
      : kernel(numbers<int8_t>(taps * outputs, 127)),
        bias(numbers<int32_t>(outputs, 1000)),
        factors(static_cast<size_t>(outputs), 1.0f / static_cast<float>(64 * taps)) {}
  UnpackedWeights8 weights() const { return {kernel.data(), bias.data(), factors.data(), -128}; }

  const std::vector<int8_t> kernel;
  const std::vector<int32_t> bias;
  const std::vector<float> factors;
};

template <class T>
View<T> view(T* data, ptrdiff_t height, ptrdiff_t width, ptrdiff_t channels) {
  return {data, 1, height, width, channels, height * width * channels, width * channels, channels, 1};
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 7) return 2;
  const Kernels8& set = kernels8(arguments[1]);
  ptrdiff_t sizes[5];
  std::transform(arguments + 2, arguments + 7, sizes, std::atol);
  const ptrdiff_t height = sizes[0], width = sizes[1], channels = sizes[2], filters = sizes[3];
  const Rescale8 rescale{0.0f, 255.0f, set.offset - 128, set.flip(true), true};
  const Half first(9, channels), last(channels, filters);
  const WindowShape window{3, 3, 1, 1, 1, 1};
  const Depthwise8Weights depthwise(set, first.weights(), window, channels, 1, set.flip(true), rescale);
  const Pointwise8Weights pointwise(set, last.weights(), channels, filters, set.flip(true), rescale);
  const auto x = numbers<uint8_t>(height * width * channels, 127);
  std::vector<uint8_t> y(static_cast<size_t>(height * width * filters));
  const Chain8 chain{&depthwise, &pointwise, {}};
  const Problem8 problem{chain,
                         1,
                         1,
                         window,
                         view(x.data(), height, width, channels),
                         {},
                         view(y.data(), height, width, filters)};
  check(problem);
  for (ptrdiff_t i = sizes[4]; i > 0; --i) run(problem, make_plan8(problem, 1));
}
