// Every kernel of an instruction set by its name.
#pragma once
#include <string>
#include <vector>

#include "kernels/contract.h"

namespace fastdw {

std::vector<std::string> kernel_names(const KernelSet& set);

}  // namespace fastdw
