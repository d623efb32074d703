// Where a tile finds its pixels, and how it asks for the next ones.
#pragma once
#include "kernels/contract.h"
#include "simd/unroll.h"

namespace fastdw {
namespace {

// Does step(k) of a tile for every input channel k, and asks for input of the next block on the way. Into L2:
// L1 is full of this one's. Woven in so, what comes from L3 is there when the depthwise half begins. Where
// nothing is to be had, no step looks for it, and kSteps go together.
template <int kSteps, class Step>
FASTDW_INLINE const char* multiply_and_fetch(const PwTile& t, const char* ahead, const Step& step) {
  const ptrdiff_t input_channels = t.input_channels, lines = t.ahead_lines;
  ptrdiff_t k = 0;
  if (lines == 0) {
    for (; k + kSteps <= input_channels; k += kSteps) {
      unroll<kSteps>([&](auto i) FASTDW_INLINE_LAMBDA { step(k + i); });
    }
  }
  for (; k < input_channels; ++k) {
    for (ptrdiff_t i = 0; i < lines; ++i, ahead += kLineBytes) __builtin_prefetch(ahead, 0, 2);
    step(k);
  }
  return ahead;
}

// Distances between pixels, in bytes. With scaled addresses four do for eight pixels; the compiler would
// rather have all seven ready, most of them in memory.
struct PixelDistance {
  size_t one, three, five, seven;
  explicit PixelDistance(size_t bytes) : one(bytes), three(3 * one), five(5 * one), seven(7 * one) {}
  template <int J>
  FASTDW_INLINE size_t to() const {
    if constexpr (J == 3 || J == 6) return three * (J / 3);
    if constexpr (J == 5) return five;
    if constexpr (J == 7) return seven;
    return one * J;
  }
  // So that the others are not derived ahead of time.
  FASTDW_INLINE void hide() {
    if constexpr (kScaledAddresses) FASTDW_OPAQUE_4(one, three, five, seven);
  }
};

// The inputs of a pointwise tile's pixels, the first of them at x: at(k) is the k-th input channel's, where k
// counts the calls of next() so far. Up to twelve pixels, the compiler holds a pointer to each.
template <int MR, bool kMany = (MR > 12)>
class PixelInputs {
 public:
  PixelInputs(const PwTile& t, const float* x) : x_(x), stride_(t.x_stride) {}
  template <int I>
  FASTDW_INLINE float at(ptrdiff_t k) const {
    return x_[I * stride_ + k];
  }
  FASTDW_INLINE void next() {}

 private:
  const float* x_;
  const ptrdiff_t stride_;
};

// For more, some of these would lie in memory.
template <int MR>
class PixelInputs<MR, true> {
 public:
  PixelInputs(const PwTile& t, const float* x)
      : distance_(static_cast<size_t>(t.x_stride) * sizeof(float)),
        low_(reinterpret_cast<const char*>(x)),
        high_(low_ + 8 * distance_.one) {
    distance_.hide();
  }
  template <int I>
  FASTDW_INLINE float at(ptrdiff_t) const {
    return *reinterpret_cast<const float*>((I < 8 ? low_ : high_) + distance_.to<I % 8>());
  }
  FASTDW_INLINE void next() {
    low_ += sizeof(float);
    high_ += sizeof(float);
    FASTDW_OPAQUE_2(low_, high_);
  }

 private:
  PixelDistance distance_;
  const char *low_, *high_;  // pixels 0 and 8
};

// Does step(x, k) for all inputs of a tile's pixels.
template <int MR, int kSteps, class Step>
FASTDW_INLINE const char* multiply(const PwTile& t, const float* row, const char* ahead, const Step& step) {
  PixelInputs<MR> x(t, row);
  return multiply_and_fetch<kSteps>(t, ahead, [&](ptrdiff_t k) FASTDW_INLINE_LAMBDA {
    step(x, k);
    x.next();
  });
}

template <int MR, int kSteps, class Step>
FASTDW_INLINE const char* multiply(const PwWindowTile& t, const float* row, const char* ahead,
                                   const Step& step) {
  const PwTile& one = t;
  for (ptrdiff_t i = 0; i < t.rows; ++i, row += t.row_stride) {
    ahead = multiply<MR, kSteps>(one, row, ahead, step);
  }
  return ahead;
}

}  // namespace
}  // namespace fastdw
