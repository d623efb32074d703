// 8-bit convolutions on one image of a network's memory.
#include "network/cost.h"
#include "network/plans.h"
#include "network/step8.h"
#include "ops/run8.h"

namespace fastdw {
namespace {

class Layer8Step final : public Step {
 public:
  Layer8Step(const Problem8& problem, const Operands& o)
      : problem_(problem), operands_(o), nanoseconds_(cost_ns(problem)) {}

  double nanoseconds() const override { return nanoseconds_; }
  ptrdiff_t scratch_floats(int threads) const override {
    return plans_.with(problem_, useful(threads), [](const Plan8& plan) { return plan.scratch_floats(); });
  }

  void run(Memory memory, int threads) const override {
    Problem8 p = problem_;
    p.x.data = data<const uint8_t>(operands_.x, memory);
    p.out.data = data<uint8_t>(operands_.out, memory);
    if (p.residual.data) p.residual.data = data<const uint8_t>(operands_.second, memory);
    plans_.with(p, useful(threads), [&](const Plan8& plan) { fastdw::run(p, plan); });
  }

 private:
  int useful(int threads) const { return awake_threads(threads, nanoseconds_); }

  const Problem8 problem_;  // the data's places aside
  const Operands operands_;
  const double nanoseconds_;
  const Plans<Problem8, Plan8, make_plan8> plans_;
};

}  // namespace

StepPointer layer8_step(const Chain8& chain, const WindowShape& window, std::array<ptrdiff_t, 2> pads,
                        const Operands& o) {
  check_images(o);
  const Problem8 problem{chain,
                         pads[0],
                         pads[1],
                         window,
                         shape_of<const uint8_t>(o.x),
                         shape_of<const uint8_t>(o.second),
                         shape_of<uint8_t>(o.out)};
  check(problem);
  return std::make_unique<Layer8Step>(problem, o);
}

}  // namespace fastdw
