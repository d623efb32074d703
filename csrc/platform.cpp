#include "platform.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <thread>

#if defined(__linux__)
#include <sched.h>
#include <sys/auxv.h>
#endif

namespace fastdw {
namespace {

int cores() { return std::max(1, static_cast<int>(std::thread::hardware_concurrency())); }

#if defined(__linux__)

int affinity() {
  cpu_set_t set;
  // The call fails on machines of more CPUs than the set holds: then the mask is no bound.
  return sched_getaffinity(0, sizeof set, &set) == 0 ? std::max(1, CPU_COUNT(&set)) : cores();
}

// Quota over period, or infinity where a file is absent, says "max" or −1, or holds anything else.
double quota(std::istream&& quota_file, std::istream&& period_file) {
  double quota = 0, period = 0;
  return quota_file >> quota && period_file >> period && quota > 0 && period > 0 ? quota / period : INFINITY;
}

double quota_v2(const std::string& folder) {
  std::ifstream file(folder + "/cpu.max");
  double quota = 0, period = 0;
  return file >> quota >> period && quota > 0 && period > 0 ? quota / period : INFINITY;
}

// Where this process stands below the root: the line "0::/path" of version 2.
std::string own_cgroup() {
  std::ifstream file("/proc/self/cgroup");
  for (std::string line; std::getline(file, line);) {
    if (line.rfind("0::/", 0) == 0) return line.substr(3);
  }
  return "/";
}

double cgroup_quota(const std::string& root) {
  double least = INFINITY;
  for (std::string path = own_cgroup();; path.resize(path.rfind('/'))) {
    least = std::min(least, quota_v2(root + path));
    if (path.empty() || path == "/") break;
  }
  least = std::min(least, quota_v2(root));
  const std::string v1 = root + "/cpu/cpu.cfs_";
  return std::min(least, quota(std::ifstream(v1 + "quota_us"), std::ifstream(v1 + "period_us")));
}

#else

int affinity() { return cores(); }
double cgroup_quota(const std::string&) { return INFINITY; }

#endif

}  // namespace

bool has_neon() {
#if defined(__linux__) && defined(__aarch64__)
  constexpr unsigned long kAdvancedSimd = 1 << 1;  // HWCAP_ASIMD
  return getauxval(AT_HWCAP) & kAdvancedSimd;
#else
  return true;
#endif
}

int available_cpus(const std::string& cgroup_root) {
  const int cpus = std::min(affinity(), cores());
  const double quota = std::ceil(cgroup_quota(cgroup_root));
  return quota < cpus ? std::max(1, static_cast<int>(quota)) : cpus;
}

#if defined(__linux__)

int current_cpu() noexcept { return sched_getcpu(); }

bool keep_off(pthread_t thread, int cpu) noexcept {
  cpu_set_t set;
  if (cpu < 0 || cpu >= CPU_SETSIZE || pthread_getaffinity_np(thread, sizeof set, &set) != 0) return false;
  if (!CPU_ISSET(cpu, &set) || CPU_COUNT(&set) == 1) return false;
  CPU_CLR(cpu, &set);
  return pthread_setaffinity_np(thread, sizeof set, &set) == 0;
}

void allow(pthread_t thread, int cpu) noexcept {
  cpu_set_t set;
  if (pthread_getaffinity_np(thread, sizeof set, &set) != 0) return;
  CPU_SET(cpu, &set);
  pthread_setaffinity_np(thread, sizeof set, &set);
}

#else

int current_cpu() noexcept { return -1; }
bool keep_off(pthread_t, int) noexcept { return false; }
void allow(pthread_t, int) noexcept {}

#endif

}  // namespace fastdw
