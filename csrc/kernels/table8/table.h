// Each byte replaced by its entry of a table of 256. B::Table holds one and looks up `width` bytes at once.
#pragma once
#include <cstring>

#include "kernels/contract8.h"
#include "simd/compiler.h"

namespace fastdw {
namespace {

template <class B>
void table8(const uint8_t* table, const uint8_t* x, uint8_t* y, ptrdiff_t count) {
  using Table = typename B::Table;
  const Table held(table);
  ptrdiff_t i = 0;
  for (; count - i >= Table::width; i += Table::width) held.look_up(x + i, y + i);
  if (i == count) return;
  uint8_t rest[Table::width] = {};
  const auto size = static_cast<size_t>(count - i);
  std::memcpy(rest, x + i, size);
  held.look_up(rest, rest);
  std::memcpy(y + i, rest, size);
}

}  // namespace
}  // namespace fastdw
