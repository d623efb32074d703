// The thread pool under many callers, for ThreadSanitizer: tiny jobs, jobs in jobs, whole operators on shared
// weights, teams of some of them, a pool that grows, threads that come and go, forks in between. Every result must be right, to the last bit.
//   stress_tsan [seconds]
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "isa/dispatch.h"
#include "ops/chain.h"
#include "base/threads.h"

using namespace fastdw;

// A child of a process with threads may start some of its own.
extern "C" const char* __tsan_default_options() { return "die_after_fork=0:halt_on_error=1"; }

namespace {

constexpr int kCallers = 6, kMostThreads = 9;
constexpr float kInfinity = __builtin_inff();

void require(bool good, const char* what) {
  if (good) return;
  std::fprintf(stderr, "%s\n", what);
  std::_Exit(1);
}

std::vector<float> numbers(std::mt19937& random, ptrdiff_t count) {
  std::vector<float> values(static_cast<size_t>(count));
  for (float& v : values) v = static_cast<float>(static_cast<int>(random() % 2001) - 1000) / 1000;
  return values;
}

template <class T>
View<T> nhwc(T* data, ptrdiff_t n, ptrdiff_t size, ptrdiff_t c) {
  return {data, n, size, size, c, size * size * c, size * c, c, 1};
}

template <class T>
View<T> nchw(T* data, ptrdiff_t n, ptrdiff_t size, ptrdiff_t c) {
  return {data, n, size, size, c, size * size * c, size, 1, size * size};
}

// A separable layer, its input and its result on one thread: what all callers share.
struct Layer {
  ptrdiff_t n, size, c, f;
  bool channels_first;
  Activation swish{Curve::kSwish, 0, 0, {}}, none{Curve::kClamp, -kInfinity, kInfinity, {}};
  std::vector<float> x, taps, matrix, bias;
  std::unique_ptr<DepthwiseWeights> depthwise_weights;
  std::unique_ptr<PointwiseWeights> pointwise_weights;
  std::vector<float> wanted;

  Layer(const KernelSet& set, ptrdiff_t n, ptrdiff_t size, ptrdiff_t c, ptrdiff_t f, bool channels_first)
      : n(n), size(size), c(c), f(f), channels_first(channels_first) {
    std::mt19937 random(static_cast<unsigned>(size));
    x = numbers(random, n * size * size * c);
    taps = numbers(random, 9 * c);
    matrix = numbers(random, c * f);
    bias = numbers(random, f);
    depthwise_weights =
        std::make_unique<DepthwiseWeights>(set, taps.data(), nullptr, 3, 3, c, 1, swish, nullptr, true);
    pointwise_weights = std::make_unique<PointwiseWeights>(set, matrix.data(), bias.data(), c, f, none);
    wanted = run(1);
  }
  std::vector<float> run(int threads) const {
    std::vector<float> y(static_cast<size_t>(n * size * size * f));
    const auto in = channels_first ? nchw(x.data(), n, size, c) : nhwc(x.data(), n, size, c);
    const auto out = channels_first ? nchw(y.data(), n, size, f) : nhwc(y.data(), n, size, f);
    const Chain chain{depthwise_weights.get(), pointwise_weights.get(), nullptr};
    compute({chain, {1, 1, 1, 1, 1, 1}, in, {}, out}, threads);
    return y;
  }
  bool right(int threads) const {
    const std::vector<float> y = run(threads);
    return std::memcmp(y.data(), wanted.data(), y.size() * sizeof(float)) == 0;
  }
};

// Every task must run once, with scratch that no other thread writes to.
bool tiny_job(std::mt19937& random) {
  const ptrdiff_t tasks = 1 + random() % 40, scratch_floats = 1 + random() % 3000;
  std::vector<int> runs(static_cast<size_t>(tasks));
  std::atomic<bool> own{true};
  parallel_for(1 + static_cast<int>(random() % kMostThreads), tasks, scratch_floats,
               [&](ptrdiff_t task, float* scratch) {
                 ++runs[static_cast<size_t>(task)];
                 const float mark = static_cast<float>(task);
                 scratch[0] = scratch[scratch_floats - 1] = mark;
                 if (scratch[0] != mark || scratch[scratch_floats - 1] != mark) own = false;
               });
  for (const int count : runs) {
    if (count != 1) return false;
  }
  return own;
}

// Jobs within the tasks of one.
bool nested_job() {
  std::atomic<int> runs{0};
  parallel_for(3, 7, 0, [&](ptrdiff_t, float*) { parallel_for(3, 5, 0, [&](ptrdiff_t, float*) { ++runs; }); });
  return runs == 7 * 5;
}

// The steps of a network: the pool is kept, or never had, and threads sleep now and then.
bool team_is_right(std::mt19937& random, const Layer& layer, int threads) {
  const Team team(threads), again(threads);
  for (int i = 0; i < 10; ++i) {
    if (!tiny_job(random)) return false;
    if (i % 5 == 4) std::this_thread::sleep_for(std::chrono::microseconds(random() % 400));
  }
  return layer.right(threads) && nested_job();
}

bool child_is_right(const Layer& layer) {
  const pid_t child = fork();
  require(child >= 0, "no fork");
  if (child == 0) {
    alarm(60);
    std::mt19937 random(1);
    _exit(layer.right(3) && tiny_job(random) && team_is_right(random, layer, 2) && layer.right(1) ? 0 : 1);
  }
  int status = 0;
  return waitpid(child, &status, 0) == child && WIFEXITED(status) && WEXITSTATUS(status) == 0;
}

}  // namespace

