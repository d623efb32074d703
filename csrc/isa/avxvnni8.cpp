// Data sheet of AVX-VNNI: 32 multiply-adds an instruction, two of them a cycle. Tiles of 12×8 and 6×16:
// twelve sums, a row of the panel, a quad.
#include "isa/tuning8.h"
#include "kernels/depthwise8/fives.h"
#include "kernels/depthwise8/quads.h"
#include "simd/bytes_avxvnni.h"

namespace fastdw {
namespace avxvnni {

const Kernels8& kernels8() {
  static constexpr Kernels8 table = with_fives<Bytes>(
      with_quads<Bytes>(with_tiles<Bytes, 12, 6>(kernels8_of<Bytes>("avxvnni", 0.006, 0.08))));
  return table;
}

}  // namespace avxvnni
}  // namespace fastdw
