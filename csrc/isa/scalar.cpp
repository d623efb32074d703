// Data sheet of portable C++: tiles small enough for 16 registers of 4 floats, the poorest likely target.
#define FASTDW_SET scalar
#include "isa/tuning.h"
#include "simd/vec_scalar.h"

namespace fastdw {
namespace scalar {
namespace {

struct Tuning : Bodies<Vec> {
  template <class Shape>
  static constexpr TileSize depthwise() {
    return {1, 4};
  }
  static constexpr int panel_vectors = 2;
  static constexpr TilePixels tile_pixels[] = {6, 4};
  static constexpr Schedule schedule() { return desktop_schedule({0.3, 1.5, 8.0, 1.0, 0.15}); }
};

}  // namespace
}  // namespace scalar
}  // namespace fastdw

#include "isa/kernel_set.inl"
