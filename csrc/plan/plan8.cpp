#include "plan/plan8.h"

#include <algorithm>
#include <sstream>

#include "base/line.h"
#include "plan/blocks.h"
#include "plan/cost.h"

namespace fastdw {
namespace {

constexpr ptrdiff_t kBlockBytes = 128 * 1024;
// A band of fewer rows reads too many of them twice.
constexpr ptrdiff_t kTileRows = 4;

ptrdiff_t pixels_of(const Output8& out) { return out.images * out.height * out.width; }

}  // namespace

// Reading whole dot products must not go beyond the last pixel.
bool in_place(const Problem8& p) {
  const Window8& w = p.window;
  return !p.chain.depthwise && p.chain.pointwise->input_flip == 0 &&
         p.x.channels % p.chain.set().dot_bytes == 0 && w.kernel_h == 1 && w.kernel_w == 1 &&
         w.stride_h == 1 && w.stride_w == 1 && p.pad_top == 0 && p.pad_left == 0 &&
         p.x.height == p.out.height && p.x.width == p.out.width;
}

double cost_ns(const Problem8& p) {
  const Kernels8& set = p.chain.set();
  double value = 0;
  if (const auto* w = p.chain.depthwise) {
    const bool quads = w->kernel != set.depthwise;
    const auto taps = static_cast<double>(w->window.kernel_h * w->window.kernel_w);
    value += static_cast<double>(w->outputs()) * (taps * set.mac_ns * (quads ? 2 : 8) + set.value_ns);
  }
  if (const auto* w = p.chain.pointwise) {
    value += static_cast<double>(w->outputs) * (static_cast<double>(w->inputs) * set.mac_ns + set.value_ns);
  }
  return static_cast<double>(pixels_of(p.out)) * value;
}

Plan8 make_plan8(const Problem8& p, int threads) {
  Plan8 plan;
  plan.nanoseconds = cost_ns(p);
  plan.threads = useful_threads(threads, plan.nanoseconds);
  plan.images = p.out.images;
  const Chain8& chain = p.chain;
  const ptrdiff_t between = chain.pointwise ? chain.pointwise->inputs : chain.depthwise->outputs();
  const ptrdiff_t stride =
      block_stride(ceil_div(between, ptrdiff_t{sizeof(float)})) * ptrdiff_t{sizeof(float)};
  const ptrdiff_t most = std::max<ptrdiff_t>(1, kBlockBytes / stride);
  Output plane{};
  plane.height = p.out.height;
  plane.width = p.out.width;
  plan.blocks = largest_blocks(plane, chain.depthwise ? kTileRows : 1, most, most);
  Cut &down = plan.blocks.down, &across = plan.blocks.across;
  const ptrdiff_t wanted = plan.threads > 1 ? ceil_div(ptrdiff_t{2} * plan.threads, plan.images) : 1;
  if (plan.blocks.count() < wanted) {
    if (down.units() < wanted) down.unit = 1;
    down.parts = std::min(down.units(), std::max(down.parts, wanted));
    if (plan.blocks.count() < wanted) {
      across.parts = std::max(across.parts, std::min(across.size, ceil_div(wanted, down.parts)));
    }
  }
  const ptrdiff_t pixels = plan.blocks.largest();
  if (chain.pointwise && !in_place(p)) {
    plan.stride = stride;
    plan.block_bytes = checked_product(pixels, stride);
  }
  if (chain.sum)
    plan.staging_bytes = ceil_div(checked_product(pixels, p.out.channels), kLineBytes) * kLineBytes;
  return plan;
}

std::string show(const Problem8& p, const Plan8& plan) {
  std::ostringstream text;
  text << "8-bit kernels: " << p.chain.set().isa << "\n";
  if (const auto* w = p.chain.depthwise) {
    text << "depthwise " << w->window.kernel_h << "x" << w->window.kernel_w << ": "
         << (w->kernel == w->set.depthwise ? "tap by tap"
             : w->by_quads()               ? "by quads"
                                           : "by rows")
         << "\n";
  }
  if (const auto* w = p.chain.pointwise) text << "pointwise: " << w->panels() << " panels\n";
  text << "blocks: " << plan.blocks.down.parts << " x " << plan.blocks.across.parts << ", at most "
       << plan.blocks.down.largest() << " x " << plan.blocks.across.largest() << " pixels\n"
       << "threads: " << plan.threads << "\n"
       << "scratch: " << plan.block_bytes + plan.staging_bytes << " bytes a thread\n"
       << "cost: " << plan.nanoseconds / 1000 << " us on one core\n";
  return text.str();
}

}  // namespace fastdw
