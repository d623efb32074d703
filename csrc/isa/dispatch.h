// Which instruction sets this build carries, this CPU runs, and this process uses.
#pragma once
#include <string>
#include <vector>

#include "kernels/contract.h"

namespace fastdw {

std::vector<std::string> built_isas();      // best first
std::vector<std::string> supported_isas();  // best first

// The table of an instruction set. Throws std::invalid_argument where it is unknown or not supported here.
const KernelSet& kernel_set(const std::string& isa);

// The one in use: FASTDW_ISA, else the best supported. Decided once; throws std::runtime_error where
// FASTDW_ISA names what is not there.
const KernelSet& active_kernel_set();

}  // namespace fastdw
