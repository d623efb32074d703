// The structs are taken apart member by member: with a member that has no name here this does not compile.
#include "isa/names.h"

namespace fastdw {
namespace {

using Names = std::vector<std::string>;

std::string size(int a, const std::string& b) { return std::to_string(a) + "x" + b; }

void add_depthwise(const DwKernel& kernel, Names& names) {
  const auto& [name, kind, kernel_h, kernel_w, stride_h, stride_w, rows, columns, tile, tile_in_block,
               multiplied, band, row_packed, generic, generic_multiplied] = kernel;
  if (tile.interior || band || row_packed || generic) names.emplace_back(name);
  if (tile_in_block.interior) names.push_back(name + std::string("_in_block"));
  if (multiplied.interior || generic_multiplied) names.push_back(name + std::string("_multiplied"));
}

void add_pointwise(const PwKernels& kernels, const std::string& vectors, Names& names) {
  const auto& [most, light, tiles, windows] = kernels;
  for (int pixels = 1; pixels <= most; ++pixels) {
    names.push_back("pwconv_" + size(pixels, vectors));
    if (windows[pixels - 1]) names.push_back(names.back() + "_windows");
  }
}

void add_planes(const PlaneKernels& kernels, Names& names) {
  if (!kernels.exist()) return;
  const auto& [depthwise, pointwise] = kernels;
  for (const int kernel : {3, 5}) {
    for (const int stride : {1, 2}) {
      if (!depthwise[kernel == 5][stride - 1]) continue;
      names.push_back("dwplanes_" + size(kernel, std::to_string(kernel)) + "_s" + std::to_string(stride));
    }
  }
  for (int vectors = 1; vectors <= PlaneKernels::kVectors; ++vectors) {
    for (int channels = 1; channels <= PlaneKernels::kChannels; ++channels) {
      if (!pointwise[vectors - 1][channels - 1]) continue;
      names.push_back("pwplanes_" + size(vectors, std::to_string(channels)));
    }
  }
}

void add_network(const NetworkKernels& kernels, Names& names) {
#define FASTDW_NETWORK_KERNEL(name, Row) \
  if (kernels.name) names.emplace_back(#name);
#include "kernels/network.inc"
#undef FASTDW_NETWORK_KERNEL
}

}  // namespace

Names kernel_names(const KernelSet& set) {
  const auto& [isa, lanes, depthwise, depthwise_count, panel_vectors, max_panel_vectors, pointwise, halved,
               quad_pixels, pack, patches, transpose, planes, curves, network, fma_loop, fma_chains,
               schedule] = set;
  Names names;
  for (int i = 0; i < depthwise_count; ++i) add_depthwise(depthwise[i], names);
  for (int vectors = 1; vectors <= max_panel_vectors; ++vectors) {
    add_pointwise(halved[vectors - 1], std::to_string(vectors - 1) + ".5", names);
    add_pointwise(pointwise[vectors - 1], std::to_string(vectors), names);
  }
  add_planes(planes, names);
  if (pack) names.emplace_back("pack_quads");
  if (patches) names.emplace_back("copy_patches");
  if (transpose) names.emplace_back("transpose");
  if (curves[0]) names.emplace_back("curve_clamp");
#define FASTDW_CURVE(name, Struct) \
  if (curves[static_cast<int>(Curve::k##Struct)]) names.emplace_back("curve_" name);
#include "kernels/curves.inc"
#undef FASTDW_CURVE
  add_network(network, names);
  if (fma_loop) names.emplace_back("fma_loop");
  return names;
}

Names kernel_names(const Kernels8& set) {
  const auto& [isa, lanes, offset, dot_inputs, weight_bytes, panel_vectors, pointwise, tap_vectors,
               quad_vectors, depthwise, threes, most_pairs, fives, add, multiply, table, bilinear,
               block_bytes, mac_ns, value_ns, line_ns, weight_ns] = set;
  Names names;
  for (const DwKernel8* kernel : {&threes[0], &threes[1], &fives[0], &fives[1], &depthwise}) {
    if (kernel->run) names.emplace_back(kernel->name);
  }
  for (int vectors = 1; vectors <= panel_vectors; ++vectors) {
    names.push_back("pwconv8_" + size(pointwise[vectors - 1].pixels, std::to_string(vectors)));
  }
  if (add) names.emplace_back("add8");
  if (multiply) names.emplace_back("multiply8");
  if (table) names.emplace_back("table8");
  if (bilinear) names.emplace_back("bilinear8");
  return names;
}

Names kernel_names(const Kernels16& set) {
  const auto& [isa, pixels, pointwise, depthwise, finish, scale, mac_ns, value_ns] = set;
  Names names;
  for (const DwKernel16& kernel : depthwise) names.emplace_back(kernel.name);
  for (int vectors = 1; vectors <= kPanelVectors16; ++vectors) {
    names.push_back("pwconv16_" + size(pixels, std::to_string(vectors)));
  }
  if (scale) names.emplace_back("scale16");
  return names;
}

}  // namespace fastdw
