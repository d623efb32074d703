// Data sheet of NEON with SMMLA: 32 multiply-adds an instruction, in blocks of two pixels by two channels.
// Tiles of 8×4, 8×8, 6×12 and 6×16: up to 24 vectors of sums, sixteen inputs of three pairs of pixels, a
// vector of the panel. All but the pointwise tiles is of `dotprod`, which every such core has.
#include "kernels/contract8.h"
#include "kernels/pointwise8/blocks.h"
#include "simd/bytes_i8mm.h"

namespace fastdw {
namespace dotprod {
const Kernels8& kernels8();
}

namespace i8mm {
namespace {

Kernels8 sheet() {
  Kernels8 set = dotprod::kernels8();
  set.isa = "i8mm";
  set.dot_inputs = kBlockInputs;
  set.pointwise[0] = kPwBlocks8<Bytes, 8, 1>;
  set.pointwise[1] = kPwBlocks8<Bytes, 8, 2>;
  set.pointwise[2] = kPwBlocks8<Bytes, 6, 3>;
  set.pointwise[3] = kPwBlocks8<Bytes, 6, 4>;
  return set;
}

}  // namespace

const Kernels8& kernels8() {
  static const Kernels8 table = sheet();
  return table;
}

}  // namespace i8mm
}  // namespace fastdw
