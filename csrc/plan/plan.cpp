#include "plan/plan.h"

#include <algorithm>

#include "plan/blocks.h"
#include "plan/cost.h"
#include "plan/depthwise.h"
#include "plan/expanded.h"

namespace fastdw {
namespace {

// Tasks a thread, at most, for even shares.
constexpr ptrdiff_t kTasksPerThread = 4;

// A block of fewer pixels would read the weights for too little; then it may take all of the scratch.
constexpr ptrdiff_t kFewPixels = 16;

// Over planes a block is whole rows, fours of them: then most widths fill their vectors.
constexpr ptrdiff_t kPlaneRows = 4;

// With heavy weights each thread reads its own share of the panels, and the source fills a block once a
// share. That costs less than to hand it from core to core, as long as it is a small part of the whole.
ptrdiff_t panel_shares(const PointwiseWeights& pw, double source_ns, int threads) {
  if (pw.nbytes() <= pw.set.schedule.light_bytes) return 1;
  const auto tenth = static_cast<ptrdiff_t>((source_ns + pointwise_ns(pw, 1)) / (10 * source_ns));
  return std::min<ptrdiff_t>({pw.panels, threads, 1 + tenth});
}

// Pixels of a block, at most, and those for which all of the scratch has room.
struct MostPixels {
  ptrdiff_t most, room;
};

MostPixels most_pixels(const Problem& p, const BlockSource& source, bool packs, int threads) {
  const Schedule& s = p.schedule();
  const bool may_stage = p.staged() || threads > 1, copies = source.copied_floats > 0;
  ptrdiff_t room = s.scratch_floats - source.copied_floats - (may_stage ? s.least_staging_floats : 0);
  if (packs) room /= 2;  // packing takes as much again
  // Planes are copied the faster the longer their runs are, and whole rows follow each other: they are worth
  // more of the scratch. Squarer blocks, which copy fewer pixels twice, are slower.
  const bool streamed = p.chain.pointwise->nbytes() > s.streamed_bytes;
  const ptrdiff_t share = copies || streamed ? room : std::min(room, s.block_floats);
  ptrdiff_t most =
      std::max({ptrdiff_t{1}, share / source.pixel_floats, std::min(kFewPixels, room / source.pixel_floats)});
  if (threads == 1 && !streamed && !copies && source.input_floats > 0) {
    const double pixels = static_cast<double>(s.input_floats) / source.input_floats;
    if (pixels < static_cast<double>(most)) {
      most = std::max(std::min(kFewPixels, most), static_cast<ptrdiff_t>(pixels));
    }
  }
  return {most, room / source.pixel_floats};
}

// Of the operators whose source fills a block for the pointwise half.
void plan_blocks(const Problem& p, const BlockSource& source, Plan& plan) {
  const Schedule& s = p.schedule();
  const PointwiseWeights& pw = *p.chain.pointwise;
  const bool packs = pw.set.quad_pixels > 1 && !source.quads;
  MostPixels pixels = most_pixels(p, source, packs, plan.threads);
  if (source.quads && p.staged()) pixels.most = std::min(pixels.most, pw.most_staged(s.staging_floats));
  Blocks blocks =
      largest_blocks(p.out, source.tile_rows, pixels.most, s.prefers_whole_rows ? pixels.room : pixels.most);
  // Quads pass one band of rows at a time.
  if (source.quads) blocks.down.parts = blocks.down.units();

  // Threads that have the same panels share the blocks. Even shares are worth some tiles that are not full.
  plan.panel_shares = panel_shares(pw, source.pixel_ns, plan.threads);
  plan.shares_outermost = true;
  const int sharing = static_cast<int>(ceil_div(plan.threads, plan.panel_shares));
  if (sharing > 1) {
    if (!source.quads) blocks.down.unit = 1;
    blocks = shared_blocks(p, source, blocks, sharing,
                           plan.panel_shares == 1 ? kTasksPerThread * plan.threads : sharing);
  }
  plan.blocks = blocks;

  // Rows so narrow that tiles of one would be half empty are staged, for tiles to run on from row to row. On
  // one thread only the scratch makes narrow blocks, and leaves nothing.
  const Cut &down = blocks.down, &across = blocks.across;
  const bool narrow = plan.threads > 1 && !source.quads && down.largest() > 1 && across.parts > 1 &&
                      across.largest() < kMaxTilePixels;
  const ptrdiff_t quad = source.quads ? pw.set.quad_pixels : 1;
  Plan::Scratch& scratch = plan.scratch;
  scratch.block = ceil_div(blocks.largest(), quad) * quad * source.pixel_floats;
  scratch.copied = source.copied_floats;
  if (p.staged() || narrow) {
    const ptrdiff_t left = s.scratch_floats - scratch.copied - (packs ? 2 : 1) * scratch.block;
    scratch.staging = std::clamp(left, s.least_staging_floats, s.staging_floats);
  }
  if (packs) scratch.packed = pw.packed_floats(down.largest(), across.largest(), scratch.staging);
  plan.asks_ahead = s.asks_ahead && scratch.staging == 0 && across.parts == 1 && plan.panel_shares == 1;
}

ptrdiff_t plane_rows(const Problem& p) {
  const ptrdiff_t most = p.schedule().block_floats / (p.x.channels * p.out.width) / kPlaneRows * kPlaneRows;
  return std::clamp(most, std::min(kPlaneRows, p.out.height), p.out.height);
}

// Pixels in the lanes, where rows fill them: about as fast as NHWC, for nothing is copied or staged.
bool planes_pay(const Problem& p) {
  const ptrdiff_t lanes = p.set().lanes, width = p.out.width;
  return width >= lanes && 8 * width >= 7 * ceil_div(width, lanes) * lanes &&
         p.x.channels <= p.schedule().scratch_floats / block_stride(plane_rows(p) * width);
}

void plan_planes(const Problem& p, Plan& plan) {
  plan.layout = BlockLayout::kPlanes;
  plan.stride = block_stride(plane_rows(p) * p.out.width);
  // For even shares some bands may be half empty. No part has more than plane_rows(), from which the stride
  // comes.
  Cut down{p.out.height, plan.threads > 1 ? 2 : kPlaneRows, 1};
  const ptrdiff_t parts = ceil_div(p.out.height, plane_rows(p));
  down.parts = std::min(down.units(), ceil_div(parts, plan.threads) * plan.threads);
  plan.blocks = {down, {p.out.width, 1, 1}};
  plan.scratch.block = plan.stride * p.x.channels;
  plan.asks_ahead = p.schedule().asks_ahead;
}

void plan_separable(const Problem& p, Plan& plan) {
  if (runs_over_planes(p) && planes_pay(p)) return plan_planes(p, plan);
  const DepthwiseWeights& dw = *p.chain.depthwise;
  const Geometry& g = p.geometry;
  const ptrdiff_t channels = dw.outputs();
  BlockSource source{
      tile_rows(*plan.kernel, g), std::max(1, plan.kernel->columns), block_stride(channels),
      depthwise_ns(dw, 1),
      static_cast<double>(p.x.channels) * static_cast<double>(g.stride_h) * static_cast<double>(g.stride_w)};
  source.copied_floats = p.reads_in_place() ? 0 : p.schedule().copied_floats;
  source.quads = writes_quads(p, *plan.kernel);
  plan.stride = source.pixel_floats;
  if (plan.kernel->kind == DwKind::kLanePacked) plan.stride = source.pixel_floats = channels;
  if (source.quads) {
    plan.layout = BlockLayout::kQuads;
    plan.stride = dw.set.quad_floats(channels);
    source.pixel_floats = plan.stride / dw.set.quad_pixels;
  }
  plan_blocks(p, source, plan);
}

// Whether tiles read windows where they are, which saves their copies (a stem of 3×3×3 takes 0.6 to 0.8 of
// the time): each row of a window must be a line of floats, and rows of the output long enough for whole
// tiles.
bool windows_pay_in_place(const Problem& p, const Plan& plan) {
  const PointwiseWeights& w = *p.chain.pointwise;
  const PwKernels &first = w.panel(0).kernels, &last = w.panel(w.panels - 1).kernels;
  const bool exist = first.windows[first.pixels - 1] && last.windows[last.pixels - 1];
  const bool lines = p.x.channels_side_by_side() && p.x.column_stride == p.x.channels &&
                     (p.geometry.dilation_w == 1 || p.chain.kernel_w == 1);
  return exist && lines && p.chain.kernel_h > 1 && plan.scratch.staging == 0 &&
         plan.blocks.across.parts == 1 && InnerWindows(p).columns >= kLeastWindowPixels;
}

void plan_dense(const Problem& p, Plan& plan) {
  const ptrdiff_t inputs = p.chain.pointwise->inputs;
  // The last row of a window overwrites what follows it.
  plan.stride = block_stride(inputs + p.set().lanes - 1);
  const BlockSource source{1, 1, plan.stride, copy_ns(p.set(), static_cast<double>(inputs)), 0};
  plan_blocks(p, source, plan);
  plan.asks_ahead = false;  // copying is what reads ahead
  plan.windows_in_place = windows_pay_in_place(p, plan);
}

void plan_depthwise(const Problem& p, Plan& plan) {
  const Schedule& s = p.schedule();
  const Output& out = p.out;
  const ptrdiff_t tile = tile_rows(*plan.kernel, p.geometry), lanes = p.set().lanes;
  // Blocks of whole rows where the output is written in place; else what the staging buffer holds.
  const bool staged = !out.channels_side_by_side();
  const ptrdiff_t channels = std::min(out.channels, ceil_div(64, lanes) * lanes);
  const ptrdiff_t columns = staged ? std::min<ptrdiff_t>(out.width, 64) : out.width;
  const ptrdiff_t wanted =
      ceil_div(kTasksPerThread * plan.threads, out.images * ceil_div(out.channels, channels));
  ptrdiff_t rows = std::max(tile, out.height / wanted / tile * tile);
  // One thread that copies nothing has no use for more: each costs as much as 30 vectors of 3×3.
  if (plan.threads == 1 && !staged && p.reads_in_place()) rows = out.height;
  if (staged) {
    const ptrdiff_t most = s.copied_floats / (columns * channels) / tile * tile;
    rows = std::clamp<ptrdiff_t>(rows, 1, std::max<ptrdiff_t>(most, 1));
    plan.scratch.staging = s.copied_floats;
  }
  plan.scratch.copied = p.reads_in_place() ? 0 : s.copied_floats;
  rows = std::min(rows, out.height);
  plan.blocks.down = {out.height, std::min(rows, tile), ceil_div(out.height, rows)};
  plan.blocks.across = {out.width, 1, ceil_div(out.width, columns)};
  plan.channels = {out.channels, channels, ceil_div(out.channels, channels)};
}

void plan_pointwise(const Problem& p, Plan& plan) {
  const PointwiseWeights& w = *p.chain.pointwise;
  const Schedule& s = p.schedule();
  const auto everywhere = [&](auto in_line) {
    return in_line(p.x) && in_line(p.out) && (!p.residual.data || in_line(p.residual));
  };
  const bool rows = everywhere([](const auto& v) { return v.rows_in_line(); });
  const bool images = rows && everywhere([](const auto& v) { return v.images_in_line(); });
  plan.images = images ? 1 : p.out.images;
  const ptrdiff_t height = rows ? 1 : p.out.height;
  const ptrdiff_t width = p.out.width * (rows ? p.out.height : 1) * (images ? p.out.images : 1);
  // Pixels of a block: their inputs stay in L2 while all panels pass.
  const ptrdiff_t pixels = std::min(width, std::clamp<ptrdiff_t>(s.block_floats / w.inputs, 1, 256));
  ptrdiff_t parts = ceil_div(width, pixels);
  // As many for each thread; or one, where panels make even shares too and each is read by one thread.
  const bool by_panels = height * parts == 1 && w.panels >= 2 * kTasksPerThread * plan.threads;
  if (height == 1 && !by_panels) parts = std::min(width, ceil_div(parts, plan.threads) * plan.threads);
  plan.blocks = {{height, 1, height}, {width, 1, parts}};
  // Few blocks: the panels are dealt out too.
  const ptrdiff_t blocks = plan.images * plan.blocks.count();
  plan.panel_shares = plan.threads == 1 ? 1
                                        : std::clamp<ptrdiff_t>(
                                              ceil_div(kTasksPerThread * plan.threads, blocks), 1, w.panels);
  const ptrdiff_t largest = plan.blocks.across.largest();
  plan.stride = w.inputs;
  plan.scratch.block = p.reads_in_place() ? 0 : largest * plan.stride;
  plan.scratch.staging = p.staged() ? s.staging_floats : 0;
  if (w.set.quad_pixels > 1) plan.scratch.packed = w.packed_floats(1, largest, plan.scratch.staging);
}

}  // namespace

Plan make_plan(const Problem& p, int threads) {
  Plan plan;
  plan.images = p.out.images;
  plan.nanoseconds = cost_ns(p);
  plan.threads = threads;
  if (p.chain.depthwise) {
    const ptrdiff_t outputs = p.chain.depthwise->outputs();
    plan.channels = {outputs, outputs, 1};
    plan.kernel = &choose_depthwise_kernel(p.chain.expand ? expanded(p) : p);
  }
  if (p.chain.expand) {
    plan_expanded(p, plan);
  } else if (!p.chain.pointwise) {
    plan_depthwise(p, plan);
  } else if (p.chain.depthwise) {
    plan_separable(p, plan);
  } else if (p.dense()) {
    plan_dense(p, plan);
  } else {
    plan_pointwise(p, plan);
  }
  return plan;
}

Plan useful_plan(const Problem& p, int threads) { return make_plan(p, useful_threads(threads, cost_ns(p))); }

ptrdiff_t Plan::tasks() const {
  if (shares_by_rows > 0) return images * threads * (panel_shares / threads + shares_by_rows);
  return images * channels.parts * blocks.count() * panel_shares;
}

Plan::Task Plan::task(ptrdiff_t i) const {
  const auto next = [&i](ptrdiff_t parts) {
    const ptrdiff_t part = i % parts;
    i /= parts;
    return part;
  };
  if (shares_by_rows > 0) {
    const ptrdiff_t whole = panel_shares / threads, number = next(whole + shares_by_rows),
                    thread = next(threads);
    const Cut rows{blocks.down.size, 1, threads};
    const bool all = number < whole;
    return {i,
            {{all ? 0 : rows.begin(thread), all ? rows.size : rows.count(thread), 0, blocks.across.size},
             0,
             channels.size},
            all ? thread * whole + number : panel_shares + number - whole - shares_by_rows};
  }
  ptrdiff_t share = shares_outermost ? 0 : next(panel_shares);
  const PixelRect rect = blocks.rect(next(blocks.count()));
  const ptrdiff_t channel = next(channels.parts), image = next(images);
  if (shares_outermost) share = next(panel_shares);
  return {image, {rect, channels.begin(channel), channels.count(channel)}, share};
}

}  // namespace fastdw
