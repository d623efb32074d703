#include "pack/halves.h"

#include <algorithm>

#include "base/refuse.h"

namespace fastdw {
namespace {

ptrdiff_t whole_lanes(ptrdiff_t outputs) { return ceil_div(outputs, ptrdiff_t{kLanes16}) * kLanes16; }

const DwKernel16& kernel_for(const Kernels16& set, const WindowShape& w, ptrdiff_t multiplier) {
  const auto fits = [&](const DwKernel16& k) {
    const bool square = w.kernel_h == k.kernel && w.kernel_w == k.kernel && w.stride_h == k.stride &&
                        w.stride_w == k.stride && w.dilation_h == 1 && w.dilation_w == 1 && multiplier == 1;
    return k.kernel == 0 || square;
  };
  return *std::find_if(std::begin(set.depthwise), std::end(set.depthwise), fits);
}

Finish16 finish_of(const Kernels16& set, const Activation& f, const KernelSet& floats) {
  const float bounds[2] = {f.lo(), f.hi()};
  uint16_t halves[2];
  floats.network.to_halves({bounds, halves, 2});
  return {halves[0],
          halves[1],
          f.curve,
          f.a,
          f.slopes.empty() ? nullptr : f.slopes.data(),
          set.finish[static_cast<int>(f.curve)]};
}

}  // namespace

Packed16::Packed16(ptrdiff_t outputs, ptrdiff_t inputs)
    : lanes(whole_lanes(outputs)),
      bytes_(checked_product(lanes, checked_product(inputs, 2) + ptrdiff_t{sizeof(float)})),
      memory_(allocate_floats(ceil_div(bytes_, ptrdiff_t{sizeof(float)}))) {
  std::fill_n(reinterpret_cast<uint8_t*>(memory_.get()), bytes_, uint8_t{0});
}

void Packed16::take_bias(const float* from, ptrdiff_t outputs) {
  if (from) std::copy_n(from, outputs, bias());
}

Depthwise16Weights::Depthwise16Weights(const Kernels16& kernels, const UnpackedWeights16& unpacked,
                                       const WindowShape& taken, ptrdiff_t inputs, ptrdiff_t filters)
    : set(kernels),
      window(taken),
      channels(inputs),
      multiplier(filters),
      activation(unpacked.activation),
      finish(finish_of(set, activation, unpacked.floats)),
      kernel(kernel_for(set, window, multiplier)),
      packed(outputs(), checked_product(window.kernel_h, window.kernel_w)) {
  packed.take_bias(unpacked.bias, outputs());
  for (ptrdiff_t tap = 0; tap < window.kernel_h * window.kernel_w; ++tap) {
    std::copy_n(unpacked.kernel + tap * outputs(), outputs(), packed.halves() + tap * packed.lanes);
  }
}

void Depthwise16Weights::unpack(uint16_t* taps, float* bias) const {
  std::copy_n(packed.bias(), outputs(), bias);
  for (ptrdiff_t tap = 0; tap < window.kernel_h * window.kernel_w; ++tap) {
    std::copy_n(packed.halves() + tap * packed.lanes, outputs(), taps + tap * outputs());
  }
}

Pointwise16Weights::Pointwise16Weights(const Kernels16& kernels, const UnpackedWeights16& unpacked,
                                       ptrdiff_t in, ptrdiff_t out)
    : set(kernels),
      inputs(in),
      outputs(out),
      activation(unpacked.activation),
      finish(finish_of(set, activation, unpacked.floats)),
      packed(outputs, inputs) {
  packed.take_bias(unpacked.bias, outputs);
  for (ptrdiff_t i = 0; i < panels(); ++i) {
    const Panel p = panel(i);
    uint16_t* to = packed.halves() + p.first * inputs;
    for (ptrdiff_t k = 0; k < inputs; ++k, to += p.vectors * kLanes16) {
      std::copy_n(unpacked.kernel + k * outputs + p.first, p.channels, to);
    }
  }
}

Pointwise16Weights::Panel Pointwise16Weights::panel(ptrdiff_t i) const {
  constexpr ptrdiff_t width = ptrdiff_t{kPanelVectors16} * kLanes16;
  const ptrdiff_t first = i * width, left = outputs - first;
  const int vectors = static_cast<int>(std::min(width, whole_lanes(left)) / kLanes16);
  return {first, static_cast<int>(std::min(width, left)), vectors, packed.halves() + first * inputs,
          packed.bias() + first};
}

void Pointwise16Weights::unpack(uint16_t* kernel, float* bias) const {
  std::copy_n(packed.bias(), outputs, bias);
  for (ptrdiff_t i = 0; i < panels(); ++i) {
    const Panel p = panel(i);
    for (ptrdiff_t k = 0; k < inputs; ++k) {
      std::copy_n(p.weights + k * p.vectors * kLanes16, p.channels, kernel + k * outputs + p.first);
    }
  }
}

}  // namespace fastdw
