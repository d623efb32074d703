// Data sheet of portable C++ for bytes.
#include "isa/tuning8.h"
#include "kernels/depthwise8/quads.h"
#include "simd/bytes_scalar.h"

namespace fastdw {
namespace scalar {

const Kernels8& kernels8() {
  static constexpr Kernels8 table =
      with_quads<Bytes>(with_tiles<Bytes, 2, 2, 1, 1>(kernels8_of<Bytes>("scalar", 0.5, 2.0)));
  return table;
}

}  // namespace scalar
}  // namespace fastdw
