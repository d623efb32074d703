// The main pointwise tiles for cores that run instructions in order, two a cycle (Cortex-A53, A55): one loop
// of assembly each, since on these the order of the instructions is the speed.
//
// A load of 128 bits keeps such a core from everything else for two cycles. So loads bring 64 bits here. An
// input's four pixels are used from two halves as they come; a weight vector is put together: its lower half
// by a vector load, its upper one through an integer register. An A53 has no cycle for a vector load beside
// multiply-adds, nor four cycles after one: three of these, then a cycle for a load, is its best rhythm, and
// eight such beats are an input channel. An A55 starts most loads beside the multiply-add before them.
//
// Model estimate (bench/count_neon/count.py --inspect) of the cycles that an input channel, 24 multiply-adds,
// takes: 32.0 on an A53 and 26.5 on an A55. neon's loops take 40.7 and 34.2 (8×3), 41.9 and 34.2 (12×2).
// The price is instructions, 1.65 for each multiply-add of a whole block instead of 1.20.
#pragma once
#include "kernels/pointwise/tile_neon.h"

namespace fastdw {
namespace neon_inorder {
namespace {

using neon::kGroup;

// One tile: its input groups, and where it stores. Strides, in bytes, are those of PixelStrides.
struct Tile {
  const float* x[3];
  const float* panel;
  ptrdiff_t input_channels;
  float* y;
  ptrdiff_t one, two, four;
  int linear;  // tested as 32 bits
  float lo, hi;

