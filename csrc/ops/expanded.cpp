#include "ops/expanded.h"

#include <algorithm>
#include <cstring>

#include "base/threads.h"
#include "ops/depthwise_source.h"
#include "ops/pointwise.h"
#include "ops/row_sums.h"

namespace fastdw {
namespace {

// Some rows of the expanded image: of a task's columns, of its share of the channels.
class Slab {
 public:
  Slab(const Problem& p, const Plan& plan, const Plan::Task& task, const Range& columns, float* memory,
       float* packed)
      : expand_(*p.chain.expand),
        x_(p.x),
        plan_(plan),
        image_(task.image),
        columns_(columns),
        first_panel_(expand_.panels * task.panel_share / plan.panel_shares),
        last_panel_(expand_.panels * (task.panel_share + 1) / plan.panel_shares),
        row_stride_(columns.count * plan.slab.stride),
        memory_(memory),
        packed_(packed) {}

  ptrdiff_t channel() const { return expand_.panel(first_panel_).first; }
  ptrdiff_t channels() const {
    const PointwiseWeights::Panel last = expand_.panel(last_panel_ - 1);
    return last.first + last.channels - channel();
  }

  // From now on it holds these rows: what it has of them moves up, the others are computed. Rows come in
  // order.
  ImagePixels reach(const Range& rows) {
    const ptrdiff_t kept = std::clamp<ptrdiff_t>(held_.end() - rows.first, 0, rows.count);
    if (kept > 0 && rows.first > held_.first) {
      std::memmove(memory_, memory_ + (rows.first - held_.first) * row_stride_,
                   static_cast<size_t>(kept * row_stride_) * sizeof(float));
    }
    held_ = rows;
    float* const origin = memory_ - rows.first * row_stride_ - columns_.first * plan_.slab.stride - channel();
    if (columns_.count > 0) compute({rows.first + kept, rows.count - kept}, origin);
    return {origin, row_stride_, plan_.slab.stride, x_.height, x_.width};
  }

 private:
  void compute(const Range& rows, float* origin) const {
    const Output y{origin, 1, x_.height, x_.width, expand_.outputs, 0, row_stride_, plan_.slab.stride, 1};
    const Pointwise pointwise(expand_, y, plan_.scratch.packed);
    for (ptrdiff_t row = rows.first; row < rows.end(); row += plan_.slab.rows_once) {
      const ptrdiff_t count = std::min(plan_.slab.rows_once, rows.end() - row);
      const float* const x = x_.at(image_, row, columns_.first, 0);
      pointwise.consume({0, row, count, columns_.first, columns_.count, first_panel_, last_panel_, {}},
                        {x, BlockLayout::kPixels, x_.row_stride, x_.column_stride}, packed_);
    }
  }

  const PointwiseWeights& expand_;
  const Input& x_;
  const Plan& plan_;
  const ptrdiff_t image_;
  const Range columns_;
  const ptrdiff_t first_panel_, last_panel_, row_stride_;
  float *const memory_, *const packed_;
  Range held_{0, 0};
};

// `part` of each task: the rows that a slab serves at a time, with the slab.
template <class Part>
void for_slabs(const Problem& p, const Plan& plan, const DepthwiseSource& source, const Part& part) {
  const Plan::Scratch& s = plan.scratch;
  parallel_for(plan.threads, plan.tasks(), s.total(), [&](ptrdiff_t index, float* scratch) {
    const Plan::Task task = plan.task(index);
    float *const block = scratch + s.slab, *const packed = block + s.block;
    Slab slab(p, plan, task, source.input_columns(task.rect), scratch, packed);
    OutputRect r = task.rect;
    r.channel = slab.channel() * p.chain.depthwise->multiplier;
    r.channels = slab.channels() * p.chain.depthwise->multiplier;
    for (const ptrdiff_t end = r.row + r.rows; r.row < end; r.row += r.rows) {
      r.rows = plan.layout == BlockLayout::kQuads ? plan.kernel->band_rows(end - r.row)
                                                  : std::min(plan.slab.outputs, end - r.row);
      part(task.image, r, slab.reach(source.input_rows(r)), block, packed);
    }
  });
}

}  // namespace

void run_expanded(const Problem& p, const Plan& plan) {
  const DepthwiseSource source(p, plan);
  const Output& out = p.out;
  if (!p.chain.pointwise) {
    return for_slabs(p, plan, source,
                     [&](ptrdiff_t image, const OutputRect& r, const ImagePixels& pixels, float*, float*) {
                       source.window(pixels, r, out.at(image, r.row, r.column, r.channel), out.row_stride,
                                     out.column_stride);
                       if (p.sums.data) sum_rows(p, r);
                     });
  }
  const Pointwise pointwise(p, plan);
  const ptrdiff_t panels = p.chain.pointwise->panels;
  for_slabs(
      p, plan, source,
      [&](ptrdiff_t image, const OutputRect& r, const ImagePixels& pixels, float* block, float* packed) {
        pointwise.consume({image, r.row, r.rows, r.column, r.columns, 0, panels, {}},
                          source.fill(pixels, r, block), packed);
      });
}

}  // namespace fastdw
