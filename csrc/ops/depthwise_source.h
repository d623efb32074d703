// The depthwise window of a tensor: which row, which border, which tile.
#pragma once
#include "ops/source.h"

namespace fastdw {

// Input pixels by image coordinates: x itself, or a copy whose origin is shifted to look like it, or a phase
// of either.
struct ImagePixels {
  const float* origin;
  ptrdiff_t row_stride, column_stride, height, width;
};

// A part of an axis.
struct Range {
  ptrdiff_t first, count;
  ptrdiff_t end() const { return first + count; }
};

class DepthwiseSource final : public Source {
 public:
  DepthwiseSource(const Problem& problem, const Plan& plan);

  Block fill(ptrdiff_t image, const OutputRect& rect, float* buffer, float* scratch) const override;
  Ahead ahead(ptrdiff_t image, const OutputRect& rect) const override;

  // Computes outputs into y, whose channels lie side by side, activation included.
  void window(ptrdiff_t image, const OutputRect& rect, float* y, ptrdiff_t y_row_stride,
              ptrdiff_t y_column_stride, float* scratch) const;

  // The same of other pixels than x's: an image of its size.
  void window(const ImagePixels& pixels, const OutputRect& rect, float* y, ptrdiff_t y_row_stride,
              ptrdiff_t y_column_stride) const;
  Block fill(const ImagePixels& pixels, const OutputRect& rect, float* buffer) const;
  // What of the image lies under outputs.
  Range input_rows(const OutputRect& rect) const;
  Range input_columns(const OutputRect& rect) const;

 private:
  using Pixels = ImagePixels;
  struct Taps;
  struct Results;
  struct Work;
  void quads(const Pixels& pixels, const OutputRect& rect, float* y) const;
  void planes(ptrdiff_t image, const OutputRect& rect, float* y) const;
  Pixels pixels_of(ptrdiff_t image) const;
  void copied_window(ptrdiff_t image, const OutputRect& rect, const Taps& taps, const Results& y,
                     float* scratch) const;
  void phases(const Pixels& pixels, const OutputRect& rect, const Taps& taps, const Results& y) const;
  void tiles(const Pixels& pixels, const Geometry& geometry, const OutputRect& rect, const Taps& taps,
             const Results& y) const;

  // By kinds of kernels.
  void run_tiles(const Work& work) const;
  void run_bands(const Work& work) const;
  void run_packed_rows(const Work& work) const;
  void run_generic(const Work& work) const;
  template <class Call, class Body>
  void for_bands(const Work& work, Call& call, const Body& body) const;
  // What all of them set alike.
  template <class Call>
  Call start(const Work& work) const;
  const float* origin(const Work& work) const;
  void apply_curve(const Work& work, float* y, ptrdiff_t rows, ptrdiff_t columns) const;

  const DepthwiseWeights& weights_;
  const Geometry geometry_;
  const Input x_;
  const Activation* const pre_activation_;
  const DwKernel& kernel_;
  const bool in_block_;  // results are read by the pointwise half
  const bool in_place_;  // so is x
  const BlockLayout layout_;
  const ptrdiff_t stride_, copied_floats_;
};

}  // namespace fastdw