  void store_at(float* first, const PixelStrides& stride) {
    constexpr ptrdiff_t kBytes = sizeof(float);
    y = first, one = stride.one * kBytes, two = stride.two * kBytes, four = stride.four * kBytes;
  }
};

// Registers: v8 to v31 are the sums, pixel by pixel; the lower ones hold halves of inputs and two channels'
// weights. Operands: x0, x1, x2 and w point to the groups and to the next channel's weights; `upper` is half
// a vector of these on its way. Offsets count bytes.
// clang-format off
#define FASTDW_FMLA(sum, weights, x, lane) "fmla v" #sum ".4s, v" #weights ".4s, v" #x ".s[" #lane "]\n"
#define FASTDW_LOAD(half, pointer, offset) "ldr d" #half ", [%[" #pointer "], #" #offset "]\n"
#define FASTDW_FETCH(offset) "ldr %[upper], [%[w], #" #offset "]\n"
#define FASTDW_INSERT(weights) "ins v" #weights ".d[1], %[upper]\n"
#define FASTDW_STEP(pointer, bytes) "add %[" #pointer "], %[" #pointer "], #" #bytes "\n"
#define FASTDW_COUNT "subs %[pairs], %[pairs], #1\n"

// One input channel, with the weights w0 to w2 and the first half of its inputs in v0. It brings n0 to n2, the
// weights at at_w, and the half at next_x. A row is three multiply-adds, and what starts beside them; then what
// takes a cycle of its own on an A53.
#define FASTDW_CHANNEL_8X3(w0, w1, w2, n0, n1, n2, at_w, at_x, next_x, step_w, step_x0, step_x1, count) \
  FASTDW_FMLA(8, w0, 0, 0) FASTDW_FMLA(9, w1, 0, 0) FASTDW_FMLA(10, w2, 0, 0) \
  FASTDW_LOAD(1, x0, at_x + 8) \
  FASTDW_FMLA(11, w0, 0, 1) FASTDW_FETCH(at_w + 8) FASTDW_FMLA(12, w1, 0, 1) FASTDW_FMLA(13, w2, 0, 1) \
  FASTDW_LOAD(n0, w, at_w) \
  FASTDW_FMLA(14, w0, 1, 0) FASTDW_FMLA(15, w1, 1, 0) FASTDW_FMLA(16, w2, 1, 0) \
  FASTDW_LOAD(0, x1, at_x) FASTDW_INSERT(n0) \
  FASTDW_FMLA(17, w0, 1, 1) FASTDW_FETCH(at_w + 24) FASTDW_FMLA(18, w1, 1, 1) FASTDW_FMLA(19, w2, 1, 1) \
  FASTDW_LOAD(n1, w, at_w + 16) \
  FASTDW_FMLA(20, w0, 0, 0) FASTDW_FMLA(21, w1, 0, 0) FASTDW_FMLA(22, w2, 0, 0) \
  FASTDW_LOAD(1, x1, at_x + 8) FASTDW_INSERT(n1) \
  FASTDW_FMLA(23, w0, 0, 1) FASTDW_FETCH(at_w + 40) FASTDW_FMLA(24, w1, 0, 1) step_x1 FASTDW_FMLA(25, w2, 0, 1) \
  FASTDW_LOAD(n2, w, at_w + 32) \
  FASTDW_FMLA(26, w0, 1, 0) FASTDW_FMLA(27, w1, 1, 0) step_w FASTDW_FMLA(28, w2, 1, 0) \
  FASTDW_LOAD(0, x0, next_x) \
  FASTDW_FMLA(29, w0, 1, 1) step_x0 FASTDW_FMLA(30, w1, 1, 1) count FASTDW_FMLA(31, w2, 1, 1) \
  FASTDW_INSERT(n2)

// Likewise, with the first two halves in v0 and v1; step_x0 comes before the loads at next_x.
#define FASTDW_CHANNEL_12X2(w0, w1, n0, n1, at_w, at_x, next_x, step_w, step_x0, step_x1, step_x2, count) \
  FASTDW_FMLA(8, w0, 0, 0) FASTDW_FMLA(9, w1, 0, 0) FASTDW_FMLA(10, w0, 0, 1) \
  FASTDW_LOAD(2, x1, at_x) \
  FASTDW_FMLA(11, w1, 0, 1) FASTDW_FETCH(at_w + 8) FASTDW_FMLA(12, w0, 1, 0) FASTDW_FMLA(13, w1, 1, 0) \
  FASTDW_LOAD(n0, w, at_w) \
  FASTDW_FMLA(14, w0, 1, 1) FASTDW_FMLA(15, w1, 1, 1) FASTDW_FMLA(16, w0, 2, 0) \
  FASTDW_LOAD(0, x1, at_x + 8) FASTDW_INSERT(n0) \
  FASTDW_FMLA(17, w1, 2, 0) step_x0 FASTDW_FMLA(18, w0, 2, 1) FASTDW_FMLA(19, w1, 2, 1) \
  FASTDW_LOAD(1, x2, at_x) \
  FASTDW_FMLA(20, w0, 0, 0) FASTDW_FMLA(21, w1, 0, 0) FASTDW_FMLA(22, w0, 0, 1) \
  FASTDW_LOAD(2, x2, at_x + 8) \
  FASTDW_FMLA(23, w1, 0, 1) FASTDW_FETCH(at_w + 24) FASTDW_FMLA(24, w0, 1, 0) step_x1 FASTDW_FMLA(25, w1, 1, 0) \
  FASTDW_LOAD(n1, w, at_w + 16) \
  FASTDW_FMLA(26, w0, 1, 1) step_x2 FASTDW_FMLA(27, w1, 1, 1) step_w FASTDW_FMLA(28, w0, 2, 0) \
  FASTDW_LOAD(0, x0, next_x) FASTDW_INSERT(n1) \
  FASTDW_FMLA(29, w1, 2, 0) count FASTDW_FMLA(30, w0, 2, 1) FASTDW_FMLA(31, w1, 2, 1) \
  FASTDW_LOAD(1, x0, next_x + 8)

#define FASTDW_COPY(to, from) "mov v" #to ".16b, v" #from ".16b\n"
#define FASTDW_COPY_2(a, b) FASTDW_COPY(a, 8) FASTDW_COPY(b, 9)
#define FASTDW_COPY_3(a, b, c) FASTDW_COPY(a, 8) FASTDW_COPY(b, 9) FASTDW_COPY(c, 10)
#define FASTDW_STORE_2(a, b, to) "stp q" #a ", q" #b ", [%[" #to "]]\n"
#define FASTDW_STORE_3(a, b, c, to) FASTDW_STORE_2(a, b, to) "str q" #c ", [%[" #to "], #32]\n"
#define FASTDW_CLAMP(sum) \
  "fmax v" #sum ".4s, v0.4s, v" #sum ".4s\n" \
  "fmin v" #sum ".4s, v1.4s, v" #sum ".4s\n"
#define FASTDW_CLAMP_4(a, b, c, d) FASTDW_CLAMP(a) FASTDW_CLAMP(b) FASTDW_CLAMP(c) FASTDW_CLAMP(d)
#define FASTDW_CLAMP_ALL \
  "cbnz %w[linear], 4f\n" \
  "ld1r {v0.4s}, [%[lo]]\n" \
  "ld1r {v1.4s}, [%[hi]]\n" \
  FASTDW_CLAMP_4(8, 9, 10, 11) FASTDW_CLAMP_4(12, 13, 14, 15) FASTDW_CLAMP_4(16, 17, 18, 19) \
  FASTDW_CLAMP_4(20, 21, 22, 23) FASTDW_CLAMP_4(24, 25, 26, 27) FASTDW_CLAMP_4(28, 29, 30, 31) \
  "4:\n"
// Pixels 0 to 3 of a group; y becomes the next group's.
#define FASTDW_STORE_GROUP(store_0, store_1, store_2, store_3) \
  store_0 "add %[other], %[y], %[one]\n" \
  store_1 "add %[upper], %[y], %[two]\n" \
  store_2 "add %[other], %[other], %[two]\n" \
  store_3 "add %[y], %[y], %[four]\n"
#define FASTDW_CLOBBERED "memory", "cc", \
  "v0", "v1", "v2", "v3", "v4", "v5", "v6", "v7", "v8", "v9", "v10", "v11", "v12", "v13", "v14", "v15", "v16", \
  "v17", "v18", "v19", "v20", "v21", "v22", "v23", "v24", "v25", "v26", "v27", "v28", "v29", "v30", "v31"

template <int MR, int NV>
void multiply(const Tile& t);

// A channel brings the next one's weights, and pairs of channels are a turn of the loop. So an odd one goes
// before it; and one is left, with nothing behind it that may be read: it brings itself again.
template <>
void multiply<8, 3>(const Tile& t) {
  const float *x0 = t.x[0], *x1 = t.x[1], *w = t.panel;
  float *y = t.y, *other;
  ptrdiff_t pairs = (t.input_channels - 1) / 2, upper;
  asm volatile(
      "ldp q8, q9, [%[w]]\n"
      "ldr q10, [%[w], #32]\n"
      "ldp q2, q3, [%[w], #48]\n"
      "ldr q4, [%[w], #80]\n"
      "ldr d0, [%[x0]]\n"
      FASTDW_STEP(w, 96)
      FASTDW_COPY_3(11, 12, 13) FASTDW_COPY_3(14, 15, 16) FASTDW_COPY_3(17, 18, 19) FASTDW_COPY_3(20, 21, 22)
      FASTDW_COPY_3(23, 24, 25) FASTDW_COPY_3(26, 27, 28) FASTDW_COPY_3(29, 30, 31)
      "tbnz %[channels], #0, 1f\n"
      FASTDW_CHANNEL_8X3(2, 3, 4, 5, 6, 7, 0, 0, 16, FASTDW_STEP(w, 48), FASTDW_STEP(x0, 16), FASTDW_STEP(x1, 16), "")
      FASTDW_COPY(2, 5) FASTDW_COPY(3, 6) FASTDW_COPY(4, 7)
      "1:\n"
      "cbz %[pairs], 3f\n"
      "2:\n"
      FASTDW_CHANNEL_8X3(2, 3, 4, 5, 6, 7, 0, 0, 16, "", "", "", "")
      FASTDW_CHANNEL_8X3(5, 6, 7, 2, 3, 4, 48, 16, 32,
                         FASTDW_STEP(w, 96), FASTDW_STEP(x0, 32), FASTDW_STEP(x1, 32), FASTDW_COUNT)
      "b.ne 2b\n"
      "3:\n"
      FASTDW_CHANNEL_8X3(2, 3, 4, 5, 6, 7, -48, 0, 0, "", "", "", "")
      FASTDW_CLAMP_ALL
      FASTDW_STORE_GROUP(FASTDW_STORE_3(8, 9, 10, y), FASTDW_STORE_3(11, 12, 13, other),
                         FASTDW_STORE_3(14, 15, 16, upper), FASTDW_STORE_3(17, 18, 19, other))
      FASTDW_STORE_GROUP(FASTDW_STORE_3(20, 21, 22, y), FASTDW_STORE_3(23, 24, 25, other),
                         FASTDW_STORE_3(26, 27, 28, upper), FASTDW_STORE_3(29, 30, 31, other))
      : [x0] "+r"(x0), [x1] "+r"(x1), [w] "+r"(w), [y] "+r"(y), [pairs] "+r"(pairs), [upper] "=&r"(upper),
        [other] "=&r"(other)
      : [channels] "r"(t.input_channels), [linear] "r"(t.linear), [lo] "r"(&t.lo), [hi] "r"(&t.hi),
        [one] "r"(t.one), [two] "r"(t.two), [four] "r"(t.four)
      : FASTDW_CLOBBERED);
}

template <>
void multiply<12, 2>(const Tile& t) {
  const float *x0 = t.x[0], *x1 = t.x[1], *x2 = t.x[2], *w = t.panel;
  float *y = t.y, *other;
  ptrdiff_t pairs = (t.input_channels - 1) / 2, upper;
  asm volatile(
      "ldp q8, q9, [%[w]]\n"
      "ldp q3, q4, [%[w], #32]\n"
      "ldr d0, [%[x0]]\n"
      "ldr d1, [%[x0], #8]\n"
      FASTDW_STEP(w, 64)
      FASTDW_COPY_2(10, 11) FASTDW_COPY_2(12, 13) FASTDW_COPY_2(14, 15) FASTDW_COPY_2(16, 17)
      FASTDW_COPY_2(18, 19) FASTDW_COPY_2(20, 21) FASTDW_COPY_2(22, 23) FASTDW_COPY_2(24, 25)
      FASTDW_COPY_2(26, 27) FASTDW_COPY_2(28, 29) FASTDW_COPY_2(30, 31)
      "tbnz %[channels], #0, 1f\n"
      FASTDW_CHANNEL_12X2(3, 4, 5, 6, 0, 0, 0,
                          FASTDW_STEP(w, 32), FASTDW_STEP(x0, 16), FASTDW_STEP(x1, 16), FASTDW_STEP(x2, 16), "")
      FASTDW_COPY(3, 5) FASTDW_COPY(4, 6)
      "1:\n"
      "cbz %[pairs], 3f\n"
      "2:\n"
      FASTDW_CHANNEL_12X2(3, 4, 5, 6, 0, 0, -16, "", FASTDW_STEP(x0, 32), "", "", "")
      FASTDW_CHANNEL_12X2(5, 6, 3, 4, 32, 16, 0,
                          FASTDW_STEP(w, 64), "", FASTDW_STEP(x1, 32), FASTDW_STEP(x2, 32), FASTDW_COUNT)
      "b.ne 2b\n"
      "3:\n"
      FASTDW_CHANNEL_12X2(3, 4, 5, 6, -32, 0, 0, "", "", "", "", "")
      FASTDW_CLAMP_ALL
      FASTDW_STORE_GROUP(FASTDW_STORE_2(8, 9, y), FASTDW_STORE_2(10, 11, other), FASTDW_STORE_2(12, 13, upper),
                         FASTDW_STORE_2(14, 15, other))
      FASTDW_STORE_GROUP(FASTDW_STORE_2(16, 17, y), FASTDW_STORE_2(18, 19, other), FASTDW_STORE_2(20, 21, upper),
                         FASTDW_STORE_2(22, 23, other))
      FASTDW_STORE_GROUP(FASTDW_STORE_2(24, 25, y), FASTDW_STORE_2(26, 27, other), FASTDW_STORE_2(28, 29, upper),
                         FASTDW_STORE_2(30, 31, other))
      : [x0] "+r"(x0), [x1] "+r"(x1), [x2] "+r"(x2), [w] "+r"(w), [y] "+r"(y), [pairs] "+r"(pairs),
        [upper] "=&r"(upper), [other] "=&r"(other)
      : [channels] "r"(t.input_channels), [linear] "r"(t.linear), [lo] "r"(&t.lo), [hi] "r"(&t.hi),
        [one] "r"(t.one), [two] "r"(t.two), [four] "r"(t.four)
      : FASTDW_CLOBBERED);
}
// clang-format on

template <int MR, int NV>
void pwconv_inorder(const PwTile& t) {
  constexpr int kGroups = MR / kGroup, kSums = NV * neon::Vec::lanes;
  const bool simple = !t.residual && t.channels == kSums;
  const bool linear = t.lo == -__builtin_inff() && t.hi == __builtin_inff();
  float sums[MR * kSums];
  Tile tile = {{}, t.panel, t.input_channels, nullptr, 0, 0, 0, linear || !simple, t.lo, t.hi};
  tile.store_at(sums, {kSums, 2 * kSums, 4 * kSums});
  for (ptrdiff_t i = 0; i < t.tiles; ++i) {
    for (int g = 0; g < kGroups; ++g) tile.x[g] = t.x + (i * kGroups + g) * t.x_stride;
    if (simple) tile.store_at(t.y + i * kGroups * t.y_stride.four, t.y_stride);
    multiply<MR, NV>(tile);
    if (!simple) neon::finish_tile(t, i, sums, MR, kSums);
  }
}

}  // namespace
}  // namespace neon_inorder
}  // namespace fastdw
