// What only the operating system can tell: the one place for lines that Linux alone understands.
#pragma once
#include <pthread.h>

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

namespace fastdw {

// AArch64: Advanced SIMD, by HWCAP.
bool has_neon();
// Of it SDOT and UDOT, which Armv8.2 may have.
bool has_dot_products();
// FMA of halves, of floats and of vectors, which Armv8.2 may have.
bool has_half_arithmetic();
// And SMMLA, which Armv8.6 has.
bool has_matrix_products();

// Whether every core is a Cortex-A53 or A55, for which code can be ordered: of the cores online or, where
// Linux does not show them, the current one.
bool in_order_cores(const std::string& cpu_root = "/sys/devices/system/cpu");

// min(affinity mask, cgroup CPU quota rounded up, cores), at least 1.
int available_cpus(const std::string& cgroup_root = "/sys/fs/cgroup");

constexpr std::ptrdiff_t kHugePageBytes = 2 << 20;  // of the smallest there are

// Lets whole huge pages that are not yet used come as such: else the first use of each 4 KB is a fault, and
// those of a network's weights take longer than to pack them.
void ask_for_huge_pages(void* memory, std::ptrdiff_t bytes) noexcept;

// The CPU that the calling thread is on; −1 where that cannot be told.
int current_cpu() noexcept;

// Takes a CPU from those that a thread may run on, and says whether it did: it does not take the last one.
bool keep_off(pthread_t thread, int cpu) noexcept;
void allow(pthread_t thread, int cpu) noexcept;

}  // namespace fastdw
