// Data sheet of AVX-512: 32 registers of 16 floats, one or two FMAs of latency 4 a cycle.
#define FASTDW_SET avx512
#include "isa/tuning.h"
#include "kernels/depthwise/row_packed_avx512.h"
#include "kernels/planar/planes.h"
#include "kernels/pointwise/halved_avx512.h"
#include "kernels/transpose/halves_avx512.h"

namespace fastdw {
namespace avx512 {
namespace {

struct Tuning : Bodies<Vec> {
  // 4×4 outputs: 16 accumulators, a column of inputs (6 rows of a 3×3), the rest for weights; 3 % faster than
  // 2×6 in whole blocks. 3×1: one column, since neighbours share nothing.
  template <class Shape>
  static constexpr TileSize depthwise() {
    return Shape::KW == 1 ? TileSize{7, 1} : TileSize{4, 4};
  }
  // At stride 2 a tile reads 81 lines or more, too many streams for the CPU's own prefetcher, so it asks for
  // the next ones. Shuffling pays where lines have few taps: 3×3 at stride 2, not 5×5; 3×1 and 1×3 at stride
  // 1 too.
  template <class Shape, int TH, int TW>
  static constexpr DwBodies depthwise_bodies() {
    constexpr bool few_taps = Shape::KH * Shape::KW < (Shape::SH * Shape::SW > 1 ? 10 : 4);
    constexpr TileOptions options =
        only_if(few_taps, TileOptions::kShuffled) | only_if(Shape::SH == 2, TileOptions::kPrefetched);
    return Bodies<Vec>::depthwise_bodies<Shape, TH, TW, options>();
  }
  // 3×3 at stride 1 gains 1.5 to 2.5 % shuffled, whole blocks. Alone, where its results follow each other in
  // memory, it would lose.
  template <class Shape, int TH, int TW>
  static constexpr DwBodies bodies_in_block() {
    if constexpr (Shape::KH == 3 && Shape::KW == 3 && Shape::SH == 1 && Shape::SW == 1) {
      return Bodies<Vec>::depthwise_bodies<Shape, TH, TW, TileOptions::kShuffled>();
    }
    return {};
  }
  // 6×4, 8×3, 12×2: 24 accumulators, the panel's weights, one broadcast. While weights come from L1, 16 are
  // better by 2 to 4 %, whole blocks.
  static constexpr int panel_vectors = 4;
  static constexpr TilePixels tile_pixels[] = {16, {12, 8}, 8, {6, 4}};
  // Four input channels together: 0.3 % of whole blocks, which AVX2 would lose.
  static constexpr int steps = 4;
  template <int MR, int NV>
  static constexpr PwTileFn pointwise = pwconv_tile<Vec, MR, NV, steps>;
  template <int MR, int NV>
  static constexpr PwWindowTileFn windows = pwconv_tile<Vec, MR, NV, steps, PwWindowTile>;
  template <int MR, int NV>
  static constexpr PwTileFn halved = pwconv_halved_tile<MR, NV, steps>;
  template <int MR, int NV>
  static constexpr PwWindowTileFn halved_windows = pwconv_halved_tile<MR, NV, steps, PwWindowTile>;
  // 16×1½: 24 accumulators; 10×2½: 25; 8×2½: 20, for light panels.
  static constexpr TilePixels halved_pixels[] = {16, 16, {10, 8}, 6};
  static constexpr TransposeFn transpose = transpose_by_halves;
  // 8×3 as well: 24 accumulators, three vectors of pixels, one weight.
  static constexpr PlaneKernels planes = plane_kernels<Vec>();
  static constexpr Schedule schedule() { return desktop_schedule({0.02, 0.2, 0.6, 0.3, 0.15}); }
};

}  // namespace
}  // namespace avx512
}  // namespace fastdw

// 7×2 for planes of 7 or 14 rows, of which tiles of four leave one or two empty: alone, 3×3 is 1.2 to 1.3
// times as fast there.
#define FASTDW_OWN_DEPTHWISE                                        \
  RowPacked<KernelShape<3, 3, 1, 1>, 4, dwconv_row_packed>::kernel, \
      OtherDepthwise<KernelShape<3, 3, 1, 1>, 7, 2>::kernel,        \
      OtherDepthwise<KernelShape<3, 3, 2, 2>, 7, 2>::kernel,        \
      OtherDepthwise<KernelShape<3, 1, 1, 1>, 4, 4>::kernel,

#include "isa/kernel_set.inl"
