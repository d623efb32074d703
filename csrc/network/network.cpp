#include "network/network.h"

#include <algorithm>
#include <chrono>
#include <new>

#include "base/refuse.h"
#include "base/threads.h"

namespace fastdw {

namespace {

// From the last step on: each step's weights are asked for during those before it, as late as the time that
// these take allows, less what their own weights take. A network whose weights stay in L2 asks for nothing.
std::vector<Upcoming> plan_upcoming(const std::vector<StepPointer>& steps, const Schedule& schedule) {
  std::vector<Upcoming> result(steps.size());
  std::vector<Ahead> wanted;  // the first to be used last
  ptrdiff_t bytes = 0;
  for (size_t i = steps.size(); i-- > 0;) {
    const Upcoming weights = steps[i]->weights();
    double left =
        steps[i]->nanoseconds() * schedule.weights_ahead / kLineBytes - static_cast<double>(weights.lines);
    if (!steps[i]->asks()) left = 0;
    std::vector<Ahead> taken;
    while (!wanted.empty() && left >= 1) {
      // The end of what is used first: its beginning is left to steps before this one.
      Ahead& piece = wanted.back();
      const ptrdiff_t lines = std::min(piece.lines, static_cast<ptrdiff_t>(left));
      piece.lines -= lines;
      left -= static_cast<double>(lines);
      taken.push_back({piece.begin + piece.lines * kLineBytes, lines, 0});
      if (piece.lines == 0) wanted.pop_back();
    }
    for (auto piece = taken.rbegin(); piece != taken.rend(); ++piece)
      result[i].add(piece->begin, piece->lines);
    wanted.insert(wanted.end(), weights.pieces.rbegin(), weights.pieces.rend());
    bytes += weights.lines * kLineBytes;
  }
  if (bytes <= schedule.cached_bytes) result.assign(steps.size(), {});
  return result;
}

}  // namespace

Network::Network(std::vector<Buffer> buffers, std::vector<StepPointer> steps, const Schedule& schedule)
    : buffers_(std::move(buffers)), steps_(std::move(steps)), upcoming_(plan_upcoming(steps_, schedule)) {
  if (steps_.empty()) refuse("no steps");
  for (const StepPointer& step : steps_) nanoseconds_ += step->nanoseconds();
}

Run::Run(const Network& network, const std::vector<char*>& arrays, ptrdiff_t images, int threads)
    : network_(network), images_(images), threads_(threads) {
  ptrdiff_t scratch = 0;
  for (const StepPointer& step : network.steps_) scratch = std::max(scratch, step->scratch_floats(threads));
  if (!thread_scratch(scratch)) throw std::bad_alloc();
  const ptrdiff_t floats = network.buffers_[0].size;
  memory_.push_back(nullptr);
  memory_.insert(memory_.end(), arrays.begin(), arrays.end());
  for (Network::Arena& arena : network.arenas_) {
    std::unique_lock<std::mutex> lock(arena.mutex, std::try_to_lock);
    if (!lock) continue;
    if (!arena.memory) arena.memory = allocate_floats(floats);
    lock_ = std::move(lock);
    memory_[0] = reinterpret_cast<char*>(arena.memory.get());
    return;
  }
  own_ = allocate_floats(floats);
  memory_[0] = reinterpret_cast<char*>(own_.get());
}

bool Run::advance(double nanoseconds, int64_t* times) {
  using Clock = std::chrono::steady_clock;
  const std::vector<StepPointer>& steps = network_.steps_;
  for (double done = 0; image_ < images_ && done < nanoseconds;) {
    const Step& step = *steps[step_];
    if (times) {
      const auto begin = Clock::now();
      step.run(memory_, threads_, network_.upcoming_[step_]);
      times[step_] += std::chrono::nanoseconds(Clock::now() - begin).count();
    } else {
      step.run(memory_, threads_, network_.upcoming_[step_]);
    }
    done += step.nanoseconds();
    if (++step_ < steps.size()) continue;
    step_ = 0;
    ++image_;
    for (size_t i = 1; i < memory_.size(); ++i) {
      const Buffer& buffer = network_.buffers_[i];
      memory_[i] += buffer.size * (buffer.bytes ? 1 : ptrdiff_t{sizeof(float)});
    }
  }
  return image_ < images_;
}

}  // namespace fastdw
