#include "base/threads.h"

#include <pthread.h>
#include <signal.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <condition_variable>
#include <mutex>
#include <new>
#include <thread>

#include "base/float_environment.h"
#include "base/memory.h"
#include "base/platform.h"

namespace fastdw {
namespace {

using Clock = std::chrono::steady_clock;

// A worker woken from sleep costs some 50 µs; one that still spins, under 1 µs. While a team holds the pool
// there is more to come: it spins longer, but offers its core to others.
constexpr auto kSpin = std::chrono::microseconds(40), kTeamSpin = std::chrono::microseconds(250);

void relax() {
#if defined(__SSE2__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

// `held`: whether a team holds the pool.
template <class Condition, class Held>
bool spin_until(const Condition& condition, const Held& held) {
  const auto begin = Clock::now();
  auto left_alone = begin;
  for (auto now = begin; now - left_alone < kSpin && now - begin < kTeamSpin; now = Clock::now()) {
    for (int i = 0; i < 32; ++i) {
      if (condition()) return true;
      relax();
    }
    if (held()) left_alone = now;
    if (now - begin > kSpin) std::this_thread::yield();
  }
  return condition();
}

// Each thread has a share of the tasks, neighbours, and then helps the others. What a thread wrote in one job
// it finds in its own cache in the next, where both cut an image alike.
class Job {
 public:
  Job(int threads, std::ptrdiff_t tasks, std::ptrdiff_t scratch_floats, Task task, const void* context)
      : threads(threads),
        shares_(std::min(threads, kMostShares)),
        scratch_floats_(scratch_floats),
        task_(task),
        context_(context) {
    for (int i = 0; i < shares_; ++i) {
      share_[i].next.store(tasks * i / shares_, std::memory_order_relaxed);
      share_[i].end = tasks * (i + 1) / shares_;
    }
  }

  // The part of one of the threads, of which the caller is 0. One without scratch leaves its tasks to the
  // others; the caller has its own before it starts.
  void drain(int thread) noexcept {
    float* const scratch = thread_scratch(scratch_floats_);
    if (!scratch) return;
    for (int i = 0; i < shares_; ++i) {
      Share& share = share_[(thread + i) % shares_];
      while (share.next.load(std::memory_order_relaxed) < share.end) {
        const std::ptrdiff_t mine = share.next.fetch_add(1, std::memory_order_relaxed);
        if (mine < share.end) task_(context_, mine, scratch);
      }
    }
  }

  void take_environment() const { environment_.take(); }

  const int threads;

 private:
  static constexpr int kMostShares = 32;
  struct alignas(64) Share {
    std::atomic<std::ptrdiff_t> next;
    std::ptrdiff_t end;
  };

  const int shares_;
  const std::ptrdiff_t scratch_floats_;
  const Task task_;
  const void* const context_;
  const FloatEnvironment environment_;  // the caller's
  Share share_[kMostShares];
};

class Pool {
 public:
  // One caller at a time; false where another has it.
  bool hold() {
    if (!callers_.try_lock()) return false;
    held_.store(true, std::memory_order_relaxed);
    return true;
  }
  void release() {
    held_.store(false, std::memory_order_relaxed);
    callers_.unlock();
  }

  // By who holds it.
  void run(Job& job) {
    start_workers(job.threads - 1);
    {
      std::lock_guard<std::mutex> lock(mutex_);
      job_ = &job;
      open_ = job.threads;
      generation_.fetch_add(1, std::memory_order_release);
      if (sleepers_) wake_workers();
    }
    job.drain(0);
    {
      std::lock_guard<std::mutex> lock(mutex_);
      open_ = 0;  // who has not joined by now finds nothing to do
    }
    const auto done = [&] { return running_.load(std::memory_order_acquire) == 0; };
    if (!(may_spin() && spin_until(done, [] { return false; }))) {
      std::unique_lock<std::mutex> lock(mutex_);
      done_.wait(lock, done);
    }
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
    const int thread = 1 + numbers_.fetch_add(1, std::memory_order_relaxed);
    // A new thread too may find itself on its creator's CPU.
    const int first_cpu = current_cpu();
    if (first_cpu == creator_cpu_.load(std::memory_order_relaxed) && keep_off(self, first_cpu)) {
      allow(self, first_cpu);
    }
    uint64_t seen = 0;
    for (;;) {
      const auto changed = [&] { return generation_.load(std::memory_order_acquire) != seen; };
      const bool spun =
          may_spin() && spin_until(changed, [&] { return held_.load(std::memory_order_relaxed); });
      std::unique_lock<std::mutex> lock(mutex_);
      if (!spun && !changed()) {  // from here to the wait it cannot change: only the lock's holder does that
        Sleeper me{self, current_cpu(), false, sleepers_};
        sleepers_ = &me;
        wake_.wait(lock, changed);
        if (me.moved) allow(self, me.cpu);
      }
      seen = generation_.load(std::memory_order_acquire);
      if (thread >= open_) continue;
      running_.fetch_add(1, std::memory_order_relaxed);
      Job& job = *job_;
      lock.unlock();
      job.take_environment();
      job.drain(thread);
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
  std::atomic<int> running_{0}, workers_{0}, numbers_{0};
  std::atomic<bool> held_{false};
  Job* job_ = nullptr;
  int open_ = 0;  // threads with smaller numbers may still join the job
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

// What the calling thread has of the pool, and whether it runs a job there: one within that job would wait
// for itself.
thread_local Pool* held_pool = nullptr;
thread_local bool runs_job = false;

bool run_on_pool(int threads, std::ptrdiff_t tasks, std::ptrdiff_t scratch_floats, Task task,
                 const void* context) {
  if (runs_job) return false;
  const Team team(threads);
  if (!held_pool) return false;
  Job job(threads, tasks, scratch_floats, task, context);
  runs_job = true;
  held_pool->run(job);
  runs_job = false;
  return true;
}

}  // namespace

Team::Team(int threads) noexcept {
  if (threads == 1 || held_pool) return;
  Pool* const found = get_pool();
  if (!found || !found->hold()) return;
  holds_ = true;
  held_pool = found;
}

Team::~Team() {
  if (!holds_) return;
  held_pool->release();
  held_pool = nullptr;
}

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
  float* const scratch = thread_scratch(scratch_floats);
  if (!scratch) throw std::bad_alloc();
  const int useful = static_cast<int>(std::min<std::ptrdiff_t>(threads, tasks));
  if (useful > 1 && run_on_pool(useful, tasks, scratch_floats, task, context)) return;
  for (std::ptrdiff_t i = 0; i < tasks; ++i) task(context, i, scratch);
}

int pool_workers() noexcept {
  const Pool* current = pool.load(std::memory_order_acquire);
  return current ? current->workers() : 0;
}

}  // namespace fastdw
