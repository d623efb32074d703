// The 8-bit layers as Python holds them.
#pragma once
#include <pybind11/pybind11.h>

namespace fastdw {

void bind_operator8(pybind11::module_& m);

}  // namespace fastdw
