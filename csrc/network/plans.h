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
    for (const Planned* planned = first_; planned;) delete std::exchange(planned, planned->next);
  }

  // use(plan)
  template <class Use>
  auto with(const Problem& problem, int threads, const Use& use) const {
    constexpr int kMost = 8;
    int count = 0;
    for (const Planned* planned = first_.load(std::memory_order_acquire); planned;
         planned = planned->next, ++count) {
      if (planned->threads == threads) return use(planned->plan);
    }
    const Plan plan = make_plan(problem, threads);
    if (count < kMost) {
      if (auto* fresh = new (std::nothrow) Planned{plan, threads, first_.load(std::memory_order_relaxed)}) {
        while (!first_.compare_exchange_weak(fresh->next, fresh, std::memory_order_release)) {
        }
      }
    }
    return use(plan);
  }

 private:
  struct Planned {
    Plan plan;
    int threads;
    const Planned* next;
  };
  mutable std::atomic<const Planned*> first_{nullptr};
};

}  // namespace fastdw
