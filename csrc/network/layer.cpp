// Convolutions: what a layer computes, on one image of a network's memory.
#include "base/refuse.h"
#include "network/step.h"
#include "plan/cost.h"

namespace fastdw {
namespace {

class LayerStep final : public Step {
 public:
  LayerStep(const Chain& chain, const Geometry& geometry, const Operands& o)
      : chain_(chain), geometry_(geometry), operands_(o) {
    static float anything;  // only whether there is data is looked at
    const auto view = [](const Operand& operand) {
      return image<float>(operand, operand.exists() ? &anything : nullptr);
    };
    const Output out = view(o.out), x = view(o.x), residual = view(o.second);
    const Problem problem{chain_, geometry_, as_input(x), as_input(residual), out};
    check(problem);
    nanoseconds_ = cost_ns(problem);
  }

  double nanoseconds() const override { return nanoseconds_; }

  void run(Memory memory, int threads) const override {
    const Output out = image<float>(operands_.out, memory);
    const Problem problem{chain_, geometry_, image<const float>(operands_.x, memory),
                          image<const float>(operands_.second, memory), out};
    compute(part_of(problem, {0, 1, 0, out.height}), threads);
  }

 private:
  static Input as_input(const Output& v) {
    return {v.data,         v.images,     v.height,        v.width,         v.channels,
            v.image_stride, v.row_stride, v.column_stride, v.channel_stride};
  }

  const Chain chain_;
  const Geometry geometry_;
  const Operands operands_;
  double nanoseconds_;
};

}  // namespace

StepPointer layer_step(const Chain& chain, const Geometry& geometry, const Operands& o) {
  for (const Operand* operand : {&o.out, &o.x, &o.second}) {
    if (operand->exists() && operand->rank != 3) refuse("no image");
  }
  return std::make_unique<LayerStep>(chain, geometry, o);
}

}  // namespace fastdw
