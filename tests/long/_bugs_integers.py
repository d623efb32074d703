"""Deliberate bugs of the 8-bit layers alone, as in _bugs.py."""

from _bugs import Mutant

CONTRACT, BYTES_AVX2 = "csrc/kernels/contract8.h", "csrc/simd/bytes_avx2.h"
TILES8 = "csrc/kernels/pointwise8/tiles.h"
PACK, RUN = "csrc/pack/bytes.cpp", "csrc/ops/run8.cpp"
PLAN = "csrc/plan/plan8.cpp"
QUADS, WIDENED, DW8 = (
    "csrc/kernels/depthwise8/quads.h",
    "csrc/kernels/pointwise8/widened.h",
    "csrc/kernels/depthwise8/generic.h",
)
DIFFERENCES = "csrc/kernels/depthwise8/differences.h"
TABLE8, FIVES = "csrc/kernels/table8/table.h", "csrc/kernels/depthwise8/fives.h"
ADD8, MULTIPLY8 = "csrc/kernels/add8/add.h", "csrc/kernels/add8/multiply.h"
POOL = "csrc/network/pool.cpp"
QUANTIZATION = "python/fastdw/_quantization.py"
HARD_SWISH = "python/fastdw/importers/_tflite_hard_swish.py"
WIDE = "python/fastdw/importers/_wide_weights.py"
KEPT = "python/fastdw/importers/_tflite_integers.py"

