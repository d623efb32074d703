// Instantiates the template bodies for one instruction set. The including data sheet has defined, in
// fastdw::FASTDW_SET and an unnamed namespace: Vec, and Tuning.

namespace fastdw {
namespace FASTDW_SET {
namespace {

#define FASTDW_STRING_(x) #x
#define FASTDW_STRING(x) FASTDW_STRING_(x)

// "dwconv_3x3_s1_2x4", written without the library's string functions.
struct Name {
  char text[32] = {};
  constexpr void append(const char* s) {
    int i = 0;
    while (text[i]) ++i;
    while (*s) text[i++] = *s++;
  }
  constexpr void append(int digit) {
    const char s[2] = {static_cast<char>('0' + digit), 0};
    append(s);
  }
};

template <class Shape>
constexpr Name depthwise_name(TileSize size, const char* kind) {
  Name name;
  name.append("dwconv_");
  name.append(Shape::KH);
  name.append("x");
  name.append(Shape::KW);
  name.append("_s");
  name.append(Shape::SH);
  if (Shape::SW != Shape::SH) {
    name.append("x");
    name.append(Shape::SW);
  }
  name.append(kind);
  name.append(size.rows);
  name.append("x");
  name.append(size.columns);
  return name;
}

template <class Shape>
constexpr DwKernel depthwise_kernel(const Name& name, TileSize size, bool flat, DwBodies plain,
                                    DwBodies fused = {}, DwBodies multiplied = {}) {
  return {name.text,    Shape::KH, Shape::KW, Shape::SH, Shape::SW, size.rows,
          size.columns, flat,      plain,     fused,     multiplied};
}

template <class Shape>
struct Depthwise {
  static constexpr TileSize size = Tuning::template depthwise<Shape>();
  static constexpr Name name = depthwise_name<Shape>(size, "_");
  static constexpr DwKernel kernel = depthwise_kernel<Shape>(
      name, size, false, Tuning::template depthwise_bodies<Shape, size.rows, size.columns>(),
      Tuning::template fused_bodies<Shape, size.rows, size.columns>(),
      Tuning::template multiplied_bodies<Shape, size.rows, size.columns>());
};

// For planes whose rows it divides better.
template <class Shape, int TH, int TW>
struct OtherDepthwise {
  static constexpr TileSize size = {TH, TW};
  static constexpr Name name = depthwise_name<Shape>(size, "_");
  static constexpr DwKernel kernel =
      depthwise_kernel<Shape>(name, size, false, Tuning::template depthwise_bodies<Shape, TH, TW>());
};

template <class Shape>
struct FlatDepthwise {
  static constexpr TileSize size = Tuning::flat;
  static constexpr Name name = depthwise_name<Shape>(size, "_flat_");
  static constexpr DwKernel kernel = depthwise_kernel<Shape>(
      name, size, true, Bodies<Vec>::depthwise_bodies<Shape, size.rows, size.columns>());
};

template <class Shape, int TH, DwTileFn band>
struct FlatBands {
  static constexpr TileSize size = {TH, 0};
  static constexpr Name name = depthwise_name<Shape>(size, "_flat_");
  static constexpr DwKernel kernel = depthwise_kernel<Shape>(name, size, true, {nullptr, nullptr, band});
};

constexpr DwKernel kDepthwise[] = {
#ifdef FASTDW_OWN_DEPTHWISE  // of the data sheet
    FASTDW_OWN_DEPTHWISE
#endif
#define FASTDW_FLAT_DEPTHWISE(KH, KW) FlatDepthwise<KernelShape<KH, KW, 1, 1>>::kernel,
#define FASTDW_DEPTHWISE(KH, KW, SH, SW) Depthwise<KernelShape<KH, KW, SH, SW>>::kernel,
#include "kernels/kernels.inc"
#undef FASTDW_DEPTHWISE
#undef FASTDW_FLAT_DEPTHWISE
    {"dwconv_generic",
     0,
     0,
     0,
     0,
     1,
     0,
     false,
     {nullptr, nullptr, dwconv_generic<Vec, false>},
     {},
     {nullptr, nullptr, dwconv_generic<Vec, true>}},
};

template <int NV, int... I>
constexpr PwKernels tiles(std::integer_sequence<int, I...>) {
  constexpr const TilePixels& pixels = Tuning::tile_pixels[NV - 1];
  return {pixels.most, pixels.light, {Tuning::template pointwise<I + 1, NV>...}};
}

template <int NV, int... I>
constexpr PwKernels halved_tiles(std::integer_sequence<int, I...>) {
  constexpr const TilePixels& pixels = Tuning::halved_pixels[NV - 1];
  return {pixels.most, pixels.light, {Tuning::template halved<I + 1, NV>...}};
}

template <int... I>
constexpr void fill_pointwise(KernelSet& set, std::integer_sequence<int, I...>) {
  ((set.pointwise[I] = tiles<I + 1>(std::make_integer_sequence<int, Tuning::tile_pixels[I].most>{})), ...);
  ((set.halved[I] = halved_tiles<I + 1>(std::make_integer_sequence<int, Tuning::halved_pixels[I].most>{})),
   ...);
}

constexpr KernelSet make_kernel_set() {
  KernelSet set = {};
  set.isa = FASTDW_STRING(FASTDW_SET);
  set.lanes = Vec::lanes;
  set.depthwise = kDepthwise;
  set.depthwise_count = static_cast<int>(sizeof kDepthwise / sizeof *kDepthwise);
  set.panel_vectors = Tuning::panel_vectors;
  constexpr int max_vectors = static_cast<int>(sizeof Tuning::tile_pixels / sizeof *Tuning::tile_pixels);
  set.max_panel_vectors = max_vectors;
  fill_pointwise(set, std::make_integer_sequence<int, max_vectors>{});
  set.quad_pixels = Tuning::quad_pixels;
  set.pack = Tuning::pack;
  set.patches = copy_patches<Vec>;
  set.transpose = Tuning::transpose;
  set.planes = Tuning::planes;
  set.curves[static_cast<int>(Curve::kClamp)] = apply_clamp<Vec>;
#define FASTDW_CURVE(name, Struct) set.curves[static_cast<int>(Curve::k##Struct)] = apply_curve<Vec, Struct>;
#include "kernels/curves.inc"
#undef FASTDW_CURVE
#define FASTDW_NETWORK_KERNEL(name, Row) set.network.name = apply_##name<Vec>;
#include "kernels/network.inc"
#undef FASTDW_NETWORK_KERNEL
  set.fma_loop = fma_loop<Vec>;
  set.fma_chains = kFmaChains;
  set.schedule = Tuning::schedule();
  return set;
}

constexpr KernelSet kSet = make_kernel_set();

}  // namespace

const KernelSet& kernel_set() { return kSet; }

}  // namespace FASTDW_SET
}  // namespace fastdw
