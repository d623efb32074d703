// A network: steps on the operands of one memory, run for image after image.
#pragma once
#include <cstdint>
#include <mutex>

#include "base/memory.h"
#include "network/step.h"

namespace fastdw {

// Immutable but for the arenas that it keeps; any number of threads may run it at once.
class Network {
 public:
  // `buffers` as at Buffer. The steps run in their order.
  Network(std::vector<Buffer> buffers, std::vector<StepPointer> steps);

  const std::vector<Buffer>& buffers() const { return buffers_; }
  const std::vector<StepPointer>& steps() const { return steps_; }
  double nanoseconds() const { return nanoseconds_; }  // of one image on one core

 private:
  friend class Run;
  struct Arena {
    std::mutex mutex;  // only ever tried: a fork may hold it
    FloatBuffer memory;
  };

  const std::vector<Buffer> buffers_;
  const std::vector<StepPointer> steps_;
  double nanoseconds_ = 0;
  mutable Arena arenas_[2];
};

// One run, which can be left now and then.
class Run {
 public:
  // `arrays`: the buffers between the arena and itself, image after image. Throws std::bad_alloc.
  Run(const Network& network, const std::vector<char*>& arrays, ptrdiff_t images, int threads);

  // Computes steps of about so much work; whether any are left. Adds what each took to `times`, if there are
  // any, in nanoseconds. Throws std::bad_alloc.
  bool advance(double nanoseconds, int64_t* times);

 private:
  void lie(FloatBuffer& arena);

  const Network& network_;
  const ptrdiff_t images_;
  const int threads_;
  ptrdiff_t image_ = 0;
  size_t step_ = 0;
  std::vector<char*> memory_;
  std::unique_lock<std::mutex> lock_;
  FloatBuffer own_;
};

}  // namespace fastdw
