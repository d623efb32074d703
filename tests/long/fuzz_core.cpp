// A libFuzzer target: the bytes choose operator, shapes, geometry, layouts, activations and data; the core's
// result must lie within the error bound of plain loops in double, be exact on whole numbers, touch nothing
// else, and be the same bits on every set with FMA. Arrays are exactly as long as they must be.
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

constexpr double kUnit = 0x1p-24, kTiny = 0x1p-149;
constexpr double kMostMacs = 40e3;
constexpr float kCanary = 12345.0f;
constexpr float kInfinity = std::numeric_limits<float>::infinity();

[[noreturn]] void fail(const char* what) {
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

struct Bytes {
  const uint8_t* at;
  const uint8_t* end;
  uint8_t next() { return at < end ? *at++ : 0; }
  ptrdiff_t between(ptrdiff_t least, ptrdiff_t most) { return least + next() % (most - least + 1); }
  bool one_in(int n) { return next() % n == n - 1; }
};

// Whole numbers, unit-sized numbers, or whole numbers with a NaN or an infinity among them.
struct Data {
  enum Kind { kWhole, kUnitSized, kPlanted } kind;
  uint32_t state;
  float planted;

  float weight() {
    state = state * 1664525u + 1013904223u;
    const int bits = static_cast<int>(state >> 8);
    return kind == kUnitSized ? static_cast<float>(bits - (1 << 23)) * 0x1p-23f
                              : static_cast<float>(bits % 9 - 4);
  }
  void fill(std::vector<float>& values, bool input = false) {
    for (float& v : values) v = weight();
    if (kind == kPlanted && input) values[state % values.size()] = planted;
  }
};

// Four axes in any order of memory, with gaps, some running backwards.
struct Array {
  std::vector<float> memory;
  View<float> view{};

  Array(Bytes& bytes, ptrdiff_t n, ptrdiff_t h, ptrdiff_t w, ptrdiff_t c) {
    static constexpr int kOrders[][4] = {{0, 1, 2, 3}, {0, 3, 1, 2}, {3, 2, 1, 0}, {1, 0, 3, 2}, {2, 0, 1, 3}};
    const int* order = kOrders[bytes.next() % 5];
    const uint8_t gaps = bytes.next(), backwards = bytes.next();
    const ptrdiff_t sizes[] = {n, h, w, c};
    ptrdiff_t strides[4], step = 1, origin = 0;
    for (int i = 3; i >= 0; --i) {
      const int axis = order[i];
      step += gaps >> 2 * axis & 3 ? 0 : (gaps >> axis & 1);
      strides[axis] = sizes[axis] == 1 ? 0 : step;
      if (backwards % 4 == 3 && (backwards >> (4 + axis) & 1)) {
        origin += (sizes[axis] - 1) * step;
        strides[axis] = -strides[axis];
      }
      step *= sizes[axis];
    }
    ptrdiff_t last = 0;
    for (int axis = 0; axis < 4; ++axis) last += (sizes[axis] - 1) * std::abs(strides[axis]);
    memory.assign(static_cast<size_t>(last + 1), kCanary);
    memory.shrink_to_fit();
    view = {memory.data() + origin, n, h, w, c, strides[0], strides[1], strides[2], strides[3]};
  }
  Input input() const {
    return {view.data,         view.images,     view.height,        view.width,         view.channels,
            view.image_stride, view.row_stride, view.column_stride, view.channel_stride};
  }
};

struct Bounded {
  double value, error;
};

double curve(Curve c, double v, double a, double slope) {
  const auto sigmoid = [](double t) { return t < 0 ? std::exp(t) / (1 + std::exp(t)) : 1 / (1 + std::exp(-t)); };
  const double hard = std::fmin(6, std::fmax(0, v + 3)) / 6;
  switch (c) {
    case Curve::kHardSigmoid: return hard;
    case Curve::kHardSwish: return v == -INFINITY ? 0 : v * hard;
    case Curve::kSigmoid: return sigmoid(v);
    case Curve::kSwish: return v == -INFINITY ? 0 : v * sigmoid(v);
    case Curve::kTanh: return std::tanh(v);
    case Curve::kGelu: return v == -INFINITY ? 0 : v * std::erfc(-v / std::sqrt(2.0)) / 2;
    case Curve::kGeluTanh:
      return v == -INFINITY ? 0 : v * sigmoid(2 * std::sqrt(2 / M_PI) * (v + 0.044715 * v * v * v));
    case Curve::kLeakyRelu: return v < 0 ? a * v : v;
    case Curve::kElu: return v < 0 ? a * std::expm1(v) : v;
    case Curve::kPrelu: return v < 0 ? (slope == 0 ? 0 : slope * v) : v;
    default: fail("an activation without a twin");
  }
}

Bounded activate(const Activation& f, ptrdiff_t channel, Bounded v) {
  if (std::isnan(v.value)) return v;
  if (f.curve == Curve::kClamp) {
    const double y = std::fmin(std::fmax(v.value, f.a), f.b);
    return {y, std::isfinite(v.value) ? v.error : 0};
  }
  const double slope = f.slopes.empty() ? 0 : f.slopes[static_cast<size_t>(channel)];
  const double y = curve(f.curve, v.value, f.a, slope);
  if (!std::isfinite(v.value)) return {y, 4 * kUnit * std::fabs(y)};
  // No curve here is steeper than 1.5; its own error is bounded relative to |f(v)| + |v|.
  const double passed = 1.5 * v.error;
  return {y, passed + 4 * kUnit * (std::fabs(y) + std::fabs(v.value) + 2 * passed) + kTiny};
}

double gamma(double terms) { return terms * kUnit / (1 - terms * kUnit); }

// A sum of products with the bound for any order of its terms.
struct Sum {
  double value = 0, magnitude = 0, inherited = 0;
  double terms = 1;
  void add(Bounded x, double w) {
    value += x.value * w;
    magnitude += (std::fabs(x.value) + x.error) * std::fabs(w);
    inherited += x.error * std::fabs(w);
    terms += 1;
  }
  Bounded bounded() const { return {value, gamma(terms) * magnitude + inherited + terms * kTiny}; }
};

Activation make_activation(Bytes& bytes, Data& data, ptrdiff_t channels, bool& exact) {
  Activation f{Curve::kClamp, -kInfinity, kInfinity, {}};
  switch (bytes.next() % 6) {
    case 0: return {Curve::kClamp, 0, 6, {}};
    case 1: return {Curve::kClamp, -1.5f, 40, {}};
    case 2: break;
    default: return f;
  }
  exact = false;
  f.curve = static_cast<Curve>(bytes.between(1, static_cast<int>(Curve::kCount) - 1));
  f.a = 0.3f;
  if (f.curve == Curve::kPrelu) {
    f.slopes.resize(static_cast<size_t>(channels));
    for (float& s : f.slopes) s = data.weight() / 4;
  }
  return f;
}

struct Case {
  bool depthwise, pointwise, exact;
  ptrdiff_t n, h, w, c, m, kh, kw, oh, ow, f;
  Geometry g;
};

ptrdiff_t channels_between_1_and(ptrdiff_t most, Bytes& bytes) {
  return bytes.one_in(4) ? bytes.between(1, most) : bytes.between(1, 18);
}

Case make_case(Bytes& bytes) {
  Case k{};
  const int which = bytes.next() % 3;
  k.depthwise = which != 1;
  k.pointwise = which != 0;
  k.n = bytes.between(1, 2);
  k.h = bytes.between(1, 11);
  k.w = bytes.between(1, 11);
  k.c = channels_between_1_and(70, bytes);
  k.f = channels_between_1_and(150, bytes);
  k.m = k.kh = k.kw = 1;
  k.oh = k.h;
  k.ow = k.w;
  k.g = {1, 1, 1, 1, 0, 0};
  if (!k.depthwise) return k;
  k.kh = k.kw = bytes.between(1, 7);
  if (bytes.one_in(3)) k.kw = bytes.between(1, 7);
  if (bytes.one_in(3)) k.m = bytes.between(1, 5);
  k.oh = bytes.between(1, 11);
  k.ow = bytes.between(1, 11);
  k.g.stride_h = k.g.stride_w = bytes.between(1, 2);
  k.g.pad_top = bytes.between(0, 4);
  k.g.pad_left = bytes.between(0, 4);
  if (bytes.one_in(3)) {
    k.g = {bytes.between(1, 4), bytes.between(1, 4),  bytes.between(1, 4),
           bytes.between(1, 4), bytes.between(0, 12), bytes.between(0, 12)};
  }
  if (bytes.one_in(12)) {  // far outside
    k.g.stride_h <<= bytes.next() % 28;
    k.g.pad_left <<= bytes.next() % 28;
    k.g.dilation_w <<= bytes.next() % 28;
  }
  if (bytes.one_in(24)) {  // windows larger than a patch
    k.n = k.h = k.oh = 1;
    k.c = bytes.between(1, 2);
    k.w = 4000 + 100 * bytes.next();
    k.ow = bytes.between(1, 4);
    k.kh = 1;
    k.g.dilation_w = bytes.between(1, 255) * 60;
  }
  return k;
}

void compare(const Array& out, const std::vector<Bounded>& wanted, bool exact) {
  size_t at = 0;
  const View<float>& v = out.view;
  std::vector<float> rest = out.memory;
  for (ptrdiff_t n = 0; n < v.images; ++n) {
    for (ptrdiff_t i = 0; i < v.height; ++i) {
      for (ptrdiff_t j = 0; j < v.width; ++j) {
        for (ptrdiff_t c = 0; c < v.channels; ++c) {
          const Bounded y = wanted[at++];
          const float* place = v.at(n, i, j, c);
          const float got = *place;
          rest[static_cast<size_t>(place - out.memory.data())] = kCanary;
          if (std::isnan(y.value) ? std::isnan(got) : got == static_cast<float>(y.value)) continue;
          if (!exact && std::isfinite(y.value) && std::fabs(got - y.value) <= y.error) continue;
          std::fprintf(stderr, "at (%td, %td, %td, %td): %.9g, but %.17g within %.3g\n", n, i, j, c,
                       static_cast<double>(got), y.value, exact ? 0 : y.error);
          fail("wrong result");
        }
      }
    }
  }
  for (const float v : rest) {
    if (v != kCanary) fail("wrote between the elements of out");
  }
}

void compare_bits(const std::vector<float>& a, const std::vector<float>& b) {
  for (size_t i = 0; i < a.size(); ++i) {
    if (!(a[i] == b[i] || (std::isnan(a[i]) && std::isnan(b[i])))) fail("two sets with FMA differ");
  }
}

void check_unpack(const DepthwiseWeights& w, const std::vector<float>& kernel, const std::vector<float>& bias) {
  std::vector<float> kernel_back(kernel.size()), bias_back(bias.size());
  w.unpack(kernel_back.data(), bias_back.data());
  if (kernel_back != kernel || bias_back != bias) fail("unpack of Depthwise");
}

void check_unpack(const PointwiseWeights& w, const std::vector<float>& kernel, const std::vector<float>& bias) {
  std::vector<float> kernel_back(kernel.size()), bias_back(bias.size());
  w.unpack(kernel_back.data(), bias_back.data());
  if (kernel_back != kernel || bias_back != bias) fail("unpack of Pointwise");
}

void run(Bytes bytes) {
  static const std::vector<const KernelSet*> sets = [] {
    std::vector<const KernelSet*> supported;
    for (const std::string& isa : supported_isas()) supported.push_back(&kernel_set(isa));
    return supported;
  }();
  const KernelSet& set = *sets[bytes.next() % sets.size()];
  Case k = make_case(bytes);
  const ptrdiff_t middle = k.c * k.m;
  const double macs = static_cast<double>(k.n * k.oh * k.ow) *
                      static_cast<double>((k.depthwise ? middle * k.kh * k.kw : 0) + (k.pointwise ? middle * k.f : 0));
  if (macs > kMostMacs) return;

  Data data{};
  data.kind = static_cast<Data::Kind>(bytes.next() % 3);
  data.state = bytes.next() | static_cast<uint32_t>(bytes.next() << 8);
  constexpr float kPlants[] = {NAN, kInfinity, -kInfinity};
  data.planted = kPlants[bytes.next() % 3];
  k.exact = data.kind != Data::kUnitSized;

  Array x(bytes, k.n, k.h, k.w, k.c);
  data.fill(x.memory, true);
  std::vector<float> taps(static_cast<size_t>(k.kh * k.kw * middle)), matrix(static_cast<size_t>(middle * k.f));
  std::vector<float> middle_bias(static_cast<size_t>(middle)), bias(static_cast<size_t>(k.f));
  for (auto* weights : {&taps, &matrix, &middle_bias, &bias}) data.fill(*weights);

  Activation pre{Curve::kClamp, -kInfinity, kInfinity, {}};
  const bool has_pre = k.depthwise && bytes.one_in(3);
  if (has_pre) pre = make_activation(bytes, data, k.c, k.exact);
  const Activation half = make_activation(bytes, data, middle, k.exact);
  const Activation last = make_activation(bytes, data, k.f, k.exact);
  Array out(bytes, k.n, k.oh, k.ow, k.pointwise ? k.f : middle);
  Array residual(bytes, k.n, k.oh, k.ow, k.f);
  const bool has_residual = k.pointwise && bytes.one_in(2);
  data.fill(residual.memory, true);
  const uint8_t forced_kernel = bytes.next();
  const int threads = 1 + bytes.next() % 3;

  const auto compute = [&](const KernelSet& set, Array& result) {
    const DwKernel* forced = nullptr;
    if (forced_kernel % 4 == 0) forced = &set.depthwise[set.depthwise_count - 1];
    const DepthwiseWeights dw(set, taps.data(), middle_bias.data(), k.kh, k.kw, k.c, k.m, half, forced, k.pointwise);
    const PointwiseWeights pw(set, matrix.data(), bias.data(), middle, k.f, last);
    check_unpack(dw, taps, middle_bias);
    check_unpack(pw, matrix, bias);
    const Chain chain{k.depthwise ? &dw : nullptr, k.pointwise ? &pw : nullptr, has_pre ? &pre : nullptr};
    const Problem problem{chain, k.g, x.input(), has_residual ? residual.input() : Input{}, result.view};
    check(problem);
    fastdw::compute(problem, threads);
  };
  compute(set, out);
  if (&set == sets.front() && sets.size() > 2) {  // the two best are both SIMD, with FMA
    const std::vector<float> best = out.memory;
    compute(*sets[1], out);
    compare_bits(out.memory, best);
  }

  std::vector<Bounded> wanted;
  std::vector<Bounded> pixel(static_cast<size_t>(middle));
  for (ptrdiff_t n = 0; n < k.n; ++n) {
    for (ptrdiff_t i = 0; i < k.oh; ++i) {
      for (ptrdiff_t j = 0; j < k.ow; ++j) {
        for (ptrdiff_t c = 0; c < middle; ++c) {
          Bounded& z = pixel[static_cast<size_t>(c)];
          if (!k.depthwise) {
            z = {*x.view.at(n, i, j, c), 0};
            continue;
          }
          Sum sum;
          sum.add({middle_bias[static_cast<size_t>(c)], 0}, 1);
          for (ptrdiff_t di = 0; di < k.kh; ++di) {
            for (ptrdiff_t dj = 0; dj < k.kw; ++dj) {
              const ptrdiff_t row = i * k.g.stride_h + di * k.g.dilation_h - k.g.pad_top;
              const ptrdiff_t column = j * k.g.stride_w + dj * k.g.dilation_w - k.g.pad_left;
              if (row < 0 || row >= k.h || column < 0 || column >= k.w) continue;
              Bounded v{*x.view.at(n, row, column, c / k.m), 0};
              if (has_pre) v = activate(pre, c / k.m, v);
              sum.add(v, taps[static_cast<size_t>((di * k.kw + dj) * middle + c)]);
            }
          }
          z = activate(half, c, sum.bounded());
        }
        if (!k.pointwise) {
          wanted.insert(wanted.end(), pixel.begin(), pixel.end());
          continue;
        }
        for (ptrdiff_t f = 0; f < k.f; ++f) {
          Sum sum;
          sum.add({bias[static_cast<size_t>(f)], 0}, 1);
          for (ptrdiff_t c = 0; c < middle; ++c) {
            sum.add(pixel[static_cast<size_t>(c)], matrix[static_cast<size_t>(c * k.f + f)]);
          }
          if (has_residual) sum.add({*residual.view.at(n, i, j, f), 0}, 1);
          wanted.push_back(activate(last, f, sum.bounded()));
        }
      }
    }
  }
  compare(out, wanted, k.exact);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* bytes, size_t size) {
  run({bytes, bytes + size});
  return 0;
}
