// Data sheet of AVX2 for bytes: sixteen registers, 16 multiply-adds an instruction, in 16 bits. Tiles of 12×8
// and 6×16: twelve sums, the weights, two inputs of a pixel, a product. 3×3 by quads is 2.7 times as fast as
// tap by tap.
#include "isa/tuning8.h"
#include "kernels/depthwise8/differences.h"
#include "kernels/depthwise8/fives.h"
#include "kernels/depthwise8/quads.h"
#include "kernels/pointwise8/widened.h"
#include "simd/bytes_avx2.h"

namespace fastdw {
namespace avx2 {
namespace {

constexpr Kernels8 sheet() {
  Kernels8 set = with_fives<Bytes>(with_quads<Bytes>(kernels8_of<Bytes>("avx2", 0.0125, 0.1)));
  set = with_differences<Bytes>(set);
  set.dot_inputs = 2;
  set.panel_vectors = 2;
  set.pointwise[0] = kPwWidened8<Bytes, 12, 1>;
  set.pointwise[1] = kPwWidened8<Bytes, 6, 2>;
  return set;
}

}  // namespace

const Kernels8& kernels8() {
  static constexpr Kernels8 table = sheet();
  return table;
}

}  // namespace avx2
}  // namespace fastdw
