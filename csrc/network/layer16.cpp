// Convolutions with sums of halves on one image of a network's memory.
#include "base/refuse.h"
#include "network/cost.h"
#include "network/step16.h"
#include "ops/run16.h"

namespace fastdw {
namespace {

class Layer16Step final : public Step {
 public:
  Layer16Step(const Problem16& problem, const Operands& o)
      : problem_(problem), operands_(o), nanoseconds_(cost_ns(problem)) {}

  double nanoseconds() const override { return nanoseconds_; }
  ptrdiff_t scratch_floats(int threads) const override { return plan(threads).scratch_floats(); }

  void run(Memory memory, int threads) const override {
    Problem16 p = problem_;
    p.x.data = data<const uint16_t>(operands_.x, memory);
    p.out.data = data<uint16_t>(operands_.out, memory);
    if (p.residual.data) p.residual.data = data<const uint16_t>(operands_.second, memory);
    const Plan16 planned = plan(threads);
    fastdw::run(p, planned, 0, planned.tasks());
  }

 private:
  Plan16 plan(int threads) const { return make_plan16(problem_, awake_threads(threads, nanoseconds_)); }

  const Problem16 problem_;  // the data's places aside
  const Operands operands_;
  const double nanoseconds_;
};

template <class T>
View<T> shape_of(const Operand& o) {
  static uint16_t anything;  // only whether there is data is looked at
  return image<T>(o, o.exists() ? &anything : nullptr);
}

}  // namespace

StepPointer layer16_step(const Chain16& chain, const Geometry& geometry,
                         const std::optional<std::array<ptrdiff_t, 2>>& kernel_size, const Operands& o) {
  for (const Operand* operand : {&o.out, &o.x, &o.second}) {
    if (operand->exists() && operand->rank != 3) refuse("no image");
  }
  const Problem16 problem = make_problem16(chain, geometry, kernel_size, shape_of<const uint16_t>(o.x),
                                           shape_of<const uint16_t>(o.second), shape_of<uint16_t>(o.out));
  check(problem);
  return std::make_unique<Layer16Step>(problem, o);
}

}  // namespace fastdw
