// Data sheet of NEON with SDOT: 16 multiply-adds an instruction, two of them a cycle on recent cores. Tiles
// of 8×4, 8×8, 6×12 and 5×16: 8 to 20 sums, sixteen inputs of each pixel, a row of the panel.
#include "isa/tuning8.h"
#include "kernels/depthwise8/rolling.h"
#include "simd/bytes_dotprod.h"

namespace fastdw {
namespace dotprod {
namespace {

constexpr Kernels8 sheet() {
  // By a model of a Neoverse N1.
  Kernels8 set = with_tiles<Bytes, 8, 8, 6, 5>(kernels8_of<Bytes>("dotprod", 0.015, 0.5));
  set.quad_vectors = Bytes::tap_vectors;
  set.depthwise_3x3[0] = {"dwconv8_3x3_s1_rolling", dw8_rolling<Bytes, 1>, Layout8::kQuads};
  set.depthwise_3x3[1] = {"dwconv8_3x3_s2_rolling", dw8_rolling<Bytes, 2>, Layout8::kQuads};
  return set;
}

}  // namespace

const Kernels8& kernels8() {
  static constexpr Kernels8 table = sheet();
  return table;
}

}  // namespace dotprod
}  // namespace fastdw
