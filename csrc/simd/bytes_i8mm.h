// The words of the 8-bit kernels (words8.inc) with SMMLA, beside those of NEON: two pixels by two channels,
// eight inputs of each, are 32 multiply-adds an instruction.
#pragma once
#include "simd/bytes_neon.h"

namespace fastdw {
namespace i8mm {
namespace {

struct Bytes : neon::Bytes {
  using Two = int8x16_t;

  static FASTDW_INLINE Two weights(const uint8_t* p) { return vreinterpretq_s8_u8(vld1q_u8(p)); }

  template <int N>
  static FASTDW_INLINE void inputs(Two (&of)[N], const uint8_t* first, const uint8_t* second) {
    if constexpr (N == 1) {
      of[0] = vreinterpretq_s8_u8(vcombine_u8(vld1_u8(first), vld1_u8(second)));
    } else {
      static_assert(N == 2);
      const Ints a = load(first), b = load(second);
      of[0] = vreinterpretq_s8_s32(lower(a, b));
      of[1] = vreinterpretq_s8_s32(upper(a, b));
    }
  }

  static FASTDW_INLINE void add_block(Ints& acc, Two pixels, Two channels) {
    acc = vmmlaq_s32(acc, pixels, channels);
  }

  static FASTDW_INLINE Ints lower(Ints a, Ints b) {
    return vreinterpretq_s32_s64(vzip1q_s64(vreinterpretq_s64_s32(a), vreinterpretq_s64_s32(b)));
  }
  static FASTDW_INLINE Ints upper(Ints a, Ints b) {
    return vreinterpretq_s32_s64(vzip2q_s64(vreinterpretq_s64_s32(a), vreinterpretq_s64_s32(b)));
  }
};

}  // namespace
}  // namespace i8mm
}  // namespace fastdw
