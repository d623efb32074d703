// The words of the 8-bit kernels (words8.inc) with SDOT, beside those of NEON: sixteen multiply-adds an
// instruction.
#pragma once
#include "simd/bytes_neon.h"

namespace fastdw {
namespace dotprod {
namespace {

FASTDW_INLINE int32x4_t dot(int32x4_t acc, int32x4_t x, int32x4_t w) {
  return vdotq_s32(acc, vreinterpretq_s8_s32(x), vreinterpretq_s8_s32(w));
}

struct Bytes : neon::Bytes {
  static constexpr bool dots_by_lane = true;

  static FASTDW_INLINE Ints broadcast(const uint8_t* p) {
    int32_t quad;
    __builtin_memcpy(&quad, p, sizeof quad);
    return vdupq_n_s32(quad);
  }
  template <int Lane>
  static FASTDW_INLINE void dot_lane(Ints& acc, Ints x, Ints w) {
    acc = vdotq_laneq_s32(acc, vreinterpretq_s8_s32(w), vreinterpretq_s8_s32(x), Lane);
  }

  struct Taps {
    static constexpr ptrdiff_t bytes = 64;
    Ints left[2], right[2];

    template <int S>
    static FASTDW_INLINE Taps load(const uint8_t* w) {
      constexpr int next = S == 1 ? 32 : 0;
      return {{Bytes::load(w), Bytes::load(w + 16)}, {Bytes::load(w + next), Bytes::load(w + next + 16)}};
    }
  };

  // The four bytes that each column meets.
  struct Row {
    Ints left[2], right[2];

    template <int S>
    static FASTDW_INLINE Row of(const Eight (&pixel)[S + 3], uint8x16_t flip) {
      const uint8x16_t ab = vzip1q_u8(pixel[0], pixel[1]), cd = vzip1q_u8(pixel[2], pixel[3]);
      Row row;
      quads(ab, cd, flip, row.left);
      if constexpr (S == 1) {
        row.right[0] = row.left[0];
        row.right[1] = row.left[1];
      } else {
        quads(cd, vzip1q_u8(pixel[4], pixel[4]), flip, row.right);
      }
      return row;
    }

   private:
    static FASTDW_INLINE void quads(uint8x16_t ab, uint8x16_t cd, uint8x16_t flip, Ints (&quad)[2]) {
      const uint16x8_t first = vreinterpretq_u16_u8(veorq_u8(ab, flip));
      const uint16x8_t last = vreinterpretq_u16_u8(veorq_u8(cd, flip));
      quad[0] = vreinterpretq_s32_u16(vzip1q_u16(first, last));
      quad[1] = vreinterpretq_s32_u16(vzip2q_u16(first, last));
    }
  };

  static FASTDW_INLINE void meet(Ints (&acc)[2][2], const Row& row, const Taps& taps) {
    for (int v = 0; v < 2; ++v) {
      acc[0][v] = dot(acc[0][v], row.left[v], taps.left[v]);
      acc[1][v] = dot(acc[1][v], row.right[v], taps.right[v]);
    }
  }
};

}  // namespace
}  // namespace dotprod
}  // namespace fastdw
