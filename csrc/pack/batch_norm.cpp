#include "pack/batch_norm.h"

#include <cmath>
#include <vector>

namespace fastdw {

bool fold(const BatchNorm& norm, const float* kernel, ptrdiff_t count, const float* bias, ptrdiff_t outputs,
          float* folded, float* offsets) {
  std::vector<double> scales(static_cast<size_t>(outputs));
  bool in_range = true;
  for (ptrdiff_t f = 0; f < outputs; ++f) {
    const double scale = (norm.gamma ? norm.gamma[f] : 1) / std::sqrt(norm.variance[f] + norm.epsilon);
    const double offset = ((bias ? bias[f] : 0) - norm.mean[f]) * scale + (norm.beta ? norm.beta[f] : 0);
    in_range = in_range && std::isfinite(offset) && norm.variance[f] >= 0 && std::isfinite(norm.variance[f]);
    scales[static_cast<size_t>(f)] = scale;
    offsets[f] = static_cast<float>(offset);
  }
  for (ptrdiff_t i = 0; i < count; i += outputs) {
    for (ptrdiff_t f = 0; f < outputs; ++f) {
      folded[i + f] = static_cast<float>(kernel[i + f] * scales[static_cast<size_t>(f)]);
    }
  }
  return in_range;
}

}  // namespace fastdw
