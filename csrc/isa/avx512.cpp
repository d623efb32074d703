// Data sheet of AVX-512: 32 registers of 16 floats, one or two FMAs of latency 4 a cycle.
#define FASTDW_SET avx512
#include "tuning.h"
#include "vec_avx512.h"

namespace fastdw {
namespace avx512 {
namespace {

struct Tuning {
  // 2×6 outputs: 12 accumulators, a column of inputs, 9 weights of a 3×3; 2×4 where the columns are taller.
  template <int K, int S>
  static constexpr TileSize depthwise() {
    return S == 1 ? TileSize{2, 6} : TileSize{2, 4};
  }
  static constexpr int generic_columns = 8;
  // 6×4, 8×3, 12×2: 24 accumulators, the panel's weights, one broadcast.
  static constexpr int panel_vectors = 4;
  static constexpr int tile_pixels[] = {14, 12, 8, 6};
};

}  // namespace
}  // namespace avx512
}  // namespace fastdw

#include "kernel_set.inl"
