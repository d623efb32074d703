#include "base/platform.h"

#include <algorithm>
#include <cmath>
#include <fstream>
#include <thread>

#if defined(__linux__)
#include <glob.h>
#include <sched.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#endif

namespace fastdw {
namespace {

// The in-order cores whose rules are published (bench/count_neon/in_order.py), by their MIDR_EL1: implementer
// in bits 24 to 31, part in bits 4 to 15.
bool is_in_order(uint64_t id) {
  constexpr uint64_t kArm = 0x41, kCortexA53 = 0xd03, kCortexA55 = 0xd05;
  const uint64_t implementer = id >> 24 & 0xff, part = id >> 4 & 0xfff;
  return implementer == kArm && (part == kCortexA53 || part == kCortexA55);
}

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

// MIDR_EL1 of each core.
std::vector<uint64_t> core_ids(const std::string& cpu_root) {
  std::vector<uint64_t> ids;
  glob_t found = {};
  const std::string pattern = cpu_root + "/cpu[0-9]*/regs/identification/midr_el1";
  if (glob(pattern.c_str(), 0, nullptr, &found) == 0) {
    for (size_t i = 0; i < found.gl_pathc; ++i) {
      std::ifstream file(found.gl_pathv[i]);
      uint64_t id = 0;
      file >> std::hex >> id;
      ids.push_back(id);
    }
  }
  globfree(&found);
#if defined(__aarch64__)
  constexpr unsigned long kIdentification = 1 << 11;  // HWCAP_CPUID: the operating system lets it be read
  if (ids.empty() && getauxval(AT_HWCAP) & kIdentification) {
    uint64_t id;
    __asm__("mrs %0, MIDR_EL1" : "=r"(id));
    ids.push_back(id);
  }
#endif
  return ids;
}

#else

std::vector<uint64_t> core_ids(const std::string&) { return {}; }
int affinity() { return cores(); }
double cgroup_quota(const std::string&) { return INFINITY; }

#endif

}  // namespace

#if defined(__linux__) && defined(__aarch64__)
bool has_neon() { return getauxval(AT_HWCAP) & 1 << 1; }           // HWCAP_ASIMD
bool has_dot_products() { return getauxval(AT_HWCAP) & 1 << 20; }  // HWCAP_ASIMDDP
bool has_half_arithmetic() {
  constexpr unsigned long kBoth = 1 << 9 | 1 << 10;  // HWCAP_FPHP, HWCAP_ASIMDHP
  return (getauxval(AT_HWCAP) & kBoth) == kBoth;
}
bool has_matrix_products() { return getauxval(AT_HWCAP2) & 1 << 13; }  // HWCAP2_I8MM
#else
bool has_neon() { return true; }
bool has_dot_products() { return false; }
bool has_half_arithmetic() { return false; }
bool has_matrix_products() { return false; }
#endif

bool in_order_cores(const std::string& cpu_root) {
  const std::vector<uint64_t> ids = core_ids(cpu_root);
  return !ids.empty() && std::all_of(ids.begin(), ids.end(), is_in_order);
}

int available_cpus(const std::string& cgroup_root) {
  const int cpus = std::min(affinity(), cores());
  const double quota = std::ceil(cgroup_quota(cgroup_root));
  return quota < cpus ? std::max(1, static_cast<int>(quota)) : cpus;
}

#if defined(__linux__)

void ask_for_huge_pages(void* memory, ptrdiff_t bytes) noexcept {
  if (bytes > 0) madvise(memory, static_cast<size_t>(bytes), MADV_HUGEPAGE);
}

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

void ask_for_huge_pages(void*, ptrdiff_t) noexcept {}
int current_cpu() noexcept { return -1; }
bool keep_off(pthread_t, int) noexcept { return false; }
void allow(pthread_t, int) noexcept {}

#endif

}  // namespace fastdw
