// For count.py: runs one separable block with sums of halves again and again; the emulated tests compare
// bits.
//
//     block16 ISA16 HEIGHT WIDTH CHANNELS FILTERS TIMES
//
// 3×3 at stride 1, SAME; both parts end in ReLU6.
#include <algorithm>
#include <cstdlib>
#include <vector>

#include "isa/dispatch.h"
#include "ops/run16.h"

using namespace fastdw;

namespace {

// Halves between −1 and 1: their speed does not hang on their values.
std::vector<uint16_t> halves(ptrdiff_t count) {
  static uint32_t state = 1;
  std::vector<uint16_t> values(static_cast<size_t>(count));
  for (uint16_t& v : values) {
    state = state * 1664525u + 1013904223u;
    v = static_cast<uint16_t>((state >> 16 & 0x8000) | ((state >> 8) % 0x3c00));
  }
  return values;
}

template <class T>
View<T> view(T* data, ptrdiff_t height, ptrdiff_t width, ptrdiff_t channels) {
  return {data, 1, height, width, channels, height * width * channels, width * channels, channels, 1};
}

}  // namespace

int main(int count, char** arguments) {
  if (count != 7) return 2;
  const Kernels16& set = kernels16(arguments[1]);
  ptrdiff_t sizes[5];
  std::transform(arguments + 2, arguments + 7, sizes, std::atol);
  const ptrdiff_t height = sizes[0], width = sizes[1], channels = sizes[2], filters = sizes[3];
  const Activation relu6{Curve::kClamp, 0, 6, {}};
  const std::vector<uint16_t> taps = halves(9 * channels), matrix = halves(channels * filters);
  const KernelSet& floats = active_kernel_set();
  const WindowShape window{3, 3, 1, 1, 1, 1};
  const Depthwise16Weights depthwise(set, {taps.data(), nullptr, relu6, floats}, window, channels, 1);
  const Pointwise16Weights pointwise(set, {matrix.data(), nullptr, relu6, floats}, channels, filters);
  const std::vector<uint16_t> x = halves(height * width * channels);
  std::vector<uint16_t> y(static_cast<size_t>(height * width * filters));
  const Problem16 problem{{&depthwise, &pointwise},
                          1,
                          1,
                          view(x.data(), height, width, channels),
                          {},
                          view(y.data(), height, width, filters)};
  check(problem);
  const Plan16 plan = useful_plan(problem, 1);
  for (ptrdiff_t i = sizes[4]; i > 0; --i) run(problem, plan, 0, plan.tasks());
}
