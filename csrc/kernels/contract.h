// The contract between the operators and the kernels: plain structs, and one table of function pointers an
// instruction set.
//
// A kernel computes one register tile. It allocates nothing, throws nothing, and touches no byte outside the
// tile's live inputs and outputs. Strides and offsets count floats. Channels lie side by side.
#pragma once
#include <cstddef>
#include <cstdint>

#include "base/line.h"
#include "kernels/network_contract.h"
#include "kernels/schedule.h"

namespace fastdw {

using std::ptrdiff_t;

// What every depthwise kernel reads. Packed weights, one block a vector of output channels (`lanes` floats
// each; past the last channel those of the first again, as often as lane-packed tiles need them, then zeros):
//     [ input index | bias | tap (0,0) | tap (1,0) | … column by column, from left to right ]
// The input index (int32, the lane's input channel less the first lane's) is there for multipliers above 1.
struct DwCall {
  const float* x;  // input pixel under the first tap of the first output; may lie outside the image
  ptrdiff_t row_stride;
  const float* weights;  // first tap of the first block; the bias stands at bias_offset from it
  ptrdiff_t bias_offset, block_stride;
  float* y;
  ptrdiff_t channels;  // output channels
  float lo, hi;
};

// `tiles` side by side, every output live and every input in the image. A lane-packed tile's channels are
// those of some pixels side by side.
struct DwTile : DwCall {
  ptrdiff_t column_stride, y_row_stride, y_column_stride;
  ptrdiff_t tiles, tile_columns;  // from a tile to the next so many outputs
};

// At the image's edge, or where a tile is larger than what is left. Bit i of a mask tells whether input row
// (column) i of the tile lies in the image.
struct DwBorderTile : DwTile {
  int rows;  // live outputs, as `columns`
  ptrdiff_t columns;
  uint32_t live_input_rows, live_input_columns;
};

// With a channel multiplier above 1; x has every input channel.
struct DwMultipliedTile : DwBorderTile {
  ptrdiff_t multiplier, first_channel;  // the first output channel
};

// 1, 2 or 4 rows (at most DwKernel::rows) by any number of columns, with their borders.
struct DwBand : DwCall {
  ptrdiff_t column_stride, y_row_stride, y_column_stride;
  ptrdiff_t y_quad_stride;  // where not 0, y takes quads (KernelSet::quad_pixels), column by column
  int rows;
  ptrdiff_t columns;
  uint32_t live_input_rows;
  ptrdiff_t first_column, width;  // image coordinates of x, and of the image's end
};

// The same on rows that are lines of floats, both of x and of y: all channels, fewer than lanes. After
// `blocks` the weights begin anew.
struct DwRowPacked : DwCall {
  ptrdiff_t y_row_stride;
  ptrdiff_t blocks;
  int rows;
  ptrdiff_t columns;
  uint32_t live_input_rows;
  ptrdiff_t first_column, width;
};

// One output row of any kernel. The kernel's rows from live_row to live_end − 1 lie in the image.
struct DwGenericBand : DwCall {
  ptrdiff_t column_stride, y_column_stride;
  ptrdiff_t columns;
  ptrdiff_t first_column, width;
  ptrdiff_t live_row, live_end;
  bool accumulate;                                               // start from y instead of the bias
  ptrdiff_t kernel_h, kernel_w, stride, dilation_h, dilation_w;  // stride along the row
  ptrdiff_t multiplier, first_channel;
};

struct DwBodies {
  void (*interior)(const DwTile&);
  void (*border)(const DwBorderTile&);
};
struct DwMultipliedBodies {
  void (*interior)(const DwMultipliedTile&);
  void (*border)(const DwMultipliedTile&);
};
using DwBandFn = void (*)(const DwBand&);
using DwRowPackedFn = void (*)(const DwRowPacked&);
using DwGenericFn = void (*)(const DwGenericBand&);

enum class DwKind { kTile, kLanePacked, kBand, kRowPacked, kGeneric };

struct DwKernel {
  const char* name;
  DwKind kind;
  int kernel_h, kernel_w, stride_h, stride_w;  // 0: any
  int rows, columns;                           // outputs of a tile; columns 0: as many as there are
  DwBodies tile;                               // of tiles, lane-packed or not
  DwBodies tile_in_block;  // the same, where another order pays for results that stay in a block
  DwMultipliedBodies multiplied;
  DwBandFn band;
  DwRowPackedFn row_packed;
  DwGenericFn generic, generic_multiplied;

