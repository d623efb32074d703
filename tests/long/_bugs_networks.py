"""Deliberate bugs of what networks alone do, as in _bugs.py."""

from _bugs import Mutant

CURVES, NORMALIZE = "csrc/kernels/curves/curves.h", "csrc/kernels/normalize/normalize.h"
EXPANDED, SUMS = "csrc/ops/expanded.cpp", "csrc/ops/row_sums.h"

NETWORKS = [
    Mutant(
        "kept rows stay where they were",
        EXPANDED,
        "memory_ + (rows.first - held_.first) * row_stride_",
        "memory_ + 0 * row_stride_",
    ),
    Mutant(
        "a row that nobody computed is kept",
        EXPANDED,
        "held_.end() - rows.first, 0",
        "held_.end() - rows.first + 1, 0",
    ),
    Mutant(
        "a slab's channels begin at the first",
        EXPANDED,
        "* plan_.slab.stride - channel();",
        "* plan_.slab.stride;",
    ),
    Mutant(
        "the sums of all rows are the first row's",
        SUMS,
        "sums.at(0, r.row, 0, r.channel)",
        "sums.at(0, 0, 0, r.channel)",
    ),
    Mutant(
        "an average of sums is divided by their number",
        "csrc/network/pool.cpp",
        "count > 0 ? count :",
        "false ? count :",
    ),
    Mutant(
        "all matrices of a store lie in one place",
        "csrc/base/memory.cpp",
        "memory_.get() + whole",
        "memory_.get()",
    ),
    Mutant(
        "a logarithm of what is subnormal is that of the other part",
        CURVES,
        "set1(0x1p23f + 150.0f)",
        "set1(0x1p23f + 127.0f)",
    ),
    Mutant(
        "lanes beyond the channels are off the mean too",
        NORMALIZE,
        "const V d = V::load(y + c, n);",
        "const V d = sub(V::load(x + c, n), mean);",
    ),
    Mutant("a sum ends before its tail", NORMALIZE, "if (left > 0) {", "if (false) {"),
    Mutant(
        "the lesser swallows NaN",
        "csrc/kernels/elementwise/elementwise.h",
        "mul(minus, max_or_nan(mul(minus, a), mul(minus, b)))",
        "min(a, b)",
    ),
    Mutant("the gate is forgotten", "csrc/ops/tensor_source.h", "if (scale_) {", "if (false) {"),
]
