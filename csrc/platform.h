// What only the operating system can tell: the one place for lines that Linux alone understands.
#pragma once
#include <string>

namespace fastdw {

// AArch64: Advanced SIMD, by HWCAP.
bool has_neon();

// min(affinity mask, cgroup CPU quota rounded up, cores), at least 1.
int available_cpus(const std::string& cgroup_root = "/sys/fs/cgroup");

}  // namespace fastdw
