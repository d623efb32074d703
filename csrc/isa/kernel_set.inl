// Instantiates the template bodies for one instruction set. The including data sheet has defined, in
// fastdw::FASTDW_SET and an unnamed namespace: Vec, and Tuning.

namespace fastdw {
namespace FASTDW_SET {
namespace {

#define FASTDW_STRING_(x) #x
#define FASTDW_STRING(x) FASTDW_STRING_(x)

// "dwconv_3x3_s1_2x4", written without the library's string functions.
struct Name {
  char text[48] = {};
  constexpr void append(const char* s) {
    int i = 0;
    while (text[i]) ++i;
    while (*s) text[i++] = *s++;
  }
  constexpr void append(int number) {
    if (number >= 10) append(number / 10);
    const char s[2] = {static_cast<char>('0' + number % 10), 0};
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
constexpr DwKernel depthwise_kernel(const Name& name, DwKind kind, TileSize size) {
  DwKernel kernel = {};
  kernel.name = name.text;
  kernel.kind = kind;
  kernel.kernel_h = Shape::KH;
  kernel.kernel_w = Shape::KW;
  kernel.stride_h = Shape::SH;
  kernel.stride_w = Shape::SW;
  kernel.rows = size.rows;
  kernel.columns = size.columns;
  return kernel;
}

template <class Shape>
struct Depthwise {
  static constexpr TileSize size = Tuning::template depthwise<Shape>();
  static constexpr Name name = depthwise_name<Shape>(size, "_");
  static constexpr DwKernel make() {
    DwKernel kernel = depthwise_kernel<Shape>(name, DwKind::kTile, size);
    if constexpr (Tuning::template band<Shape>() != nullptr) {
      kernel.kind = DwKind::kBand;
      kernel.band = Tuning::template band<Shape>();
    } else {
      kernel.tile = Tuning::template depthwise_bodies<Shape, size.rows, size.columns>();
      kernel.tile_in_block = Tuning::template bodies_in_block<Shape, size.rows, size.columns>();
      kernel.multiplied = Tuning::template multiplied_bodies<Shape, size.rows, size.columns>();
    }
    return kernel;
  }
  static constexpr DwKernel kernel = make();
};

// For planes whose rows it divides better.
template <class Shape, int TH, int TW>
struct OtherDepthwise {
  static constexpr Name name = depthwise_name<Shape>({TH, TW}, "_");
  static constexpr DwKernel make() {
    DwKernel kernel = depthwise_kernel<Shape>(name, DwKind::kTile, {TH, TW});
    kernel.tile = Tuning::template depthwise_bodies<Shape, TH, TW>();
    return kernel;
  }
  static constexpr DwKernel kernel = make();
};

template <class Shape>
struct LanePacked {
  static constexpr TileSize size = Tuning::lane_packed;
  static constexpr Name name = depthwise_name<Shape>(size, "_lane_packed_");
  static constexpr DwKernel make() {
    DwKernel kernel = depthwise_kernel<Shape>(name, DwKind::kLanePacked, size);
    kernel.tile = Bodies<Vec>::depthwise_bodies<Shape, size.rows, size.columns>();
    return kernel;
  }
  static constexpr DwKernel kernel = make();
};

template <class Shape, int TH, DwRowPackedFn body>
struct RowPacked {
  static constexpr Name name = depthwise_name<Shape>({TH, 0}, "_row_packed_");
  static constexpr DwKernel make() {
    DwKernel kernel = depthwise_kernel<Shape>(name, DwKind::kRowPacked, {TH, 0});
    kernel.row_packed = body;
    return kernel;
  }
  static constexpr DwKernel kernel = make();
};

constexpr DwKernel generic_kernel() {
  DwKernel kernel = {};
  kernel.name = "dwconv_generic";
  kernel.kind = DwKind::kGeneric;
  kernel.rows = 1;
  kernel.generic = dwconv_generic<Vec, false>;
  kernel.generic_multiplied = dwconv_generic<Vec, true>;
  return kernel;
}

constexpr DwKernel kDepthwise[] = {
#ifdef FASTDW_OWN_DEPTHWISE  // of the data sheet
    FASTDW_OWN_DEPTHWISE
#endif
#define FASTDW_LANE_PACKED(KH, KW) LanePacked<KernelShape<KH, KW, 1, 1>>::kernel,
#define FASTDW_DEPTHWISE(KH, KW, SH, SW) Depthwise<KernelShape<KH, KW, SH, SW>>::kernel,
#include "kernels/kernels.inc"
#undef FASTDW_DEPTHWISE
#undef FASTDW_LANE_PACKED
        generic_kernel(),
};

// Whether rows of windows are cut into tiles of `size` pixels where these have `most` at most.
constexpr bool cuts_windows(int size, int most) {
  for (int row = kLeastWindowPixels; row < kLeastWindowPixels + most * most; ++row) {
    const int tiles = (row + most - 1) / most;
    if (row / tiles == size || (row + tiles - 1) / tiles == size) return true;
  }
  return false;
}

constexpr bool cuts_windows(int size, const TilePixels& pixels) {
  return cuts_windows(size, pixels.most) || cuts_windows(size, pixels.light);
}

template <int MR, int NV>
constexpr PwWindowTileFn window_tile() {
  if constexpr (cuts_windows(MR, Tuning::tile_pixels[NV - 1])) return Tuning::template windows<MR, NV>;
  return nullptr;
}

template <int MR, int NV>
constexpr PwWindowTileFn halved_window_tile() {
  if constexpr (cuts_windows(MR, Tuning::halved_pixels[NV - 1])) {
    return Tuning::template halved_windows<MR, NV>;
  }
  return nullptr;
}

template <int NV, int... I>
constexpr PwKernels tiles(std::integer_sequence<int, I...>) {
  constexpr const TilePixels& pixels = Tuning::tile_pixels[NV - 1];
  return {
      pixels.most, pixels.light, {Tuning::template pointwise<I + 1, NV>...}, {window_tile<I + 1, NV>()...}};
}

template <int NV, int... I>
constexpr PwKernels halved_tiles(std::integer_sequence<int, I...>) {
  constexpr const TilePixels& pixels = Tuning::halved_pixels[NV - 1];
  return {pixels.most,
          pixels.light,
          {Tuning::template halved<I + 1, NV>...},
          {halved_window_tile<I + 1, NV>()...}};
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
