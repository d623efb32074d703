// Data sheet of NEON for bytes, on cores without SDOT: 8 multiply-adds an instruction, in 16 bits. Tiles have
// up to 16 vectors of sums: the other registers are for weights, inputs, and four products under way, for
// which cores in order would wait.
#include "isa/tuning8.h"
#include "kernels/depthwise8/pairs.h"
#include "kernels/pointwise8/pairs.h"
#include "kernels/pointwise8/woven_neon.h"
#include "simd/bytes_neon.h"

namespace fastdw {
namespace neon {
namespace {

constexpr Kernels8 sheet() {
  Kernels8 set = kernels8_of<Bytes>("neon", 0.1, 1.2);  // by what floats take on a Cortex-A72
  set.dot_inputs = kPairedInputs;
  set.panel_vectors = 4;
  set.pointwise[0] = kPwPairs8<Bytes, 8, 1>;
  set.pointwise[1] = kPwPairs8<Bytes, 8, 2>;
  set.pointwise[2] = kPwPairs8<Bytes, 4, 3>;
  set.pointwise[3] = kPwPairs8<Woven, 4, 4>;
  set.depthwise_3x3[0] = {"dwconv8_3x3_s1_pairs", dw8_pairs<Bytes, 1>, Layout8::kTaps};
  set.depthwise_3x3[1] = {"dwconv8_3x3_s2_pairs", dw8_pairs<Bytes, 2>, Layout8::kTaps};
  return set;
}

}  // namespace

const Kernels8& kernels8() {
  static constexpr Kernels8 table = sheet();
  return table;
}

}  // namespace neon
}  // namespace fastdw
