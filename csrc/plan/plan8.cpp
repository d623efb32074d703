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

// A thread that has fewer must have as many as the others.
constexpr ptrdiff_t kFewTasks = 4;
// Copies one row of a window, a word or some.
constexpr double kLineNs = 1;

ptrdiff_t pixels_of(const Output8& out) { return out.images * out.height * out.width; }

// One pixel's channels: whole vectors take their time, however few of their lanes are live.
double pixel_ns(const Depthwise8Weights& w) {
  const auto taps = static_cast<double>(w.window.kernel_h * w.window.kernel_w);
  const bool quads = w.kernel != w.set.depthwise;
  return static_cast<double>(w.lanes()) * (taps * w.set.mac_ns * (quads ? 2 : 8) + w.set.value_ns);
}

double pixel_ns(const Pointwise8Weights& w) {
  const auto lanes = static_cast<double>(ceil_div(w.outputs, w.set.lanes) * w.set.lanes);
  return lanes * (static_cast<double>(w.steps() * w.set.dot_bytes) * w.set.mac_ns + w.set.value_ns);
}

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
  double pixel = 0;
  if (p.chain.depthwise) pixel += pixel_ns(*p.chain.depthwise);
  if (p.chain.pointwise) {
    pixel += pixel_ns(*p.chain.pointwise);
    if (!p.chain.depthwise && !in_place(p)) pixel += static_cast<double>(p.window.kernel_h) * kLineNs;
  }
  return static_cast<double>(pixels_of(p.out)) * pixel;
}

Plan8 make_plan8(const Problem8& p, int threads) {
  Plan8 plan;
  plan.nanoseconds = cost_ns(p);
  plan.threads = threads;
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
  // As many for each thread. More and smaller ones would let none wait for another, but read more rows
  // twice.
  const ptrdiff_t even = ceil_div(plan.tasks(), ptrdiff_t{threads}) * threads;
  const ptrdiff_t wanted = plan.tasks() < kFewTasks * threads ? ceil_div(even, plan.images) : 1;
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
