// Data sheet of NEON with FEAT_FP16: FMA on eight halves. Tiles of 8×8 and 8×16: 16 sums, eight inputs of
// each of eight pixels, a row of the panel.
#include "kernels/depthwise16/window.h"
#include "kernels/pointwise16/run.h"
#include "kernels/pointwise16/scale.h"

namespace fastdw {
namespace fp16 {

const Kernels16& kernels16() {
  // By a model of a Neoverse N1.
  static constexpr Kernels16 table = {"fp16",
                                      8,
                                      {pw16_run<8, 1>, pw16_run<8, 2>},
                                      {{"dwconv16_3x3_s1", 3, 1, dw16_square<3, 1>},
                                       {"dwconv16_3x3_s2", 3, 2, dw16_square<3, 2>},
                                       {"dwconv16_5x5_s1", 5, 1, dw16_square<5, 1>},
                                       {"dwconv16_5x5_s2", 5, 2, dw16_square<5, 2>},
                                       {"dwconv16_generic", 0, 0, dw16_generic}},
                                      {
                                          finish_totals<Clamp>,
#define FASTDW_CURVE(name, Struct) finish_totals<Curved<Struct>>,
#include "kernels/curves.inc"
#undef FASTDW_CURVE
                                      },
                                      scale16,
                                      0.03,
                                      0.5};
  return table;
}

}  // namespace fp16
}  // namespace fastdw
