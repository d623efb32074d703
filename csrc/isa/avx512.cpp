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
  // 4×4 outputs: 16 accumulators, a column of inputs (6 rows of a 3×3), the rest for weights. Against 2×6,
  // whole blocks: 3 % faster on the geometric mean, 8 % where depthwise weighs most (112×112×32 → 16, 5×5
  // kernels).
  // 3×1: one column, since neighbours share nothing. (28×28×64 and ×128 are 1.3 times as fast, 14×14×512 1.2
  // times, 56×56×32 and 56×56×144 0.9 times.)
  template <class Shape>
  static constexpr TileSize depthwise() {
    return Shape::KW == 1 ? TileSize{7, 1} : TileSize{4, 4};
  }
  // At stride 2 a tile reads 81 lines or more, too many streams for the CPU's own prefetcher: asking for the
  // next ones gains 7 % on 28×28×192, 3 % on 56×56×144, 1 % and less where the depthwise half is small.
  // Shuffled 3×3 gains another 2 to 4 % there (the depthwise operator alone 17 % on 112×112×96), 5×5 loses 1
  // %. Where a line has few taps, shuffling pays at stride 1 too: 3×1 runs 1.13 times as fast, 1×3 1.05
  // to 1.1 times.
  template <class Shape, int TH, int TW>
  static constexpr DwBodies depthwise_bodies() {
    constexpr bool few_taps = Shape::KH * Shape::KW < (Shape::SH * Shape::SW > 1 ? 10 : 4);
    constexpr TileOptions options =
        only_if(few_taps, TileOptions::kShuffled) | only_if(Shape::SH == 2, TileOptions::kPrefetched);
    return Bodies<Vec>::depthwise_bodies<Shape, TH, TW, options>();
  }
  // 3×3 at stride 1 gains 1.5 % shuffled on 56×56×144 and 28×28×192, 2.5 % on 14×14×384 and 14×14×576, whole
  // blocks. Alone, where its results follow each other in memory, it would lose 4 to 6 %.
  template <class Shape, int TH, int TW>
  static constexpr DwBodies bodies_in_block() {
    if constexpr (Shape::KH == 3 && Shape::KW == 3 && Shape::SH == 1 && Shape::SW == 1) {
      return Bodies<Vec>::depthwise_bodies<Shape, TH, TW, TileOptions::kShuffled>();
    }
    return {};
  }
  // 6×4, 8×3, 12×2: 24 accumulators, the panel's weights, one broadcast. While weights come from L1, 16 are
  // better: 32 → 64 and 64 → 128 are 2 % faster, 144 → 32 4 %, whole blocks; 512 → 1024 would be 6 % slower.
  static constexpr int panel_vectors = 4;
  static constexpr TilePixels tile_pixels[] = {16, {12, 8}, 8, {6, 4}};
  // Four input channels together: 14×1 takes 5 % less time at K = 32, 6×4 2 %, all others up to 1 %; whole
  // blocks 0.3 %. (AVX2 loses 0.5 %.)
  static constexpr int steps = 4;
  template <int MR, int NV>
  static constexpr PwTileFn pointwise = pwconv_tile<Vec, MR, NV, steps>;
  template <int MR, int NV>
  static constexpr PwWindowTileFn windows = pwconv_tile<Vec, MR, NV, steps, PwWindowTile>;
  template <int MR, int NV>
  static constexpr PwTileFn halved = pwconv_halved_tile<MR, NV, steps>;
  template <int MR, int NV>
  static constexpr PwWindowTileFn halved_windows = pwconv_halved_tile<MR, NV, steps, PwWindowTile>;
  // 16×1½: 24 accumulators; 10×2½: 25; 8×2½: 20 (240 → 40 1.5 % faster).
  static constexpr TilePixels halved_pixels[] = {16, 16, {10, 8}, 6};
  static constexpr TransposeFn transpose = transpose_by_halves;
  // 8×3 as well: 24 accumulators, three vectors of pixels, one weight.
  static constexpr PlaneKernels planes = plane_kernels<Vec>();
  static constexpr Schedule schedule() { return desktop_schedule({0.02, 0.2, 0.6, 0.3, 0.15}); }
};

}  // namespace
}  // namespace avx512
}  // namespace fastdw

// 7×2 for planes of 7 or 14 rows, of which tiles of four leave one or two empty: alone, 3×3 is 1.3 and 1.2
// times as fast there (7×7×1024 0.95 times; shuffled 1.15, but 147×147×64 then 0.9 times, not 1.06), at
// stride 2 on 28×28×64 1.2 times.
#define FASTDW_OWN_DEPTHWISE                                        \
  RowPacked<KernelShape<3, 3, 1, 1>, 4, dwconv_row_packed>::kernel, \
      OtherDepthwise<KernelShape<3, 3, 1, 1>, 7, 2>::kernel,        \
      OtherDepthwise<KernelShape<3, 3, 2, 2>, 7, 2>::kernel,        \
      OtherDepthwise<KernelShape<3, 1, 1, 1>, 4, 4>::kernel,

#include "isa/kernel_set.inl"
