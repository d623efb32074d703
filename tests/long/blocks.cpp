// How the depthwise and the separable operator cut an image into blocks, on any number of threads: random layers,
// with a pool of its own that gives every task just the scratch asked for, full of NaN and with a border behind
// it, and runs the tasks in any order. Whole numbers, so results must equal plain loops; nothing but the output
// may change. Arrays end, or begin, at a page that must not be touched: AddressSanitizer sees no masked load of
// AVX2.
//   blocks SECONDS [SEED]                seconds for each instruction set
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "isa/dispatch.h"
#include "ops/chain.h"
#include "ops/run.h"
#include "base/threads.h"

using namespace fastdw;

namespace {

constexpr double kMostMacs = 2e7;  // of one layer in ten; of the others a tenth
constexpr float kBorder = 12345.0f;

std::mt19937 draw;
// Layers that may go over planes, and those with lane_packed tiles.
long planes, lane_packed;

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

// Whole numbers between two pages that must not be touched, right behind the one or before the other.
class Guarded {
 public:
  explicit Guarded(ptrdiff_t count) : count_(static_cast<size_t>(count)) {
    const auto page = static_cast<size_t>(getpagesize());
    const size_t bytes = count_ * sizeof(float), inner = (bytes + page - 1) / page * page;
    size_ = inner + 2 * page;
    base_ = static_cast<char*>(mmap(nullptr, size_, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    if (base_ == MAP_FAILED || mprotect(base_ + page, inner, PROT_READ | PROT_WRITE) != 0) std::abort();
    data_ = reinterpret_cast<float*>(base_ + page + (one_in(2) ? inner - bytes : 0));
    const std::vector<float> values = whole_numbers(count);
    std::copy(values.begin(), values.end(), data_);
  }
  Guarded(const Guarded&) = delete;
  Guarded& operator=(const Guarded&) = delete;
  ~Guarded() { munmap(base_, size_); }

  float* data() const { return data_; }
  std::vector<float> copy() const { return {data_, data_ + count_}; }

 private:
  size_t count_, size_;
  char* base_;
  float* data_;
};

// NHWC or NCHW, with gaps behind axes or without, of any sign.
struct Array {
  View<float> view;
  Guarded memory;
  Array(ptrdiff_t n, ptrdiff_t h, ptrdiff_t w, ptrdiff_t c, bool planar)
      : view(spread(n, h, w, c, planar)), memory(extent(view)) {
    view.data = memory.data();
    ptrdiff_t* const strides[] = {&view.image_stride, &view.row_stride, &view.column_stride, &view.channel_stride};
    const ptrdiff_t sizes[] = {n, h, w, c};
    // What the library would copy first is left alone: pixels in reverse, channels of NHWC too.
    for (const int axis : {0, 1, 3}) {
      if (!one_in(16) || (axis == 3 && !planar)) continue;
      view.data += (sizes[axis] - 1) * *strides[axis];
      *strides[axis] = -*strides[axis];
    }
  }
  static View<float> spread(ptrdiff_t n, ptrdiff_t h, ptrdiff_t w, ptrdiff_t c, bool planar) {
    const auto gap = [] { return one_in(6) ? between(1, 5) : 0; };
    View<float> v{nullptr, n, h, w, c, 0, 0, 0, 1};
    if (planar) {
      v.column_stride = 1;
      v.row_stride = w + gap();
      v.channel_stride = h * v.row_stride + gap();
      v.image_stride = c * v.channel_stride + gap();
    } else {
      v.column_stride = c + gap();
      v.row_stride = w * v.column_stride + gap();
      v.image_stride = h * v.row_stride + gap();
    }
    return v;
  }
  static ptrdiff_t extent(const View<float>& v) {
    return (v.images - 1) * v.image_stride + (v.height - 1) * v.row_stride + (v.width - 1) * v.column_stride +
           (v.channels - 1) * v.channel_stride + 1;
  }
  Input input() const {
    return {view.data,         view.images,     view.height,        view.width,         view.channels,
            view.image_stride, view.row_stride, view.column_stride, view.channel_stride};
  }
};

// A curve that keeps whole numbers whole, with a slope for each channel or without; or a clamp.
Activation draw_activation(ptrdiff_t channels) {
  Activation f;
  f.b = std::numeric_limits<float>::infinity();
  f.a = one_in(3) ? -f.b : 0.0f;
  if (one_in(2)) return f;
  f.a = static_cast<float>(between(-2, 2));
  f.curve = one_in(2) ? Curve::kLeakyRelu : Curve::kPrelu;
  if (f.curve == Curve::kPrelu) f.slopes = whole_numbers(channels);
  return f;
}

float activated(const Activation& f, float v, ptrdiff_t channel) {
  if (f.curve == Curve::kClamp) return std::min(std::max(v, f.a), f.b);
  return v < 0 ? v * (f.slopes.empty() ? f.a : f.slopes[static_cast<size_t>(channel)]) : v;
}

struct Layer {
  ptrdiff_t kernel_h, kernel_w;
  Geometry geometry;
  ptrdiff_t channels, multiplier, filters;
  bool pre_activated;
  Activation pre_activation, depthwise_activation, activation;
  std::vector<float> depthwise, depthwise_bias, pointwise, bias;
  ptrdiff_t middle() const { return channels * multiplier; }
};

// One output pixel of the depthwise half.
std::vector<float> plain_depthwise(const Layer& l, const Input& x, ptrdiff_t n, ptrdiff_t i, ptrdiff_t j) {
  const Geometry& g = l.geometry;
  std::vector<float> sums = l.depthwise_bias;
  for (ptrdiff_t di = 0; di < l.kernel_h; ++di) {
    for (ptrdiff_t dj = 0; dj < l.kernel_w; ++dj) {
      const ptrdiff_t row = i * g.stride_h - g.pad_top + di * g.dilation_h;
      const ptrdiff_t column = j * g.stride_w - g.pad_left + dj * g.dilation_w;
      if (row < 0 || row >= x.height || column < 0 || column >= x.width) continue;
      const float* taps = l.depthwise.data() + (di * l.kernel_w + dj) * l.middle();
      for (ptrdiff_t c = 0; c < l.middle(); ++c) {
        const ptrdiff_t channel = c / l.multiplier;
        float v = *x.at(n, row, column, channel);
        if (l.pre_activated) v = activated(l.pre_activation, v, channel);
        sums[static_cast<size_t>(c)] += v * taps[c];
      }
    }
  }
  for (ptrdiff_t c = 0; c < l.middle(); ++c) {
    float& v = sums[static_cast<size_t>(c)];
    v = activated(l.depthwise_activation, v, c);
  }
  return sums;
}

// One output pixel of the pointwise half.
std::vector<float> plain_pointwise(const Layer& l, const std::vector<float>& a, const Input& residual, ptrdiff_t n,
                                   ptrdiff_t i, ptrdiff_t j) {
  std::vector<float> result = l.bias;
  for (ptrdiff_t c = 0; c < l.middle(); ++c) {
    const float* weights = l.pointwise.data() + c * l.filters;
    for (ptrdiff_t f = 0; f < l.filters; ++f)
      result[static_cast<size_t>(f)] += a[static_cast<size_t>(c)] * weights[f];
  }
  for (ptrdiff_t f = 0; f < l.filters; ++f) {
    float& v = result[static_cast<size_t>(f)];
    if (residual.data) v += *residual.at(n, i, j, f);
    v = activated(l.activation, v, f);
  }
  return result;
}

// False where the layer drawn is too much work, or has no output.
bool try_layer(const KernelSet& set) {
  Layer l{};
  Geometry& g = l.geometry;
  // What goes over planes with AVX-512: 3×3 and 5×5 on wide NCHW. And what may have lane_packed tiles.
  const bool over_planes = one_in(3), narrow = one_in(3);
  l.kernel_h = one_of({1, 2, 3, 3, 3, 5, 7});
  l.kernel_w = one_in(4) ? one_of({1, 3, between(1, 6)}) : l.kernel_h;
  g.stride_h = one_of({1, 1, 1, 2, 3});
  g.stride_w = one_in(4) ? between(1, 3) : g.stride_h;
  g.dilation_h = one_of({1, 1, 1, 2, 3, 20});
  g.dilation_w = one_in(4) ? between(1, 3) : g.dilation_h;
  l.channels = one_in(3) ? one_of({1, 16, 200, 512, 1000, 3000, 20000}) : between(1, 100);
  l.multiplier = one_of({1, 1, 1, 2, 3});
  l.filters = one_in(3) ? one_of({1, 24, 40, 160, 512, 1000}) : between(1, 100);
  ptrdiff_t height = one_of({1, 2, 7, 14, 64, 200, between(1, 40)});
  ptrdiff_t width = one_of({1, 2, 7, 14, 64, 300, between(1, 40)});
  if (narrow) {
    l.channels = between(1, 50);
    l.multiplier = 1;
    l.kernel_h = l.kernel_w = one_of({3, 3, 5});
    g = {1, 1, one_of({1, 1, 2}), one_of({1, 1, 2}), 0, 0};
  }
  if (over_planes) {
    l.kernel_h = l.kernel_w = one_of({3, 5});
    g.stride_h = g.stride_w = between(1, 2);
    g.dilation_h = g.dilation_w = 1;
    l.multiplier = 1;
    l.channels = one_in(2) ? between(1, 40) : between(40, 1000);
    height = one_in(2) ? between(1, 9) : between(1, 70);
    width = g.stride_w * (one_in(2) ? 16 * between(1, 8) - between(0, 2) : between(14, 70)) + between(-1, 1);
  }
  const ptrdiff_t extent_h = (l.kernel_h - 1) * g.dilation_h + 1, extent_w = (l.kernel_w - 1) * g.dilation_w + 1;
  g.pad_top = between(0, one_in(8) ? 3 * extent_h : extent_h);
  g.pad_left = between(0, one_in(8) ? 3 * extent_w : extent_w);
  const ptrdiff_t padded_h = height + g.pad_top + between(0, extent_h),
                  padded_w = width + g.pad_left + between(0, extent_w);
  const ptrdiff_t images = one_of({1, 1, 1, 2, 5}), middle = l.middle();
  if (padded_h < extent_h || padded_w < extent_w) return false;
  const ptrdiff_t out_height = (padded_h - extent_h) / g.stride_h + 1;
  const ptrdiff_t out_width = (padded_w - extent_w) / g.stride_w + 1;
  const double macs = static_cast<double>(images * out_height * out_width) *
                      static_cast<double>(middle * (l.kernel_h * l.kernel_w + l.filters));
  if (macs > (one_in(10) ? kMostMacs : kMostMacs / 10) ||
      static_cast<double>(images * height * width) * static_cast<double>(l.channels) > 4e6)
    return false;

  l.depthwise = whole_numbers(l.kernel_h * l.kernel_w * middle);
  l.depthwise_bias = whole_numbers(middle);
  l.pointwise = whole_numbers(middle * l.filters);
  l.bias = whole_numbers(l.filters);
  l.pre_activated = one_in(5);
  l.pre_activation = draw_activation(l.channels);
  l.depthwise_activation = draw_activation(middle);
  l.activation = draw_activation(l.filters);
  const DepthwiseWeights depthwise_weights(set, l.depthwise.data(), l.depthwise_bias.data(), l.kernel_h,
                                           l.kernel_w, l.channels, l.multiplier, l.depthwise_activation, nullptr,
                                           one_in(2));
  const PointwiseWeights pointwise_weights(set, l.pointwise.data(), l.bias.data(), middle, l.filters,
                                           l.activation);

  // Mostly the same layout everywhere.
  const bool planar = over_planes || one_in(3);
  const auto layout = [&] { return one_in(8) ? one_in(2) : planar; };
  const Array x(images, height, width, l.channels, layout());
  const Array residual(images, out_height, out_width, l.filters, layout());
  const Array out(images, out_height, out_width, l.filters, layout());
  const Array half(images, out_height, out_width, middle, layout());
  const Input added = one_in(3) ? residual.input() : Input{};
  std::vector<float> expected = out.memory.copy(), expected_half = half.memory.copy();
  for (ptrdiff_t n = 0; n < images; ++n) {
    for (ptrdiff_t i = 0; i < out_height; ++i) {
      for (ptrdiff_t j = 0; j < out_width; ++j) {
        const std::vector<float> a = plain_depthwise(l, x.input(), n, i, j);
        const std::vector<float> pixel = plain_pointwise(l, a, added, n, i, j);
        for (ptrdiff_t c = 0; c < middle; ++c) {
          expected_half[static_cast<size_t>(half.view.at(n, i, j, c) - half.memory.data())] =
              a[static_cast<size_t>(c)];
        }
        for (ptrdiff_t f = 0; f < l.filters; ++f) {
          expected[static_cast<size_t>(out.view.at(n, i, j, f) - out.memory.data())] =
              pixel[static_cast<size_t>(f)];
        }
      }
    }
  }
  const Activation* const before = l.pre_activated ? &l.pre_activation : nullptr;
  const auto threads = static_cast<int>(one_of({1, 1, 2, 3, 4, 7, 16, 64}));
  const Problem both{{&depthwise_weights, &pointwise_weights, before}, g, x.input(), added, out.view};
  const Plan plan = make_plan(both, threads);
  run(both, plan);
  compute({{&depthwise_weights, nullptr, before}, g, x.input(), {}, half.view}, threads);
  planes += plan.layout == BlockLayout::kPlanes;
  lane_packed += plan.kernel->kind == DwKind::kLanePacked;
  const bool right = out.memory.copy() == expected, half_right = half.memory.copy() == expected_half;
  if (right && half_right) return true;
  std::fprintf(stderr,
               "%td×%td×%td×%td k%td×%td s%td×%td d%td×%td p%td,%td m%td f%td %s: %s wrong on %d threads\n",
               images, height, width, l.channels, l.kernel_h, l.kernel_w, g.stride_h, g.stride_w, g.dilation_h,
               g.dilation_w, g.pad_top, g.pad_left, l.multiplier, l.filters, plan.kernel->name,
               right ? "depthwise" : "separable", threads);
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
    planes = lane_packed = 0;
    for (const auto start = std::chrono::steady_clock::now();
         std::chrono::steady_clock::now() - start < seconds;) {
      layers += try_layer(kernel_set(isa));
    }
    std::printf("%s: %ld layers, none wrong; %ld over planes, %ld with lane_packed tiles\n", isa.c_str(), layers, planes,
                lane_packed);
    std::fflush(stdout);
  }
}
