// What a compiler has to be told: what to inline, which values it must know nothing of, when not to schedule.
#pragma once

#define FASTDW_INLINE inline __attribute__((always_inline))
#define FASTDW_INLINE_LAMBDA __attribute__((always_inline))

// Between these two GCC neither moves loads ahead, which makes it spill registers, nor reuses a register
// early. Clang needs no such help.
#if defined(__GNUC__) && !defined(__clang__)
#define FASTDW_BEGIN_UNSCHEDULED \
  _Pragma("GCC push_options") _Pragma("GCC optimize(\"no-schedule-insns\", \"rename-registers\")")
#define FASTDW_END_UNSCHEDULED _Pragma("GCC pop_options")
#else
#define FASTDW_BEGIN_UNSCHEDULED
#define FASTDW_END_UNSCHEDULED
#endif

// From here on the compiler knows nothing of these numbers or pointers, one, two or four at once: it can
// neither derive others from them ahead of time nor carry over what it has loaded through them. Functions
// would take references, for which GCC keeps some members of a tile on the stack.
#define FASTDW_OPAQUE(a) __asm__("" : "+r"(a))
#define FASTDW_OPAQUE_2(a, b) __asm__("" : "+r"(a), "+r"(b))
#define FASTDW_OPAQUE_4(a, b, c, d) __asm__("" : "+r"(a), "+r"(b), "+r"(c), "+r"(d))

namespace fastdw {
namespace {

// p, of which GCC knows nothing; Clang may, and is no slower.
template <class T>
FASTDW_INLINE T* opaque_to_gcc(T* p) {
#if defined(__GNUC__) && !defined(__clang__)
  FASTDW_OPAQUE(p);
#endif
  return p;
}

// Whether an address may have two, four or eight times a register added to it for free.
#if defined(__x86_64__)
constexpr bool kScaledAddresses = true;
#else
constexpr bool kScaledAddresses = false;
#endif

}  // namespace
}  // namespace fastdw
