// A call of a layer on views: the GIL, interrupts, running out of memory.
//
// While the GIL is released no object with a destructor of consequence lives in these frames or their
// callers': a daemon thread that asks for the GIL back while the interpreter ends is unwound on the spot.
#pragma once
#include <pybind11/pybind11.h>

#include <algorithm>
#include <new>
#include <vector>

#include "ops/halves.h"
#include "plan/plan.h"

namespace fastdw {

// Less work keeps the GIL: handing it over costs more.
constexpr double kKeepGilNs = 20e3;
// Between parts of about this much work an interrupt is looked for.
constexpr double kSignalNs = 20e6;

// Throws std::bad_alloc where `work` does.
template <class Work>
void without_gil(double nanoseconds, const Work& work) {
  if (nanoseconds < kKeepGilNs) return work();
  bool out_of_memory = false;
  PyThreadState* state = PyEval_SaveThread();
  try {
    work();
  } catch (const std::bad_alloc&) {
    out_of_memory = true;
  }
  PyEval_RestoreThread(state);
  if (out_of_memory) throw std::bad_alloc();
}

// run(first, count) for all tasks, `least` of them at a time or more, with a look for interrupts in between.
// Throws std::bad_alloc where `run` does.
template <class Run>
void run_in_parts(ptrdiff_t tasks, double nanoseconds, ptrdiff_t least, const Run& run) {
  const double all = static_cast<double>(std::max<ptrdiff_t>(1, tasks)), task_ns = nanoseconds / all;
  const ptrdiff_t at_once = std::max(least, static_cast<ptrdiff_t>(std::min(kSignalNs / task_ns, all)));
  for (ptrdiff_t first = 0; first < tasks; first += at_once) {
    if (first > 0 && PyErr_CheckSignals() != 0) throw pybind11::error_already_set();
    const ptrdiff_t count = std::min(at_once, tasks - first);
    without_gil(task_ns * static_cast<double>(count), [&] { run(first, count); });
  }
}

// Computes a checked problem, whose channels are divided among the chains: one, or the groups of a grouped
// convolution. Throws std::bad_alloc, before it writes, and pybind11::error_already_set at an
// interrupt between parts of the work.
void call(const std::vector<Chain>& groups, const Problem& problem, int threads);

// The same on halves.
void call(const HalfCall& work);

// Whether so much work is one part.
bool is_brief(double nanoseconds);

// A brief call of one chain whose plan was made before. Throws std::bad_alloc, before it writes.
void call_planned(const Problem& problem, const Plan& plan);

}  // namespace fastdw
