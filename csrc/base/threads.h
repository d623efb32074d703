// The thread pool: independent tasks for the caller and for workers, each of which has a share of them.
//
// Workers start when first needed, spin a few microseconds after a job, then sleep. One caller at a time has
// the pool; another runs its tasks itself. A fork drops the pool: the child starts a new one when it needs
// it.
#pragma once
#include <cstddef>

namespace fastdw {

// What most tasks do with: 256 KB. Who wants less is given as much, so that the parts of one call, which may
// differ in their wants, find it there; pages that nobody touches cost nothing.
constexpr std::ptrdiff_t kScratchFloats = 64 * 1024;

// A buffer of at least `floats` on a 64-byte border that the calling thread keeps; null where memory is
// short.
float* thread_scratch(std::ptrdiff_t floats) noexcept;

using Task = void (*)(const void* context, std::ptrdiff_t task, float* scratch);

// The pool, kept for the calling thread from job to job, so that its workers stay awake; unless another
// caller has it.
class Team {
 public:
  explicit Team(int threads) noexcept;  // one is none
  ~Team();
  Team(const Team&) = delete;
  Team& operator=(const Team&) = delete;

 private:
  bool holds_ = false;
};

// Runs task(context, i, scratch) for i in 0 … tasks − 1 on at most `threads` threads, the caller among them;
// each has `scratch_floats` of its own. Tasks must not depend on each other: a thread begins with those that
// follow each other, but which thread runs what is left open. Fewer threads run where no more can be started.
// A job within a task has that task's scratch, from its beginning: what the task keeps lies behind what such
// jobs want. Throws std::bad_alloc before the first task.
void parallel_for(int threads, std::ptrdiff_t tasks, std::ptrdiff_t scratch_floats, Task task,
                  const void* context);

template <class F>
void parallel_for(int threads, std::ptrdiff_t tasks, std::ptrdiff_t scratch_floats, const F& f) {
  parallel_for(
      threads, tasks, scratch_floats,
      [](const void* context, std::ptrdiff_t task, float* scratch) {
        (*static_cast<const F*>(context))(task, scratch);
      },
      &f);
}

// Workers started so far in this process.
int pool_workers() noexcept;

}  // namespace fastdw
