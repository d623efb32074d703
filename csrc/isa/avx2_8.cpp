// Data sheet of AVX2 for bytes: sixteen registers, 16 multiply-adds an instruction. Tiles of 4×16: eight
// sums, both halves of the weights and of a quad. Quads of pixels would want 24 sums: 3×3 goes tap by tap.
#include "isa/tuning8.h"
#include "simd/bytes_avx2.h"

namespace fastdw {
namespace avx2 {

const Kernels8& kernels8() {
  static constexpr Kernels8 table = with_tiles<Bytes, 4, 4>(kernels8_of<Bytes>("avx2", 0.02, 0.15));
  return table;
}

}  // namespace avx2
}  // namespace fastdw
