// Every kernel of an instruction set by its name.
#pragma once
#include <string>
#include <vector>

#include "kernels/contract.h"
#include "kernels/contract16.h"
#include "kernels/contract8.h"

namespace fastdw {

std::vector<std::string> kernel_names(const KernelSet& set);
std::vector<std::string> kernel_names(const Kernels8& set);
std::vector<std::string> kernel_names(const Kernels16& set);

}  // namespace fastdw
