// Copies between layouts.
#pragma once
#include "base/view.h"
#include "kernels/contract.h"

namespace fastdw {

// Copies rows × columns × channels between two layouts.
void copy_block(const KernelSet& set, const float* from, const Layout& from_layout, float* to,
                const Layout& to_layout, ptrdiff_t rows, ptrdiff_t columns, ptrdiff_t channels);

}  // namespace fastdw
