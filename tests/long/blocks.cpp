// How the separable operator cuts an image into blocks, on any number of threads: random layers, with a pool of
// its own that gives every task just the scratch asked for, full of NaN and with a border behind it, and runs the
// tasks in any order. Whole numbers, so results must equal plain loops; nothing but the output may change.
//   blocks SECONDS [SEED]                seconds for each instruction set
#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "dispatch.h"
#include "ops/separable.h"
#include "threads.h"

using namespace fastdw;

namespace {

constexpr double kMostMacs = 2e7;
constexpr float kBorder = 12345.0f;

std::mt19937 draw;

ptrdiff_t between(ptrdiff_t least, ptrdiff_t most) {
  return least + static_cast<ptrdiff_t>(draw() % static_cast<uint32_t>(most - least + 1));
}
bool one_in(ptrdiff_t n) { return between(1, n) == 1; }
ptrdiff_t one_of(std::initializer_list<ptrdiff_t> values) {
  return values.begin()[between(0, static_cast<ptrdiff_t>(values.size()) - 1)];
}
std::vector<float> whole_numbers(ptrdiff_t count) {
  std::vector<float> values(static_cast<size_t>(count));
  for (float& v : values) v = static_cast<float>(between(-2, 2));
  return values;
}

// NHWC with gaps behind rows and pixels, or NCHW.
struct Array {
  std::vector<float> memory;
  View<float> view;
  Array(ptrdiff_t n, ptrdiff_t h, ptrdiff_t w, ptrdiff_t c) : view{nullptr, n, h, w, c, 0, 0, 0, 1} {
    if (one_in(3)) {
      view.column_stride = 1;
      view.row_stride = w;
      view.channel_stride = h * w;
      view.image_stride = c * h * w;
    } else {
      view.column_stride = c + (one_in(4) ? between(1, 5) : 0);
      view.row_stride = w * view.column_stride + (one_in(4) ? between(1, 5) : 0);
      view.image_stride = h * view.row_stride;
    }
    memory = whole_numbers(n * view.image_stride);
    view.data = memory.data();
  }
  Input input() const {
    return {view.data,         view.images,     view.height,        view.width,         view.channels,
            view.image_stride, view.row_stride, view.column_stride, view.channel_stride};
  }
};

struct Layer {
  ptrdiff_t kernel, stride, dilation, pad_top, pad_left, channels, multiplier, filters;
  std::vector<float> depthwise, depthwise_bias, pointwise, bias;
};

// One output pixel.
std::vector<float> plain(const Layer& l, const Input& x, ptrdiff_t n, ptrdiff_t i, ptrdiff_t j) {
  const ptrdiff_t middle = l.channels * l.multiplier;
  std::vector<float> sums = l.depthwise_bias, result = l.bias;
  for (ptrdiff_t di = 0; di < l.kernel; ++di) {
    for (ptrdiff_t dj = 0; dj < l.kernel; ++dj) {
      const ptrdiff_t row = i * l.stride - l.pad_top + di * l.dilation;
      const ptrdiff_t column = j * l.stride - l.pad_left + dj * l.dilation;
      if (row < 0 || row >= x.height || column < 0 || column >= x.width) continue;
      const float* taps = l.depthwise.data() + (di * l.kernel + dj) * middle;
      for (ptrdiff_t c = 0; c < middle; ++c)
        sums[static_cast<size_t>(c)] += *x.at(n, row, column, c / l.multiplier) * taps[c];
    }
  }
  for (ptrdiff_t c = 0; c < middle; ++c) {
    const float v = std::max(sums[static_cast<size_t>(c)], 0.0f);
    const float* weights = l.pointwise.data() + c * l.filters;
    for (ptrdiff_t f = 0; f < l.filters; ++f) result[static_cast<size_t>(f)] += v * weights[f];
  }
  return result;
}

// False where the layer drawn is too much work, or has no output.
bool try_layer(const KernelSet& set) {
  Layer l{};
  l.kernel = one_of({1, 2, 3, 3, 3, 5, 7});
  l.stride = one_of({1, 1, 1, 2, 3});
  l.dilation = one_of({1, 1, 1, 2, 3, 20});
  const ptrdiff_t extent = (l.kernel - 1) * l.dilation + 1;
  l.pad_top = between(0, extent);
  l.pad_left = between(0, extent);
  l.channels = one_in(3) ? one_of({1, 16, 200, 512, 1000, 3000, 20000}) : between(1, 100);
  l.multiplier = one_of({1, 1, 1, 2, 3});
  l.filters = one_in(3) ? one_of({1, 24, 40, 160, 512, 1000}) : between(1, 100);
  const ptrdiff_t images = one_of({1, 1, 1, 2, 5}), middle = l.channels * l.multiplier;
  const ptrdiff_t height = one_of({1, 2, 7, 14, 64, 200, between(1, 40)});
  const ptrdiff_t width = one_of({1, 2, 7, 14, 64, 300, between(1, 40)});
  if (height + 2 * l.pad_top < extent || width + 2 * l.pad_left < extent) return false;
  const ptrdiff_t out_height = (height + 2 * l.pad_top - extent) / l.stride + 1;
  const ptrdiff_t out_width = (width + 2 * l.pad_left - extent) / l.stride + 1;
  const double macs = static_cast<double>(images * out_height * out_width) *
                      static_cast<double>(middle * (l.kernel * l.kernel + l.filters));
  if (macs > kMostMacs || static_cast<double>(images * height * width) * static_cast<double>(l.channels) > 4e6)
    return false;

  l.depthwise = whole_numbers(l.kernel * l.kernel * middle);
  l.depthwise_bias = whole_numbers(middle);
  l.pointwise = whole_numbers(middle * l.filters);
  l.bias = whole_numbers(l.filters);
  Activation relu, linear;
  relu.b = std::numeric_limits<float>::infinity();
  linear.a = -relu.b;
  linear.b = relu.b;
  const DepthwiseWeights depthwise(set, l.depthwise.data(), l.depthwise_bias.data(), l.kernel, l.kernel,
                                   l.channels, l.multiplier, relu, nullptr);
  const PointwiseWeights pointwise(set, l.pointwise.data(), l.bias.data(), middle, l.filters, linear);

  const Array x(images, height, width, l.channels);
  const Array residual(images, out_height, out_width, l.filters);
  Array out(images, out_height, out_width, l.filters);
  const bool adds = one_in(3);
  std::vector<float> expected = out.memory;
  for (ptrdiff_t n = 0; n < images; ++n) {
    for (ptrdiff_t i = 0; i < out_height; ++i) {
      for (ptrdiff_t j = 0; j < out_width; ++j) {
        const std::vector<float> pixel = plain(l, x.input(), n, i, j);
        for (ptrdiff_t f = 0; f < l.filters; ++f) {
          const float more = adds ? *residual.view.at(n, i, j, f) : 0.0f;
          expected[static_cast<size_t>(out.view.at(n, i, j, f) - out.memory.data())] =
              pixel[static_cast<size_t>(f)] + more;
        }
      }
    }
  }
  const DepthwiseOp first(depthwise, {l.stride, l.stride, l.dilation, l.dilation, l.pad_top, l.pad_left},
                          x.input(), nullptr);
  const auto threads = static_cast<int>(one_of({1, 2, 3, 4, 7, 16, 64}));
  separable(first, {pointwise, out.view, adds ? residual.input() : Input{}}, threads);
  if (out.memory == expected) return true;
  std::fprintf(stderr, "%td×%td×%td×%td k%td s%td d%td m%td f%td: wrong on %d threads\n", images, height, width,
               l.channels, l.kernel, l.stride, l.dilation, l.multiplier, l.filters, threads);
  std::abort();
}

}  // namespace

