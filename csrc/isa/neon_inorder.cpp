// Data sheet of NEON on cores that run instructions in order: neon, but for the tiles that do the bulk of a
// pointwise convolution.
#include "kernels/pointwise/woven_neon_inorder.h"

namespace fastdw {
namespace neon {
const KernelSet& kernel_set();
}
namespace neon_inorder {
namespace {

template <int MR, int NV>
void replace(KernelSet& set) {
  set.pointwise[NV - 1].tiles[MR - 1] = pwconv_inorder<MR, NV>;
}

KernelSet make_kernel_set() {
  KernelSet set = neon::kernel_set();
  set.isa = "neon_inorder";
  set.schedule.rates = {0.4, 3.0, 10.0, 3.0, 2.0};  // a Cortex-A53 at 1.2 GHz
  set.schedule.kept_bytes = 256 * 1024;
  replace<8, 3>(set);
  replace<12, 2>(set);
  return set;
}

// At load time, which finds neon's table complete: that is a constant.
const KernelSet kSet = make_kernel_set();

}  // namespace

const KernelSet& kernel_set() { return kSet; }

}  // namespace neon_inorder
}  // namespace fastdw
