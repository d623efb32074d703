// The input channels under vector after vector of output channels: the same ones, or with a channel
// multiplier fewer, which a permutation spreads over the lanes.
#pragma once
#include "kernels/contract.h"
#include "simd/vec.h"

namespace fastdw {
namespace {

template <class V, bool kMultiplied>
struct InputChannels {
  template <class Call>
  explicit InputChannels(const Call& t)
      : multiplier(multiplier_of(t)), step(V::lanes / multiplier), step_rest(V::lanes % multiplier) {
    if constexpr (kMultiplied) {
      first = t.first_channel / multiplier;
      rest = t.first_channel % multiplier;
    }
  }

  // For n outputs, whose block of weights has its bias at `bias`.
  template <class N>
  FASTDW_INLINE void begin(const float* bias, N n) {
    if constexpr (kMultiplied) {
      index = bias - V::lanes;
      count = V::last_index(index, n) + 1;
    }
  }
  // `p` points at channel `first`.
  template <class N>
  FASTDW_INLINE V load(const float* p, N n) const {
    if constexpr (kMultiplied) return V::spread(p, count, index);
    return V::load(p, n);
  }
  FASTDW_INLINE void next() {
    first += step;
    if (kMultiplied && (rest += step_rest) >= multiplier) {
      rest -= multiplier;
      ++first;
    }
  }

  const ptrdiff_t multiplier, step, step_rest;
  ptrdiff_t first = 0, rest = 0;
  const float* index = nullptr;
  int count = 0;

 private:
  template <class Call>
  static ptrdiff_t multiplier_of([[maybe_unused]] const Call& t) {
    if constexpr (kMultiplied) {
      return t.multiplier;
    } else {
      return 1;
    }
  }
};

}  // namespace
}  // namespace fastdw