int main(int count, char** arguments) {
  const auto seconds = std::chrono::seconds(count > 1 ? std::atoi(arguments[1]) : 30);
  const auto end = std::chrono::steady_clock::now() + seconds;
  const auto ended = [&] { return std::chrono::steady_clock::now() > end; };
  std::atomic<long> jobs{0}, operators{0}, forks{0}, rounds{0};
  std::vector<std::unique_ptr<Layer>> layers;
  for (const std::string& isa : supported_isas()) {
    const KernelSet& set = kernel_set(isa);
    layers.push_back(std::make_unique<Layer>(set, 2, 28, 17, 33, false));  // blocks
    layers.push_back(std::make_unique<Layer>(set, 1, 9, 96, 100, false));  // the shared depthwise buffer
    layers.push_back(std::make_unique<Layer>(set, 1, 24, 18, 40, true));   // patches and staging
  }
  require(pool_workers() == 0, "one thread started some");

  do {
    const int most = 1 + static_cast<int>(rounds % kMostThreads);  // the pool grows from round to round
    std::vector<std::thread> callers;
    for (int caller = 0; caller < kCallers; ++caller) {
      callers.emplace_back([&, caller] {
        std::mt19937 random(static_cast<unsigned>(caller + 100 * rounds));
        for (int i = 0; i < 12; ++i) {
          const Layer& layer = *layers[random() % layers.size()];
          require(layer.right(1 + static_cast<int>(random() % static_cast<unsigned>(most))), "wrong bits");
          ++operators;
          require(team_is_right(random, layer, 1 + static_cast<int>(random() % 3)), "wrong bits in a team");
          for (int j = 0; j < 40; ++j, ++jobs) require(tiny_job(random), "a task ran not once, or lost scratch");
        }
      });
    }
    for (std::thread& caller : callers) caller.join();
    // Not among callers: a child would inherit locks of ThreadSanitizer's own.
    for (int i = 0; i < 2; ++i, ++forks) require(child_is_right(*layers[rounds % layers.size()]), "a child failed");
    ++rounds;
  } while (!ended());
  std::printf("%ld rounds of %d callers: %ld tiny jobs, %ld operators, %ld forks, %d workers\n", rounds.load(),
              kCallers, jobs.load(), operators.load(), forks.load(), pool_workers());
}
