#include <cstdarg>
#include <cstdio>

#include "plan/plan.h"

namespace fastdw {
namespace {

class Lines {
 public:
  __attribute__((format(printf, 3, 4))) void add(const char* title, const char* format, ...) {
    char line[256];
    va_list arguments;
    va_start(arguments, format);
    std::vsnprintf(line, sizeof line, format, arguments);
    va_end(arguments);
    char head[32];
    std::snprintf(head, sizeof head, "%-10s ", title);
    text_ += (text_.empty() ? "" : "\n") + std::string(head) + line;
  }
  std::string take() { return std::move(text_); }

 private:
  std::string text_;
};

double kib(ptrdiff_t bytes) { return static_cast<double>(bytes) / 1024; }
double float_kib(ptrdiff_t floats) { return kib(floats * ptrdiff_t{sizeof(float)}); }

template <class T>
double array_kib(const View<T>& v) {
  return float_kib(v.images * v.height * v.width * v.channels);
}

const char* layout_name(BlockLayout layout) {
  switch (layout) {
    case BlockLayout::kPixels:
      return "pixel by pixel";
    case BlockLayout::kQuads:
      return "in quads of pixels";
    case BlockLayout::kPlanes:
      return "in planes";
  }
  return "";
}

}  // namespace

std::string show(const Problem& p, const Plan& plan) {
  Lines lines;
  const Input& x = p.x;
  const Output& out = p.out;
  lines.add("set", "%s, %d floats a vector", p.set().isa, p.set().lanes);
  lines.add("input", "%td x %td x %td x %td, %.0f KiB, read %s", x.images, x.height, x.width, x.channels,
            array_kib(x), p.reads_in_place() ? "in place" : "by way of a copy in cache");
  if (const PointwiseWeights* expand = p.chain.expand) {
    const Plan::Slab& slab = plan.slab;
    lines.add("expand", "%td panels, weights %.1f KiB, %td rows x %td pixels at a time: a slab of %.0f KiB",
              expand->panels, kib(expand->nbytes()), slab.rows, slab.columns, float_kib(slab.floats()));
  }
  if (const DepthwiseWeights* dw = p.chain.depthwise) {
    lines.add("depthwise", "%s on %tdx%td taps, weights %.1f KiB", plan.kernel->name, dw->kernel_h,
              dw->kernel_w, kib(dw->nbytes()));
  }
  if (p.dense()) {
    lines.add("windows", "%tdx%td, %s lines of %td floats", p.chain.kernel_h, p.chain.kernel_w,
              plan.windows_in_place ? "read in place, on borders copied into" : "copied into",
              p.chain.pointwise->inputs);
  }
  if (const PointwiseWeights* pw = p.chain.pointwise) {
    const PointwiseWeights::Panel panel = pw->panel(0);
    lines.add("pointwise", "%td panels of up to %d vectors, tiles of up to %d pixels, weights %.1f KiB",
              pw->panels, panel.vectors, panel.tile_pixels, kib(pw->nbytes()));
  }
  const Blocks& blocks = plan.blocks;
  lines.add("blocks", "%td of up to %td x %td pixels, %s", plan.images * blocks.count() * plan.channels.parts,
            blocks.down.largest(), blocks.across.largest(), layout_name(plan.layout));
  if (plan.channels.parts > 1) lines.add("", "and %td channels", plan.channels.largest());
  if (plan.panel_shares > 1) {
    lines.add("", "each by %td tasks, with a share of the panels each", plan.panel_shares);
  }
  if (plan.shares_by_rows > 0) {
    lines.add("", "but of %td shares each thread has some rows", plan.shares_by_rows);
  }
  lines.add("output", "%td x %td x %td x %td, %.0f KiB, written %s", out.images, out.height, out.width,
            out.channels, array_kib(out),
            plan.scratch.staging > 0 ? "by way of a staging buffer" : "in place");
  const Plan::Scratch& s = plan.scratch;
  lines.add("scratch",
            "%.0f KiB a thread: slab %.0f, block %.0f, copy of input %.0f, quads %.0f, staging %.0f",
            float_kib(s.total()), float_kib(s.slab), float_kib(s.block), float_kib(s.copied),
            float_kib(s.packed), float_kib(s.staging));
  if (plan.asks_ahead) lines.add("", "asks for the input of the next block");
  lines.add("threads", "%d for %td tasks", plan.threads, plan.tasks());
  lines.add("estimate", "%.1f us on one core, no forecast", plan.nanoseconds / 1e3);
  return lines.take();
}

}  // namespace fastdw
