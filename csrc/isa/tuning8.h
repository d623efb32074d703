// What a data sheet of an 8-bit set states: the words, tiles, and nanoseconds a multiply-add and a result.
#pragma once
#include "kernels/add8/add.h"
#include "kernels/depthwise8/generic.h"
#include "kernels/depthwise8/quads.h"
#include "kernels/pointwise8/run.h"

namespace fastdw {
namespace {

// Pixels of a tile of one, two, three and four vectors.
template <class B, int M1, int M2, int M3, int M4>
constexpr Kernels8 kernels8_of(const char* isa, double mac_ns, double value_ns) {
  return {isa,
          B::lanes,
          kGroup8,
          {pw8_run<B, M1, 1>, pw8_run<B, M2, 2>, pw8_run<B, M3, 3>, pw8_run<B, M4, 4>},
          dw8_generic<B>,
          {dw8_quads<B, 1>, dw8_quads<B, 2>},
          B::most_pairs,
          add8,
          mac_ns,
          value_ns};
}

}  // namespace
}  // namespace fastdw
