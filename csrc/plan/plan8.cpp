#include "plan/plan8.h"

#include <algorithm>
#include <sstream>

#include "base/line.h"
#include "plan/blocks.h"
#include "plan/cost.h"

namespace fastdw {
namespace {

// A band of fewer rows reads too many of them twice.
constexpr ptrdiff_t kBandRows = 4;

ptrdiff_t pixels_of(const Output8& out) { return out.images * out.height * out.width; }

// One pixel's channels: whole vectors take their time, however few of their lanes are live.
double pixel_ns(const Depthwise8Weights& w) {
  const auto taps = static_cast<double>(w.window.kernel_h * w.window.kernel_w);
  const bool own = &w.kernel != &w.set.depthwise;
  return static_cast<double>(w.lanes()) * (taps * w.set.mac_ns * (own ? 2 : 8) + w.set.value_ns);
}

double pixel_ns(const Pointwise8Weights& w) {
  const auto lanes = static_cast<double>(ceil_div(w.outputs, w.set.lanes) * w.set.lanes);
  return lanes * (static_cast<double>(w.steps() * w.set.dot_inputs) * w.set.mac_ns + w.set.value_ns);
}

double pointwise_ns(const Problem8& p) {
  const Pointwise8Weights& w = *p.chain.pointwise;
  return static_cast<double>(pixels_of(p.out)) * pixel_ns(w) +
         static_cast<double>(w.nbytes()) * w.set.weight_ns;
}

// Of equal parts, what the thread with most of them has.
double slowest_share(ptrdiff_t parts, int threads) {
  return static_cast<double>(ceil_div(parts, ptrdiff_t{threads})) / static_cast<double>(parts);
}

// What the slowest thread does.
class Shares {
 public:
  Shares(const Problem8& p, double nanoseconds, int threads)
      : pointwise_(p.chain.pointwise ? pointwise_ns(p) : 0),
        source_(nanoseconds - pointwise_),
        width_(p.out.width),
        pixels_(static_cast<double>(p.out.height * p.out.width)),
        threads_(threads) {}

  double by_blocks(const Plan8& plan) const {
    return (source_ + pointwise_) * share(plan.blocks.largest(), plan.images * plan.blocks.count());
  }
  // A window's kernel takes about as long for a row's part as for all of it.
  double by_runs(const Plan8& plan) const {
    const ptrdiff_t tasks = plan.images * plan.runs.parts, largest = plan.runs.largest();
    return source_ * share(ceil_div(largest, width_) * width_, tasks) + pointwise_ * share(largest, tasks);
  }
  double by_panels(ptrdiff_t panels) const { return source_ + pointwise_ * slowest_share(panels, threads_); }

 private:
  double share(ptrdiff_t largest, ptrdiff_t tasks) const {
    const auto rounds = static_cast<double>(ceil_div(tasks, ptrdiff_t{threads_}));
    return static_cast<double>(largest) / pixels_ * rounds;
  }

  const double pointwise_, source_;
  const ptrdiff_t width_;
  const double pixels_;
  const int threads_;
};

template <class T>
bool in_line(const View<T>& v) {
  return v.row_stride == v.width * v.column_stride;
}

// By runs of pixels or by panels, where that is faster than by blocks.
void share(const Problem8& p, const Blocks& largest, Plan8& plan) {
  const Shares shares(p, plan.nanoseconds, plan.threads);
  double least = shares.by_blocks(plan);
  if (largest.count() == 1 && in_line(p.out) && (!in_place(p) || in_line(p.x))) {
    const ptrdiff_t rounds = ceil_div(plan.images, ptrdiff_t{plan.threads});
    const ptrdiff_t pixels = p.out.height * p.out.width;
    plan.runs = {pixels, 1, std::min(pixels, ceil_div(rounds * plan.threads, plan.images))};
    if (shares.by_runs(plan) < least) {
      least = shares.by_runs(plan);
    } else {
      plan.runs.parts = 1;
    }
  }
  const ptrdiff_t panels = p.chain.pointwise->panels();
  if (p.chain.sum || shares.by_panels(panels) >= least) return;
  plan.blocks = largest;
  plan.runs.parts = 1;
  plan.panel_shares = std::min<ptrdiff_t>(panels, plan.threads);
}

}  // namespace

// Reading whole dot products must not go beyond the last pixel.
bool in_place(const Problem8& p) {
  const WindowShape& w = p.window;
  return !p.chain.depthwise && p.chain.pointwise->input_flip == 0 &&
         p.x.channels % p.chain.set().dot_inputs == 0 && w.kernel_h == 1 && w.kernel_w == 1 &&
         w.stride_h == 1 && w.stride_w == 1 && p.pad_top == 0 && p.pad_left == 0 &&
         p.x.height == p.out.height && p.x.width == p.out.width;
}

double cost_ns(const Problem8& p) {
  double pixel = 0;
  if (p.chain.depthwise) pixel += pixel_ns(*p.chain.depthwise);
  const bool copies = p.chain.pointwise && !p.chain.depthwise && !in_place(p);
  if (copies) pixel += static_cast<double>(p.window.kernel_h) * p.chain.set().line_ns;
  return static_cast<double>(pixels_of(p.out)) * pixel + (p.chain.pointwise ? pointwise_ns(p) : 0);
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
  const Blocks largest = row_blocks(p.out.height, p.out.width, chain.depthwise ? kBandRows : 1,
                                    std::max<ptrdiff_t>(1, chain.set().block_bytes / stride));
  plan.blocks = even_blocks(largest, plan.images, threads);
  if (threads > 1 && chain.pointwise) share(p, largest, plan);
  const ptrdiff_t pixels = plan.largest();
  if (chain.pointwise && !in_place(p)) {
    plan.stride = stride;
    plan.block_bytes = checked_product(pixels, stride);
  }
  if (chain.sum) {
    plan.staging_bytes = ceil_div(checked_product(pixels, p.out.channels), kLineBytes) * kLineBytes;
  }
  return plan;
}

Plan8 useful_plan(const Problem8& p, int threads) {
  return make_plan8(p, useful_threads(threads, cost_ns(p)));
}

std::string show(const Problem8& p, const Plan8& plan) {
  std::ostringstream text;
  text << "8-bit kernels: " << p.chain.set().isa << "\n";
  if (const auto* w = p.chain.depthwise) {
    text << "depthwise " << w->window.kernel_h << "x" << w->window.kernel_w << ": " << w->kernel.name << "\n";
  }
  if (const auto* w = p.chain.pointwise) {
    const int vectors = w->panel(0).vectors;
    text << "pointwise: " << w->panels() << " panels of up to " << vectors << " vectors, tiles of up to "
         << w->set.pointwise[vectors - 1].pixels << " pixels\n";
  }
  if (plan.by_runs())
    text << "runs: " << plan.runs.parts << ", at most " << plan.runs.largest() << " pixels\n";
  text << "blocks: " << plan.blocks.down.parts << " x " << plan.blocks.across.parts << ", at most "
       << plan.blocks.down.largest() << " x " << plan.blocks.across.largest() << " pixels\n"
       << "shares of the panels: " << plan.panel_shares << "\n"
       << "threads: " << plan.threads << "\n"
       << "scratch: " << plan.block_bytes + plan.staging_bytes << " bytes a thread\n"
       << "cost: " << plan.nanoseconds / 1000 << " us on one core\n";
  return text.str();
}

}  // namespace fastdw
