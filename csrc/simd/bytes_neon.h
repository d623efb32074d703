// The words of the 8-bit kernels (words8.inc) with NEON on AArch64: four sums a vector, and bytes with a
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
  if (NV == 2 && n == 8) return vst1_u8(y, vget_low_u8(bytes));
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

  // 64 entries an instruction, which leaves alone what lies beyond them.
  struct Table {
    static constexpr ptrdiff_t width = 16;
    uint8x16x4_t parts[4];
    explicit FASTDW_INLINE Table(const uint8_t* table) {
      for (int i = 0; i < 4; ++i) parts[i] = vld1q_u8_x4(table + 64 * i);
    }

    FASTDW_INLINE void look_up(const uint8_t* x, uint8_t* y) const {
      uint8x16_t index = vld1q_u8(x), entries = vqtbl4q_u8(parts[0], index);
      for (int i = 1; i < 4; ++i) {
        index = vsubq_u8(index, vdupq_n_u8(64));
        entries = vqtbx4q_u8(entries, parts[i], index);
      }
      vst1q_u8(y, entries);
    }
  };

  template <int MR, int NV>
  static constexpr bool woven = false;

  // Each in all lanes: one instruction loads four.
  template <int N>
  struct InputPairs {
    int8x16_t pair[N];
  };
  template <int N>
  static FASTDW_INLINE InputPairs<N> input_pairs(const uint8_t* p) {
    InputPairs<N> r;
    const auto* const pairs = reinterpret_cast<const int16_t*>(p);
    if constexpr (N == 4) {
      const int16x8x4_t four = vld4q_dup_s16(pairs);
      for (int i = 0; i < 4; ++i) r.pair[i] = vreinterpretq_s8_s16(four.val[i]);
    } else {
      static_assert(N == 1);
      r.pair[0] = vreinterpretq_s8_s16(vld1q_dup_s16(pairs));
    }
    return r;
  }
  // Eight bytes for each vector.
  template <int N, int NV>
  struct WeightPairs {
    int8x16_t v[(N * NV + 1) / 2];
  };
  template <int N, int NV>
  static FASTDW_INLINE WeightPairs<N, NV> weight_pairs(const uint8_t* p) {
    WeightPairs<N, NV> r;
    const auto* const bytes = reinterpret_cast<const int8_t*>(p);
    constexpr int whole = N * NV / 2;
    for (int i = 0; i < whole; ++i) r.v[i] = vld1q_s8(bytes + 16 * i);
    if constexpr (N * NV % 2) r.v[whole] = vcombine_s8(vld1_s8(bytes + 16 * whole), vdup_n_s8(0));
    return r;
  }
  // Two products of 16 bits, one upon the other, and by twos to the sums. A weight of −128 can make two of
  // them too large for 16 bits.
  template <bool kLowest, int N, int NV>
  static FASTDW_INLINE void add_pairs(Ints (&acc)[NV], const InputPairs<N>& x, const WeightPairs<N, NV>& w) {
    constexpr int together = kLowest || N == 1 ? 1 : 2;
    unroll<N / together>([&](auto n) FASTDW_INLINE_LAMBDA {
      int16x8_t products[NV];
      unroll<together>([&](auto m) FASTDW_INLINE_LAMBDA {
        unroll<NV>([&](auto v) FASTDW_INLINE_LAMBDA {
          constexpr int pair = n * together + m, at = pair * NV + v;
          multiply<m == 0, at % 2 == 1>(products[v], w.v[at / 2], x.pair[pair]);
        });
      });
      unroll<NV>([&](auto v) FASTDW_INLINE_LAMBDA { acc[v] = vpadalq_s16(acc[v], products[v]); });
    });
  }

  static FASTDW_INLINE Eight flipped(Eight bytes, uint8x16_t flip) { return veorq_u8(bytes, flip); }

  // Eight channels of a row of pixels under two columns of outputs. For each of these two pixels side by
  // side, and one alone, left or right of them.
  struct Row {
    int8x16_t pair[2];
    Eight alone[2];

    template <int S>
    static FASTDW_INLINE Row of(const Eight (&pixel)[S + 3]) {
      if constexpr (S == 1) {
        const int8x16_t shared = zip(pixel[1], pixel[2]);
        return {{shared, shared}, {pixel[0], pixel[3]}};
      } else {
        return {{zip(pixel[0], pixel[1]), zip(pixel[3], pixel[4])}, {pixel[2], pixel[2]}};
      }
    }
  };

  // What two columns of outputs meet in three rows: pairs of a row, those alone of the first two rows, the
  // last one.
  template <int S>
  struct Taps {
    int8x16_t pair[2][3], column[2];
    int8x8_t last[2];

    explicit FASTDW_INLINE Taps(const uint8_t* w) {
      for (int j = 0; j < 2; ++j) {
        const int first = (S == 1) == (j == 0) ? 1 : 0, alone = first ? 0 : 2;  // taps
        const auto tap = [&](int i, int k)
                             FASTDW_INLINE_LAMBDA { return load_first(w + 8 * (3 * i + k), 8); };
        for (int i = 0; i < 3; ++i) pair[j][i] = zip(tap(i, first), tap(i, first + 1));
        column[j] = zip(tap(0, alone), tap(1, alone));
        last[j] = vreinterpret_s8_u8(vget_low_u8(tap(2, alone)));
      }
    }
  };

  // Of channels 0 to 3 and 4 to 7 of both columns, first what is alone.
  template <int S, bool kLowest>
  static FASTDW_INLINE void meet(Ints (&acc)[2][2], const Row (&rows)[3], const Taps<S>& taps,
                                 const uint8_t* start) {
    int16x8_t products[2][2];
    int8x16_t column[2];
    unroll<2>([&](auto j) FASTDW_INLINE_LAMBDA {
      column[j] = zip(rows[0].alone[j], rows[1].alone[j]);
      products[j][0] = vmull_s8(vreinterpret_s8_u8(vget_low_u8(rows[2].alone[j])), taps.last[j]);
    });
    const Ints low = load(start), high = load(start + 16);
    unroll<2>([&](auto j) FASTDW_INLINE_LAMBDA {
      acc[j][0] = vaddw_s16(low, vget_low_s16(products[j][0]));
      acc[j][1] = vaddw_high_s16(high, products[j][0]);
    });
    const auto multiply_all = [&](auto first, auto pair) FASTDW_INLINE_LAMBDA {
      unroll<4>([&](auto i) FASTDW_INLINE_LAMBDA {
        constexpr int j = i / 2, half = i % 2;
        const int8x16_t x = pair < 3 ? rows[pair % 3].pair[j] : column[j];
        const int8x16_t w = pair < 3 ? taps.pair[j][pair % 3] : taps.column[j];
        multiply<first, half == 1>(products[j][half], x, w);
      });
    };
    const auto add_all = [&]() FASTDW_INLINE_LAMBDA {
      unroll<4>([&](auto i) FASTDW_INLINE_LAMBDA {
        acc[i / 2][i % 2] = vpadalq_s16(acc[i / 2][i % 2], products[i / 2][i % 2]);
      });
    };
    unroll<4>([&](auto pair) FASTDW_INLINE_LAMBDA {
      constexpr bool alone = kLowest || pair % 2 == 0;
      multiply_all(std::bool_constant<alone>{}, pair);
      if constexpr (kLowest || pair % 2 == 1) add_all();
    });
  }

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
    const bool plain;  // the ends are those of bytes, and what is stored has a sign

    explicit FASTDW_INLINE Rescale(const Rescale8& r)
        : zero(vdupq_n_s16(static_cast<int16_t>(r.zero_point))),
          least(vdupq_n_s8(static_cast<int8_t>(static_cast<int>(r.low) + r.zero_point))),
          most(vdupq_n_s8(static_cast<int8_t>(static_cast<int>(r.high) + r.zero_point))),
          flip(vdupq_n_u8(r.flip)),
          plain(r.flip == 0 && static_cast<int>(r.low) + r.zero_point == -128 &&
                static_cast<int>(r.high) + r.zero_point == 127) {}

    template <int NV, bool kPlain = false>
    FASTDW_INLINE void store(const Ints (&acc)[NV], const Factors<NV>& factors, uint8_t* y, int n) const {
      constexpr int second = NV > 1 ? 1 : 0, third = NV > 2 ? 2 : 0, last = NV - 1;
      const int8x8_t low = vqmovn_s16(eight(acc[0], factors.v[0], acc[second], factors.v[second]));
      const int8x16_t bytes =
          NV > 2 ? vqmovn_high_s16(low, eight(acc[third], factors.v[third], acc[last], factors.v[last]))
                 : vcombine_s8(low, vdup_n_s8(0));
      store_first<NV>(y, held<kPlain>(bytes), n);
    }
    template <bool kPlain = false>
    FASTDW_INLINE void store_two(const Ints (&acc)[2][2], const Factors<2>& factors, uint8_t* y,
                                 uint8_t* second, int n) const {
      const int8x8_t low = vqmovn_s16(eight(acc[0][0], factors.v[0], acc[0][1], factors.v[1]));
      const uint8x16_t bytes =
          held<kPlain>(vqmovn_high_s16(low, eight(acc[1][0], factors.v[0], acc[1][1], factors.v[1])));
      if (n == 8) {
        vst1q_lane_u64(reinterpret_cast<uint64_t*>(second), vreinterpretq_u64_u8(bytes), 1);
      } else {
        store_first<2>(second, vextq_u8(bytes, bytes, 8), n);
      }
      store_first<2>(y, bytes, n);
    }

   private:
    // Conversion and narrowing saturate, so no sum is out of range.
    static FASTDW_INLINE Ints rounded(Ints acc, float32x4_t factor) {
      return vcvtnq_s32_f32(vmulq_f32(vcvtq_f32_s32(acc), factor));
    }
    // Of eight channels, the zero point added.
    FASTDW_INLINE int16x8_t eight(Ints low, float32x4_t low_factor, Ints high,
                                  float32x4_t high_factor) const {
      const int16x4_t first = vqmovn_s32(rounded(low, low_factor));
      return vqaddq_s16(vqmovn_high_s32(first, rounded(high, high_factor)), zero);
    }
    template <bool kPlain>
    FASTDW_INLINE uint8x16_t held(int8x16_t bytes) const {
      if constexpr (kPlain) return vreinterpretq_u8_s8(bytes);
      return veorq_u8(vreinterpretq_u8_s8(vminq_s8(vmaxq_s8(bytes, least), most)), flip);
    }
  };

 private:
  // Eight bytes by eight, the lower or the upper ones.
  template <bool kFirst, bool kUpper>
  static FASTDW_INLINE void multiply(int16x8_t& products, int8x16_t a, int8x16_t b) {
    if constexpr (kFirst && kUpper) products = vmull_high_s8(a, b);
    if constexpr (kFirst && !kUpper) products = vmull_s8(vget_low_s8(a), vget_low_s8(b));
    if constexpr (!kFirst && kUpper) products = vmlal_high_s8(products, a, b);
    if constexpr (!kFirst && !kUpper) products = vmlal_s8(products, vget_low_s8(a), vget_low_s8(b));
  }
  static FASTDW_INLINE int8x16_t zip(Eight a, Eight b) { return vreinterpretq_s8_u8(vzip1q_u8(a, b)); }
};

}  // namespace
}  // namespace neon
}  // namespace fastdw
