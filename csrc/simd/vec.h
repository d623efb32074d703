// The contract of Vec, the vector of floats that is all a kernel body knows of its instruction set. Each set
// writes its own in vec_<isa>.h, in a namespace of its own:
//
//     struct Vec {
//       static constexpr int lanes;       how many floats
//       static constexpr bool has_ldexp;  for each word of `words.inc` that a body can do without
//       … v;                              the register: a body may copy it, and looks no further
//     };
//
// and the words of words.inc, which is the whole vocabulary: members of Vec where their form says so, else
// free functions. tests/kernels/words.cpp runs each of them alone.
//
// Counts. `n` is All, a full vector, or an int from 0 to lanes: then loads put zeros into the other lanes,
// and neither loads nor stores touch a byte past the n-th float. Pointers need no alignment.
//
// Numbers. Every operation is rounded to nearest, once; subnormal numbers are numbers; nothing traps. An
// arithmetic word with a NaN for an operand gives a NaN of any sign and payload. Words that speak of bits,
// and those that only move lanes, keep every bit.
//
// Choice. A body never falls back on something slower without saying so: a word that only some sets have is
// used in the bodies of these sets, or behind `if constexpr (V::has_…)`.
#pragma once
#include <cstddef>

#include "simd/unroll.h"

namespace fastdw {
namespace {

// The count of a full vector, where a tail has an int.
struct All {};
constexpr bool is_live(int, All) { return true; }
constexpr bool is_live(int i, int count) { return i < count; }

// Calls step(channel, All) for every whole vector, then step(channel, int) for what is left.
template <class V, class Step>
FASTDW_INLINE void for_vectors(std::ptrdiff_t channels, const Step& step) {
  std::ptrdiff_t c = 0;
  for (; c + V::lanes <= channels; c += V::lanes) step(c, All{});
  if (c < channels) step(c, static_cast<int>(channels - c));
}

// As for_vectors, for steps of few instructions, between which a loop's own would count: step(channel, All,
// kTogether) for so many vectors side by side where vectors are short, then with 1 for each that is left. A
// step should load all of them before it stores one: compilers then pair their loads and stores.
template <class V, int kTogether, class Step>
FASTDW_INLINE void for_vectors_together(std::ptrdiff_t channels, const Step& step) {
  using One = std::integral_constant<int, 1>;
  std::ptrdiff_t c = 0;
  if constexpr (V::lanes == 4) {
    for (; c + kTogether * V::lanes <= channels; c += kTogether * V::lanes) {
      step(c, All{}, std::integral_constant<int, kTogether>{});
    }
  }
  for (; c + V::lanes <= channels; c += V::lanes) step(c, All{}, One{});
  if (c < channels) step(c, static_cast<int>(channels - c), One{});
}

// The order of every four vectors in for_vectors_shuffled, also as digits of one number, four bits each from
// the last one on: read from memory, the order costs 112×112×32 → 16 a tenth of its time.
constexpr unsigned kShuffledOrder[4] = {1, 3, 0, 2};
constexpr unsigned kShuffledDigits =
    kShuffledOrder[0] | kShuffledOrder[1] << 4 | kShuffledOrder[2] << 8 | kShuffledOrder[3] << 12;

// As for_vectors, but by fours in another order, the last three at most in line: step(channel, n, next
// channel). After the last comes the first one, `beyond` floats further on.
template <class V, class Step>
FASTDW_INLINE void for_vectors_shuffled(std::ptrdiff_t channels, std::ptrdiff_t beyond, const Step& step) {
  const std::ptrdiff_t whole = channels / V::lanes, fours = whole & ~3;
  const auto nth = [&](std::ptrdiff_t i) FASTDW_INLINE_LAMBDA {
    return (i < fours ? (i & ~3) + ((kShuffledDigits >> (4 * (i & 3))) & 3) : i) * V::lanes;
  };
  const std::ptrdiff_t end = beyond + nth(0);
  std::ptrdiff_t c = nth(0);
  for (std::ptrdiff_t i = 1; i <= whole; ++i) {
    const std::ptrdiff_t next = nth(i);
    step(c, All{}, next < channels ? next : end);
    c = next;
  }
  if (c < channels) step(c, static_cast<int>(channels - c), end);
}

}  // namespace
}  // namespace fastdw
