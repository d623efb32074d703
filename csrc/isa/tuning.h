// What a data sheet states: see avx2.cpp for an example.
#pragma once
#include "../kernels/activation.h"
#include "../kernels/dwconv.h"
#include "../kernels/peak.h"
#include "../kernels/pwconv.h"

namespace fastdw {
namespace {

struct TileSize {
  int rows, columns;
};

}  // namespace
}  // namespace fastdw
