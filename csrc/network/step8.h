// The steps of a network on bytes: see step.h. Inside, a byte is q + 128 for q of int8, as in
// kernels/contract8.h; `flip` says how memory differs from that.
#pragma once
#include "network/step.h"
#include "plan/plan8.h"

namespace fastdw {

// `window` as in Problem8. A residual is `second`.
StepPointer layer8_step(const Chain8& chain, const WindowShape& window, std::array<ptrdiff_t, 2> pads,
                        const Operands& operands);

// `second` as in pair_step(); without it `term`, one byte a channel.
StepPointer add8_step(const Kernels8& set, const Sum8& sum, std::vector<uint8_t> term,
                      const Operands& operands);
StepPointer multiply8_step(const Kernels8& set, const Product8& product, std::vector<uint8_t> term,
                           const Operands& operands);

// table[x ^ flip], as it is stored.
struct Table8 {
  std::array<uint8_t, 256> bytes;
  uint8_t flip;
};
StepPointer table8_step(const Kernels8& set, const Table8& table, const Operands& operands);

// rescale(x / scale); not a number is 0.
StepPointer quantize_step(float scale, const Rescale8& rescale, const Operands& operands);
// (x − zero)·scale
StepPointer dequantize_step(float scale, int32_t zero, uint8_t flip, const Operands& operands);

// An average adds up so many bytes an axis: sums stay below 2³¹.
constexpr ptrdiff_t kMostCells = 2048;

// An average is rounded away from `origin`, the byte that is the integer 0. Padding is never counted.
struct Pool8 {
  Pooling pooling;
  int32_t origin, low, high;
  uint8_t flip;
};
StepPointer pool8_step(const Pool8& pool, const PoolAxis& rows, const PoolAxis& columns,
                       const Operands& operands);

// Of a whole image one pixel: rescale(Σ(x − zero)·factor).
struct Mean8 {
  int32_t zero;
  float factor;
  uint8_t flip;
  Rescale8 rescale;
};
StepPointer mean8_step(const Mean8& mean, const Operands& operands);

// By the tables of floats; weights are rounded to whole multiples of 1/2048. `origin` and `flip` are those of
// Bilinear8Row.
StepPointer bilinear8_step(const Kernels8& set, BilinearTable rows, BilinearTable columns, int32_t origin,
                           uint8_t flip, const Operands& operands);

// Of each pixel e/Σe·factor, rounded, with e = powers[max x − x], in float64; then the zero point of rescale.
struct Softmax8 {
  std::array<double, 256> powers;
  double factor;
  uint8_t flip;
  Rescale8 rescale;
};
StepPointer softmax8_step(const Softmax8& softmax, const Operands& operands);

}  // namespace fastdw
