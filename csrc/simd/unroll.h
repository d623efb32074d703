// Loops with a constant count, unrolled by construction: arrays of vectors indexed in them stay in registers
// whatever the compiler thinks of the loop.
#pragma once
#include <utility>

#include "simd/compiler.h"

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

}  // namespace
}  // namespace fastdw
