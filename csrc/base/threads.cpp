#include "base/threads.h"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <cfenv>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <new>

#include "base/memory.h"
#include "base/platform.h"

namespace fastdw {
namespace {

using Clock = std::chrono::steady_clock;

// A worker woken from sleep costs some 50 µs; one that still spins, under 1 µs.
constexpr auto kSpin = std::chrono::microseconds(40);

void relax() {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

template <class Condition>
bool spin_until(bool allowed, const Condition& condition) {
  if (!allowed) return condition();
  for (const auto end = Clock::now() + kSpin; Clock::now() < end;) {
    for (int i = 0; i < 32; ++i) {
      if (condition()) return true;
      relax();
    }
  }
  return condition();
}

struct Job {
  Task task;
  const void* context;
  std::ptrdiff_t tasks, scratch_floats;
  std::atomic<std::ptrdiff_t> next{0};
  std::fenv_t environment{};  // the caller's: rounding and subnormals are the same on every thread

  // A thread without scratch leaves the tasks to the others; the caller has its own before it starts.
  void drain() noexcept {
    float* scratch = thread_scratch(scratch_floats);
    if (!scratch) return;
    for (std::ptrdiff_t i; (i = next.fetch_add(1, std::memory_order_relaxed)) < tasks;) {
      task(context, i, scratch);
    }
  }
};

class Pool {
 public:
  // False where another caller has the pool.
  bool run(int threads, Job& job) {
    std::unique_lock<std::mutex> caller(callers_, std::try_to_lock);
    if (!caller) return false;
    start_workers(threads - 1);
    std::fegetenv(&job.environment);
    {
      std::lock_guard<std::mutex> lock(mutex_);
      job_ = &job;
      open_ = threads - 1;
      generation_.fetch_add(1, std::memory_order_release);
      if (sleepers_) wake_workers();
    }
    job.drain();
    {
      std::lock_guard<std::mutex> lock(mutex_);
      open_ = 0;  // who has not joined by now finds nothing to do
    }
    if (!spin_until(may_spin(), [&] { return running_.load(std::memory_order_acquire) == 0; })) {
      std::unique_lock<std::mutex> lock(mutex_);
      done_.wait(lock, [&] { return running_.load(std::memory_order_acquire) == 0; });
    }
    return true;
  }

  int workers() const { return workers_.load(std::memory_order_relaxed); }

 private:
  // Spinning helps only while every thread has a core.
  bool may_spin() const { return workers() < cpus_; }

  void start_workers(int wanted) {
    while (workers() < wanted) {
      creator_cpu_.store(current_cpu(), std::memory_order_relaxed);
      // Signals are the caller's business; the workers' mask is inherited from here.
      sigset_t all, before;
      sigfillset(&all);
      pthread_sigmask(SIG_SETMASK, &all, &before);
      pthread_t thread;
      const int error = pthread_create(&thread, nullptr, &Pool::work, this);
      pthread_sigmask(SIG_SETMASK, &before, nullptr);
      if (error) return;  // fewer threads, the same bits
      pthread_detach(thread);
      workers_.fetch_add(1, std::memory_order_relaxed);
    }
  }

  // A worker that sleeps, and the CPU that it fell asleep on.
  struct Sleeper {
    pthread_t thread;
    int cpu;
    bool moved;
    Sleeper* next;
  };

  // The system likes to wake a thread where it fell asleep, even where its caller computes by now; then both
  // share a CPU for milliseconds, while another idles. 56×56×128 → 128 on two threads, now and then: 440 µs,
  // not 210.
  void wake_workers() {
    const int here = current_cpu();
    for (Sleeper* s = sleepers_; s; s = s->next) s->moved = s->cpu == here && keep_off(s->thread, here);
    sleepers_ = nullptr;
    wake_.notify_all();
  }

  static void* work(void* self) {
    static_cast<Pool*>(self)->work();
    return nullptr;
  }

  void work() {
    const pthread_t self = pthread_self();
    // A new thread too may find itself on its creator's CPU.
    const int first_cpu = current_cpu();
    if (first_cpu == creator_cpu_.load(std::memory_order_relaxed) && keep_off(self, first_cpu)) {
      allow(self, first_cpu);
    }
    uint64_t seen = 0;
    for (;;) {
      const auto changed = [&] { return generation_.load(std::memory_order_acquire) != seen; };
      const bool spun = spin_until(may_spin(), changed);
      std::unique_lock<std::mutex> lock(mutex_);
      if (!spun && !changed()) {  // from here to the wait it cannot change: only the lock's holder does that
        Sleeper me{self, current_cpu(), false, sleepers_};
        sleepers_ = &me;
        wake_.wait(lock, changed);
        if (me.moved) allow(self, me.cpu);
      }
      seen = generation_.load(std::memory_order_acquire);
      if (open_ == 0) continue;
      --open_;
      running_.fetch_add(1, std::memory_order_relaxed);
      Job& job = *job_;
      lock.unlock();
      std::fesetenv(&job.environment);
      job.drain();
      if (running_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
        lock.lock();  // the caller is either before its wait, and sees zero, or inside it
        done_.notify_one();
      }
    }
  }

  const int cpus_ = available_cpus();
  std::mutex callers_, mutex_;
  std::condition_variable wake_, done_;
  std::atomic<uint64_t> generation_{0};
  std::atomic<int> running_{0}, workers_{0};
  Job* job_ = nullptr;
  int open_ = 0;  // workers that may still join the job
  Sleeper* sleepers_ = nullptr;
  std::atomic<int> creator_cpu_{-1};
};

// Never destroyed: workers outlive every static of the process. A forked child has none of the workers and
// perhaps a locked mutex, so it leaves the old pool alone.
std::atomic<Pool*> pool{nullptr};

// Registered while the library is loaded: later, a fork could find another thread half-way through it.
const int fork_handler_error = pthread_atfork(nullptr, nullptr, [] { pool.store(nullptr); });

Pool* get_pool() {
  if (fork_handler_error != 0) return nullptr;
  Pool* current = pool.load(std::memory_order_acquire);
  if (current) return current;
  Pool* fresh = new (std::nothrow) Pool;
  if (fresh && !pool.compare_exchange_strong(current, fresh, std::memory_order_acq_rel)) {
    delete fresh;
    return current;
  }
  return fresh;
}

}  // namespace

float* thread_scratch(std::ptrdiff_t floats) noexcept {
  thread_local FloatBuffer buffer;
  thread_local std::ptrdiff_t size = 0;
  floats = std::max(floats, kScratchFloats);
  if (size < floats || !buffer) {
    buffer.reset();
    size = 0;
    try {
      buffer = allocate_floats(floats);
    } catch (const std::bad_alloc&) {
      return nullptr;
    }
    size = floats;
  }
  return buffer.get();
}

void parallel_for(int threads, std::ptrdiff_t tasks, std::ptrdiff_t scratch_floats, Task task,
                  const void* context) {
  if (!thread_scratch(scratch_floats)) throw std::bad_alloc();
  Job job{task, context, tasks, scratch_floats};
  const int useful = static_cast<int>(std::min<std::ptrdiff_t>(threads, tasks));
  Pool* workers = useful > 1 ? get_pool() : nullptr;
  if (!workers || !workers->run(useful, job)) job.drain();
}

int pool_workers() noexcept {
  const Pool* current = pool.load(std::memory_order_acquire);
  return current ? current->workers() : 0;
}

}  // namespace fastdw
