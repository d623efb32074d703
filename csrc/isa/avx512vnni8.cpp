// Data sheet of AVX-512 VNNI: 64 multiply-adds an instruction, one or two of them a cycle. Tiles of 16×16,
// 12×32, 8×48 and 6×64: 24 sums (16 for one vector), a row of the panel, a quad.
#include "isa/tuning8.h"
#include "kernels/depthwise8/fives.h"
#include "kernels/depthwise8/quads.h"
#include "simd/bytes_avx512vnni.h"

namespace fastdw {
namespace avx512vnni {

const Kernels8& kernels8() {
  static constexpr Kernels8 table = with_fives<Bytes>(
      with_quads<Bytes>(with_tiles<Bytes, 16, 12, 8, 6>(kernels8_of<Bytes>("avx512vnni", 0.005, 0.06))));
  return table;
}

}  // namespace avx512vnni
}  // namespace fastdw
