// Data sheet of NEON on AArch64: 32 registers of 4 floats.
#define FASTDW_SET neon
#include "isa/tuning.h"
#include "kernels/depthwise/band_neon.h"
#include "kernels/pointwise/quads_neon.h"
#include "simd/vec_neon.h"

namespace fastdw {
namespace neon {
namespace {

struct Tuning : Bodies<Vec> {
  template <class Shape>
  static constexpr bool in_bands =
      (Shape::KH == 3 || Shape::KH == 5) && Shape::KW == Shape::KH && Shape::SH == Shape::SW;
  // 4×1 outputs of a 3×3: 12 sums under way, 9 weights, a column of inputs; of a 5×5: 20 sums, a column of
  // inputs, two weights. 2×4 of the others: 8 accumulators, a column of inputs, a weight.
  template <class Shape>
  static constexpr TileSize depthwise() {
    return in_bands<Shape> ? TileSize{4, 1} : TileSize{2, 4};
  }
  // Bands read channel for channel: no multiplier.
  template <class Shape>
  static constexpr DwBandFn band() {
    if constexpr (in_bands<Shape>) return dwconv_band<Shape::KH, Shape::SH>;
    return nullptr;
  }
  // 8×3 and 12×2: 24 accumulators, the panel's weights, two or three groups of inputs.
  static constexpr int panel_vectors = 3;
  static constexpr TilePixels tile_pixels[] = {8, 12, 8};
  static constexpr Schedule schedule() {
    Schedule s = {};
    s.rates = {0.15, 1.0, 4.0, 1.5, 1.0};  // a Cortex-A72 at 1.5 GHz
    return s;
  }
  static constexpr int quad_pixels = kGroup;
  template <int MR, int NV>
  static constexpr PwTileFn pointwise = pwconv_grouped<MR, NV>;
  template <int MR, int NV>
  static constexpr PwWindowTileFn windows = nullptr;
  static constexpr PackFn pack = pack_groups;
};

}  // namespace
}  // namespace neon
}  // namespace fastdw

#include "isa/kernel_set.inl"
