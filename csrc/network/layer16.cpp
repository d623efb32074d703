// Convolutions with sums of halves on one image of a network's memory.
#include "network/cost.h"
#include "network/plans.h"
#include "network/step16.h"
#include "ops/run16.h"

namespace fastdw {
namespace {

class Layer16Step final : public Step {
 public:
  Layer16Step(const Problem16& problem, const Operands& o)
      : problem_(problem), operands_(o), nanoseconds_(cost_ns(problem)) {}

  double nanoseconds() const override { return nanoseconds_; }
  ptrdiff_t scratch_floats(int threads) const override {
    return plans_.with(problem_, useful(threads), [](const Plan16& plan) { return plan.scratch_floats(); });
  }

  void run(Memory memory, int threads) const override {
    Problem16 p = problem_;
    p.x.data = data<const uint16_t>(operands_.x, memory);
    p.out.data = data<uint16_t>(operands_.out, memory);
    if (p.residual.data) p.residual.data = data<const uint16_t>(operands_.second, memory);
    if (p.factors.data) p.factors.data = data<const float>(operands_.scale, memory);
    plans_.with(p, useful(threads), [&](const Plan16& plan) { fastdw::run(p, plan, 0, plan.tasks()); });
  }

 private:
  int useful(int threads) const { return awake_threads(threads, nanoseconds_); }

  const Problem16 problem_;  // the data's places aside
  const Operands operands_;
  const double nanoseconds_;
  const Plans<Problem16, Plan16, make_plan16> plans_;
};

}  // namespace

StepPointer layer16_step(const Chain16& chain, const Geometry& geometry,
                         const std::optional<std::array<ptrdiff_t, 2>>& kernel_size, const Operands& o) {
  check_images(o);
  Problem16 problem = make_problem16(chain, geometry, kernel_size, shape_of<const uint16_t>(o.x),
                                     shape_of<const uint16_t>(o.second), shape_of<uint16_t>(o.out));
  problem.factors = shape_of<const float>(o.scale);
  check(problem);
  return std::make_unique<Layer16Step>(problem, o);
}

}  // namespace fastdw
