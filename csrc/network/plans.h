// What a layer's step plans, once for each number of threads.
#pragma once
#include <atomic>
#include <new>
#include <utility>

namespace fastdw {

// Plans by numbers of threads, each made when it is first wanted, never changed, found without a lock.
template <class Problem, class Plan, Plan (*make_plan)(const Problem&, int threads)>
class Plans {
 public:
  Plans() = default;
  Plans(const Plans&) = delete;
  ~Plans() {
    for (const Kept* kept = first_; kept;) delete std::exchange(kept, kept->next);
  }

  // use(plan)
  template <class Use>
  auto with(const Problem& problem, int threads, const Use& use) const {
    constexpr int kMost = 8;
    int count = 0;
    for (const Kept* kept = first_.load(std::memory_order_acquire); kept; kept = kept->next, ++count) {
      if (kept->threads == threads) return use(kept->plan);
    }
    const Plan plan = make_plan(problem, threads);
    if (count < kMost) {
      if (auto* fresh = new (std::nothrow) Kept{plan, threads, first_.load(std::memory_order_relaxed)}) {
        while (!first_.compare_exchange_weak(fresh->next, fresh, std::memory_order_release)) {
        }
      }
    }
    return use(plan);
  }

 private:
  struct Kept {
    Plan plan;
    int threads;
    const Kept* next;
  };
  mutable std::atomic<const Kept*> first_{nullptr};
};

}  // namespace fastdw
