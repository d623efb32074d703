// What is to be computed: weights, geometry, and the arrays' shapes and strides. A plan never looks at data.
#pragma once
#include "base/view.h"
#include "pack/depthwise.h"
#include "pack/pointwise.h"

namespace fastdw {

// pad_top is negative where the rows above belong to another part of the call.
struct Geometry {
  ptrdiff_t stride_h, stride_w, dilation_h, dilation_w, pad_top, pad_left;
};

// What a layer computes: a depthwise half, a pointwise half, or both; before a depthwise half perhaps a
// pointwise convolution that expands; or a dense convolution, whose windows' rows a pointwise kernel of
// kernel_h·kernel_w·channels inputs meets.
struct Chain {
  const DepthwiseWeights* depthwise;
  const PointwiseWeights* pointwise;
  const Activation* pre_activation;
  ptrdiff_t kernel_h = 1, kernel_w = 1;  // of a dense convolution
  const PointwiseWeights* expand = nullptr;

  const KernelSet& set() const { return pointwise ? pointwise->set : depthwise->set; }
};

struct Problem {
  Chain chain;
  Geometry geometry;
  Input x, residual;  // a residual's data is null where there is none
  Output out;
  // In networks, where an image is all there is; else without data. One factor for each of x's channels of a
  // pointwise half, and of a depthwise result the sums over the columns of each row.
  Input scale = {};
  Output sums = {};

  const KernelSet& set() const { return chain.set(); }
  const Schedule& schedule() const { return set().schedule; }

  // Whether each output reads just the pixel in its place.
  bool pixelwise() const {
    const Geometry& g = geometry;
    return !chain.depthwise && chain.kernel_h * chain.kernel_w * g.stride_h * g.stride_w == 1 &&
           g.pad_top == 0 && g.pad_left == 0 && x.height == out.height && x.width == out.width;
  }
  bool dense() const { return !chain.depthwise && !pixelwise(); }
  bool reads_in_place() const { return x.channels_side_by_side() && !chain.pre_activation && !scale.data; }
  // Whether results must be staged: for the layout of out or of the residual.
  bool staged() const {
    return !out.channels_side_by_side() || (residual.data && !residual.channels_side_by_side());
  }
};

// The outputs of which the windows lie in the image.
struct InnerWindows {
  ptrdiff_t row, rows, column, columns;
  explicit InnerWindows(const Problem& problem);
};

// Some images, and of each some rows of the output.
struct Part {
  ptrdiff_t image, images, row, rows;
};

// The same as a problem of its own. A 1×1 convolution with strides that reads no padding becomes a pixelwise
// one on fewer pixels.
Problem part_of(const Problem& problem, const Part& part);
Problem all_of(const Problem& problem);

// What is left for the depthwise half once x is expanded, to be read as a dense image.
Problem expanded(const Problem& problem);

// Of a grouped convolution: group `i` of `groups`, each with a chain and a slice of the channels of its own.
Problem group_of(const Problem& whole, const Chain& chain, ptrdiff_t i, ptrdiff_t groups);

}  // namespace fastdw
