// Convolutions: what a layer computes, on one image of a network's memory.
#include "network/cost.h"
#include "network/plans.h"
#include "network/step.h"
#include "ops/run.h"

namespace fastdw {
namespace {

class LayerStep final : public Step {
 public:
  LayerStep(const Problem& problem, const Operands& o)
      : problem_(all_of(problem)), operands_(o), nanoseconds_(cost_ns(problem_)) {}

  double nanoseconds() const override { return nanoseconds_; }
  ptrdiff_t scratch_floats(int threads) const override {
    return plans_.with(problem_, useful(threads), [](const Plan& plan) { return plan.scratch.total(); });
  }

  void run(Memory memory, int threads) const override {
    Problem p = problem_;
    p.x.data = data<const float>(operands_.x, memory);
    p.out.data = data<float>(operands_.out, memory);
    if (p.residual.data) p.residual.data = data<const float>(operands_.second, memory);
    if (p.scale.data) p.scale.data = data<const float>(operands_.scale, memory);
    if (p.sums.data) p.sums.data = data<float>(operands_.sums, memory);
    plans_.with(p, useful(threads), [&](const Plan& plan) { fastdw::run(p, plan); });
  }

 private:
  int useful(int threads) const { return awake_threads(threads, nanoseconds_); }

  const Problem problem_;  // the data's places aside
  const Operands operands_;
  const double nanoseconds_;
  const Plans<Problem, Plan, make_plan> plans_;
};

}  // namespace

StepPointer layer_step(const Chain& chain, const Geometry& geometry, const Operands& o) {
  check_images(o);
  const Problem problem{chain,
                        geometry,
                        shape_of<const float>(o.x),
                        shape_of<const float>(o.second),
                        shape_of<float>(o.out),
                        shape_of<const float>(o.scale),
                        shape_of<float>(o.sums)};
  check(problem);
  return std::make_unique<LayerStep>(problem, o);
}

}  // namespace fastdw
