// Which instruction sets this build carries, this CPU runs, and this process uses.
#pragma once
#include <string>
#include <vector>

#include "kernels/contract.h"
#include "kernels/contract16.h"
#include "kernels/contract8.h"

namespace fastdw {

std::vector<std::string> built_isas();      // best first
std::vector<std::string> supported_isas();  // best first

// The table of an instruction set. Throws std::invalid_argument where it is unknown or not supported here.
const KernelSet& kernel_set(const std::string& isa);

// The one in use: FASTDW_ISA, else the best supported. Decided once; throws std::runtime_error where
// FASTDW_ISA names what is not there.
const KernelSet& active_kernel_set();

// The same for the 8-bit kernels. The one in use: FASTDW_ISA8, else the best that does not go beyond the
// float set in use.
std::vector<std::string> built_isas8();
std::vector<std::string> supported_isas8();
const Kernels8& kernels8(const std::string& isa);
const Kernels8& active_kernels8();

// The same for sums of halves, on CPUs that have an FMA of them: at most one, and no other is chosen.
std::vector<std::string> built_isas16();
std::vector<std::string> supported_isas16();
const Kernels16& kernels16(const std::string& isa);
const Kernels16& active_kernels16();  // throws std::runtime_error where there is none

}  // namespace fastdw
