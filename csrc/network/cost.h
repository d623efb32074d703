// What steps cost, about: who gets threads, who keeps the GIL, when an interrupt is looked for.
#pragma once
#include "network/operand.h"
#include "plan/cost.h"

namespace fastdw {

// Nanoseconds of one core a float, between caches.
constexpr double kMoveNs = 0.25, kCurveNs = 0.5;

inline int awake_threads(int threads, double nanoseconds) {
  return useful_threads(threads, nanoseconds, kAwakeThreadNs);
}

inline double floats(const Operand& o) {
  double product = 1;
  for (size_t i = 0; i < static_cast<size_t>(o.rank); ++i) product *= static_cast<double>(o.sizes[i]);
  return product;
}

}  // namespace fastdw
