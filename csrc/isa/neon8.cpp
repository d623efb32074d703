// Data sheet of NEON for bytes, on cores without SDOT: 8 multiply-adds an instruction, in 16 bits. Tiles of
// 4×4 and 2×8 have 16 sums: the other registers are for products under way, for which cores in order would
// wait.
#include "isa/tuning8.h"
#include "kernels/depthwise8/rolling.h"
#include "kernels/pointwise8/pairs.h"
#include "simd/bytes_neon.h"

namespace fastdw {
namespace neon {
namespace {

constexpr Kernels8 sheet() {
  Kernels8 set = kernels8_of<Bytes>("neon", 0.12, 1.5);  // by what floats take on a Cortex-A72
  set.dot_bytes = kPairedInputs;
  set.panel_vectors = 2;
  set.pointwise[0] = pw8_pairs<Bytes, 4, 1>;
  set.pointwise[1] = pw8_pairs<Bytes, 2, 2>;
  set.depthwise_3x3[0] = dw8_rolling<Bytes, 1>;
  set.depthwise_3x3[1] = dw8_rolling<Bytes, 2>;
  return set;
}

}  // namespace

const Kernels8& kernels8() {
  static constexpr Kernels8 table = sheet();
  return table;
}

}  // namespace neon
}  // namespace fastdw
