// The words of the 8-bit kernels (contract8.h) with NEON on AArch64: four sums a vector, and bytes with a
// sign.
#pragma once
#include <arm_neon.h>

#include "kernels/contract8.h"
#include "simd/compiler.h"
#include "simd/unroll.h"

namespace fastdw {
namespace neon {
namespace {

template <class T>
FASTDW_INLINE T number(const uint8_t* p) {
  T value;
  __builtin_memcpy(&value, p, sizeof value);
  return value;
}

// The first N of a vector, and the rest behind them.
template <int N>
FASTDW_INLINE uint8x16_t store_next(uint8_t*& y, uint8x16_t bytes) {
  if constexpr (N == 8) vst1_u8(y, vget_low_u8(bytes));
  const uint32_t some = vgetq_lane_u32(vreinterpretq_u32_u8(bytes), 0);
  if constexpr (N < 8) __builtin_memcpy(y, &some, N);
  y += N;
  return vextq_u8(bytes, bytes, N);
}

// The first n of 4·NV, without a loop: GCC would call memcpy.
template <int NV>
FASTDW_INLINE void store_first(uint8_t* y, uint8x16_t bytes, int n) {
  if (NV == 4 && n == 16) return vst1q_u8(y, bytes);
  if (NV > 1 && n & 8) bytes = store_next<8>(y, bytes);
  if (n & 4) bytes = store_next<4>(y, bytes);
  if (NV * 4 == n) return;
  if (n & 2) bytes = store_next<2>(y, bytes);
  if (n & 1) store_next<1>(y, bytes);
}

struct Bytes {
  static constexpr int lanes = 4, offset = 0, tap_vectors = 2, weight_bytes = 1;
  using Ints = int32x4_t;
  using Eight = uint8x16_t;  // the first eight: zip takes no less

  // The first n of eight bytes.
  static FASTDW_INLINE Eight load_first(const uint8_t* p, int n) {
    const uint8x8_t none = vdup_n_u8(0);
    if (n >= 8) return vcombine_u8(vld1_u8(p), none);
    uint64_t bytes = n & 4 ? number<uint32_t>(p) : 0;
    if (n & 2) bytes |= uint64_t{number<uint16_t>(p + (n & 4))} << 8 * (n & 4);
    if (n & 1) bytes |= uint64_t{p[n - 1]} << 8 * (n - 1);
    return vcombine_u8(vcreate_u8(bytes), none);
  }
  static FASTDW_INLINE uint8x16_t flip(uint8_t of) { return vdupq_n_u8(of); }
  static FASTDW_INLINE Ints load(const uint8_t* p) { return vreinterpretq_s32_u8(vld1q_u8(p)); }
  static FASTDW_INLINE int16x8_t widen(const uint8_t* p, int n, uint8_t flip) {
    return vmovl_s8(vreinterpret_s8_u8(vget_low_u8(veorq_u8(load_first(p, n), vdupq_n_u8(flip)))));
  }
  static FASTDW_INLINE int16x8_t widen_signed(const uint8_t* p) {
    return vmovl_s8(vreinterpret_s8_u8(vld1_u8(p)));
  }
  static FASTDW_INLINE void multiply_add(Ints (&acc)[2], int16x8_t a, int16x8_t b) {
    acc[0] = vmlal_s16(acc[0], vget_low_s16(a), vget_low_s16(b));
    acc[1] = vmlal_high_s16(acc[1], a, b);
  }

  // Sixteen products by twos, and to the sums. A weight of −128 can make two of them too large for 16 bits.
  template <bool kFirst, bool kLowest>
  static FASTDW_INLINE void add_products(Ints& acc, Ints x, Ints w) {
    const int8x16_t a = vreinterpretq_s8_s32(x), b = vreinterpretq_s8_s32(w);
    int16x8_t products = vmull_s8(vget_low_s8(a), vget_low_s8(b));
    if constexpr (!kLowest) products = vmlal_high_s8(products, a, b);
    acc = kFirst ? vpaddlq_s16(products) : vpadalq_s16(acc, products);
    if constexpr (kLowest) acc = vpadalq_s16(acc, vmull_high_s8(a, b));
  }
  // The whole of each of four sums.
  static FASTDW_INLINE Ints across(const Ints* sums, Ints start) {
    return vaddq_s32(start, vpaddq_s32(vpaddq_s32(sums[0], sums[1]), vpaddq_s32(sums[2], sums[3])));
  }

