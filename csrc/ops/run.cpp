#include "ops/run.h"

#include <utility>

#include "base/threads.h"
#include "ops/depthwise_source.h"
#include "ops/expanded.h"
#include "ops/patch_source.h"
#include "ops/pointwise.h"
#include "ops/row_sums.h"
#include "ops/tensor_source.h"

namespace fastdw {
namespace {

// Of a task its parts: the source's, or bands of rows where it writes quads.
template <class Part>
void for_parts(const Plan& plan, const Source& source, OutputRect rect, const Part& part) {
  if (plan.layout != BlockLayout::kQuads) {
    const Parts parts = source.parts(rect);
    for (size_t i = 0; i < parts.count; ++i) part(parts.rects[i]);
    return;
  }
  for (const ptrdiff_t end = rect.row + rect.rows; rect.row < end; rect.row += rect.rows) {
    rect.rows = plan.kernel->band_rows(end - rect.row);
    part(rect);
  }
}

void multiply(const Problem& p, const Plan& plan, const Source& source) {
  const Pointwise pointwise(p, plan);
  const ptrdiff_t panels = p.chain.pointwise->panels, shares = plan.panel_shares, tasks = plan.tasks();
  parallel_for(plan.threads, tasks, plan.scratch.total(), [&](ptrdiff_t index, float* scratch) {
    const Plan::Task task = plan.task(index);
    const ptrdiff_t first_panel = panels * task.panel_share / shares;
    const ptrdiff_t last_panel = panels * (task.panel_share + 1) / shares;
    Ahead ahead{};
    // A thread's blocks follow each other.
    if (const ptrdiff_t next = index + 1; plan.asks_ahead && next < tasks) {
      const Plan::Task other = plan.task(next);
      ahead = source.ahead(other.image, other.rect);
    }
    float* const copied = scratch + plan.scratch.block;
    for_parts(plan, source, task.rect, [&](const OutputRect& r) {
      const Block block = source.fill(task.image, r, scratch, copied);
      pointwise.consume(
          {task.image, r.row, r.rows, r.column, r.columns, first_panel, last_panel, std::exchange(ahead, {})},
          block, copied + plan.scratch.copied);
    });
  });
}

// The depthwise operator is its source, written to the output.
void write(const Problem& p, const Plan& plan, const DepthwiseSource& source) {
  const Output& out = p.out;
  parallel_for(plan.threads, plan.tasks(), plan.scratch.total(), [&](ptrdiff_t index, float* scratch) {
    const Plan::Task task = plan.task(index);
    const OutputRect& r = task.rect;
    float* const y = out.at(task.image, r.row, r.column, r.channel);
    if (plan.scratch.staging == 0) {
      source.window(task.image, r, y, out.row_stride, out.column_stride, scratch);
      if (p.sums.data) sum_rows(p, r);
      return;
    }
    float* const staging = scratch + plan.scratch.copied;
    const Layout layout{r.columns * r.channels, r.channels, 1};
    source.window(task.image, r, staging, layout.row_stride, layout.column_stride, scratch);
    copy_block(p.set(), staging, layout, y, layout_of(out), r.rows, r.columns, r.channels);
  });
}

}  // namespace

void run(const Problem& p, const Plan& plan) {
  if (p.chain.expand) {
    run_expanded(p, plan);
  } else if (!p.chain.pointwise) {
    write(p, plan, DepthwiseSource(p, plan));
  } else if (p.chain.depthwise) {
    multiply(p, plan, DepthwiseSource(p, plan));
  } else if (p.dense()) {
    multiply(p, plan, PatchSource(p, plan));
  } else {
    multiply(p, plan, TensorSource(p));
  }
}

}  // namespace fastdw
