// Loops with a constant count, unrolled by construction: arrays of vectors indexed in them stay in registers
// whatever the compiler thinks of the loop.
#pragma once
#include <utility>

#define FASTDW_INLINE inline __attribute__((always_inline))
#define FASTDW_INLINE_LAMBDA __attribute__((always_inline))

namespace fastdw {
namespace {

template <int... I, class F>
FASTDW_INLINE void unroll_sequence(std::integer_sequence<int, I...>, const F& f) {
  (f(std::integral_constant<int, I>{}), ...);
}

template <int N, class F>
FASTDW_INLINE void unroll(const F& f) {
  unroll_sequence(std::make_integer_sequence<int, N>{}, f);
}

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

// The same by fours in the order 1, 3, 0, 2 (the digits below, from the last one on), what is left in
// line: step(channel, n, next channel). After the last comes the first one `beyond`.
template <class V, class Step>
FASTDW_INLINE void for_vectors_leaping(std::ptrdiff_t channels, std::ptrdiff_t beyond, const Step& step) {
  const std::ptrdiff_t whole = channels / V::lanes, fours = whole & ~3;
  const auto nth = [&](std::ptrdiff_t i) FASTDW_INLINE_LAMBDA {
    return (i < fours ? (i & ~3) + ((0x2031 >> (4 * (i & 3))) & 3) : i) * V::lanes;
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
