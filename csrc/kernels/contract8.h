// The contract between the 8-bit operators and their kernels: a table of its own beside the float one.
//
// Inside, a tensor is bytes of q + offset for q of int8, whatever the dot products of the set take: 128 on
// x86, whose bytes have no sign there, and 0 on ARM. Memory of the other kind differs from that by the
// highest bit, which `flip` names: 0x80 or 0.
//
// The sums of a tile lie in vectors of int32. A group of NV vectors holds 4·NV·L + 4v + i in lane 4L + i of
// vector v: then narrowing them to bytes puts the channels in order for nothing.
#pragma once
#include <cstddef>
#include <cstdint>

#include "kernels/depthwise_rect.h"
#include "simd/compiler.h"

namespace fastdw {

constexpr int kQuad = 4;    // bytes that one lane of a four-way dot product takes
constexpr int kGroup8 = 4;  // vectors of a panel, at most

// How sums become bytes: rounded to even after the multiplication, held between low and high, then the zero
// point. (Bounds before the zero point are the same as after it, and keep the conversion in range.)
struct Rescale8 {
  float low, high;
  int32_t zero_point;
  uint8_t flip;    // of what is stored
  bool saturates;  // the ends of bytes, the lower as zero; no sum out of range: rounding and saturating do

  // Adding 1.5·2²³ rounds to a whole number, to even, what is smaller than 2²².
  FASTDW_INLINE uint8_t operator()(float t) const {
    // One after the other: two instructions, where a choice of three is branches.
    t = t < low ? low : t;
    t = t > high ? high : t;
    const float shifted = t + 12582912.0f;
    return static_cast<uint8_t>((static_cast<int32_t>(shifted - 12582912.0f) + zero_point) ^ flip);
  }
};

// Pixels by a panel of NV vectors of channels:
//     [ sums' start: int32 · N ][ factor: float · N ][ inputs 0 … 3: N × 4 bytes ][ inputs 4 … 7 ] …
// or, where weights are of two bytes, of inputs 0 and 1, and so on.
// What stands past the inputs of a pixel, as far as the next line, meets weights of 0.
struct Pointwise8 {
  const uint8_t* x;                   // a block's
  ptrdiff_t x_stride, steps, pixels;  // of four inputs, or what the set's `dot_inputs` says
  const uint8_t* panel;
  uint8_t* y;
  ptrdiff_t y_stride;
  int channels;  // live ones
  bool lowest;   // whether a weight is −128: two such products may be too large for 16 bits
  Rescale8 rescale;
};

// How the weights of a group of N channels lie, in vectors `quad_vectors` or `tap_vectors`:
//     quads     [ start: int32 · N ][ factor: float · N ][ row 0: w0 w1 w2 0 of N, 0 w0 w1 w2 of N ][ row 1 ]
//     fives     [ start ][ factor ][ row 0: w0 w1 w2 w3 of N, w4 0 0 0 of N, 0 w0 w1 w2, w3 w4 0 0, … ] …
//     taps      [ start ][ factor ][ tap(0,0): int8 · N ][ tap(0,1) ] …
//     differences  as quads of columns of taps, four for the three: 2·w0, w0 + w1 + w2, w0 − w1 + w2, −2·w2
//                  of each row; start is twice and factor half of what they else are
// Where weights are of two bytes, w0 w1 of N stand before w2 0 of N, and so on.
enum class Layout8 { kTaps, kQuads, kFives, kDifferences };

struct Depthwise8 : DepthwiseRect<uint8_t> {
  const uint8_t* outside;  // what every pixel beyond the image holds
  uint8_t flip;            // of x
  const uint8_t* weights;
  bool lowest;  // as in Pointwise8
  Rescale8 rescale;

