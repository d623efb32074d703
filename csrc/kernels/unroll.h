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

}  // namespace
}  // namespace fastdw