  // A row of a 3×3 kernel, of eight channels.
  struct Taps {
    static constexpr ptrdiff_t bytes = 24;
    int16x8_t tap[3];

    template <int S>
    static FASTDW_INLINE Taps load(const uint8_t* w) {
      return {{widen_signed(w), widen_signed(w + 8), widen_signed(w + 16)}};
    }
  };

  // Eight channels of a row of pixels under two columns of outputs.
  struct Row {
    int16x8_t left[3], right[3];

    template <int S>
    static FASTDW_INLINE Row of(const Eight (&pixel)[S + 3], uint8x16_t flip) {
      int16x8_t wide[S + 3];
      unroll<S + 3>([&](auto j) FASTDW_INLINE_LAMBDA {
        wide[j] = vmovl_s8(vreinterpret_s8_u8(vget_low_u8(veorq_u8(pixel[j], flip))));
      });
      return {{wide[0], wide[1], wide[2]}, {wide[S], wide[S + 1], wide[S + 2]}};
    }
  };

  static FASTDW_INLINE void meet(Ints (&acc)[2][2], const Row& row, const Taps& taps) {
    for (int j = 0; j < 3; ++j) {
      multiply_add(acc[0], row.left[j], taps.tap[j]);
      multiply_add(acc[1], row.right[j], taps.tap[j]);
    }
  }

  // Of NV vectors.
  template <int NV>
  struct Factors {
    float32x4_t v[NV];
    explicit FASTDW_INLINE Factors(const uint8_t* p) {
      for (int i = 0; i < NV; ++i) v[i] = vreinterpretq_f32_u8(vld1q_u8(p + 16 * i));
    }
  };

  struct Rescale {
    const int16x8_t zero;
    const int8x16_t least, most;
    const uint8x16_t flip;

    explicit FASTDW_INLINE Rescale(const Rescale8& r)
        : zero(vdupq_n_s16(static_cast<int16_t>(r.zero_point))),
          least(vdupq_n_s8(static_cast<int8_t>(static_cast<int>(r.low) + r.zero_point))),
          most(vdupq_n_s8(static_cast<int8_t>(static_cast<int>(r.high) + r.zero_point))),
          flip(vdupq_n_u8(r.flip)) {}

    // Conversion and narrowing saturate, so no sum is out of range.
    static FASTDW_INLINE int16x4_t rounded(Ints acc, float32x4_t factor) {
      return vqmovn_s32(vcvtnq_s32_f32(vmulq_f32(vcvtq_f32_s32(acc), factor)));
    }
    FASTDW_INLINE uint8x16_t held(int16x8_t low, int16x8_t high) const {
      const int8x8_t first = vqmovn_s16(vqaddq_s16(low, zero));
      const int8x16_t bytes = vqmovn_high_s16(first, vqaddq_s16(high, zero));
      return veorq_u8(vreinterpretq_u8_s8(vminq_s8(vmaxq_s8(bytes, least), most)), flip);
    }

    template <int NV>
    FASTDW_INLINE void store(const Ints (&acc)[NV], const Factors<NV>& factors, uint8_t* y, int n) const {
      int16x4_t some[4];
      for (int v = 0; v < 4; ++v) some[v] = v < NV ? rounded(acc[v], factors.v[v]) : some[0];
      const int16x8_t low = vcombine_s16(some[0], some[1]);
      store_first<NV>(y, held(low, NV > 2 ? vcombine_s16(some[2], some[3]) : low), n);
    }
    // Two pixels, of which the second may be the first once more: written first, then.
    FASTDW_INLINE void store_two(const Ints (&acc)[2][2], const Factors<2>& factors, uint8_t* y,
                                 uint8_t* second, int n) const {
      int16x8_t pixel[2];
      for (int j = 0; j < 2; ++j) {
        pixel[j] = vcombine_s16(rounded(acc[j][0], factors.v[0]), rounded(acc[j][1], factors.v[1]));
      }
      const uint8x16_t bytes = held(pixel[0], pixel[1]);
      if (n == 8) {
        vst1q_lane_u64(reinterpret_cast<uint64_t*>(second), vreinterpretq_u64_u8(bytes), 1);
      } else {
        store_first<2>(second, vextq_u8(bytes, bytes, 8), n);
      }
      store_first<2>(y, bytes, n);
    }
  };
};

}  // namespace
}  // namespace neon
}  // namespace fastdw
