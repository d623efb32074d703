#include "python/call.h"

#include <pybind11/pybind11.h>

#include <algorithm>
#include <cmath>

#include "ops/chain.h"
#include "ops/run.h"
#include "plan/cost.h"

namespace fastdw {
namespace {

// A part has whole multiples of these rows, as most tiles have; those of a very wide image take longer.
constexpr ptrdiff_t kPartRows = 16;

void compute_groups(const std::vector<Chain>& groups, const Problem& p, int threads, const Part& part) {
  const auto count = static_cast<ptrdiff_t>(groups.size());
  for (ptrdiff_t i = 0; i < count; ++i) {
    compute(part_of(group_of(p, groups[static_cast<size_t>(i)], i, count), part), threads);
  }
}

}  // namespace

bool is_brief(double nanoseconds) { return nanoseconds <= kSignalNs; }

void call_planned(const Problem& problem, const Plan& plan) {
  without_gil(plan.nanoseconds, [&] { run(problem, plan); });
}

void call(const std::vector<Chain>& groups, const Problem& problem, int threads) {
  const Output& out = problem.out;
  if (out.images == 0) return;  // no image has a cost
  const auto count = static_cast<ptrdiff_t>(groups.size());
  const double ns = cost_ns(group_of(problem, groups.front(), 0, count)) * static_cast<double>(count);
  // Below 1 where an image is too much for one part.
  const double image_ns = ns / static_cast<double>(out.images), at_once = kSignalNs / image_ns;
  const ptrdiff_t images =
      std::max<ptrdiff_t>(1, static_cast<ptrdiff_t>(std::min(at_once, static_cast<double>(out.images))));
  const ptrdiff_t parts =
      static_cast<ptrdiff_t>(std::clamp(std::ceil(1 / at_once), 1.0, static_cast<double>(out.height)));
  const ptrdiff_t rows = ceil_div(ceil_div(out.height, parts), kPartRows) * kPartRows;
  Part part{};
  for (; part.image < out.images; part.image += part.images) {
    part.images = std::min(images, out.images - part.image);
    for (part.row = 0; part.row < out.height; part.row += part.rows) {
      part.rows = std::min(rows, out.height - part.row);
      const bool first = part.image == 0 && part.row == 0;
      if (!first && PyErr_CheckSignals() != 0) throw pybind11::error_already_set();
      without_gil(image_ns * static_cast<double>(part.images),
                  [&] { compute_groups(groups, problem, threads, part); });
    }
  }
}

void call(const HalfCall& work) {
  run_in_parts(work.tasks(), work.nanoseconds(), work.sharing(),
               [&](ptrdiff_t first, ptrdiff_t count) { work.run(first, count); });
}

}  // namespace fastdw
