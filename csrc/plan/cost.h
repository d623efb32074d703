// Nanoseconds of one core, from the rates of an instruction set's data sheet. One set of functions for all
// that depends on the amount of work: cuts, threads, who keeps the GIL, where interrupts are looked for.
#pragma once
#include "plan/problem.h"

namespace fastdw {

// Of `pixels` outputs, all channels.
double depthwise_ns(const DepthwiseWeights& weights, double pixels);
double pointwise_ns(const PointwiseWeights& weights, double pixels);
double copy_ns(const KernelSet& set, double floats);

// Of the whole problem.
double cost_ns(const Problem& problem);

// A thread costs more than it brings below this much work: where it may sleep, and where it surely waits for
// the next step of a network.
constexpr double kThreadNs = 4e3, kAwakeThreadNs = 1e3;
int useful_threads(int threads, double nanoseconds, double thread_ns = kThreadNs);

}  // namespace fastdw
