// The depthwise operator: which row, which border, which tile, which thread.
#pragma once
#include "ops/copy.h"
#include "pack/depthwise.h"

namespace fastdw {

// pad_top is negative where the rows above belong to another part of the call.
struct Geometry {
  ptrdiff_t stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left;
};

// A rectangle of output pixels, and a range of output channels that begins on a vector.
struct Window {
  ptrdiff_t row, rows, column, columns, channel, channels;
};

struct DepthwiseOp {
  // `out`: where the results go; null where that is the buffer of a separable block.
  DepthwiseOp(const DepthwiseWeights& weights, const Geometry& geometry, const Input& x,
              const Activation* pre_activation, const Output* out);

  // Computes a window into y, whose channels lie side by side, activation included. `patch` holds
  // patch_floats() floats.
  void window(ptrdiff_t image, const Window& window, float* y, ptrdiff_t y_row_stride,
              ptrdiff_t y_column_stride, float* patch) const;

  // Rows of a window whose tiles are all full. (Flat ones want y dense too: else a tile takes one pixel.)
  ptrdiff_t tile_rows() const { return kernel.rows * (by_phases() ? geometry.dilation_h : 1); }

  // Computes a window of 1, 2 or 4 rows into groups of pixels (KernelSet::group_pixels), column by column.
  bool writes_groups() const {
    return kernel.plain.band && !kernel.generic() && weights.multiplier == 1 && weights.set.pack &&
           in_place() && !by_phases() && weights.activation.clamps();
  }
  void groups(ptrdiff_t image, const Window& window, float* y) const;

  // Computes whole rows of every channel into planes.
  bool writes_planes() const;
  void planes(ptrdiff_t image, ptrdiff_t row, ptrdiff_t rows, ptrdiff_t columns, float* y,
              ptrdiff_t y_plane_stride) const;

  // Input that a window of these rows reads and the one above it does not, where asking ahead for it pays;
  // plane by plane, or pixel by pixel.
  Ahead fresh_input(ptrdiff_t image, ptrdiff_t row, ptrdiff_t rows, bool planar) const;

  // What window() wants of scratch: none where x is read in place.
  ptrdiff_t patch_floats() const;

  const DepthwiseWeights& weights;
  const Geometry geometry;
  const Input x;
  const Activation* const pre_activation;
  const bool fused;  // results are read by the pointwise half
  const DwKernel& kernel;

 private:
  struct Source;
  struct Taps;
  bool in_place() const { return x.channels_side_by_side() && !pre_activation; }
  // A plain kernel does a dilated convolution, once for every phase of rows and of columns.
  bool by_phases() const { return !kernel.generic() && (geometry.dilation_h > 1 || geometry.dilation_w > 1); }
  void patched_window(ptrdiff_t image, const Window& window, const Taps& taps, float* y,
                      ptrdiff_t y_row_stride, ptrdiff_t y_column_stride, float* patch) const;
  void phases(const Source& source, const Window& window, const Taps& taps, float* y, ptrdiff_t y_row_stride,
              ptrdiff_t y_column_stride) const;
  void tiles(const Source& source, const Geometry& geometry, const Window& window, const Taps& taps, float* y,
             ptrdiff_t y_row_stride, ptrdiff_t y_column_stride, ptrdiff_t y_group_stride) const;
};

// Throws std::bad_alloc, before it writes.
void depthwise(const DepthwiseOp& op, const Output& out, int threads);

}  // namespace fastdw