  bool multiplies() const { return multiplied.interior || generic_multiplied; }
  ptrdiff_t band_rows(ptrdiff_t left) const {
    ptrdiff_t band = rows;
    while (band > left) band /= 2;
    return band;
  }
};

// From a pixel of a tile to the next, the second and the fourth after it. Pixel i, in binary i = …cba, stands
// at a·one + b·two + …c·four: pixels in line, or a column of two or four beside the next.
struct PixelStrides {
  ptrdiff_t one, two, four;
};

// Pointwise tiles: `tiles` of them, one after the other, each of `pixels` × one panel of output channels;
// where x is in quads, of whole quads.
//
// A panel holds NV vectors of output channels: [ bias | input channel 0 | 1 | … ], NV·lanes floats each. In a
// halved panel, whose last vector has at most lanes/2 channels, these stand in it twice, for two pixels at
// once.
struct PwTile {
  const float* x;      // the channels of each pixel side by side, or quads (KernelSet::quad_pixels)
  ptrdiff_t x_stride;  // from pixel to pixel, or from quad to quad
  ptrdiff_t input_channels;
  const float* panel;
  float* y;
  PixelStrides y_stride;
  ptrdiff_t tiles;
  // Input of the next block, of which each tile asks the caches for `ahead_lines` with each input channel.
  // (Those of NEON do not.)
  const char* ahead;
  ptrdiff_t ahead_lines;
  ptrdiff_t channels;     // live output channels of the panel
  const float* residual;  // or null
  PixelStrides residual_stride;
  float lo, hi;
};

using PwTileFn = void (*)(const PwTile&);

// A pixel's inputs are rows, those of its window: `rows` times `input_channels` floats.
struct PwWindowTile : PwTile {
  ptrdiff_t rows, row_stride;
};

using PwWindowTileFn = void (*)(const PwWindowTile&);

// Windows are read in place where a row of outputs has so many. It is cut into tiles of about one size.
constexpr int kLeastWindowPixels = 24;

// Quads, four pixels × channels: [ channel 0 of each pixel | channel 1 | … ], quad after quad, each of
// quad_floats(). The last quad may be short of pixels; what then stands in their place is left open.
struct PackTile {
  const float* x;
  ptrdiff_t x_stride;  // from pixel to pixel
  ptrdiff_t pixels, channels;
  float* y;
};

using PackFn = void (*)(const PackTile&);

// One row of the windows of `pixels` outputs, each to y + i·y_stride: `taps` times `channels` floats. Up to a
// vector less one of the floats behind them is overwritten.
struct PatchTile {
  const float* x;      // under the first tap of the first output
  ptrdiff_t x_stride;  // from output to output
  ptrdiff_t tap_stride, channel_stride;
  ptrdiff_t taps, channels, pixels;
  float* y;
  ptrdiff_t y_stride;
};

using PatchFn = void (*)(const PatchTile&);

// A matrix turned over: to[j·to_stride + i] = from[i·from_stride + j].
struct TransposeTile {
  const float* from;
  ptrdiff_t from_stride;
  float* to;
  ptrdiff_t to_stride;
  ptrdiff_t rows, columns;  // of `from`
};

using TransposeFn = void (*)(const TransposeTile&);

// Separable blocks of 3×3 and 5×5 over planes (NCHW), pixels in the lanes: nothing needs be turned over.
//
// The depthwise half: rows × columns of each channel, whose weights are packed as for DwTile. Rows of results
// follow each other.
struct DwPlanes {
  const float* x;  // input pixel under the first tap of the first output; may lie outside the image
  ptrdiff_t plane_stride, row_stride;
  const float* weights;  // the first block
  ptrdiff_t block_stride;
  float* y;
  ptrdiff_t y_plane_stride;
  ptrdiff_t channels, rows, columns;
  ptrdiff_t first_row, height, first_column, width;  // image coordinates of x, and of the image's ends
  float lo, hi;
};

using DwPlanesFn = void (*)(const DwPlanes&);

// The pointwise half: a tile of vectors of pixels × some channels of a panel.
struct PwPlanes {
  const float* x;  // whole vectors, past the last pixel too
  ptrdiff_t plane_stride, input_channels;
  const float* panel;  // at the first channel
  ptrdiff_t panel_channels;
  float* y;
  ptrdiff_t y_plane_stride;
  ptrdiff_t pixels;
  const float* residual;  // or null
  ptrdiff_t residual_plane_stride;
  const char* ahead;  // as in PwTile, but of a plane for each input channel
  ptrdiff_t ahead_plane_bytes, ahead_lines;
  float lo, hi;
};

using PwPlanesFn = void (*)(const PwPlanes&);

struct PlaneKernels {
  static constexpr int kVectors = 3, kChannels = 8;  // most of a pointwise tile
  DwPlanesFn depthwise[2][2];                        // of 3×3 and of 5×5, by stride less one
  PwPlanesFn pointwise[kVectors][kChannels];         // by vectors and channels less one
  bool exist() const { return depthwise[0][0] != nullptr; }
};

// An activation over pixels × channels, in place.
struct CurveTile {
  float* y;
  ptrdiff_t stride;
  ptrdiff_t pixels, channels;
  float a, b;
  const float* slopes;  // one a channel, or null
};

using CurveFn = void (*)(const CurveTile&);

// `iterations` of one FMA on each of fma_chains vectors in y: the measured limit of the benchmark.
using FmaLoopFn = void (*)(ptrdiff_t iterations, float* y);

constexpr int kMaxPanelVectors = 4;
constexpr int kMaxTilePixels = 16;

struct PwKernels {
  int pixels;                      // most of a tile
  int light_pixels;                // the same where many tiles read a panel that stays in L1
  PwTileFn tiles[kMaxTilePixels];  // by pixels less one
  // The same; null where no row is cut so small, and of quads.
  PwWindowTileFn windows[kMaxTilePixels];
};

enum class Curve {
  kClamp,
#define FASTDW_CURVE(name, Struct) k##Struct,
#include "kernels/curves.inc"
#undef FASTDW_CURVE
  kCount
};

struct KernelSet {
  const char* isa;
  int lanes;
  const DwKernel* depthwise;  // the generic one last
  int depthwise_count;
  int panel_vectors, max_panel_vectors;   // preferred, largest
  PwKernels pointwise[kMaxPanelVectors];  // by vectors of the panel less one
  PwKernels halved[kMaxPanelVectors];     // for halved panels; empty in a set that has none
  int quad_pixels;                        // 1, or 4: pointwise tiles read quads
  PackFn pack;                            // where they do
  PatchFn patches;
  TransposeFn transpose;
  PlaneKernels planes;  // empty in a set that has none
  CurveFn curves[static_cast<int>(Curve::kCount)];
  NetworkKernels network;
  FmaLoopFn fma_loop;
  int fma_chains;
  Schedule schedule;

  const DwKernel& generic_depthwise() const { return depthwise[depthwise_count - 1]; }
  // Channels are padded to whole vectors.
  ptrdiff_t quad_floats(ptrdiff_t channels) const {
    return (channels + lanes - 1) / lanes * lanes * quad_pixels;
  }
};

}  // namespace fastdw
