// Data sheet of AVX2 + FMA: 16 registers of 8 floats, two FMAs of latency 4 a cycle, two loads a cycle.
#define FASTDW_SET avx2
#include "isa/tuning.h"
#include "simd/vec_avx2.h"

namespace fastdw {
namespace avx2 {
namespace {

struct Tuning : Bodies<Vec> {
  // 2×4 outputs: 8 accumulators, a column of inputs (4 rows of a 3×3, 6 of a 5×5) and a weight.
  template <class Shape>
  static constexpr TileSize depthwise() {
    return {2, 4};
  }
  // 6×2 and 4×3: 12 accumulators, the panel's 2 or 3 weights, one broadcast.
  static constexpr int panel_vectors = 2;
  static constexpr TilePixels tile_pixels[] = {12, 6, 4};
  static constexpr Schedule schedule() { return desktop_schedule({0.02, 0.2, 0.8, 0.3, 0.15}); }
};

}  // namespace
}  // namespace avx2
}  // namespace fastdw

#include "isa/kernel_set.inl"