INTEGERS = [
    Mutant(
        "no 128 in the start of sums",
        PACK,
        "(unpacked.input_zero + set.offset) * sum",
        "unpacked.input_zero * sum",
    ),
    Mutant(
        "padding with 0",
        PACK,
        "(unpacked.input_zero + set.offset) ^ input_flip",
        "set.offset ^ input_flip",
    ),
    Mutant("one factor for all channels", PACK, "unpacked.factors[c]", "unpacked.factors[0]"),
    Mutant("twice a sum always fits", PACK, "-most < b && b < most", "-most < b || b < most"),
    Mutant("a middle column is not subtracted", PACK, "{0, 1, -1, 0}", "{0, 1, 1, 0}"),
    Mutant(
        "the factors of the first panel",
        PACK,
        "&unpacked.factors[p.first + c]",
        "&unpacked.factors[c]",
    ),
    Mutant(
        "half away from zero",
        CONTRACT,
        "t + 12582912.0f",
        "t + (t < 0 ? -0.25f : 0.25f) + 12582912.0f",
    ),
    Mutant("bytes keep their sign", RUN, "word ^= flip;", ""),
    Mutant("a second column that is not there", QUADS, "if (right > 0) store", "store"),
    Mutant(
        "the third row of a window is the second",
        QUADS,
        "meet<2, j>(acc, bottom)",
        "meet<1, j>(acc, bottom)",
    ),
    Mutant("a row of quads is read too early", QUADS, "i + 2, rows[below]", "i + 1, rows[below]"),
    Mutant("a second row that is not there", DIFFERENCES, "if (row + i >= t.rows) return;", ""),
    Mutant(
        "a second column by differences that is not there",
        DIFFERENCES,
        "if (column + 1 < t.columns)",
        "if (column < t.columns)",
    ),
    Mutant("the rest of a line has no entries", TABLE8, "std::memcpy(y + i, rest, size);", ""),
    Mutant(
        "both halves of a table are the first",
        "csrc/simd/bytes_avx512vnni.h",
        "_mm512_permutex2var_epi16(words[2], index, words[3])",
        "_mm512_permutex2var_epi16(words[0], index, words[1])",
    ),
    Mutant("entries change from the wrong part", BYTES_AVX2, "if (i % 8) part", "if (i % 7) part"),
    Mutant("single pixels are left out", TILES8, "if constexpr (MR > 1)", "if constexpr (MR > 2)"),
    Mutant(
        "the last columns are left out",
        DW8,
        "column < t.columns; ++column",
        "column + 1 < t.columns; ++column",
    ),
    Mutant("a pixel beyond the image is inside", DW8, "right < t.width", "right <= t.width"),
    Mutant("a row beyond the image is inside", DW8, "at < t.height", "at <= t.height"),
    Mutant(
        "half a panel is stored as a whole", TILES8, "channels == width ?", "channels <= width ?"
    ),
    Mutant("a column beyond the image has quads", QUADS, "column < t.width", "column <= t.width"),
    Mutant("a row beyond the image has quads", QUADS, "row < t.height", "row <= t.height"),
    Mutant("a tail of eight bytes", BYTES_AVX2, "n >= 8 ? number", "n > 0 ? number"),
    Mutant(
        "a tail is stored whole",
        BYTES_AVX2,
        "if (n >= 16) return _mm_store",
        "if (n) return _mm_store",
    ),
    Mutant(
        "inputs of 16 bits lose theirs",
        BYTES_AVX2,
        "_mm256_cvtepu8_epi16(bytes)",
        "_mm256_cvtepi8_epi16(bytes)",
    ),
    Mutant(
        "a second part of the inputs is the first",
        WIDENED,
        "x + first + k",
        "x + k",
    ),
    Mutant(
        "weights of 16 bits lose their sign",
        PACK,
        "const int16_t wide = value;",
        "const int16_t wide = static_cast<uint8_t>(value);",
    ),
    Mutant(
        "bounds round to even",
        QUANTIZATION,
        "int(steps + (0.5 if steps >= 0 else -0.5))",
        "round(steps)",
    ),
    Mutant(
        "sums out of range saturate alone",
        QUANTIZATION,
        "return self.converts and ends",
        "return ends",
    ),
    Mutant("products of HARD_SWISH are cut", HARD_SWISH, "(x * factor + 2**14)", "(x * factor)"),
    Mutant("its gate is not held", HARD_SWISH, "return np.clip(x, -_MOST - 1, _MOST)", "return x"),
    Mutant("its halves go up", HARD_SWISH, "np.sign(x) * size", "(x + (1 << shift >> 1)) >> shift"),
    Mutant(
        "the number of an operand has the other's steps",
        KEPT,
        '"second": c.quantization(last)',
        '"second": c.quantization(first)',
    ),
    Mutant(
        "a table begins at 0",
        "python/fastdw/network/_fuse8.py",
        'last["table"][entry - least]',
        'last["table"][entry]',
    ),
    Mutant(
        "a call may lack what the last one added",
        "csrc/python/operator8.cpp",
        "return given == chain_.sum.has_value();",
        "return true || given;",
    ),
    Mutant(
        "a subtrahend is added",
        "python/fastdw/_half8.py",
        "(-1 if name == subtrahend else 1)",
        "(1 if name == subtrahend else 1)",
    ),
    Mutant(
        "halves of a resize go up",
        "csrc/kernels/bilinear8/bilinear.h",
        "sum + half + (sum >> 31)",
        "sum + half",
    ),
    Mutant(
        "a gate begins anew in the middle of a line",
        "csrc/network/bytes.cpp",
        "return channels * std::max",
        "return 1 + channels * std::max",
    ),
    Mutant(
        "a matrix in the order of its file",
        "python/fastdw/importers/_onnx_layers.py",
        "whole.kernel[rows]",
        "whole.kernel",
    ),
    Mutant(
        "large weights are cut",
        WIDE,
        "first, second[:, :, again]",
        "first, 0 * second[:, :, again]",
    ),
    Mutant("rows that are there twice are padded once", WIDE, "(2 * top, 2 *", "(top, 2 *"),
    Mutant(
        "a tile of five taps has a column too many",
        FIVES,
        "if (column + j < t.columns)",
        "if (column + j <= t.columns)",
    ),
    Mutant("windows of five taps are the first of a row", FIVES, "+ column * S;", ";"),
    Mutant("a sum's halves are cut", ADD8, "(1 << (s.shift - 1)) - s.zero_a", "-s.zero_a"),
    Mutant(
        "the last products are left out",
        MULTIPLY8,
        "if (i < count) multiply",
        "if (i < 0) multiply",
    ),
    Mutant(
        "an average's halves go up",
        POOL,
        "(sum >= 0 ? cells / 2 : -(cells / 2))",
        "cells / 2",
    ),
    Mutant("a pool's border has cells", POOL, "(column) + across.first * dilation_w", "(column)"),
    Mutant(
        "a pool's channels after 256 are the first",
        POOL,
        "across.first * dilation_w, first)",
        "across.first * dilation_w, 0)",
    ),
    Mutant(
        "a pool's windows on the right are not looked at", POOL, "i = axis.last_inside()", "break"
    ),
    Mutant(
        "a mean has the zeros of a row", POOL, "(x.height * x.width) * mean", "(x.width) * mean"
    ),
    Mutant(
        "a run begins with its row", RUN, "(rows, 1), column, columns}", "(rows, 1), 0, columns}"
    ),
    Mutant("a run crosses rows that are apart", PLAN, "&& in_line(p.out) &&", "&&"),
    Mutant("a mean's sums of 16 bits overflow", POOL, "if (++cells_ == kPart) sums();", ""),
]
