#include "plan/plan16.h"

#include <algorithm>
#include <sstream>

#include "plan/blocks.h"
#include "plan/cost.h"

namespace fastdw {
namespace {

constexpr ptrdiff_t kBlockHalves = 64 * 1024;
// A band of fewer rows reads too many of them twice.
constexpr ptrdiff_t kBandRows = 4;

double pixel_ns(const Depthwise16Weights& w) {
  const auto taps = static_cast<double>(w.window.kernel_h * w.window.kernel_w);
  const bool own = w.kernel.kernel != 0;
  return static_cast<double>(w.packed.lanes) * (taps * w.set.mac_ns * (own ? 2 : 8) + w.set.value_ns);
}

double pixel_ns(const Pointwise16Weights& w) {
  return static_cast<double>(w.packed.lanes) *
         (static_cast<double>(w.inputs) * w.set.mac_ns + w.set.value_ns);
}

double cost_ns(const Problem16& p) {
  const double pixel = (p.chain.depthwise ? pixel_ns(*p.chain.depthwise) : 0) +
                       (p.chain.pointwise ? pixel_ns(*p.chain.pointwise) : 0);
  return static_cast<double>(p.out.images * p.out.height * p.out.width) * pixel;
}

}  // namespace

Plan16 useful_plan(const Problem16& p, int threads) {
  Plan16 plan;
  plan.nanoseconds = cost_ns(p);
  plan.threads = useful_threads(threads, plan.nanoseconds);
  plan.images = p.out.images;
  const Chain16& chain = p.chain;
  const ptrdiff_t channels = chain.pointwise ? chain.pointwise->inputs : chain.depthwise->outputs();
  const ptrdiff_t stride = block_stride(ceil_div(channels, ptrdiff_t{2})) * 2;
  if (chain.depthwise && chain.pointwise) plan.stride = stride;
  plan.blocks = row_blocks(p.out.height, p.out.width, chain.depthwise ? kBandRows : 1,
                           std::max<ptrdiff_t>(1, kBlockHalves / stride));
  plan.blocks = even_blocks(plan.blocks, plan.images, plan.threads);
  checked_product(plan.blocks.largest(), stride);
  return plan;
}

std::string show(const Problem16& p, const Plan16& plan) {
  std::ostringstream text;
  text << "sums of float16: " << p.chain.set().isa << "\n";
  if (const auto* w = p.chain.depthwise) {
    text << "depthwise  " << w->window.kernel_h << "x" << w->window.kernel_w << ": " << w->kernel.name
         << "\n";
  }
  if (const auto* w = p.chain.pointwise) {
    text << "pointwise  " << w->inputs << " -> " << w->outputs << ": " << w->panels() << " panels of up to "
         << w->panel(0).vectors << " vectors, tiles of up to " << w->set.pixels << " pixels\n";
  }
  const Cut &down = plan.blocks.down, &across = plan.blocks.across;
  text << "tasks      " << plan.tasks() << " of at most " << down.largest() << " x " << across.largest()
       << " pixels, for " << plan.threads << " threads\n"
       << "scratch    " << plan.scratch_floats() * ptrdiff_t{sizeof(float)} / 1024 << " KiB a thread";
  return text.str();
}

}  // namespace fastdw
