"""Deliberate bugs, each a line of the tree and what is wrong with it: see mutants.py."""

from typing import NamedTuple


class Mutant(NamedTuple):
    """`old` occurs once in `file`, and `new` is the bug."""

    name: str
    file: str
    old: str
    new: str


FLAT = "csrc/kernels/depthwise/row_packed_avx512.h"
VEC_AVX2, VEC_AVX512 = "csrc/simd/vec_avx2.h", "csrc/simd/vec_avx512.h"
DWCONV, PWCONV = "csrc/kernels/depthwise/tile.h", "csrc/kernels/pointwise/tile.h"
GENERIC, INPUTS = "csrc/kernels/depthwise/generic.h", "csrc/kernels/depthwise/input_channels.h"
CURVES, POINTWISE = "csrc/kernels/curves/curves.h", "csrc/ops/pointwise.cpp"
DEPTHWISE, DW_CALLS = "csrc/ops/depthwise_source.cpp", "csrc/ops/depthwise_calls.cpp"
PLAN_DEPTHWISE = "csrc/plan/depthwise.cpp"
PACK_DEPTHWISE, PACK_POINTWISE = "csrc/pack/depthwise.cpp", "csrc/pack/pointwise.cpp"
TRANSPOSE = "csrc/kernels/transpose/transpose.h"
HALVED = "csrc/kernels/pointwise/halved_avx512.h"
PLANES, VEC = "csrc/kernels/planar/planes.h", "csrc/simd/vec.h"

