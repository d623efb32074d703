#include "network/operand.h"

#include <algorithm>

#include "base/refuse.h"
#include "network/step.h"

namespace fastdw {
namespace {

// Larger numbers than any array has; their sums stay within 64 bits.
constexpr ptrdiff_t kLargest = ptrdiff_t{1} << (sizeof(ptrdiff_t) == 4 ? 28 : 60);

struct Axis {
  ptrdiff_t stride, size;
};

}  // namespace

void check(const Operand& o, const std::vector<Buffer>& buffers, bool written, bool spread) {
  if (o.buffer < 0 || o.buffer >= static_cast<int>(buffers.size())) refuse("buffer");
  const Buffer& buffer = buffers[static_cast<size_t>(o.buffer)];
  if (written && !buffer.writeable) refuse("an input is written to");
  std::vector<Axis> axes;
  for (size_t i = 0; i < static_cast<size_t>(o.rank); ++i) {
    if (o.sizes[i] < 1 || o.strides[i] < 0 || o.strides[i] > kLargest) refuse("sizes and strides");
    const bool repeated = spread && o.strides[i] == 0 && i + 1 < static_cast<size_t>(o.rank);
    if (o.sizes[i] > 1 && !repeated) axes.push_back({o.strides[i], o.sizes[i]});
  }
  std::sort(axes.begin(), axes.end(), [](const Axis& a, const Axis& b) { return a.stride < b.stride; });
  // From the innermost axis on: each steps over all that lies within.
  ptrdiff_t last = 0;
  for (const Axis& axis : axes) {
    ptrdiff_t reach = 0;
    if (axis.stride <= last) refuse("an element more than once");
    if (__builtin_mul_overflow(axis.stride, axis.size - 1, &reach) || reach > kLargest) refuse("sizes");
    if (last += reach; last > kLargest) refuse("sizes");
  }
  if (o.offset < 0 || o.offset > buffer.size - 1 - last) refuse("beyond the buffer");
}

bool is_dense(const Operand& o) {
  ptrdiff_t size = 1;
  for (size_t i = 3; i-- > 0;) {
    if (o.sizes[i] > 1 && o.strides[i] != size) return false;
    size *= o.sizes[i];
  }
  return true;
}

void check_image(const Operand& o, const char* what) {
  if (o.rank != 3 || (o.sizes[2] > 1 && o.strides[2] != 1)) refuse(what);
}

void check_images(const Operands& o) {
  for (const Operand* operand : {&o.out, &o.x, &o.second, &o.scale, &o.sums}) {
    if (operand->exists() && operand->rank != 3) refuse("no image");
  }
}

}  // namespace fastdw
