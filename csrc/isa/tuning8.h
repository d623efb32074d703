// What a data sheet of an 8-bit set states: the words, tiles, and nanoseconds a multiply-add and a result.
#pragma once
#include "kernels/add8/add.h"
#include "kernels/add8/multiply.h"
#include "kernels/bilinear8/bilinear.h"
#include "kernels/depthwise8/generic.h"
#include "kernels/pointwise8/run.h"
#include "kernels/table8/table.h"

namespace fastdw {
namespace {

// All but the tiles.
template <class B>
constexpr Kernels8 kernels8_of(const char* isa, double mac_ns, double value_ns) {
  Kernels8 set{};
  set.isa = isa;
  set.lanes = B::lanes;
  set.offset = B::offset;
  set.weight_bytes = B::weight_bytes;
  set.tap_vectors = B::tap_vectors;
  set.most_pairs = 1;
  set.depthwise = {"dwconv8_generic", dw8_generic<B>, Layout8::kTaps};
  set.add = add8<B>;
  set.multiply = multiply8<B>;
  set.table = table8<B>;
  set.bilinear = bilinear8<B>;
  set.block_bytes = 128 * 1024;
  set.mac_ns = mac_ns;
  set.value_ns = value_ns;
  set.line_ns = 1;
  set.weight_ns = 0.01;  // what takes the time of a last layer, of one pixel
  return set;
}

template <class B, int... M, int... I>
constexpr Kernels8 with_tiles(Kernels8 set, std::integer_sequence<int, I...>) {
  set.dot_inputs = kQuad;
  set.panel_vectors = sizeof...(M);
  ((set.pointwise[I] = kPwRun8<B, M, I + 1>), ...);
  return set;
}

// Pixels of a tile of one vector, of two, …
template <class B, int... M>
constexpr Kernels8 with_tiles(const Kernels8& set) {
  return with_tiles<B, M...>(set, std::make_integer_sequence<int, sizeof...(M)>{});
}

}  // namespace
}  // namespace fastdw
