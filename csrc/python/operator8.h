// The 8-bit layers as Python holds them.
#pragma once
#include <pybind11/pybind11.h>

#include "kernels/contract8.h"

namespace fastdw {

// The set of this name; None: the active one.
const Kernels8& chosen_kernels8(const pybind11::object& isa);
// Of the eleven numbers that `_core.pyi` names.
Sum8 read_sum8(pybind11::handle numbers);

void bind_operator8(pybind11::module_& m);

}  // namespace fastdw
