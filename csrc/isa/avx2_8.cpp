// Data sheet of AVX2 for bytes: sixteen registers, 16 multiply-adds an instruction. Tiles of 4×16: eight
// sums, both halves of the weights and of a quad. Quads of pixels would want 24 sums: 3×3 goes tap by tap.
#include "isa/tuning8.h"
#include "simd/bytes_avx2.h"

namespace fastdw {
namespace avx2 {

const Kernels8& kernels8() {
  static constexpr Kernels8 table = {
      "avx2", Bytes::lanes, 2,   {pw8_run<Bytes, 4, 1>, pw8_run<Bytes, 4, 2>}, dw8_generic<Bytes>, {}, 1,
      add8,   0.02,         0.15};
  return table;
}

}  // namespace avx2
}  // namespace fastdw
