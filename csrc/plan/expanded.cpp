#include "plan/expanded.h"

#include <algorithm>
#include <limits>

#include "plan/blocks.h"
#include "plan/cost.h"
#include "plan/depthwise.h"

namespace fastdw {
namespace {

// Of a slab without a projection: pixels are read, and packed into quads, once for so many.
constexpr ptrdiff_t kSlabChannels = 64;
// Input of so many stays in L1 and L2 while a slab's panels pass.
constexpr ptrdiff_t kPixelsOnce = 256;
// Ranges of rows, at most, for each thread.
constexpr ptrdiff_t kRangesPerThread = 4;

// Along an axis: the pixels of the image under some outputs.
struct Under {
  ptrdiff_t stride, extent, size;

  ptrdiff_t operator()(ptrdiff_t outputs) const { return std::min(size, (outputs - 1) * stride + extent); }
  // Outputs, at most, under which there are no more.
  ptrdiff_t most(ptrdiff_t pixels) const { return pixels < extent ? 0 : (pixels - extent) / stride + 1; }
};

struct Window {
  Under rows, columns;

  explicit Window(const Problem& p)
      : rows{p.geometry.stride_h, (p.chain.depthwise->kernel_h - 1) * p.geometry.dilation_h + 1, p.x.height},
        columns{p.geometry.stride_w, (p.chain.depthwise->kernel_w - 1) * p.geometry.dilation_w + 1,
                p.x.width} {}
};

// Whole lines, but for the few channels that lane-packed tiles want dense.
ptrdiff_t slab_stride(const DepthwiseWeights& dw, ptrdiff_t channels) {
  return dw.repeats > 1 ? channels : ceil_div(channels, kLineFloats) * kLineFloats;
}

// So many rows of a task's outputs, with what it expands for them. `handed`: where threads share each row.
// Other steps share out rows, so that lines go from core to core then: about the cost of copying all twice.
double rows_ns(const Problem& p, const Plan& plan, ptrdiff_t rows, bool handed) {
  const Window window(p);
  const ptrdiff_t columns = plan.blocks.across.largest();
  const auto pixels = static_cast<double>(rows * columns);
  double ns =
      pointwise_ns(*p.chain.expand, static_cast<double>(window.rows(rows) * window.columns(columns))) +
      depthwise_ns(*p.chain.depthwise, pixels);
  if (p.chain.pointwise) ns += pointwise_ns(*p.chain.pointwise, pixels);
  return handed ? ns + 2 * copy_ns(p.set(), pixels * static_cast<double>(p.out.channels)) : ns;
}

// Rows that a task walks down: as few ranges as even shares allow, since each computes anew the rows above
// it. And what the slowest thread does.
struct Ranges {
  Cut cut;
  double ns;
};

Ranges ranges(const Problem& p, const Plan& plan) {
  const ptrdiff_t height = p.out.height;
  const ptrdiff_t tasks = p.out.images * plan.panel_shares * plan.blocks.across.parts;
  const ptrdiff_t most = plan.threads == 1 ? 1 : std::min(height, kRangesPerThread * plan.threads);
  Ranges best{{height, 1, 1}, std::numeric_limits<double>::infinity()};
  for (ptrdiff_t parts = 1; parts <= most; ++parts) {
    const Cut cut{height, 1, parts};
    const double ns = rows_ns(p, plan, cut.largest(), parts % plan.threads > 0) *
                      static_cast<double>(ceil_div(tasks * parts, plan.threads));
    // Of two about equal ways the one with larger ranges.
    if (ns < 0.98 * best.ns) best = {cut, ns};
  }
  return best;
}

// Shares of panels that threads cannot divide evenly: those that are left are divided by rows, where that is
// less for the slowest.
void divide(const Problem& p, Plan& plan) {
  const auto [cut, ns] = ranges(p, plan);
  plan.blocks.down = cut;
  const ptrdiff_t height = p.out.height, each = plan.panel_shares / plan.threads;
  const ptrdiff_t rest = plan.panel_shares - each * plan.threads;
  if (rest == 0 || p.out.images > 1 || height < plan.threads) return;
  const double divided = static_cast<double>(each) * rows_ns(p, plan, height, true) +
                         static_cast<double>(rest) * rows_ns(p, plan, ceil_div(height, plan.threads), false);
  if (divided >= ns) return;
  plan.blocks.down.parts = 1;
  plan.shares_by_rows = rest;
}

void set_slab(const Problem& p, Plan& plan, ptrdiff_t channels, ptrdiff_t outputs) {
  const Window window(p);
  const PointwiseWeights& expand = *p.chain.expand;
  Plan::Slab& slab = plan.slab;
  slab.stride = slab_stride(*p.chain.depthwise, channels);
  slab.outputs = outputs;
  slab.rows = window.rows(outputs);
  slab.columns = window.columns(plan.blocks.across.largest());
  slab.rows_once = std::clamp<ptrdiff_t>(kPixelsOnce / slab.columns, 1, slab.rows);
  plan.scratch.slab = slab.floats();
  if (expand.set.quad_pixels > 1) {
    plan.scratch.packed =
        std::max(plan.scratch.packed, expand.packed_floats(slab.rows_once, slab.columns, 0));
  }
}

void plan_shares(const Problem& p, Plan& plan) {
  const PointwiseWeights& expand = *p.chain.expand;
  const Output& out = p.out;
  const ptrdiff_t panel = expand.panel(0).vectors * expand.set.lanes;
  plan.panel_shares = ceil_div(expand.panels, std::clamp<ptrdiff_t>(kSlabChannels / panel, 1, expand.panels));
  const ptrdiff_t channels = std::min(ceil_div(expand.panels, plan.panel_shares) * panel, expand.outputs);
  plan.blocks.across = {out.width, 1, 1};
  const ptrdiff_t row = slab_stride(*p.chain.depthwise, channels) * p.x.width;
  const ptrdiff_t tile = tile_rows(*plan.kernel, p.geometry);
  const ptrdiff_t most = Window(p).rows.most(p.schedule().block_floats / row);
  divide(p, plan);
  set_slab(p, plan, channels, std::min(plan.blocks.down.largest(), std::max(tile, most / tile * tile)));
}

void plan_strips(const Problem& p, Plan& plan) {
  const DepthwiseWeights& dw = *p.chain.depthwise;
  const KernelSet& set = p.set();
  const Output& out = p.out;
  const Window window(p);
  const bool quads = writes_quads(expanded(p), *plan.kernel);
  plan.stride = plan.kernel->kind == DwKind::kLanePacked ? dw.outputs() : block_stride(dw.outputs());
  ptrdiff_t pixel = plan.stride;
  if (quads) {
    plan.layout = BlockLayout::kQuads;
    plan.stride = set.quad_floats(dw.outputs());
    pixel = plan.stride / set.quad_pixels;
  }
  const ptrdiff_t packed =
      !quads && set.quad_pixels > 1 ? set.quad_floats(dw.outputs()) / set.quad_pixels : 0;
  const ptrdiff_t tile = std::min(tile_rows(*plan.kernel, p.geometry), out.height);
  const ptrdiff_t stride = slab_stride(dw, dw.channels);
  const auto floats = [&](ptrdiff_t rows, ptrdiff_t columns) {
    return window.rows(rows) * window.columns(columns) * stride + rows * columns * (pixel + packed);
  };
  const ptrdiff_t room = p.schedule().scratch_floats;
  ptrdiff_t columns = out.width;
  for (ptrdiff_t strips = 2; columns > 1 && floats(tile, columns) > room; ++strips) {
    columns = ceil_div(out.width, strips);
  }
  plan.blocks.across = {out.width, 1, ceil_div(out.width, columns)};
  plan.blocks.down = ranges(p, plan).cut;
  ptrdiff_t rows = tile;
  while (!quads && rows < plan.blocks.down.largest() && floats(rows + tile, columns) <= room) rows += tile;
  const ptrdiff_t quad = quads ? set.quad_pixels : 1;
  plan.scratch.block = ceil_div(rows * columns, quad) * quad * pixel;
  if (packed > 0) plan.scratch.packed = p.chain.pointwise->packed_floats(rows, columns, 0);
  set_slab(p, plan, dw.channels, rows);
}

}  // namespace

void plan_expanded(const Problem& p, Plan& plan) {
  if (p.chain.pointwise) {
    plan_strips(p, plan);
  } else {
    plan_shares(p, plan);
  }
}

}  // namespace fastdw
