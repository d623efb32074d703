#include "plan/plan16.h"

#include <algorithm>
#include <sstream>

#include "base/refuse.h"
#include "plan/blocks.h"
#include "plan/cost.h"

namespace fastdw {
namespace {

constexpr ptrdiff_t kBlockHalves = 64 * 1024;
constexpr ptrdiff_t kSlabHalves = 128 * 1024;
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

// Of a copy into a line.
double patch_ns(const Pointwise16Weights& w) { return static_cast<double>(w.inputs) * w.set.value_ns / 8; }

struct Axis16 {
  ptrdiff_t taps, stride, dilation, pad, size;
};

Span16 under(const Axis16& a, ptrdiff_t first, ptrdiff_t count) {
  const ptrdiff_t from = first * a.stride - a.pad;
  const ptrdiff_t begin = std::clamp(from, ptrdiff_t{0}, a.size);
  const ptrdiff_t last = from + (count - 1) * a.stride + (a.taps - 1) * a.dilation;
  return {begin, std::clamp(last + 1, begin, a.size) - begin};
}

// Of so many outputs, wherever they lie.
ptrdiff_t most_under(const Axis16& a, ptrdiff_t outputs) {
  return std::min(a.size, (outputs - 1) * a.stride + (a.taps - 1) * a.dilation + 1);
}

// Bands of whole rows, one for each thread; where the slab has no room even for what a row reads, parts of
// them.
void plan_expanded(const Problem16& p, Plan16& plan) {
  const WindowShape& w = p.chain.depthwise->window;
  const Axis16 down{w.kernel_h, w.stride_h, w.dilation_h, p.pad_top, p.x.height};
  const Axis16 across{w.kernel_w, w.stride_w, w.dilation_w, p.pad_left, p.x.width};
  const ptrdiff_t stride = block_stride(ceil_div(p.chain.expand->outputs, ptrdiff_t{2})) * 2;
  plan.blocks = {{p.out.height, 1, 1}, {p.out.width, 1, 1}};
  const auto slab = [&](ptrdiff_t rows) {
    const Slab16 s{most_under(down, rows), most_under(across, plan.blocks.across.largest()), stride};
    checked_product(checked_product(s.rows, s.columns), stride);
    return s;
  };
  Cut& parts = plan.blocks.across;
  while (parts.parts < parts.size && slab(1).halves() > kSlabHalves) {
    parts.parts = std::min(parts.size, 2 * parts.parts);
  }
  plan.blocks = even_blocks(plan.blocks, plan.images, plan.threads);
  plan.rows = 1;
  const ptrdiff_t most = plan.blocks.down.largest();
  while (plan.rows < most && slab(plan.rows + 1).halves() <= kSlabHalves) ++plan.rows;
  plan.slab = slab(plan.rows);
}

}  // namespace

Problem16 make_problem16(Chain16 chain, const Geometry& g,
                         const std::optional<std::array<ptrdiff_t, 2>>& kernel_size, Input16 x,
                         const Input16& residual, const Output16& out) {
  const bool padded = g.pad_top != 0 || g.pad_left != 0;
  const bool within =
      (out.height - 1) * g.stride_h < x.height && (out.width - 1) * g.stride_w < x.width && !padded;
  const auto [kernel_h, kernel_w] = kernel_size.value_or(std::array<ptrdiff_t, 2>{1, 1});
  if (kernel_h < 1 || kernel_w < 1 || (chain.depthwise && kernel_size)) refuse("kernel_size");
  if (chain.depthwise) {
    // Its window is the weights'.
  } else if (kernel_size && (kernel_h != 1 || kernel_w != 1 || !within)) {
    chain.patches = WindowShape{kernel_h, kernel_w, g.stride_h, g.stride_w, g.dilation_h, g.dilation_w};
  } else {
    // A matrix alone takes every so many pixels.
    if (padded) refuse("pads");
    if (!within) refuse("x");
    x.row_stride *= g.stride_h;
    x.column_stride *= g.stride_w;
    x.height = out.height;
    x.width = out.width;
  }
  return {chain, g.pad_top, g.pad_left, x, residual, out};
}

double cost_ns(const Problem16& p) {
  const double pixel = (p.chain.depthwise ? pixel_ns(*p.chain.depthwise) : 0) +
                       (p.chain.pointwise ? pixel_ns(*p.chain.pointwise) : 0) +
                       (p.chain.patches || p.factors.data ? patch_ns(*p.chain.pointwise) : 0);
  const double expanded = p.chain.expand ? pixel_ns(*p.chain.expand) : 0;
  return static_cast<double>(p.out.images * p.out.height * p.out.width) * pixel +
         static_cast<double>(p.x.images * p.x.height * p.x.width) * expanded;
}

Span16 rows_under(const Problem16& p, ptrdiff_t first, ptrdiff_t count) {
  const WindowShape& w = p.chain.depthwise->window;
  return under({w.kernel_h, w.stride_h, w.dilation_h, p.pad_top, p.x.height}, first, count);
}

Span16 columns_under(const Problem16& p, ptrdiff_t first, ptrdiff_t count) {
  const WindowShape& w = p.chain.depthwise->window;
  return under({w.kernel_w, w.stride_w, w.dilation_w, p.pad_left, p.x.width}, first, count);
}

Plan16 useful_plan(const Problem16& p, int threads) {
  return make_plan16(p, useful_threads(threads, cost_ns(p)));
}

Plan16 make_plan16(const Problem16& p, int threads) {
  Plan16 plan;
  plan.nanoseconds = cost_ns(p);
  plan.threads = threads;
  plan.images = p.out.images;
  const Chain16& chain = p.chain;
  const ptrdiff_t channels = chain.pointwise ? chain.pointwise->inputs : chain.depthwise->outputs();
  const ptrdiff_t stride = block_stride(ceil_div(channels, ptrdiff_t{2})) * 2;
  const bool window = chain.depthwise || chain.patches;
  if ((window && chain.pointwise) || p.factors.data) plan.stride = stride;
  if (chain.expand) {
    plan_expanded(p, plan);
  } else {
    plan.blocks = row_blocks(p.out.height, p.out.width, window ? kBandRows : 1,
                             std::max<ptrdiff_t>(1, kBlockHalves / stride));
    plan.blocks = even_blocks(plan.blocks, plan.images, plan.threads);
  }
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
  if (const auto& window = p.chain.patches) {
    text << "windows    " << window->kernel_h << "x" << window->kernel_w << ", copied into lines\n";
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
