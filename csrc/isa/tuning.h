// What a data sheet states: see avx2.cpp for an example.
#pragma once
#include "kernels/bilinear/bilinear.h"
#include "kernels/curves/curves.h"
#include "kernels/depthwise/generic.h"
#include "kernels/depthwise/tile.h"
#include "kernels/elementwise/elementwise.h"
#include "kernels/normalize/normalize.h"
#include "kernels/patches/patches.h"
#include "kernels/peak.h"
#include "kernels/pointwise/tile.h"
#include "kernels/pool/pool.h"
#include "kernels/softmax/softmax.h"
#include "kernels/transpose/transpose.h"

namespace fastdw {
namespace {

struct TileSize {
  int rows, columns;
};

// The most pixels of a pointwise tile; `light`, where its panel stays in L1.
struct TilePixels {
  int most = 0, light = 0;
  constexpr TilePixels() = default;
  constexpr TilePixels(int most) : TilePixels(most, most) {}
  constexpr TilePixels(int most, int light) : most(most), light(light) {}
};

// Caches as of x86, where tiles read their input pixel by pixel: 32 to 48 KB of L1 and at least 1 MB of L2 a
// core. Each number is the best of those that were measured. On two threads less input a block would lose,
// since even shares want other cuts; below the cached bytes the input is found in L2 anyway.
constexpr Schedule desktop_schedule(const Rates& rates) {
  Schedule s = {};
  s.rates = rates;
  s.streamed_bytes = 384 * 1024;
  s.input_floats = 96 * 1024;
  s.prefers_whole_rows = true;
  s.asks_ahead = true;
  return s;
}

// The bodies that every data sheet starts from.
template <class V>
struct Bodies {
  template <class Shape, int TH, int TW, TileOptions kOptions = TileOptions::kNone>
  static constexpr DwBodies depthwise_bodies() {
    return {dwconv_tile<V, Shape, TH, TW, kOptions, DwTile>,
            dwconv_tile<V, Shape, TH, TW, kOptions | TileOptions::kBorder, DwBorderTile>};
  }
  // Whether tiles that fill a block for the pointwise half have bodies of their own.
  template <class Shape, int TH, int TW>
  static constexpr DwBodies bodies_in_block() {
    return {};
  }
  // Bands in place of tiles.
  template <class Shape>
  static constexpr DwBandFn band() {
    return nullptr;
  }
  // In practice a multiplier goes with square 3×3; the generic band does the others.
  template <class Shape, int TH, int TW>
  static constexpr DwMultipliedBodies multiplied_bodies() {
    if constexpr (Shape::KH == 3 && Shape::KW == 3 && Shape::SH == Shape::SW) {
      constexpr TileOptions options = TileOptions::kMultiplied;
      return {dwconv_tile<V, Shape, TH, TW, options, DwMultipliedTile>,
              dwconv_tile<V, Shape, TH, TW, options | TileOptions::kBorder, DwMultipliedTile>};
    }
    return {};
  }
  // One column, since neighbours share no vector of input: the taller, the fewer loads for an output. Seven
  // rows divide most planes; with ten and more, planes of rows some 4 KB apart fall out of L1.
  static constexpr TileSize lane_packed = {7, 1};
  template <int MR, int NV>
  static constexpr PwTileFn pointwise = pwconv_tile<V, MR, NV>;
  template <int MR, int NV>
  static constexpr PwWindowTileFn windows = pwconv_tile<V, MR, NV, 1, PwWindowTile>;
  // Tiles of halved panels, and the most pixels of one: for a set whose vectors are long enough to waste.
  template <int MR, int NV>
  static constexpr PwTileFn halved = nullptr;
  template <int MR, int NV>
  static constexpr PwWindowTileFn halved_windows = nullptr;
  static constexpr TilePixels halved_pixels[kMaxPanelVectors] = {};
  static constexpr TransposeFn transpose = fastdw::transpose<V>;
  static constexpr PlaneKernels planes = {};
  static constexpr int quad_pixels = 1;
  static constexpr PackFn pack = nullptr;
};

}  // namespace
}  // namespace fastdw