namespace fastdw {

void parallel_for(int, ptrdiff_t tasks, ptrdiff_t scratch_floats, Task task, const void* context) {
  constexpr ptrdiff_t kBorderFloats = 64;
  const FloatBuffer scratch = allocate_floats(scratch_floats + kBorderFloats);
  float* const end = scratch.get() + scratch_floats;
  std::vector<ptrdiff_t> order(static_cast<size_t>(tasks));
  for (ptrdiff_t i = 0; i < tasks; ++i) order[static_cast<size_t>(i)] = i;
  std::shuffle(order.begin(), order.end(), draw);
  for (const ptrdiff_t i : order) {
    std::fill(scratch.get(), end, std::numeric_limits<float>::quiet_NaN());
    std::fill(end, end + kBorderFloats, kBorder);
    task(context, i, scratch.get());
    if (std::any_of(end, end + kBorderFloats, [](float v) { return v != kBorder; })) {
      std::fprintf(stderr, "a task wrote behind its %td floats of scratch\n", scratch_floats);
      std::abort();
    }
  }
}

}  // namespace fastdw

int main(int count, char** arguments) {
  if (count < 2) return 2;
  const auto seconds = std::chrono::duration<double>(std::atof(arguments[1]));
  draw.seed(count > 2 ? static_cast<uint32_t>(std::atoi(arguments[2])) : 1);
  for (const std::string& isa : supported_isas()) {
    long layers = 0;
    for (const auto start = std::chrono::steady_clock::now();
         std::chrono::steady_clock::now() - start < seconds;) {
      layers += try_layer(kernel_set(isa));
    }
    std::printf("%s: %ld layers, none wrong\n", isa.c_str(), layers);
  }
}
