// How a thread rounds, and what it does with subnormals: the same on every thread of a job.
#pragma once
#if !defined(__SSE2_MATH__)
#include <cfenv>
#endif

namespace fastdw {

#if defined(__SSE2_MATH__)

// All arithmetic here is SSE's or later. C's functions take the x87 unit's registers too: 0.1 to 0.2 µs a
// job.
class FloatEnvironment {
 public:
  FloatEnvironment() : control_(__builtin_ia32_stmxcsr()) {}
  void take() const {
    constexpr unsigned kControl = 0xFFC0;  // the other bits tell what has happened
    if (((__builtin_ia32_stmxcsr() ^ control_) & kControl) != 0) __builtin_ia32_ldmxcsr(control_);
  }

 private:
  unsigned control_;
};

#else

class FloatEnvironment {
 public:
  FloatEnvironment() { std::fegetenv(&environment_); }
  void take() const { std::fesetenv(&environment_); }

 private:
  std::fenv_t environment_;
};

#endif

}  // namespace fastdw
