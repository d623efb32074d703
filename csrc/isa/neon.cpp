// Data sheet of NEON on AArch64: 32 registers of 4 floats.
#define FASTDW_SET neon
#include "tuning.h"
#include "vec_neon.h"

namespace fastdw {
namespace neon {
namespace {

struct Tuning {
  // 2×4 outputs of a 3×3: 8 accumulators, 4 inputs, 9 weights.
  template <int K, int S>
  static constexpr TileSize depthwise() {
    return {2, 4};
  }
  static constexpr int generic_columns = 8;
  // 6×4: 24 accumulators, 4 weights, one broadcast.
  static constexpr int panel_vectors = 4;
  static constexpr int tile_pixels[] = {12, 8, 8, 6};
};

}  // namespace
}  // namespace neon
}  // namespace fastdw

#include "kernel_set.inl"
