#include "isa/dispatch.h"

#include <algorithm>
#include <cstdlib>
#include <stdexcept>

#include "base/platform.h"

#if defined(__x86_64__)
#include <cpuid.h>
#endif

namespace fastdw {

#define FASTDW_ISA(name)         \
  namespace name {               \
  const KernelSet& kernel_set(); \
  }
#include "isa/isas.inc"
#undef FASTDW_ISA

#define FASTDW_ISA8(name, base) \
  namespace name {              \
  const Kernels8& kernels8();   \
  }
#include "isa/isas8.inc"
#undef FASTDW_ISA8

#define FASTDW_ISA16(name)      \
  namespace name {              \
  const Kernels16& kernels16(); \
  }
#include "isa/isas16.inc"
#undef FASTDW_ISA16

namespace {

#if defined(__x86_64__)

struct CpuId {
  unsigned eax = 0, ebx = 0, ecx = 0, edx = 0;
  explicit CpuId(unsigned leaf, unsigned part = 0) { __get_cpuid_count(leaf, part, &eax, &ebx, &ecx, &edx); }
};

bool bit(unsigned word, int i) { return word >> i & 1; }

// The register state that the operating system saves: a CPU may have AVX and its kernel not.
unsigned saved_state() {
  if (!bit(CpuId(1).ecx, 27)) return 0;  // OSXSAVE
  unsigned low, high;
  __asm__("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  return low;
}

bool supports_avx2() {
  constexpr unsigned kYmm = 0x06;
  return (saved_state() & kYmm) == kYmm && bit(CpuId(1).ecx, 28) && bit(CpuId(1).ecx, 12) &&  // AVX, FMA
         bit(CpuId(1).ecx, 29) && bit(CpuId(7).ebx, 5);                                       // F16C, AVX2
}

bool supports_avx512() {
  constexpr unsigned kZmm = 0xe6;
  const unsigned ebx = CpuId(7).ebx;
  return supports_avx2() && (saved_state() & kZmm) == kZmm && bit(ebx, 16) && bit(ebx, 17) &&  // F, DQ
         bit(ebx, 30) && bit(ebx, 31);                                                         // BW, VL
}

bool supports_avx512vnni() { return supports_avx512() && bit(CpuId(7).ecx, 11); }

#if defined(FASTDW_EVEX_DOTS)
bool supports_avxvnni() { return supports_avx512vnni(); }
#elif defined(FASTDW_AVXVNNI)
bool supports_avxvnni() { return supports_avx2() && CpuId(7).eax >= 1 && bit(CpuId(7, 1).eax, 4); }
#endif

#elif defined(__aarch64__)

bool supports_neon() { return has_neon(); }
bool supports_neon_inorder() { return supports_neon(); }
bool supports_dotprod() { return supports_neon() && has_dot_products(); }
bool supports_fp16() { return supports_neon() && has_half_arithmetic(); }
bool supports_i8mm() { return supports_dotprod() && has_matrix_products(); }

#endif

bool supports_scalar() { return true; }

// An instruction set's kernels of one kind.
template <class Set>
struct Entry {
  const char* name;
  bool (*supported)();
  const Set& (*set)();
};

using Isa = Entry<KernelSet>;
using Isa16 = Entry<Kernels16>;
struct Isa8 : Entry<Kernels8> {
  const char* base;  // the float set whose CPUs have it
};

constexpr Isa kIsas[] = {
#define FASTDW_ISA(name) {#name, supports_##name, name::kernel_set},
#include "isa/isas.inc"
#undef FASTDW_ISA
};

constexpr Isa8 kIsas8[] = {
#define FASTDW_ISA8(name, base) {{#name, supports_##name, name::kernels8}, #base},
#include "isa/isas8.inc"
#undef FASTDW_ISA8
};

// A vector, for on most CPUs there is none.
const std::vector<Isa16>& isas16() {
  static const std::vector<Isa16> isas = {
#define FASTDW_ISA16(name) {#name, supports_##name, name::kernels16},
#include "isa/isas16.inc"
#undef FASTDW_ISA16
  };
  return isas;
}

// Best first on this machine.
std::vector<Isa> best_first() {
  std::vector<Isa> isas(std::begin(kIsas), std::end(kIsas));
#if defined(__aarch64__)
  if (in_order_cores()) {
    const auto woven = [](const Isa& isa) { return isa.set == neon_inorder::kernel_set; };
    std::stable_partition(isas.begin(), isas.end(), woven);
  }
#endif
  return isas;
}

const std::vector<Isa>& isas() {
  static const std::vector<Isa> isas = best_first();
  return isas;
}

template <class Isas>
std::vector<std::string> names_of(const Isas& isas, bool supported_alone) {
  std::vector<std::string> names;
  for (const auto& isa : isas) {
    if (!supported_alone || isa.supported()) names.emplace_back(isa.name);
  }
  return names;
}

std::string join(const std::vector<std::string>& names) {
  std::string text;
  for (const auto& name : names) text += (text.empty() ? "" : ", ") + name;
  return text;
}

// The set of a name; `kind` is what a message calls such.
template <class Isas>
const auto& named(const Isas& isas, const std::string& name, const char* kind) {
  for (const auto& isa : isas) {
    if (name == isa.name && isa.supported()) return isa.set();
  }
  throw std::invalid_argument(std::string(kind) + " '" + name + "' is not among " +
                              join(names_of(isas, true)));
}

// Python takes a message as UTF-8; a variable may hold any bytes.
std::string printable(const std::string& bytes) {
  constexpr const char* kDigits = "0123456789abcdef";
  std::string text;
  for (const char c : bytes) {
    const unsigned byte = static_cast<unsigned char>(c);
    if (byte >= 0x20 && byte < 0x7f) {
      text += c;
    } else {
      text += {'\\', 'x', kDigits[byte >> 4], kDigits[byte & 15]};
    }
  }
  return text;
}

std::string variable(const char* name) {
  const char* value = std::getenv(name);
  return value ? value : "";
}

std::string lower_case(const std::string& given) {
  std::string name;
  for (const char c : given) name += static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  return name;
}

const KernelSet& choose() {
  const std::string given = variable("FASTDW_ISA"), name = lower_case(given);
  try {
    return kernel_set(name.empty() ? supported_isas().front() : name);
  } catch (const std::invalid_argument&) {
    throw std::runtime_error("FASTDW_ISA is '" + printable(given) + "', but this build has " +
                             join(built_isas()) + " and this CPU supports " + join(supported_isas()));
  }
}

// How far from the best a float set stands in its list.
ptrdiff_t rank(const std::string& isa) {
  const auto named = [&](const Isa& i) { return isa == i.name; };
  return std::find_if(std::begin(kIsas), std::end(kIsas), named) - std::begin(kIsas);
}

const Kernels8& choose8() {
  const std::string given = variable("FASTDW_ISA8"), name = lower_case(given);
  const ptrdiff_t most = rank(active_kernel_set().isa);
  for (const Isa8& isa : kIsas8) {
    const bool wanted = name.empty() ? rank(isa.base) >= most : name == isa.name;
    if (wanted && isa.supported()) return isa.set();
  }
  throw std::runtime_error("FASTDW_ISA8 is '" + printable(given) + "', but this build has " +
                           join(built_isas8()) + " and this CPU supports " + join(supported_isas8()));
}

}  // namespace

std::vector<std::string> built_isas() { return names_of(isas(), false); }
std::vector<std::string> supported_isas() { return names_of(isas(), true); }
const KernelSet& kernel_set(const std::string& name) { return named(isas(), name, "instruction set"); }

const KernelSet& active_kernel_set() {
  static const KernelSet& set = choose();
  return set;
}

std::vector<std::string> built_isas8() { return names_of(kIsas8, false); }
std::vector<std::string> supported_isas8() { return names_of(kIsas8, true); }
const Kernels8& kernels8(const std::string& name) { return named(kIsas8, name, "8-bit instruction set"); }

const Kernels8& active_kernels8() {
  static const Kernels8& set = choose8();
  return set;
}

std::vector<std::string> built_isas16() { return names_of(isas16(), false); }
std::vector<std::string> supported_isas16() { return names_of(isas16(), true); }
const Kernels16& kernels16(const std::string& name) {
  return named(isas16(), name, "instruction set of float16");
}

const Kernels16& active_kernels16() {
  for (const Isa16& isa : isas16()) {
    if (isa.supported()) return isa.set();
  }
  throw std::runtime_error("no instruction set of float16 on this CPU");
}

}  // namespace fastdw
