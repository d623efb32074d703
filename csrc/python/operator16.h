// Layers with sums of halves as Python holds them.
#pragma once
#include <pybind11/pybind11.h>

namespace fastdw {

void bind_operator16(pybind11::module_& m);

}  // namespace fastdw
