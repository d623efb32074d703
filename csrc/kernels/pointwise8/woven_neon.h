// The steps of a tile of 4 pixels × 16 channels where products are pairs (pairs.h), as one loop of assembly:
// it takes all registers, and its loads move their addresses on. 104 instructions for 512 multiply-adds; the
// loop that GCC makes has 111. A pixel's inputs are on their way while the last products of the one before it
// are added, for cores in order.
#pragma once
#include "simd/bytes_neon.h"

namespace fastdw {
namespace neon {
namespace {

// Registers: v0 to v3 are four pairs of inputs, v4 to v11 of weights, v12 to v15 products; a to d are pixels.
// clang-format off
#define FASTDW_LOWER(op, sum, weights, x) op " v" #sum ".8h, v" #weights ".8b, v" #x ".8b\n"
#define FASTDW_UPPER(op, sum, weights, x) op "2 v" #sum ".8h, v" #weights ".16b, v" #x ".16b\n"
#define FASTDW_PAIR(op, weights, more, x) \
  FASTDW_LOWER(op, 12, weights, x) FASTDW_UPPER(op, 13, weights, x) \
  FASTDW_LOWER(op, 14, more, x) FASTDW_UPPER(op, 15, more, x)
#define FASTDW_ADD(sum, products) "sadalp %[" #sum "].4s, v" #products ".8h\n"
#define FASTDW_ADD_4(pixel) \
  FASTDW_ADD(pixel##0, 12) FASTDW_ADD(pixel##1, 13) FASTDW_ADD(pixel##2, 14) FASTDW_ADD(pixel##3, 15)
#define FASTDW_INPUTS(pixel) "ld4r {v0.8h, v1.8h, v2.8h, v3.8h}, [%[x" #pixel "]], #8\n"
#define FASTDW_WEIGHTS(a, b, c, d) \
  "ld1 {v" #a ".16b, v" #b ".16b, v" #c ".16b, v" #d ".16b}, [%[w]], #64\n"
#define FASTDW_PIXEL(pixel, weights, next) \
  FASTDW_PAIR("smull", 4, 5, 0) weights FASTDW_PAIR("smlal", 6, 7, 1) FASTDW_ADD_4(pixel) \
  FASTDW_PAIR("smull", 8, 9, 2) FASTDW_PAIR("smlal", 10, 11, 3) next FASTDW_ADD_4(pixel)
// One pair of inputs.
#define FASTDW_PIXEL_1(pixel) \
  "ld1r {v0.8h}, [%[x" #pixel "]], #2\n" FASTDW_PAIR("smull", 4, 5, 0) FASTDW_ADD_4(pixel)
#define FASTDW_START(pixel) \
  "ldp %q[" #pixel "0], %q[" #pixel "1], [%[w]]\n" \
  "ldp %q[" #pixel "2], %q[" #pixel "3], [%[w], #32]\n"
#define FASTDW_SUMS(pixel, i) \
  [pixel##0] "=&w"(acc[i][0]), [pixel##1] "=&w"(acc[i][1]), [pixel##2] "=&w"(acc[i][2]), [pixel##3] "=&w"(acc[i][3])

struct Woven : Bytes {
  template <int MR, int NV>
  static constexpr bool woven = MR == 4 && NV == 4;

  // The sums of the panel's start and of all pairs of inputs: four at a time, then one.
  static FASTDW_INLINE void sums_of(Ints (&acc)[4][4], const uint8_t* x, ptrdiff_t x_stride, const uint8_t* w,
                                    ptrdiff_t pairs) {
    ptrdiff_t fours = pairs / 4, ones = pairs % 4;
    const uint8_t *xb = x + x_stride, *xc = xb + x_stride, *xd = xc + x_stride;
    __asm__ volatile(
        FASTDW_START(a) FASTDW_START(b) FASTDW_START(c) FASTDW_START(d)
        "add %[w], %[w], #128\n"
        "cbz %[fours], 2f\n"
        "1:\n"
        FASTDW_WEIGHTS(4, 5, 6, 7)
        FASTDW_INPUTS(a)
        "subs %[fours], %[fours], #1\n"
        FASTDW_PIXEL(a, FASTDW_WEIGHTS(8, 9, 10, 11), FASTDW_INPUTS(b))
        FASTDW_PIXEL(b, "", FASTDW_INPUTS(c))
        FASTDW_PIXEL(c, "", FASTDW_INPUTS(d))
        FASTDW_PIXEL(d, "", "")
        "b.ne 1b\n"
        "2:\n"
        "cbz %[ones], 4f\n"
        "3:\n"
        "ld1 {v4.16b, v5.16b}, [%[w]], #32\n"
        "subs %[ones], %[ones], #1\n"
        FASTDW_PIXEL_1(a) FASTDW_PIXEL_1(b) FASTDW_PIXEL_1(c) FASTDW_PIXEL_1(d)
        "b.ne 3b\n"
        "4:\n"
        : FASTDW_SUMS(a, 0), FASTDW_SUMS(b, 1), FASTDW_SUMS(c, 2), FASTDW_SUMS(d, 3),
          [xa] "+&r"(x), [xb] "+&r"(xb), [xc] "+&r"(xc), [xd] "+&r"(xd), [w] "+&r"(w), [fours] "+&r"(fours),
          [ones] "+&r"(ones)
        :
        : "memory", "cc", "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13",
          "v14", "v15");
  }
};
// clang-format on

#undef FASTDW_SUMS
#undef FASTDW_START
#undef FASTDW_PIXEL_1
#undef FASTDW_PIXEL
#undef FASTDW_WEIGHTS
#undef FASTDW_INPUTS
#undef FASTDW_ADD_4
#undef FASTDW_ADD
#undef FASTDW_PAIR
#undef FASTDW_UPPER
#undef FASTDW_LOWER

}  // namespace
}  // namespace neon
}  // namespace fastdw