  FASTDW_INLINE const uint8_t* pixel(ptrdiff_t row, ptrdiff_t column) const {
    const bool inside = row >= 0 && row < height && column >= 0 && column < width;
    return inside ? x + row * row_stride + column * column_stride : outside;
  }
};

// clamp(((half + (a − zero_a)·factor_a + (b − zero_b)·factor_b) >> shift) + zero); every flip is its array's.
// What is subtracted has a negative factor.
struct Sum8 {
  int32_t zero_a, factor_a, zero_b, factor_b, shift, zero, low, high;
  uint8_t flip_a, flip_b, flip;
};

// rescale((a − zero_a)·(b − zero_b)·factor), the whole product times the factor rounded once.
struct Product8 {
  int32_t zero_a, zero_b;
  float factor;
  uint8_t flip_a, flip_b;
  Rescale8 rescale;
};

// A row of a resized image: ((2048 − v)·top + v·bottom) / 2²² with v = row_weight, where top is
// (2048 − w)·x[low] + w·x[high] with w = weight, of two pixels of the upper row, and bottom is that of the
// lower one; halves away from `origin`, the byte that is the integer 0.
struct Bilinear8Row {
  const uint8_t *top, *bottom;
  int32_t row_weight;
  ptrdiff_t x_stride;
  const ptrdiff_t *low, *high;  // two of the input's pixels for each of the output's
  const int32_t* weight;
  int32_t origin;
  uint8_t flip;
  uint8_t* y;
  ptrdiff_t y_stride;
  ptrdiff_t pixels, channels;
};

using Pointwise8Fn = void (*)(const Pointwise8&);
using Depthwise8Fn = void (*)(const Depthwise8&);
using Add8Fn = void (*)(const Sum8&, const uint8_t* a, const uint8_t* b, uint8_t* y, ptrdiff_t count);
using Multiply8Fn = void (*)(const Product8&, const uint8_t* a, const uint8_t* b, uint8_t* y,
                             ptrdiff_t count);
// y[i] = table[x[i]], of 256 entries; y may be x.
using Table8Fn = void (*)(const uint8_t* table, const uint8_t* x, uint8_t* y, ptrdiff_t count);
using Bilinear8Fn = void (*)(const Bilinear8Row&);

struct DwKernel8 {
  const char* name;
  Depthwise8Fn run;
  Layout8 layout;
};

struct PwKernel8 {
  int pixels;  // of a tile, at most
  Pointwise8Fn run;
};

struct Kernels8 {
  const char* isa;
  int lanes;                      // of int32
  int offset;                     // of the bytes inside
  int dot_inputs;                 // that a lane takes at once
  int weight_bytes;               // of one in a dot product: 1, or 2 where products are of 16 bits
  int panel_vectors;              // of a pointwise panel, at most
  PwKernel8 pointwise[kGroup8];   // by vectors less one
  int tap_vectors, quad_vectors;  // of depthwise weights; no quads: 0
  DwKernel8 depthwise;            // any, by taps
  DwKernel8 depthwise_3x3[2];     // at stride 1 and 2
  int most_pairs;                 // of columns that share a group of quads
  DwKernel8 depthwise_fives[2];   // of kernels with rows of five taps, at stride 1 and 2; may not be there
  Add8Fn add;
  Multiply8Fn multiply;
  Table8Fn table;
  Bilinear8Fn bilinear;
  ptrdiff_t block_bytes;      // of a block, beside its panel in L2
  double mac_ns, value_ns;    // a multiply-add, and a result
  double line_ns, weight_ns;  // copying one row of a window, a word or some; reading a byte of weights once

  // What turns bytes in memory into those inside, and back.
  uint8_t flip(bool is_signed) const { return is_signed == (offset == 0) ? 0 : 0x80; }
};

// Places of a row of five taps within two quads: every stride-th that columns of outputs need.
constexpr int shifts_of_fives(ptrdiff_t stride) { return stride == 1 ? 4 : 2; }

// Pairs of columns that share a group of quads with so few live channels, at most `most`, a power of two:
// each has a part of it, and the weights are there for each.
FASTDW_INLINE int pairs_of(ptrdiff_t group, ptrdiff_t live, int most) {
  int pairs = 1;
  while (pairs < most && live * pairs * 2 <= group) pairs *= 2;
  return pairs;
}

// The channel in lane `lane` of vector `v` of a group of `vectors`.
FASTDW_INLINE ptrdiff_t channel_of(int vectors, int v, int lane) {
  return kQuad * vectors * (lane / kQuad) + kQuad * v + lane % kQuad;
}

}  // namespace fastdw
