#include "pack/depthwise.h"

#include <algorithm>
#include <cstring>
#include <numeric>

namespace fastdw {
namespace {

// For row-packed kernels, which only the depthwise operator alone has, as many pixels as fill their vectors.
//
// For lane-packed tiles the fewest side by side that leave at most an eighth of the lanes empty; one where
// that does not save a sixth of the vectors. A lane-packed tile shares no vector of input with its
// neighbours, and its vectors lie across lines: with less to save it is slower.
ptrdiff_t repeated_pixels(const KernelSet& set, ptrdiff_t kernel_h, ptrdiff_t kernel_w, ptrdiff_t channels,
                          bool fused) {
  constexpr ptrdiff_t kMostVectors = 6;  // more would take much of L1 (5×5 with AVX-512: 10 KB)
  const auto exists = [&](DwKind kind) {
    return std::any_of(set.depthwise, set.depthwise + set.depthwise_count, [&](const DwKernel& k) {
      return k.kind == kind && k.kernel_h == kernel_h && k.kernel_w == kernel_w;
    });
  };
  if (!fused && exists(DwKind::kRowPacked) && channels <= set.lanes)
    return set.lanes / std::gcd(channels, ptrdiff_t{set.lanes});
  if (!exists(DwKind::kLanePacked) || channels >= kMostVectors * set.lanes) return 1;
  const auto vectors = [&](ptrdiff_t pixels) { return ceil_div(pixels * channels, set.lanes); };
  ptrdiff_t pixels = 1;
  while (8 * pixels * channels < 7 * vectors(pixels) * set.lanes) ++pixels;
  const bool pays = vectors(pixels) <= kMostVectors && 6 * vectors(pixels) <= 5 * pixels * vectors(1);
  return pays ? pixels : 1;
}

}  // namespace

DepthwiseWeights::DepthwiseWeights(const KernelSet& set, const float* kernel, const float* bias,
                                   ptrdiff_t kernel_h, ptrdiff_t kernel_w, ptrdiff_t channels,
                                   ptrdiff_t multiplier, Activation activation, const DwKernel* forced,
                                   bool fused)
    : set(set),
      kernel_h(kernel_h),
      kernel_w(kernel_w),
      channels(channels),
      multiplier(multiplier),
      repeats(multiplier == 1 ? repeated_pixels(set, kernel_h, kernel_w, channels, fused) : 1),
      activation(std::move(activation)),
      forced(forced) {
  const ptrdiff_t lanes = set.lanes, outputs = this->outputs(), count = outputs * repeats;
  packed = allocate_floats(checked_product(vectors(), block_stride()));
  for (ptrdiff_t c0 = 0; c0 < count; c0 += lanes) {
    float* w = packed.get() + c0 / lanes * block_stride();
    const ptrdiff_t live = std::min(lanes, count - c0);
    if (multiplier > 1) {
      for (ptrdiff_t i = 0; i < lanes; ++i) {
        const ptrdiff_t last = std::min(c0 + i, count - 1);
        const int32_t index = static_cast<int32_t>(last / multiplier - c0 / multiplier);
        std::memcpy(w + i, &index, sizeof index);
      }
      w += lanes;
    }
    std::fill(w, w + (1 + taps()) * lanes, 0.0f);
    const auto copy = [&](const float* from) {
      for (ptrdiff_t i = 0, at = c0 % outputs; i < live; at = 0) {
        const ptrdiff_t run = std::min(live - i, outputs - at);
        std::copy(from + at, from + at + run, w + i);
        i += run;
      }
    };
    if (bias) copy(bias);
    for (ptrdiff_t dj = 0; dj < kernel_w; ++dj) {
      for (ptrdiff_t di = 0; di < kernel_h; ++di) {
        w += lanes;
        copy(kernel + (di * kernel_w + dj) * outputs);
      }
    }
  }
}

void DepthwiseWeights::unpack(float* kernel, float* bias) const {
  const ptrdiff_t lanes = set.lanes, count = outputs();
  for (ptrdiff_t c0 = 0; c0 < count; c0 += lanes) {
    const float* w = block(c0) + bias_offset();
    const ptrdiff_t live = std::min(lanes, count - c0);
    std::copy(w, w + live, bias + c0);
    for (ptrdiff_t dj = 0; dj < kernel_w; ++dj) {
      for (ptrdiff_t di = 0; di < kernel_h; ++di) {
        w += lanes;
        std::copy(w, w + live, kernel + (di * kernel_w + dj) * count + c0);
      }
    }
  }
}

ptrdiff_t DepthwiseWeights::nbytes() const {
  const ptrdiff_t floats = vectors() * block_stride();
  return (floats + static_cast<ptrdiff_t>(activation.slopes.size())) * ptrdiff_t{sizeof(float)};
}

}  // namespace fastdw