LAYERS = [
    Mutant("a tail's mask one lane too long", VEC_AVX2, "kMask + 8 - n)", "kMask + 7 - n)"),
    Mutant(
        "no mask on a tail's load", VEC_AVX2, "_mm256_maskload_ps(p, mask(n))", "_mm256_loadu_ps(p)"
    ),
    Mutant("max swallows NaN", VEC_AVX2, "_mm256_max_ps(a.v, b.v)", "_mm256_max_ps(b.v, a.v)"),
    Mutant(
        "a fused multiplication comes apart",
        VEC_AVX2,
        "_mm256_fmadd_ps(a.v, b.v, c.v)",
        "_mm256_add_ps(_mm256_mul_ps(a.v, b.v), c.v)",
    ),
    Mutant(
        "sixteen lanes spread by eight",
        VEC_AVX512,
        "_mm512_permutexvar_ps(_mm512_castps_si512(_mm512_loadu_ps(index)), load(p, n).v)",
        "load(p, n).v",
    ),
    Mutant("min swallows NaN", VEC_AVX512, "_mm512_min_ps(a.v, b.v)", "_mm512_min_ps(b.v, a.v)"),
    Mutant(
        "the kernel is transposed", DWCONV, "(dj * KH + di) * V::lanes", "(di * KW + dj) * V::lanes"
    ),
    Mutant("the tile's last row is not stored", DWCONV, "i < rows &&", "i < rows - 1 &&"),
    Mutant("accumulation starts anew", GENERIC, "(accumulate, 0)", "(false, 0)"),
    Mutant(
        "a dead row's weight is the first", GENERIC, "t.weights + t.live_row *", "t.weights + 0 *"
    ),
    Mutant("an edge has no dead columns", GENERIC, "(whole > 0, 0)", "(false, 0)"),
    Mutant("a multiplier's vectors share their inputs", INPUTS, "first += step;", ""),
    Mutant("a multiplier that divides no vector", INPUTS, "++first;", ""),
    Mutant(
        "a row below the image counts",
        DW_CALLS,
        "ceil_div(work.source.height - first_row,",
        "ceil_div(work.source.height + 1 - first_row,",
    ),
    Mutant(
        "a column of the image does not count", GENERIC, "column < width)", "column < width - 1)"
    ),
    Mutant(
        "one bias for all vectors of a panel",
        PWCONV,
        "const V bias = V::load(w + j * V::lanes, All{});",
        "const V bias = V::load(w, All{});",
    ),
    Mutant("a tail of one channel is dropped", PWCONV, "left > 0)", "left > 1)"),
    Mutant("the residual has the output's stride", PWCONV, "i * residual_stride", "i * y_stride"),
    Mutant(
        "tiles of a run all read the first one's residual",
        PWCONV,
        "t.residual + tile * MR * residual_stride",
        "t.residual",
    ),
    Mutant(
        "tiles of a run all write to the first one's place",
        PWCONV,
        "t.y + tile * MR * y_stride",
        "t.y",
    ),
    Mutant(
        "pixels of a run all lie in the first tile",
        PWCONV,
        "t.x + tile * MR * t.x_stride, ahead",
        "t.x, ahead",
    ),
    Mutant(
        "pixels of a halved run all lie in the first tile",
        HALVED,
        "t.x + tile * MR * t.x_stride, ahead",
        "t.x, ahead",
    ),
    Mutant(
        "tiles of a halved run all read the first one's residual",
        HALVED,
        "t.residual + tile * MR * residual_stride",
        "t.residual",
    ),
    Mutant(
        "tiles of a halved run all write to the first one's place",
        HALVED,
        "t.y + tile * MR * y_stride",
        "t.y",
    ),
    Mutant("the third plane is the second", TRANSPOSE, "to[2] = third[j]", "to[2] = second[j]"),
    Mutant("ln 2 is a bit long", CURVES, "set1(2.12194440e-4f)", "set1(2.12194440e-5f)"),
    Mutant("swish stops short of its limit", CURVES, "-88.72284f", "-88.0f"),
    Mutant("a power of two in eighths", CURVES, "shift_left<19>", "shift_left<20>"),
    Mutant("hard_swish of -inf", CURVES, "mul(bounded, Hard", "mul(v, Hard"),
    Mutant(
        "prelu with a slope of zero at -inf", CURVES, "mul(finite, p.slopes)", "mul(v, p.slopes)"
    ),
    Mutant(
        "the first vector's slopes for all",
        CURVES,
        "t.slopes ? t.slopes + c : nullptr",
        "t.slopes",
    ),
    Mutant(
        "an input row past the image lives",
        DW_CALLS,
        "size - first, begin",
        "size - first + 1, begin",
    ),
    Mutant(
        "the pads change places",
        DW_CALLS,
        "(rect.column + j) * g.stride_w - g.pad_left",
        "(rect.column + j) * g.stride_w - g.pad_top",
    ),
    Mutant(
        "a part of the kernel forgets its dilation",
        DW_CALLS,
        "g.stride_h - g.pad_top + taps.row * g.dilation_h;",
        "g.stride_h - g.pad_top + taps.row;",
    ),
    Mutant(
        "the clamp comes before the sum is whole",
        DW_CALLS,
        "clamp = work.last && w.activation.clamps()",
        "clamp = w.activation.clamps()",
    ),
    Mutant(
        "a patch lacks the channel that a vector ends in",
        DEPTHWISE,
        "ceil_div(window.channel + window.channels, weights_.multiplier) - first_channel",
        "std::max<ptrdiff_t>(1, window.channels / weights_.multiplier)",
    ),
    Mutant(
        "slopes of the pre-activation from the first channel on",
        DEPTHWISE,
        "first_channel);",
        "0);",
    ),
    Mutant(
        "the interior reaches a column too far",
        DW_CALLS,
        "&& last_column >= 0;",
        "&& last_column >= -1;",
    ),
    Mutant("lane-packed tiles leave pixels out", DW_CALLS, "t.channels *= pixels;", ""),
    Mutant(
        "lane-packed tiles run over gaps",
        DW_CALLS,
        "k.kind == DwKind::kLanePacked && work.dense ?",
        "k.kind == DwKind::kLanePacked ?",
    ),
    Mutant(
        "a forced packed kernel takes many channels",
        DEPTHWISE,
        "packed && weights_.repeats > 1;",
        "packed;",
    ),
    Mutant(
        "every panel adds the first one's residual",
        POINTWISE,
        "residual + column * residual_layout.column_stride + (panel.first - origin)",
        "residual + column * residual_layout.column_stride",
    ),
    Mutant(
        "the staged path drops the residual",
        POINTWISE,
        "r ? staging : nullptr, layout",
        "nullptr, layout",
    ),
    Mutant(
        "slopes of the first panel for all",
        POINTWISE,
        "panel.first);",
        "0);",
    ),
    Mutant(
        "a residual's rows count as one",
        POINTWISE,
        "(!residual_.data || in_line(b.rows, b.columns, layout_of(residual_)))",
        "true",
    ),
    Mutant(
        "the last block is as wide as the others",
        "csrc/plan/cut.h",
        "return begin(part + 1) - begin(part);",
        "return largest();",
    ),
    Mutant(
        "a block is written as if its rows were in line",
        "csrc/ops/pointwise.cpp",
        "(staging_floats_ > 0 || in_line_outside(b))",
        "true",
    ),
    Mutant(
        "a phase that begins left of the image begins at the wrong pixel",
        DEPTHWISE,
        "(first % step + step) % step",
        "first % step",
    ),
    Mutant(
        "a plane's last pixels are not turned over",
        "csrc/kernels/transpose/transpose.h",
        "if (is_live(j, columns))",
        "if (is_live(j + 1, columns))",
    ),
    Mutant(
        "the wrong index of a multiplier",
        PACK_DEPTHWISE,
        "last / multiplier - c0 / multiplier",
        "(last - c0) / multiplier",
    ),
    Mutant(
        "a vector's last weight is forgotten",
        PACK_DEPTHWISE,
        "from + at + run, w + i)",
        "from + at + run - (i + run == live), w + i)",
    ),
    Mutant(
        "of pixels in a line one is activated",
        "csrc/pack/activation.h",
        "line ? pixels * channels : channels",
        "channels",
    ),
    Mutant(
        "a lane-packed tile's weights begin anew", PACK_DEPTHWISE, "at = c0 % outputs;", "at = 0;"
    ),
    Mutant(
        "one large panel too many", PACK_POINTWISE, "small + (i < large)", "small + (i <= large)"
    ),
    Mutant(
        "unpacking transposes",
        PACK_DEPTHWISE,
        "std::copy(w, w + live, kernel + (di * kernel_w + dj) * count + c0)",
        "std::copy(w, w + live, kernel + (dj * kernel_h + di) * count + c0)",
    ),
    Mutant(
        "folding forgets the mean",
        "csrc/pack/batch_norm.cpp",
        " - norm.mean[f]",
        "",
    ),
    Mutant(
        "the odd pixel of a pair has the even one's",
        HALVED,
        "both : upper_half(both)",
        "both : both",
    ),
    Mutant(
        "any residual follows in line", HALVED, " && (!residual || residual_stride == kDense)", ""
    ),
    Mutant("a pair's vectors all begin with its halves", HALVED, "last = whole;", ""),
    Mutant(
        "half a vector stands there once",
        PACK_POINTWISE,
        "(p.halved) std::copy",
        "(false) std::copy",
    ),
    Mutant("a shuffled vector is left out", VEC, "{1, 3, 0, 2}", "{1, 3, 0, 0}"),
    Mutant("shuffled weights fall behind", DWCONV, "c * (1 + KH * KW)", "c * (KH * KW)"),
    Mutant(
        "a row below the plane is taken for the image's",
        PLANES,
        "first + row < t.height",
        "first + row <= t.height",
    ),
    Mutant(
        "all planes have the first ones' weights",
        PLANES,
        "block += t.block_stride;\n    const V bias",
        "(void)0;\n    const V bias",
    ),
    Mutant(
        "all windows have the first planes' weights",
        PLANES,
        "block += t.block_stride;\n    V acc",
        "(void)0;\n    V acc",
    ),
    Mutant(
        "a window's dead rows live",
        PLANES,
        "i < input_rows && first_row + i >= 0 && first_row + i < t.height",
        "true",
    ),
    Mutant(
        "windows forget what they reach into", PLANES, "if (reaches_on) split", "if (false) split"
    ),
    Mutant(
        "a window's odd columns are its even ones",
        PLANES,
        "odd(a, b).store(to + Window::kPhase",
        "even(a, b).store(to + Window::kPhase",
    ),
    Mutant(
        "lines of floats never begin their weights anew",
        FLAT,
        "if (weights == weights_end) weights = t.weights;",
        "(void)weights_end;",
    ),
    Mutant(
        "lines of floats end with the last output",
        FLAT,
        "? t.width - middle : t.columns + 1",
        "? t.width - middle : t.columns",
    ),
    Mutant(
        "lines of floats begin before the image",
        FLAT,
        "(middle > 0 ? -1 : -middle) * channels",
        "-channels",
    ),
    Mutant(
        "lines of floats run over gaps between pixels",
        DW_CALLS,
        "kernel_.kind != DwKind::kRowPacked || (dense && w.fills_vectors())",
        "kernel_.kind != DwKind::kRowPacked || w.fills_vectors()",
    ),
    Mutant(
        "a lane too many is inside",
        VEC_AVX512,
        "below(size - first) &",
        "below(size - first + 1) &",
    ),
    Mutant(
        "planes slide in the wrong order",
        VEC_AVX512,
        "(b.v), _mm512_castps_si512(a.v), N",
        "(a.v), _mm512_castps_si512(b.v), N",
    ),
    Mutant(
        "all planes of a panel have its first weights",
        POINTWISE,
        "panel.weights + c;",
        "panel.weights;",
    ),
    Mutant(
        "planes add the residual of a panel's first channel",
        POINTWISE,
        "residual_.at(b.image, b.row, 0, panel.first + c)",
        "residual_.at(b.image, b.row, 0, panel.first)",
    ),
    Mutant(
        "planes forget the slopes",
        PLAN_DEPTHWISE,
        "!w.activation.slopes.empty() ||",
        "false ||",
    ),
    Mutant(
        "planes with rows apart",
        "csrc/base/view.h",
        "!channels_side_by_side() && rows_in_line()",
        "!channels_side_by_side()",
    ),
    Mutant(
        "planes forget the pointwise half's slopes",
        PLAN_DEPTHWISE,
        "|| !p.chain.pointwise->activation.slopes.empty()",
        "",
    ),
]
