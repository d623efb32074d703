// What only the operating system can tell: the one place for lines that Linux alone understands.
#pragma once
#include <pthread.h>

#include <string>

namespace fastdw {

// AArch64: Advanced SIMD, by HWCAP.
bool has_neon();

// min(affinity mask, cgroup CPU quota rounded up, cores), at least 1.
int available_cpus(const std::string& cgroup_root = "/sys/fs/cgroup");

// The CPU that the calling thread is on; −1 where that cannot be told.
int current_cpu() noexcept;

// Takes a CPU from those that a thread may run on, and says whether it did: it does not take the last one.
bool keep_off(pthread_t thread, int cpu) noexcept;
void allow(pthread_t thread, int cpu) noexcept;

}  // namespace fastdw
