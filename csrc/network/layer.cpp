// Convolutions: what a layer computes, on one image of a network's memory.
#include "base/refuse.h"
#include "network/cost.h"
#include "network/step.h"

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
    macs_ = macs_per_image(chain_, out);
    check(chain_, as_input(x), as_input(residual), out);
  }

  double nanoseconds() const override {
    constexpr double kMacsPerNs = 50;
    return macs_ / kMacsPerNs;
  }

  void run(Memory memory, int threads) const override {
    const Output out = image<float>(operands_.out, memory);
    compute(chain_, geometry_, image<const float>(operands_.x, memory),
            image<const float>(operands_.second, memory), out, threads, {0, 1, 0, out.height});
  }

 private:
  static Input as_input(const Output& v) {
    return {v.data,         v.images,     v.height,        v.width,         v.channels,
            v.image_stride, v.row_stride, v.column_stride, v.channel_stride};
  }

  const Chain chain_;
  const Geometry geometry_;
  const Operands operands_;
  double macs_;
};

}  // namespace

StepPointer layer_step(const Chain& chain, const Geometry& geometry, const Operands& o) {
  for (const Operand* operand : {&o.out, &o.x, &o.second}) {
    if (operand->exists() && operand->rank != 3) refuse("no image");
  }
  return std::make_unique<LayerStep>(chain, geometry, o);
}

}  // namespace fastdw
