#include "network/network.h"

#include <algorithm>
#include <chrono>
#include <new>

#include "base/refuse.h"
#include "base/threads.h"

namespace fastdw {

Network::Network(std::vector<Buffer> buffers, std::vector<StepPointer> steps)
    : buffers_(std::move(buffers)), steps_(std::move(steps)) {
  if (steps_.empty()) refuse("no steps");
  for (const StepPointer& step : steps_) nanoseconds_ += step->nanoseconds();
}

Run::Run(const Network& network, const std::vector<char*>& arrays, ptrdiff_t images, int threads)
    : network_(network), images_(images), threads_(threads) {
  ptrdiff_t scratch = 0;
  for (const StepPointer& step : network.steps_) scratch = std::max(scratch, step->scratch_floats(threads));
  if (!thread_scratch(scratch)) throw std::bad_alloc();
  const ptrdiff_t floats = network.buffers_[0].size;
  memory_.resize(1 + arrays.size() + kArenaViews);
  std::copy(arrays.begin(), arrays.end(), memory_.begin() + 1);
  for (Network::Arena& arena : network.arenas_) {
    std::unique_lock<std::mutex> lock(arena.mutex, std::try_to_lock);
    if (!lock) continue;
    if (!arena.memory) arena.memory = allocate_floats(floats);
    lock_ = std::move(lock);
    lie(arena.memory);
    return;
  }
  own_ = allocate_floats(floats);
  lie(own_);
}

void Run::lie(FloatBuffer& arena) {
  char* const memory = reinterpret_cast<char*>(arena.get());
  memory_.front() = memory;
  std::fill(memory_.end() - kArenaViews, memory_.end(), memory);
}

bool Run::advance(double nanoseconds, int64_t* times) {
  using Clock = std::chrono::steady_clock;
  const std::vector<StepPointer>& steps = network_.steps_;
  const Team team(threads_);
  for (double done = 0; image_ < images_ && done < nanoseconds;) {
    const Step& step = *steps[step_];
    if (times) {
      const auto begin = Clock::now();
      step.run(memory_, threads_);
      times[step_] += std::chrono::nanoseconds(Clock::now() - begin).count();
    } else {
      step.run(memory_, threads_);
    }
    done += step.nanoseconds();
    if (++step_ < steps.size()) continue;
    step_ = 0;
    ++image_;
    for (size_t i = 1; i + kArenaViews < memory_.size(); ++i) memory_[i] += network_.buffers_[i].nbytes();
  }
  return image_ < images_;
}

}  // namespace fastdw
